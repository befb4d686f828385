"""The steps that build the open body, on small shapes whose answer is known. None needs anny."""

import numpy as np
import torch
import trimesh
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from meshrec.body import load_body
from meshrec.body.joints import joint_set
from meshrec.build_body import keypoints, rig, shape_space, skinning
from meshrec.build_body.decimate import decimate
from meshrec.build_body.eyes import eye_cap
from meshrec.build_body.fingers import relax_fingers


def test_decimation_keeps_a_closed_surface_on_the_original_vertices():
    sphere = trimesh.creation.icosphere(subdivisions=4)
    count = len(sphere.vertices)
    plain = np.zeros(count, dtype=bool)
    faces, uv_faces = decimate(sphere.vertices, sphere.faces, sphere.faces, plain, np.ones(count), 700)
    assert np.array_equal(faces, uv_faces)
    small = trimesh.Trimesh(sphere.vertices, faces, process=False)
    small.remove_unreferenced_vertices()
    assert len(small.vertices) == 700
    assert small.is_watertight and small.is_winding_consistent and small.euler_number == 2
    assert abs(small.volume / sphere.volume - 1) < 0.02


def test_decimation_thins_out_where_it_matters_least():
    sphere = trimesh.creation.icosphere(subdivisions=4)
    plain = np.zeros(len(sphere.vertices), dtype=bool)
    importance = np.where(sphere.vertices[:, 2] > 0, 20.0, 1.0)
    faces, _ = decimate(sphere.vertices, sphere.faces, sphere.faces, plain, importance, 1500)
    kept = sphere.vertices[np.unique(faces)]
    assert (kept[:, 2] > 0).sum() > 2 * (kept[:, 2] < 0).sum()


