"""Each property promised of the shipped open body, measured on the files."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from meshrec.body import JOINT_SETS, find_body, flip_permutation, joint_set, load_body
from meshrec.body.base_mesh import load_base_mesh
from meshrec.body.measures import body_measures
from meshrec.poses.named_poses import POSE_NAMES, named_pose

GENDERS = ("neutral", "male", "female")
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
REFLECT = np.array([-1.0, 1.0, 1.0])
# Joint and axis that a positive turn about bends it; the joint at the limb's end.
HINGES = [
    ("left_elbow", (0.0, -1.0, 0.0), "left_wrist"),
    ("right_elbow", (0.0, 1.0, 0.0), "right_wrist"),
    ("left_knee", (1.0, 0.0, 0.0), "left_ankle"),
    ("right_knee", (1.0, 0.0, 0.0), "right_ankle"),
]


@pytest.fixture(scope="module", params=GENDERS)
def gender(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def path(gender) -> Path:
    return Path(find_body(gender))


@pytest.fixture(scope="module")
def arrays(path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def joints(arrays) -> dict[str, np.ndarray]:
    return dict(zip(joint_set("smpl24"), arrays["J_regressor"] @ arrays["v_template"]))


@pytest.fixture(scope="module")
def landmarks(arrays) -> dict[str, np.ndarray]:
    rows = arrays["landmark_regressor"] @ arrays["v_template"]
    return dict(zip(arrays["landmark_names"].tolist(), rows))


def stature(vertices: np.ndarray) -> float:
    return float(np.ptp(vertices[:, 1]))


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("fd,fd->", a, np.cross(b, c)) / 6)


def test_file_is_small_and_free_of_pickles(path, arrays):
    assert path.stat().st_size <= 3 * 2**20
    assert all(array.dtype != object for array in arrays.values())
    assert "CC0" in str(arrays["licence"])


def test_format_is_smpl(arrays, gender):
    vertex_count = len(arrays["v_template"])
    assert 6000 <= vertex_count <= 8000
    # Code in the field takes 6,890 to mean SMPL's own topology.
    assert vertex_count != 6890
    assert arrays["shapedirs"].shape == (vertex_count, 3, 10)
    assert arrays["posedirs"].shape == (vertex_count, 3, 207)
    assert arrays["J_regressor"].shape == (24, vertex_count)
    assert arrays["weights"].shape == (vertex_count, 24)
    assert arrays["kintree_table"][0].tolist() == PARENTS
    assert arrays["kintree_table"][1].tolist() == list(range(24))
    assert str(arrays["gender"]) == gender
    assert len(arrays["part_labels"]) == vertex_count


def test_all_files_share_topology_and_skinning():
    first, *others = (np.load(find_body(gender)) for gender in GENDERS)
    for other in others:
        for key in ("f", "weights", "J_regressor", "uv", "uv_faces", "landmark_regressor", "mirror_vertices"):
            assert np.array_equal(first[key], other[key]), key


def test_surface_is_one_closed_skin(arrays):
    faces = arrays["f"]
    mesh = trimesh.Trimesh(arrays["v_template"], faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.euler_number == 2 and mesh.body_count == 1
    assert np.array_equal(np.unique(faces), np.arange(len(arrays["v_template"])))
    # Faces look outwards: the volume is positive, and that of a person.
    assert 0.05 < volume(arrays["v_template"], faces) < 0.1
    assert mesh.area_faces.min() > 1e-8


def test_left_mirrors_right(arrays):
    mirror = arrays["mirror_vertices"]
    swap = flip_permutation("smpl24")
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    assert np.array_equal(arrays["v_template"][mirror] * REFLECT.astype(np.float32), arrays["v_template"])
    shapedirs = arrays["shapedirs"]
    assert np.abs(shapedirs[mirror] * REFLECT[:, None] - shapedirs).max() <= 1e-5
    assert np.abs(arrays["weights"][mirror][:, swap] - arrays["weights"]).max() < 1e-6
    assert np.abs(arrays["J_regressor"][swap][:, mirror] - arrays["J_regressor"]).max() < 1e-6
    flipped = {frozenset(face) for face in mirror[arrays["f"]].tolist()}
    assert flipped == {frozenset(face) for face in arrays["f"].tolist()}


@pytest.mark.parametrize("key", ["J_regressor", "landmark_regressor"])
def test_regressor_rows_are_averages(arrays, key):
    rows = arrays[key]
    assert rows.min() >= 0
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-5


def test_skinning_has_four_influences_and_is_smooth(arrays):
    weights, faces = arrays["weights"], arrays["f"]
    assert weights.min() >= 0
    assert (weights > 0).sum(axis=1).max() <= 4
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-6
    # MakeHuman's own weights, summed per joint, jump by up to 0.93 over an edge, 163 per metre.
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    jump = np.abs(weights[edges[:, 0]] - weights[edges[:, 1]]).max(axis=1)
    length = np.linalg.norm(arrays["v_template"][edges[:, 0]] - arrays["v_template"][edges[:, 1]], axis=1)
    assert jump.max() < 0.45
    assert (jump / length).max() < 60


def test_zero_pose_is_the_t_pose_of_smpl(arrays, joints):
    """y up, z forward, +x the subject's left, arms straight to the sides, palms down, soles flat on one height."""
    assert np.abs(joints["pelvis"]).max() < 1e-4
    upwards = ("left_ankle", "left_knee", "left_hip", "pelvis", "spine1", "spine2", "spine3", "neck", "head")
    assert np.all(np.diff([joints[name][1] for name in upwards]) > 0)
    arm = np.stack([joints[f"left_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")])
    assert np.all(np.diff(arm[:, 0]) > 0.05)
    assert np.ptp(arm[:, 1:], axis=0).max() < 0.01
    assert joints["left_foot"][2] - joints["left_ankle"][2] > 0.1
    # SMPL's pelvis lies 9 cm above the middle of the hips and within a centimetre of it in depth.
    hips = (joints["left_hip"] + joints["right_hip"]) / 2
    assert 0.08 < joints["pelvis"][1] - hips[1] < 0.11
    assert abs(joints["pelvis"][2] - hips[2]) < 0.01
    # Legs nearly parallel and straight.
    assert abs(joints["left_ankle"][0] - joints["left_hip"][0]) < 0.05
    thigh, shank = joints["left_knee"] - joints["left_hip"], joints["left_ankle"] - joints["left_knee"]
    assert thigh @ shank > 0.99 * np.linalg.norm(thigh) * np.linalg.norm(shank)


