"""Motions of other programs: what is in their files comes out upright, at its place and time."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from helpers import films
from helpers.paths import STORED
from scipy.spatial.transform import Rotation

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.export import write_bvh
from meshrec.motion.motion import Motion, Skeleton, continuous_euler, euler_to_matrix, matrix_to_euler
from meshrec.motion.recorded import UP, RecordedMotion, bridged
from meshrec.motion.sequences import read_motions

REST = np.random.default_rng(0).normal(size=(24, 3)) * 0.3
KNOWN = films.NUMBERS - films.NUMBERS[0]


def matrices(poses: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(len(poses), -1, 3, 3)


def posed(rotations: np.ndarray, translation: np.ndarray, joint: int) -> np.ndarray:
    """(T, 3) place of a child of the pelvis, by SMPL's formula written out."""
    return np.einsum("tij,j->ti", rotations[:, 0], REST[joint] - REST[0]) + REST[0] + translation


@pytest.mark.parametrize("axes", ["ZXY", "XYZ", "YZX", "ZYX", "XZY", "YXZ"])
def test_euler_angles_are_those_of_another_library(axes):
    rotations = Rotation.random(200, random_state=1)
    ours = matrix_to_euler(rotations.as_matrix(), axes)
    np.testing.assert_allclose(ours, rotations.as_euler(axes), atol=1e-9)
    # Near the poles, where the outer axes meet, rounding must not spoil the rotation.
    near = np.pi / 2 - np.array([0, 1e-8, 1e-6, 1e-4, 1e-2])
    poles = np.stack([np.full(10, 0.4), np.concatenate([near, -near]), np.full(10, -1.9)], axis=1)
    locked = euler_to_matrix(poles, axes).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(euler_to_matrix(matrix_to_euler(locked, axes), axes), locked, atol=1e-6)


def test_euler_angles_do_not_jump():
    turning = Rotation.from_euler(
        "ZXY", np.stack([np.linspace(0, 12, 300), 1.5 * np.sin(np.arange(300) / 9)] * 2)[:3].T
    )
    angles = continuous_euler(matrix_to_euler(turning.as_matrix(), "ZXY")[:, None])
    assert np.abs(np.diff(angles, axis=0)).max() < 1
    np.testing.assert_allclose(euler_to_matrix(angles[:, 0], "ZXY"), turning.as_matrix(), atol=1e-9)


@pytest.mark.parametrize("up", UP)
def test_the_spaces_have_their_up_axis_up_and_are_right_handed(up):
    axis = {"y": [0, 1, 0], "z": [0, 0, 1], "-y": [0, -1, 0]}[up]
    assert (UP[up] @ axis).tolist() == [0, 1, 0]
    assert np.linalg.det(UP[up]) == pytest.approx(1)


@pytest.mark.parametrize("size", [72, 156, 165])
def test_amass(tmp_path, size):
    """Z up, fingers dropped, wrists kept."""
    rng = np.random.default_rng(size)
    upright = np.stack(
        [(Rotation.from_euler("z", a) * Rotation.from_euler("x", np.pi / 2)).as_rotvec() for a in (0, 1)]
    )
    poses = np.concatenate([upright, rng.normal(0, 0.3, (2, size - 3))], axis=1)
    trans = np.array([[1.0, 2.0, 0.9], [1.1, 2.0, 0.9]])
    np.savez(tmp_path / "a.npz", poses=poses, trans=trans, betas=np.ones(16), gender="female", mocap_framerate=120.0)
    (motion,) = read_motions(tmp_path / "a.npz", REST)
    assert (motion.frame_rate, motion.up, motion.gender, len(motion.betas)) == (120.0, "z", "female", 16)
    assert bool(motion.notes) == (size > 72)
    kept = matrices(poses)[:, :22]
    np.testing.assert_allclose(motion.rotations[:, :22], kept, atol=1e-12)
    if size > 72:
        np.testing.assert_array_equal(motion.rotations[:, 22:], np.tile(np.eye(3), (2, 2, 1, 1)))
    rotations, translation = motion.upright(REST)
    # A point of the body, posed in the file's space by SMPL's formula, and then turned.
    before = posed(kept, trans, 3)
    np.testing.assert_allclose(posed(rotations, translation, 3), before[:, [0, 2, 1]] * [1, 1, -1], atol=1e-12)


