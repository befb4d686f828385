"""SPIN's .npz files: columns, merged joints, and messages about damaged files."""

import cv2
import numpy as np
import pytest
import torch

from meshrec.body import joint_index
from meshrec.data.sample import collate, cut
from meshrec.datasets.spin_npz import JOINTS, LABELLED, read_spin_npz
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix

ROWS = 4


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    part = np.concatenate([rng.uniform(20, 80, (ROWS, 24, 2)), np.ones((ROWS, 24, 1))], axis=2)
    openpose = np.concatenate([rng.uniform(20, 80, (ROWS, 25, 2)), rng.uniform(0.1, 1, (ROWS, 25, 1))], axis=2)
    part[1, :, 2] = 0
    part[2, LABELLED.index("neck")] = np.nan, np.nan, 0
    joints = np.concatenate([rng.normal(size=(ROWS, 24, 3)), np.ones((ROWS, 24, 1))], axis=2)
    joints[3, LABELLED.index("head_top"), 3] = 0
    has_smpl = np.array([1, 0, 1, 1])
    pose = rng.normal(size=(ROWS, 72))
    pose[1] = np.nan
    return {
        "imgname": np.array([f"images/{i}.png" for i in range(ROWS)]),
        "center": rng.uniform(40, 60, (ROWS, 2)),
        "scale": rng.uniform(0.3, 0.5, ROWS),
        "part": part,
        "openpose": openpose,
        "S": joints,
        "pose": pose,
        "shape": rng.normal(size=(ROWS, 10)),
        "has_smpl": has_smpl,
        "gender": np.array(["m", "f", "f", ""]),
    }


@pytest.fixture
def write(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(ROWS):
        cv2.imwrite(str(tmp_path / f"images/{i}.png"), np.full((100, 120, 3), 10 * i, np.uint8))

    def save(**changes):
        content = {name: value for name, value in (columns() | changes).items() if value is not None}
        np.savez(tmp_path / "data.npz", **content)
        return tmp_path / "data.npz", tmp_path

    return save


def at(labels, name):
    return labels[JOINTS.index(name)]


def test_labels(write):
    truth = columns()
    people = read_spin_npz(*write(), bodies={"male": "m-hash", "neutral": "n-hash"})
    assert len(people) == ROWS
    for row, sample in enumerate(people[i] for i in range(ROWS)):
        center, side = truth["center"][row], 200 * truth["scale"][row]
        assert sample.read_image()[0, 0, 0] == 10 * row
        labelled = row != 1
        source, place = (truth["part"], 0) if labelled else (truth["openpose"], 11)  # the right ankle
        expected = (source[row, place, :2] - center) / (side / 2)
        assert np.allclose(at(sample.keypoints_2d, "right_ankle")[:2], expected, atol=1e-5)
        # Only OpenPose has toes.
        assert at(sample.keypoints_2d, "left_big_toe")[2] == pytest.approx(truth["openpose"][row, 19, 2])
        assert sample.pose_confidence[0] == truth["has_smpl"][row]
        if labelled:
            pose = axis_angle_to_matrix(torch.tensor(truth["pose"][row], dtype=torch.float32).view(24, 3))
            assert np.allclose(sample.pose, pose, atol=1e-6)
        assert sample.camera_confidence == 0
    assert [people[i].betas_confidence for i in range(ROWS)] == [1, 0, 0, 1]
    assert people[0].body == "m-hash" and np.allclose(people[3].betas, truth["shape"][3], atol=1e-6)
    assert at(people[2].keypoints_2d, "neck").tolist() == [0, 0, 0]
    # Place 18 holds the head top of H36M where LSP's, place 13, is missing.
    assert np.allclose(at(people[0].joints_3d, "head_top"), truth["S"][0, 13])
    assert np.allclose(at(people[3].joints_3d, "head_top"), truth["S"][3, 18])
    batch = collate([cut(people[i], 32) for i in range(ROWS)], "h36m17")
    assert torch.isfinite(batch.pose).all() and batch.joints_3d[..., 3].all()
    assert np.allclose(batch.joints_3d[0, joint_index("left_knee", "h36m17"), :3], truth["S"][0, 4, :3])


def test_two_dimensional_files_and_files_of_python_2(write):
    nothing = dict.fromkeys(("S", "pose", "shape", "has_smpl", "openpose", "gender"))
    people = read_spin_npz(*write(**nothing, imgname=columns()["imgname"].astype("S")))
    sample = people[0]
    assert sample.keypoints_2d[:, 2].any() and not sample.joints_3d.any() and not sample.pose_confidence.any()
    assert sample.read_image().shape == (100, 120, 3)
    assert read_spin_npz(*write(has_smpl=None, pose=np.zeros((ROWS, 72))))[1].pose_confidence.all()


def damaged(name, index, value):
    column = columns()[name].copy()
    column[index] = value
    return {name: column}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (damaged("center", 2, np.nan), r"data\.npz: row 2: center is not a finite number"),
        (damaged("scale", 1, 0), "row 1: scale must be above 0"),
        (damaged("part", (3, 0), (np.inf, 0, 1)), "row 3: part is not a finite number although"),
        (damaged("openpose", (2, 5, 2), 87), "row 2: openpose has a confidence that is no number, or is above 2"),
        (damaged("S", (1, 2, 3), np.nan), "row 1: S has a confidence"),
        (damaged("pose", (2, 0), np.nan), "row 2: pose is not"),
        ({"scale": np.ones(3)}, "scale must be numbers of shape 4,"),
        ({"part": np.zeros((ROWS, 14, 3))}, "part must be numbers of shape 4 x 24 x 3"),
        ({"pose": np.zeros((3, 72))}, "pose must be numbers of shape 4 x 72"),
        ({"center": None}, "center is missing; the file has S, gender"),
        ({"imgname": np.arange(ROWS)}, "imgname must be a list of text"),
        ({"imgname": np.array(["a", None, "b", "c"], object)}, "imgname must be a list of text, not object"),
        ({"pose": np.zeros((ROWS, 156))}, "pose has 156 columns, as poses of SMPL-H have; SMPL's have 72"),
        ({"pose": np.zeros((ROWS, 165))}, "pose has 165 columns, as poses of SMPL-X have"),
        ({"pose": np.array([None] * ROWS, object)}, "pose must be numbers of shape 4 x 72, not object"),
        ({"gender": np.array(["m", "f", "x", "f"])}, "row 2: gender is 'x'; it must be neutral, male or female"),
        ({"gender": np.array(["m", "f", "1", "f"])}, "row 2: gender is '1'; it must be neutral, male or female"),
        ({"gender": np.array([1, 0, 0, 1])}, r"gender must be a list of 4 texts \(neutral, male or female.*int64"),
        ({"gender": np.array(["m", None, "f", "f"], object)}, "gender must be a list of 4 texts"),
        ({"gender": np.array(["m", "f"])}, "gender must be a list of 4 texts"),
    ],
)
def test_damaged_files_are_named_with_their_row(write, changes, message):
    with pytest.raises(InputError, match=message):
        read_spin_npz(*write(**changes))