def test_palms_face_down_and_thumbs_forward(arrays, landmarks):
    wrist_to_index = landmarks["left_index"] - landmarks["left_pinky"]
    assert wrist_to_index[2] > 0.9 * np.linalg.norm(wrist_to_index)
    assert landmarks["left_thumb"][2] > landmarks["left_index"][2]


def test_mean_bodies_have_the_surveyed_size():
    """ANSUR II: men 1.756 m and 85.5 kg, women 1.629 m and 67.8 kg; the mean shape holds less than the mean volume."""
    for gender, (height, litres) in {"male": (1.756, 85.5), "female": (1.629, 67.8)}.items():
        file = np.load(find_body(gender))
        assert abs(stature(file["v_template"]) - height) < 0.01
        assert abs(1000 * volume(file["v_template"], file["f"]) - litres) < 3


def test_shape_space_is_a_population():
    """Betas drawn from N(0, 1) give the survey's spread of stature and weight."""
    rng = np.random.default_rng(0)
    for gender, (height_sd, weight_sd) in {"male": (0.0686, 14.2), "female": (0.0642, 11.0)}.items():
        file = np.load(find_body(gender))
        bodies = file["v_template"] + np.einsum("vdk,nk->nvd", file["shapedirs"], rng.normal(size=(300, 10)))
        assert abs(np.std([stature(b) for b in bodies]) - height_sd) < 0.01
        assert abs(np.std([1000 * volume(b, file["f"]) for b in bodies]) - weight_sd) < 3


def test_ten_components_are_enough(arrays):
    assert arrays["explained_variance"] >= 0.995
    # One standard deviation each: independent directions, the strongest first.
    directions = arrays["shapedirs"].reshape(-1, 10).astype(np.float64)
    gram = directions.T @ directions
    spread = np.sqrt(np.diag(gram))
    assert np.all(np.diff(spread) < 0)
    assert np.abs(gram / np.outer(spread, spread) - np.eye(10)).max() < 0.02


def test_first_beta_is_stature(arrays):
    at = [stature(arrays["v_template"] + k * arrays["shapedirs"][:, :, 0]) for k in (-2, 2)]
    assert at[0] < 1.65 and at[1] > 1.75