def test_a_motion_that_is_upright_along_y_needs_the_user(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)), mocap_frame_rate=30)
    (motion,) = read_motions(tmp_path / "a.npz", REST)
    assert motion.up is None and motion.frame_rate == 30
    with pytest.raises(ValueError, match="up should be one of"):
        motion.upright(REST)


@pytest.mark.parametrize("name", ["vibe_joblib16", "wham_joblib11", "wham_joblib16", "phalp_joblib16"])
def test_people_of_a_film(name):
    """Files of joblib itself; in all of them are the same people."""
    motions = read_motions(STORED / "joblib" / f"{name}.pkl", REST, up="-y")
    assert [motion.name for motion in motions] == ["person_2", "person_11"]
    for person, motion in zip(films.PEOPLE, motions):
        assert (len(motion), motion.start, motion.up, motion.frame_rate) == (10, 3, "-y", None)
        assert any("2 frames" in note for note in motion.notes)
        np.testing.assert_allclose(motion.betas, np.median(films.betas(person), axis=0), atol=1e-6)
        np.testing.assert_allclose(motion.rotations[KNOWN], matrices(films.poses(person)), atol=1e-6)
        np.testing.assert_allclose(motion.translation[KNOWN], films.places(person), atol=1e-5)
        rotations, translation = motion.upright(REST)
        before = posed(matrices(films.poses(person)), films.places(person), 3)
        np.testing.assert_allclose(posed(rotations, translation, 3)[KNOWN], before * [1, -1, -1], atol=1e-5)


def test_the_world_of_wham_has_hips_where_it_says():
    motions = read_motions(STORED / "joblib" / "wham_joblib16.pkl", REST)
    for person, motion in zip(films.PEOPLE, motions):
        assert motion.up == "y"
        rotations, translation = motion.upright(REST)
        np.testing.assert_allclose(rotations[KNOWN], matrices(films.world_poses(person)), atol=1e-12)
        hips = (posed(rotations, translation, 1) + posed(rotations, translation, 2)) / 2
        np.testing.assert_allclose(hips[KNOWN], films.places(person) * [1, -1, -1], atol=1e-12)


def test_gaps_are_bridged_at_constant_speed():
    turn = Rotation.from_euler("y", [[0.0], [0.3], [1.2]])
    rotations = np.tile(np.eye(3), (3, 24, 1, 1))
    rotations[:, 5] = turn.as_matrix()
    motion = bridged([4, 5, 8], RecordedMotion(rotations, np.array([[0, 0, 0], [1, 0, 0], [4, 0, 0.0]])))
    assert (len(motion), motion.start) == (5, 4)
    np.testing.assert_allclose(motion.translation[:, 0], [0, 1, 2, 3, 4])
    found = Rotation.from_matrix(motion.rotations[:, 5]).as_euler("YXZ")
    np.testing.assert_allclose(found, [[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0], [0.9, 0, 0], [1.2, 0, 0]], atol=1e-12)
    with pytest.raises(ValueError, match="whole and rise"):
        bridged([4, 4, 8], RecordedMotion(rotations, np.zeros((3, 3))))


def test_motion_capture_of_others_is_retargeted(shared, body):
    path = sorted((shared / "mocap" / "bvh").glob("*.bvh"))[0]
    rest = body.rest()[1][0].numpy().astype(np.float64)
    (motion,) = read_motions(path, rest)
    rotations, translation = motion.upright(rest)
    assert motion.frame_rate == 30 and motion.betas is None
    pelvis = (rest[0] + translation)[:, 1]
    assert 0.5 < np.median(pelvis) < 1.2  # the actor stands, on a floor at zero
    assert np.median(rotations[:, 0, 1, 1]) > 0.9


@pytest.mark.parametrize("up", ["z", "-y"])
def test_a_bvh_with_another_axis_up_is_turned(tmp_path, body, up):
    """As Blender exports it: rest pose and world are turned together."""
    rest = body.rest()[1][0].numpy().astype(np.float64)
    parents = np.array(body.parents)
    bones = np.where(parents[:, None] < 0, 0, rest - rest[parents])
    motion = Motion(
        Skeleton(joint_set("smpl24"), parents, bones),
        Rotation.random(72, random_state=3).as_matrix().reshape(3, 24, 3, 3),
        np.arange(9.0).reshape(3, 3) / 9,
        0.04,
    )
    turn = UP[up].T
    turned = replace(
        motion,
        skeleton=replace(motion.skeleton, offsets=bones @ turn.T),
        rotations=turn @ motion.rotations @ turn.T,
        translation=motion.translation @ turn.T,
    )
    (found,) = read_motions(write_bvh(tmp_path / "a.bvh", turned), rest)
    np.testing.assert_allclose(found.rotations, motion.rotations, atol=1e-7)
    np.testing.assert_allclose(found.translation, motion.translation, atol=1e-7)
    np.testing.assert_allclose(found.bones, bones, atol=1e-7)


