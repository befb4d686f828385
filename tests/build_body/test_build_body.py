"""The steps that build the open body, on small shapes whose answer is known. None needs anny."""

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from meshrec.body import load_body
from meshrec.body.joints import joint_set
from meshrec.build_body import keypoints, rig, shape_space, skinning
from meshrec.build_body.decimate import decimate


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
    expected = ndtr(vertices[:, 2] / 0.025)  # a step blurred by a normal distribution of that spread
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
    assert np.allclose(space.coefficients.mean(axis=0), 0) and np.allclose(space.coefficients.std(axis=0, ddof=1), 1)
    assert np.allclose(space.mean + np.einsum("vdk,nk->nvd", space.directions, space.coefficients), bodies)
    points = bodies[:, :5].sum(axis=1)
    along = space.along(points)
    assert np.allclose(along[0] + space.coefficients @ along[1:], points)


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
    import torch

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