def test_neutral_shapes_reach_small_large_thin_and_heavy_people():
    """Statures of 1.45 to 2.00 m, waists of 0.60 to 1.40 m and two corners, with all betas between -3 and 3."""
    body = load_body("neutral")
    wanted = torch.tensor(
        [[1450, torch.nan], [2000, torch.nan], [torch.nan, 600], [torch.nan, 1400], [1500, 1300], [1950, 700]]
    )
    free = torch.zeros(len(wanted), 10, requires_grad=True)
    optimizer = torch.optim.Adam([free])
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 150)
        measures = body_measures(body, 3 * torch.tanh(free))
        errors = torch.stack([measures["height"], measures["waist"]], dim=1) - wanted
        optimizer.zero_grad()
        (errors.nan_to_num() ** 2).sum().backward()
        optimizer.step()
    assert errors.nan_to_num().abs().max() < 10


def chest_bump(vertices: np.ndarray, joints: np.ndarray) -> float:
    """How far the chest is in front of the breastbone at most, in metres."""
    level = joints[joint_set("smpl24").index("spine3"), 1]
    x, z = np.abs(vertices[:, 0]), vertices[:, 2]
    bumps = []
    for height in np.arange(level - 0.12, level + 0.05, 0.01):
        at = (np.abs(vertices[:, 1] - height) < 0.02) & (z > 0)
        bumps.append(z[at & (x > 0.06) & (x < 0.13)].max() - z[at & (x < 0.04)].max())
    return max(bumps)


def test_breasts_are_the_last_beta_of_the_neutral_body():
    bodies = {gender: load_body(gender) for gender in GENDERS}
    bump = {gender: chest_bump(*(x[0].numpy() for x in body.rest())) for gender, body in bodies.items()}
    assert bump["neutral"] < bump["male"] + 0.003 and bump["female"] > bump["male"] + 0.008
    vertices, joints = bodies["neutral"].rest(betas=2.0 * torch.eye(10)[9:])
    assert chest_bump(vertices[0].numpy(), joints[0].numpy()) > bump["female"] - 0.003
    assert (joints - bodies["neutral"].rest()[1]).norm(dim=-1).max() < 0.005


def test_eyes_are_round_and_between_the_lids(arrays, landmarks):
    """The vertices that MakeHuman's base mesh lacks are those of the eyes, on two spheres as large as eyeballs."""
    eyes = np.flatnonzero(load_base_mesh().body_vertices < 0)
    left = arrays["v_template"][eyes]
    left = left[left[:, 0] > 0].astype(np.float64)
    assert len(left) == len(eyes) / 2
    # |p|^2 = 2 c.p + (r^2 - |c|^2), solved for the centre c and the radius r.
    system = np.column_stack([2 * left, np.ones(len(left))])
    solution = np.linalg.lstsq(system, (left**2).sum(axis=1), rcond=None)[0]
    centre, radius = solution[:3], np.sqrt(solution[3] + solution[:3] @ solution[:3])
    assert 0.012 < radius < 0.018
    assert np.abs(np.linalg.norm(left - centre, axis=1) - radius).max() < 2e-4
    assert landmarks["left_eye"][2] > centre[2] + 0.8 * radius


def test_fingers_hang_from_a_flat_palm(arrays, joints):
    hand = arrays["v_template"][arrays["part_labels"] == joint_set("smpl24").index("left_hand")]
    below = joints["left_hand"][1] - hand[:, 1].min()
    assert 0.045 < below < 0.065  # curled fingers; straight ones of this length end at the palm's height
    assert np.ptp(hand[:, 2]) < 0.095  # four fingers side by side


def test_texture_covers_every_face(arrays):
    corners = arrays["uv"][arrays["uv_faces"]]
    assert arrays["uv_faces"].shape == arrays["f"].shape
    assert arrays["uv"].min() >= 0 and arrays["uv"].max() <= 1
    edge, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge[:, 0] * other[:, 1] - edge[:, 1] * other[:, 0]
    # The caps of the mouth and a few collapsed corners are the only faces without a place of their own.
    assert (area > 0).mean() > 0.998