def no(table: dict, **changes: object) -> dict:
    """A file of one person with changed or missing entries."""
    return {2: {key: value for key, value in (table[2] | changes).items() if value is not ...}}


@pytest.mark.parametrize(
    "content, sentence",
    [
        ({}, "laid out neither as VIBE's, WHAM's nor 4D-Humans'"),
        ({0: {"pose": np.zeros((3, 72))}}, "laid out neither"),
        (no(films.vibe(), betas=...), "it has no betas"),
        (no(films.vibe(), pose=np.zeros((8, 69))), r"pose must have shape \(n, 72\), not \(8, 69\)"),
        (no(films.vibe(), pose=np.full((8, 72), np.nan)), "pose holds values that are not finite"),
        (no(films.vibe(), pose=np.zeros((0, 72)), orig_cam=np.zeros((0, 4)), betas=np.zeros((0, 10))), "no frames"),
        (no(films.vibe(), orig_cam=np.zeros((8, 4))), "a scale that is not positive"),
        (no(films.vibe(), frame_ids=np.zeros(8, int)), "whole and rise"),
        (no(films.vibe(), frame_ids=np.arange(7)), "whole and rise"),
        (no(films.vibe(), frame_ids=np.array([*range(7), 10**7])), "too far apart"),
        (no(films.wham(), trans_world=np.zeros((7, 3))), "trans_world must have shape"),
        (no(films.wham(), pose_world=None), "not a number"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_wrong_files_of_films(tmp_path, content, sentence):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=sentence) as caught:
        read_motions(tmp_path / "a.pkl", REST)
    assert "a.pkl" in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_matrices_and_lists_of_4d_humans(tmp_path):
    def refused(change, sentence: str) -> None:
        frames = films.phalp()
        change(next(frame for frame in frames.values() if frame["tid"]))
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(frames))
        with pytest.raises(InputError, match=sentence):
            read_motions(tmp_path / "a.pkl", REST)

    refused(lambda frame: frame["smpl"][0].update(global_orient=2 * np.eye(3)[None]), "a matrix that is no rotation")
    refused(lambda frame: frame["smpl"][0].update(global_orient=-np.eye(3)[None]), "a matrix that is no rotation")
    refused(lambda frame: frame["smpl"][0].update(betas=np.zeros(11)), "betas differ in length")
    refused(lambda frame: frame["smpl"][0].pop("body_pose"), "smpl should hold")
    refused(lambda frame: frame["camera"].pop(), "lists of different lengths")
    refused(lambda frame: frame.update(camera=None), "should have a list camera")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"poses": np.zeros((3, 63))}, "its poses have 63 numbers"),
        ({"poses": np.zeros((0, 72)), "trans": np.zeros((0, 3))}, "no frames"),
        ({"poses": np.full((3, 72), np.nan)}, "poses holds values that are not finite"),
        ({"trans": np.zeros((2, 3))}, r"translation must have shape \(3, 3\)"),
        ({"trans": np.full((3, 3), 1e9)}, "a value beyond"),
        ({"poses": np.array("text")}, "not a number"),
        ({"mocap_framerate": 0.0}, "its frame rate is 0"),
        ({"format": "other"}, "its format is 'other'"),
        ({"format": "meshrec.animation", "version": 2}, "version 2 is not known here"),
        ({"format": "meshrec.animation", "version": 1, "up_axis": "x"}, "up_axis should be one of"),
        ({"format": "meshrec.animation", "version": 1, "start": -1.0}, "it starts at frame"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_wrong_files_of_amass(tmp_path, changes, sentence):
    usual = {"poses": np.zeros((3, 72)), "trans": np.zeros((3, 3)), "mocap_framerate": 30}
    np.savez(tmp_path / "a.npz", **(usual | changes))
    with pytest.raises(InputError, match=sentence):
        read_motions(tmp_path / "a.npz", REST)