@pytest.mark.parametrize("gender", ["male", "M", "Male", b"male", b"m", " male "])
def test_spellings_of_genders(write, gender):
    people = read_spin_npz(*write(gender=np.array([gender] * ROWS)), bodies={"male": "m-hash", "neutral": "n-hash"})
    assert [people[i].body for i in (0, 2, 3)] == ["m-hash"] * 3


def test_what_is_not_needed_may_be_anything(write):
    """Columns that are not read, and the gender of a row whose parameters are unknown."""
    junk = np.array([{"a": 1}] * ROWS, dtype=object)
    people = read_spin_npz(*write(extra=junk, gender=np.array(["m", "?", "f", "n"])), bodies={"neutral": "n-hash"})
    assert people[3].body == "n-hash" and people[0].body == ""
    read_spin_npz(*write(pose=None, shape=None, gender=np.array([1, 0, 0, 1])))


def test_scores_that_overshoot(write):
    truth = columns()["openpose"]
    truth[1, 11, 2], truth[1, 14, 2] = -0.003, 1.02
    people = read_spin_npz(*write(openpose=truth))
    assert at(people[1].keypoints_2d, "right_ankle").tolist() == [0, 0, 0]
    assert at(people[1].keypoints_2d, "left_ankle")[2] == 1


@pytest.mark.parametrize("style", ["images\\{}.png", "/elsewhere/images/{}.png", "https://host/images/{}.png?raw=1"])
def test_pictures_named_by_another_computer(write, style):
    people = read_spin_npz(*write(imgname=np.array([style.format(i) for i in range(ROWS)])))
    assert people[2].read_image()[0, 0, 0] == 20


def test_a_missing_picture_is_named_with_its_row(write):
    path, folder = write()
    (folder / "images/2.png").unlink()
    with pytest.raises(InputError, match=r"2\.png.*data\.npz row 2"):
        cut(read_spin_npz(path, folder)[2], 16)


def test_not_an_npz(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"hello")
    for path in (tmp_path / "x.npz", tmp_path / "none.npz"):
        with pytest.raises(InputError, match=path.name):
            read_spin_npz(path, tmp_path)