def test_parts_follow_the_skeleton(arrays, joints):
    labels, names = arrays["part_labels"], joint_set("smpl24")
    assert set(labels.tolist()) == set(range(24))
    assert arrays["part_names"].tolist() == list(names)
    for name in ("head", "left_hand", "right_knee", "left_foot"):
        part = arrays["v_template"][labels == names.index(name)]
        assert np.linalg.norm(part.mean(axis=0) - joints[name]) < 0.25
    left = np.array([name.startswith("left") for name in names])[labels]
    assert arrays["v_template"][left, 0].min() > -0.03


def test_landmarks_lie_where_people_mark_them(arrays, landmarks, joints):
    vertices = arrays["v_template"]
    assert landmarks["head_top"][1] > vertices[:, 1].max() - 0.005
    assert landmarks["head_top"][1] > landmarks["left_eye"][1] > landmarks["nose"][1] > landmarks["mouth_left"][1]
    assert landmarks["mouth_left"][1] > landmarks["chin"][1] > joints["neck"][1]
    assert landmarks["nose"][2] > landmarks["left_eye"][2] > landmarks["left_ear"][2]
    x = [landmarks[f"left_{name}"][0] for name in ("eye_inner", "eye", "eye_outer", "ear")]
    assert 0.01 < x[0] < x[1] < x[2] < x[3] < 0.1
    assert landmarks["left_heel"][2] < joints["left_ankle"][2] < landmarks["left_foot_index"][2]
    assert 0 < landmarks["left_big_toe"][0] < landmarks["left_small_toe"][0]
    assert abs(landmarks["left_heel"][1] - vertices[:, 1].min()) < 0.05
    for name, point in landmarks.items():
        if "left" in name:
            assert np.allclose(landmarks[name.replace("left", "right")], point * REFLECT, atol=1e-4), name


@pytest.mark.parametrize("name", list(JOINT_SETS))
def test_every_joint_set_has_its_points(gender, name):
    body = load_body(gender)
    points = body.joints_from(body().vertices, name)
    assert points.shape == (1, len(joint_set(name)), 3)
    assert torch.isfinite(points).all() and points.abs().max() < 1.2


def test_joints_follow_the_shape(gender):
    """Along every beta the elbows and knees stay inside the limb: the joint is no farther from the skin's middle."""
    body = load_body(gender)
    for k in range(5):
        for sign in (-2.0, 2.0):
            vertices, joints = body.rest(betas=sign * torch.eye(10)[k : k + 1])
            for joint in ("left_elbow", "left_knee", "left_ankle", "neck"):
                centre = joints[0, joint_set("smpl24").index(joint)]
                near = vertices[0][(vertices[0] - centre).norm(dim=1) < 0.1]
                assert (near.amin(dim=0) < centre).all() and (near.amax(dim=0) > centre).all()


@pytest.mark.parametrize(("joint", "axis", "end"), HINGES)
def test_bending_a_hinge_keeps_the_limb_thick(gender, joint, axis, end):
    """Linear blending thins a bent joint. At 90 degrees the body keeps its volume within one and a half percent."""
    body = load_body(gender)
    pose = torch.zeros(1, 23, 3)
    pose[0, joint_set("smpl24").index(joint) - 1] = torch.tensor(axis) * torch.pi / 2
    bent, at_rest = body(body_pose=pose), body()
    before, after = (volume(out.vertices[0].numpy(), body.faces.numpy()) for out in (at_rest, bent))
    assert abs(after / before - 1) < 0.015
    # And it bends the way people do: wrists come forward, ankles go back.
    forward = (bent.joints - at_rest.joints)[0, joint_set("smpl24").index(end), 2]
    assert forward > 0.15 if "elbow" in joint else forward < -0.2


@pytest.mark.parametrize("name", POSE_NAMES)
def test_poses_keep_volume_and_do_not_tear(gender, name):
    body = load_body(gender)
    faces = body.faces.numpy()
    rest = body().vertices[0].numpy()
    posed = body(body_pose=named_pose(name)[None]).vertices[0].numpy()
    # Linear blending loses flesh where thighs meet the belly: sitting keeps 92 percent, a full squat 87.
    kept = volume(posed, faces) / volume(rest, faces)
    assert {"squat": 0.85, "sitting": 0.9}.get(name, 0.93) < kept < 1.03
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    lengths = [np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (rest, posed)]
    stretch = lengths[1] / lengths[0]
    assert np.percentile(stretch, 99.5) < 2.5
