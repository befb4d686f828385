"""HumanEva-I with the joints of its toolbox, in the layout that its reader expects."""

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from meshrec.datasets.humaneva import JOINTS, read_humaneva
from meshrec.errors import InputError

VALIDATE, TRAIN, START = 4, 3, 3  # frames of the parts, and the frame, from 1, at which the motion begins
ROTATION, TRANSLATION = Rotation.from_euler("xyz", (1.6, 0.1, 0.3)).as_matrix(), np.array([20.0, -30, 3500])
LENS = np.array([500.0, 505, 100, 90, 0, -0.2, 0.1, 0.001, -0.002, 0.01])


def positions(count, seed):
    seen = np.random.default_rng(seed).normal(size=(count, 15, 3)) * (200, 300, 100)
    return seen @ ROTATION


def calibration(**changes):
    values = [*LENS, *ROTATION.ravel(), *TRANSLATION]
    for place, value in changes.items():
        values[int(place[1:])] = value
    return "\n".join(map(str, values)) + "\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("Image_Data", "Calibration_Data", "Sync_Data"):
        (tmp_path / "S1" / name).mkdir(parents=True)
    path = tmp_path / "S1/Image_Data/Walking_1_(C2).avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 60, (200, 180))
    for frame in range(20):
        video.write(np.full((180, 200, 3), 10 * frame, np.uint8))
    video.release()
    (tmp_path / "S1/Calibration_Data/C2.cal").write_text(calibration())
    (tmp_path / "S1/Sync_Data/Walking_1_(C2).ofs").write_text(f"{START}\n17.5\n2.0\n")
    for part, count, seed in (("Train", TRAIN, 1), ("Validate", VALIDATE, 0)):
        (tmp_path / "converted_15j" / part / "S1").mkdir(parents=True)
        poses = positions(count, seed)
        poses[1, 4] = np.nan
        savemat(tmp_path / "converted_15j" / part / "S1/Walking_1.mat", {"poses_3d": poses, "poses_2d": np.zeros(3)})
    return tmp_path


def test_frames(folder):
    samples = read_humaneva(folder)
    assert len(samples) == TRAIN - 1 + VALIDATE - 1  # a frame of each part has no motion capture
    # Five frames are in no part, then come four of the validation part; the video begins two frames earlier.
    assert [sample.time * 60 for sample in samples] == pytest.approx([11, 13, 7, 9, 10])
    for index, (part, row) in enumerate([(1, 0), (1, 2), (0, 0), (0, 2), (0, 3)]):
        sample = samples[index]
        world = positions(TRAIN if part else VALIDATE, part)[row]
        assert sample.joints == JOINTS and sample.sequence == f"{['Validate', 'Train'][part]} S1 Walking_1 camera C2"
        assert np.allclose(sample.joints_3d[:, :3], (world @ ROTATION.T + TRANSLATION) / 1000, atol=1e-5)
        matrix = np.array([[LENS[0], 0, LENS[2]], [0, LENS[1], LENS[3]], [0, 0, 1]])
        turn = Rotation.from_matrix(ROTATION).as_rotvec()
        pixels = cv2.projectPoints(np.ascontiguousarray(world), turn, TRANSLATION, matrix, LENS[5:])[0]
        straight = cv2.undistortPoints(pixels, matrix, LENS[5:])[:, 0]
        assert np.allclose(sample.keypoints_2d[:, :2], straight * sample.focal + sample.principal, atol=1e-3)
        assert abs(int(sample.read_image()[90, 100, 0]) - 10 * round(sample.time * 60)) < 5


def test_places(folder, tmp_path):
    converted = folder / "converted_15j"
    assert len(read_humaneva(converted / "Validate")) == VALIDATE - 1
    assert len(read_humaneva(converted / "Train")) == TRAIN - 1
    assert len(read_humaneva(converted, folder)) == len(read_humaneva(folder)) == len(read_humaneva(converted))
    with pytest.raises(InputError, match="there are no videos"):
        read_humaneva(converted, tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"holds no Train/S\*"):
        read_humaneva(folder / "S1")
    (converted / "Validate/S1/Walking_1.mat").unlink()
    with pytest.raises(InputError, match=r"Validate/S1/Walking_1\.mat: the file cannot be read"):
        read_humaneva(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Calibration_Data/C2.cal", "1\n2\n", "no calibration of HumanEva"),
        ("Calibration_Data/C2.cal", calibration(_4=0.1), "the camera has skew"),
        ("Calibration_Data/C2.cal", calibration(_10=3.0), "numbers 11 to 19 are no rotation"),
        ("Calibration_Data/C2.cal", calibration(_0=-3.0), "focal length that is not positive"),
        ("Calibration_Data/C2.cal", calibration(_3="nan"), "finite numbers only"),
        ("Calibration_Data/C2.cal", calibration(_3="x"), "numbers only"),
        ("Sync_Data/Walking_1_(C2).ofs", "0 1 2", "no synchronisation of HumanEva"),
        ("Sync_Data/Walking_1_(C2).ofs", "", "no synchronisation of HumanEva"),
    ],
    ids=["short", "skew", "rotation", "focal", "nan", "text", "start", "empty"],
)
def test_texts_are_checked(folder, file, text, message):
    (folder / "S1" / file).write_text(text)
    with pytest.raises(InputError, match=rf"(C2\.cal|ofs): .*{message}"):
        read_humaneva(folder)
    (folder / "S1" / file).unlink()
    with pytest.raises(InputError, match=r"(C2\.cal|ofs): the file cannot be read"):
        read_humaneva(folder)


@pytest.mark.parametrize("content", [{"x": 1}, {"poses_3d": np.zeros((4, 20, 3))}, {"poses_3d": "text"}])
def test_poses_are_checked(folder, content):
    savemat(folder / "converted_15j/Train/S1/Walking_1.mat", content)
    with pytest.raises(InputError, match=r"Walking_1\.mat: poses_3d must be numbers of shape N x 15 x 3"):
        read_humaneva(folder)