def test_decimation_keeps_border_and_texture_seam():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    half = sphere.faces[(sphere.triangles_center[:, 0] > 0)]
    edges = np.sort(np.concatenate([half[:, [0, 1]], half[:, [1, 2]], half[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    border = np.zeros(len(sphere.vertices), dtype=bool)
    border[unique[counts == 1]] = True
    # Texture in two islands above and below: the vertices in between carry two coordinates each.
    upper = sphere.vertices[half].mean(axis=1)[:, 2] > 0
    uv = half + np.where(upper, 0, len(sphere.vertices))[:, None]
    seam = np.intersect1d(half[upper], half[~upper])
    faces, uv_faces = decimate(sphere.vertices, half, uv, border, np.ones(len(border)), 150)
    assert np.isin(seam, faces).all()
    assert np.array_equal(uv_faces % len(sphere.vertices), faces)
    islands = uv_faces // len(sphere.vertices)
    assert (islands == islands[:, :1]).all()
    left = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    assert len(np.unique(faces)) - len(left) + len(faces) == 1  # still a disc


def _tube(radius: float, height: float, sections: int, rings: int) -> tuple[np.ndarray, np.ndarray]:
    angle, z = np.meshgrid(np.arange(sections) * 2 * np.pi / sections, np.linspace(-height / 2, height / 2, rings))
    vertices = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1).reshape(-1, 3)
    ring, section = np.meshgrid(np.arange(rings - 1), np.arange(sections), indexing="ij")
    a, b = ring * sections + section, ring * sections + (section + 1) % sections
    faces = np.concatenate([np.stack([a, b, b + sections], -1), np.stack([a, b + sections, a + sections], -1)])
    return vertices, faces.reshape(-1, 3)


def test_blur_is_as_wide_as_asked():
    """A step in the weights along a tube becomes the error function of the spread, at most four joints wide."""
    vertices, faces = _tube(radius=0.05, height=0.6, sections=32, rings=61)
    joints = np.full((24, 3), 5.0)
    elbow, shoulder = joint_set("smpl24").index("left_elbow"), joint_set("smpl24").index("left_shoulder")
    joints[elbow] = 0.0
    sharp = np.zeros((len(vertices), 24))
    sharp[:, elbow] = np.heaviside(np.round(vertices[:, 2], 6), 0.5)
    sharp[:, shoulder] = 1 - sharp[:, elbow]
    # A tube has no left and right: each vertex is its own mirror image, so the other side's joints get half.
    weights = skinning.smooth_weights(sharp, vertices, faces, joints, np.arange(len(vertices)))
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-12 and (weights > 0).sum(axis=1).max() <= 4
    up = weights[:, elbow] + weights[:, joint_set("smpl24").index("right_elbow")]
    expected = ndtr(vertices[:, 2] / 0.045)  # a step blurred by a normal distribution of that spread
    assert np.abs(up - expected).max() < 0.06


def test_accepted_people_have_the_surveyed_distribution():
    rng = np.random.default_rng(0)
    proposals = np.stack([rng.uniform(1.4, 2.0, 20000), rng.uniform(15, 45, 20000)], axis=1)
    people = proposals[shape_space.accept(rng, proposals, "female")]
    weight = people[:, 1] * people[:, 0] ** 2
    mean, deviation = shape_space.STATURE["female"]
    assert abs(people[:, 0].mean() - mean) < 0.01 and abs(people[:, 0].std() - deviation) < 0.01
    mean, deviation = shape_space.WEIGHT["female"]
    assert abs(weight.mean() - mean) < 1 and abs(weight.std() - deviation) < 1


def test_principal_components_give_back_the_population():
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(3, 50, 3)) * np.array([3.0, 2.0, 1.0])[:, None, None]
    bodies = rng.normal(size=(50, 3)) + np.einsum("nk,kvd->nvd", rng.normal(size=(200, 3)), axes)
    space = shape_space.principal_components(bodies, 3)
    assert space.explained > 1 - 1e-9
    assert np.allclose(space.loadings.mean(axis=0), 0) and np.allclose(space.loadings.std(axis=0, ddof=1), 1)
    assert np.allclose(space.mean + np.einsum("vdk,nk->nvd", space.directions, space.loadings), bodies)
    points = bodies[:, :5].sum(axis=1)
    along = space.along(points)
    assert np.allclose(along[0] + space.loadings @ along[1:], points)


def test_wider_population_keeps_the_means():
    rng = np.random.default_rng(0)
    proposals = np.stack([rng.uniform(1.2, 2.2, 6000), np.exp(rng.uniform(2.2, 4.4, 6000))], axis=1)
    people = proposals[shape_space.accept(rng, proposals, "male", (1.2, 1.5))]
    stature, log_bmi = people[:, 0], np.log(people[:, 1])
    for values, (mean, deviation), factor in (
        (stature, shape_space.STATURE["male"], 1.2),
        (log_bmi, shape_space.log_bmi("male"), 1.5),
    ):
        assert abs(values.mean() - mean) < 0.15 * deviation
        assert abs(values.std() / (factor * deviation) - 1) < 0.1


def test_added_field_is_one_more_independent_direction():
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(2, 50, 3)) * np.array([3.0, 2.0])[:, None, None]
    flat = rng.normal(size=(50, 3)) + np.einsum("nk,kvd->nvd", rng.normal(size=(200, 2)), axes)
    field = 0.1 * rng.normal(size=(50, 3))
    inner = flat[:, :5].mean(axis=1)  # a point that follows the bodies, not the field
    space = shape_space.principal_components(flat, 2).with_field(field)
    directions = space.directions.reshape(-1, 3)
    gram = directions.T @ directions
    assert np.allclose(gram, np.diag(np.diag(gram)), atol=1e-9) and np.all(np.diff(np.diag(gram)) < 0)
    assert np.allclose(space.mean, flat.mean(axis=0)) and space.explained > 1 - 1e-9
    # The field lies in the space; along it the inner point stays where it was.
    betas = np.linalg.lstsq(directions, field.ravel(), rcond=None)[0]
    assert np.allclose(space.directions @ betas, field)
    assert np.allclose(betas @ space.along(inner)[1:], 0)


def test_eye_cap_closes_the_opening_and_follows_the_eyeball():
    eyeball = trimesh.creation.icosphere(subdivisions=1, radius=0.012).vertices + [0.03, 0.7, 0.1]
    angle = np.arange(20) * 2 * np.pi / 20  # counter-clockwise as seen from +z: the border of a hole runs so
    lids = np.stack([0.03 + 0.01 * np.cos(angle), 0.7 + 0.005 * np.sin(angle), np.full(20, 0.112)], axis=1)
    cap = eye_cap(eyeball, lids[::-1])
    turn = Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix() * 1.1
    for moved in (eyeball, eyeball @ turn.T + [0.0, 0.1, 0.2]):
        centre = moved.mean(axis=0)
        distance = np.linalg.norm(cap.shares @ moved - centre, axis=1)
        assert np.allclose(distance, np.linalg.norm(moved - centre, axis=1).mean())
    mesh = trimesh.Trimesh(np.concatenate([lids[::-1], cap.shares @ eyeball]), cap.triangles, process=False)
    assert mesh.euler_number == 1 and mesh.is_winding_consistent  # a disc
    assert (mesh.face_normals[20 * 4 :, 2] > 0).all()  # its inner fan looks forward, as the face does
    assert np.allclose(cap.lid_shares.sum(axis=1), 1) and cap.lid_shares.min() >= 0


def test_relaxed_fingers_have_the_wanted_angles_and_their_lengths():
    names = [f"finger{f}-{p}.{s}" for s in "LR" for f in range(1, 6) for p in (1, 2, 3)]
    rng = np.random.default_rng(0)
    left = np.cumsum(rng.uniform(0.01, 0.03, size=(1, 5, 4, 3)), axis=2)
    ends = np.stack([left[:, :, :3], left[:, :, 1:]], axis=1).reshape(1, 2, 15, 3)
    bones = np.concatenate([ends, ends * [-1, 1, 1]], axis=2)
    palm = Rotation.from_rotvec([0.2, -0.4, 0.6]).as_matrix()[None]
    # One vertex at the tail of each bone, which moves with the bone.
    vertices, moved = relax_fingers(bones[:, 1], bones, names, np.eye(30), palm)
    assert np.allclose(vertices, moved[:, 1])
    assert np.allclose(moved[:, :, 15:], moved[:, :, :15] * [-1, 1, 1])
    lengths = [np.linalg.norm(b[:, 1] - b[:, 0], axis=-1) for b in (bones, moved)]
    assert np.allclose(*lengths)
    in_palm = (moved[0, 1] - moved[0, 0])[:15] @ palm[0].T
    flexion = np.degrees(np.arctan2(-in_palm[:, 1], np.hypot(in_palm[:, 0], in_palm[:, 2]))).reshape(5, 3)[1:]
    assert (np.diff(flexion, axis=0) > 0).all()  # growing to the little finger
    assert (np.diff(flexion, axis=1) > 12).all() and (np.diff(flexion, axis=1) < 27).all()
    head = moved[0, 0, :15].reshape(5, 3, 3)
    assert np.allclose(head[:, 1:], moved[0, 1, :15].reshape(5, 3, 3)[:, :-1])  # the chains hold together


def test_regressor_row_is_exact_on_the_mean_and_follows_linear_points():
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    mean = np.asarray(sphere.vertices)
    directions = np.stack([0.1 * mean, np.broadcast_to([0.05, 0.0, 0.0], mean.shape)], axis=-1)
    inside = np.array([0.02, -0.01, 0.03])
    points = np.stack([inside, 0.1 * inside, [0.05, 0.0, 0.0]])
    row = keypoints.fit_row(mean, directions, points)
    assert row.min() >= 0 and abs(row.sum() - 1) < 1e-12
    assert np.abs(row @ mean - inside).max() < 1e-5
    for k in range(2):
        assert np.abs(row @ directions[:, :, k] - points[k + 1]).max() < 1e-4


def test_posing_equals_the_body_layer():
    """The skinning that bakes the T-pose is that of the shipped body, pelvis at the origin."""
    body = load_body("neutral", dtype=torch.float64)
    local = Rotation.from_rotvec(np.random.default_rng(0).normal(size=(24, 3)) * 0.4).as_matrix()
    world = local.copy()
    for j, parent in enumerate(body.parents):
        if parent >= 0:
            world[j] = world[parent] @ local[j]
    out = body(body_pose=torch.from_numpy(local[None, 1:]), global_orient=torch.from_numpy(local[None, 0]))
    rest_vertices, rest_joints = (x.numpy() for x in body.rest())
    vertices, joints = rig.pose(rest_vertices, rest_joints, body.weights.numpy(), world[None])
    assert np.allclose(joints[0], out.joints[0] - out.joints[0, 0], atol=1e-9)
    assert np.allclose(vertices[0], out.vertices[0] - out.joints[0, 0], atol=1e-9)
