"""3DPW's sequence files: one made by hand of a known body, and damaged ones."""

import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from helpers.people import pose_towards_camera

from meshrec import load_body
from meshrec.body import joint_index
from meshrec.data.sample import collate, cut
from meshrec.datasets.threedpw import JOINTS, read_threedpw
from meshrec.errors import InputError
from meshrec.geometry import matrix_to_axis_angle, random_rotations

BODY = load_body("neutral")
FRAMES, MATRIX = 3, np.array([[300.0, 0, 100], [0, 310, 90], [0, 0, 1]])


def sequence() -> dict:
    """Two people in three frames; their joints in the world are those of the body in their poses and shapes."""
    generator = torch.Generator().manual_seed(0)
    to_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    to_camera[:, :3, :3] = random_rotations(FRAMES, generator).numpy()
    to_camera[:, :3, 3] = [0.1, 0.2, 4]
    poses, joints, detections, betas = [], [], [], []
    for _ in range(2):
        seen = torch.stack([pose_towards_camera(generator) for _ in range(FRAMES)])
        back = torch.from_numpy(to_camera[:, :3, :3].swapaxes(1, 2)).float()
        pose = torch.cat([(back @ seen[:, 0])[:, None], seen[:, 1:]], dim=1)
        shape = torch.randn(1, 10, generator=generator)
        out = BODY(betas=shape, global_orient=pose[:, :1], body_pose=pose[:, 1:])
        poses.append(matrix_to_axis_angle(pose).reshape(FRAMES, 72).double().numpy())
        joints.append(out.joints.reshape(FRAMES, 72).double().numpy())
        detections.append(
            np.stack([np.linspace(50, 150, 18), np.linspace(20, 170, 18), np.full(18, 0.8)])[None].repeat(3, 0)
        )
        betas.append(np.concatenate([shape[0].numpy(), np.full(290, 9.0)]))
    return {
        "sequence": "street_00",
        "cam_intrinsics": MATRIX,
        "cam_poses": to_camera,
        "campose_valid": [np.array([1, 0, 1]), np.ones(3, int)],
        "poses": poses,
        "betas": betas,
        "genders": ["m", "f"],
        "jointPositions": joints,
        "poses2d": detections,
        "texture_maps": [],
        "v_template_clothed": [np.zeros((5, 3))] * 2,
    }


def write(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))  # as Python 2 wrote it
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "street_00").mkdir()
    for frame in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"street_00/image_{frame:05d}.jpg"), np.full((180, 200, 3), 50 * frame, np.uint8))
    return tmp_path


def test_labels_are_the_bodys(folder):
    truth = sequence()
    truth["poses"][0][1] = np.nan  # its camera does not fit
    people = read_threedpw(write(folder / "street_00.pkl", truth), folder, bodies={"male": BODY.hash})
    assert len(people) == 5
    for index, (person, frame) in enumerate([(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]):
        sample = people[index]
        assert sample.sequence == f"street_00 person {person}" and sample.time == pytest.approx(frame / 30)
        pose = torch.from_numpy(sample.pose)[None]
        shape = torch.tensor(truth["betas"][person][None, :10], dtype=torch.float32)
        out = BODY(betas=shape, global_orient=pose[:, 0], body_pose=pose[:, 1:])
        ours, theirs = out.joints[0].numpy(), sample.joints_3d[:24, :3]
        assert np.abs((ours - ours[0]) - (theirs - theirs[0])).max() < 1e-5
        assert sample.betas_confidence == (person == 0)
        # The projected joints are those of the full picture's camera in the crop of the detections.
        pixels = theirs / theirs[:, 2:] @ MATRIX.T
        assert np.allclose(sample.keypoints_2d[:24, :2], (pixels[:, :2] - (100, 95)) / 90, atol=1e-5)
        assert sample.keypoints_2d[JOINTS.index("left_ear"), 2] == pytest.approx(0.8)
    assert abs(int(cut(people[1], 90).image[45, 45, 0]) - 100) < 3
    assert np.allclose(people[0].betas, truth["betas"][0][:10], atol=1e-6)
    batch = collate([cut(people[i], 16) for i in range(5)], "union55")
    assert batch.joints_3d[:, joint_index("mid_hip", "union55"), 3].all()


def test_a_folder_of_sequences(folder):
    for name in ("a", "b"):
        write(folder / f"{name}.pkl", sequence() | {"sequence": name})
    people = read_threedpw(folder, folder)
    assert len(people) == 10 and people[9].sequence == "b person 1"


def changed(name, person, index, value):
    content = sequence()
    column = content[name] if person is None else content[name][person]
    column[index] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("poses", 1, (2, 5), np.nan), r"x\.pkl: row 2: poses of person 1 is not a finite number"),
        (changed("cam_poses", None, (1, 0, 0), np.inf), "row 1: cam_poses"),
        (changed("poses2d", 0, (2, 0, 3), np.nan), "row 2: poses2d of person 0"),
        (sequence() | {"jointPositions": [np.zeros((3, 72))]}, "jointPositions has 1 people, poses has 2"),
        (sequence() | {"poses": [np.zeros((3, 69))] * 2}, "poses of person 0 must be numbers of shape 3 x 72"),
        (sequence() | {"campose_valid": [np.ones(2)] * 2}, "campose_valid of person 0 must be numbers of shape 3,"),
        (sequence() | {"cam_poses": [np.eye(4), np.eye(3)]}, r"x\.pkl: not a 3DPW sequence"),
        (sequence() | {"betas": None}, "betas must be a list"),
        (sequence() | {"campose_valid": [np.zeros(3)] * 2}, "no picture whose camera fits"),
        (sequence() | {"cam_intrinsics": np.zeros((3, 3))}, "cam_intrinsics has a focal length that is not positive"),
        ({"poses": []}, "not a 3DPW sequence: sequence is missing"),
        ([1, 2], "holds a list, not a dictionary"),
    ],
)
def test_damaged_files_are_named_with_person_and_row(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_threedpw(write(tmp_path / "x.pkl", content), tmp_path)


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_a_file_that_asks_to_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="refused"):
        read_threedpw(write(tmp_path / "x.pkl", sequence() | {"sequence": Hostile()}), tmp_path)
    assert not (tmp_path / "harmed").exists()
    with pytest.raises(InputError, match="cannot be read"):
        read_threedpw(tmp_path / "none.pkl", tmp_path)
    with pytest.raises(InputError, match="no sequence files"):
        (tmp_path / "empty").mkdir()
        read_threedpw(tmp_path / "empty", tmp_path)


@pytest.mark.parametrize("genders", [["male", "F"], [b"m", b"female"]])
def test_spellings_of_genders(folder, genders):
    people = read_threedpw(
        write(folder / "street_00.pkl", sequence() | {"genders": genders}),
        folder,
        {"male": "m-hash", "female": "f-hash"},
    )
    assert {people[i].body for i in range(2)} == {"m-hash"} and people[4].body == "f-hash"


@pytest.mark.parametrize("gender", ["1", "x", "", 0])
def test_unknown_genders(folder, gender):
    path = write(folder / "street_00.pkl", sequence() | {"genders": ["m", gender]})
    with pytest.raises(InputError, match=f"the gender of person 1 is '{gender}'; it must be neutral, male or female"):
        read_threedpw(path, folder)
