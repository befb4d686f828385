"""Calibrated frames: a folder made by hand, compared with OpenCV's projections, and the real frames."""

import cv2
import numpy as np
import pytest

from meshrec.data.sample import collate, cut
from meshrec.datasets.multiview import read_multiview
from meshrec.errors import InputError

ROWS, K = 2, np.array([[300.0, 0, 160], [0, 305, 120], [0, 0, 1]])
DISTORTION = np.array([-0.2, 0.05, 0.001, -0.002, 0.01])


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    turn = cv2.Rodrigues(np.array([0.1, -0.4, 0.2]))[0]
    points = rng.uniform(-0.3, 0.3, (ROWS, 4, 3))
    points[1, 2] = np.nan
    return {
        "image": np.array(["images/0.png", "images/1.png"]),
        "camera": np.array([1, 2]),
        "time_s": np.array([0.0, 0.5]),
        "wh": np.tile([320, 240], (ROWS, 1)),
        "K": np.tile(K, (ROWS, 1, 1)),
        "dist": np.tile(DISTORTION, (ROWS, 1)),
        "R": np.tile(turn, (ROWS, 1, 1)),
        "t": np.tile([0.1, 0.0, 2.5], (ROWS, 1)),
        "joint_names": np.array(["nose", "l_hip", "r_toe", "l_toe"]),
        "joints_3d": points,
        "valid": np.isfinite(points[..., 0]),
        "box2d": np.tile([100.0, 60, 220, 180], (ROWS, 1)),
    }


def write(folder, **changes):
    """Write a folder whose pictures show a spot where OpenCV projects the left hip, with distortion."""
    (folder / "images").mkdir(exist_ok=True)
    content = columns() | changes
    np.savez(folder / "gt.npz", **content)
    truth = columns()
    for row in range(ROWS):
        turn = cv2.Rodrigues(truth["R"][row])[0]
        (spot,), _ = cv2.projectPoints(truth["joints_3d"][row, 1], turn, truth["t"][row], K, DISTORTION)
        grid = np.indices((240, 320))[::-1].transpose(1, 2, 0)
        glow = 255 * np.exp(-np.square(grid - spot[0]).sum(-1) / 8)
        cv2.imwrite(str(folder / f"images/{row}.png"), glow.astype(np.uint8))
    return folder


def test_joints_lie_on_the_undistorted_picture(tmp_path):
    people = read_multiview(write(tmp_path))
    assert people[0].joints == ("nose", "left_hip", "right_big_toe", "left_big_toe")
    for row in range(ROWS):
        sample = people[row]
        image = cut(sample, 144).image[..., 0].astype(float)  # as many pixels as the crop has in the picture
        grid = np.indices((144, 144))[::-1]
        found = (grid * image).sum((1, 2)) / image.sum()
        assert np.abs((sample.keypoints_2d[1, :2] + 1) * 72 - 0.5 - found).max() < 0.1
    batch = collate([cut(people[i], 144) for i in range(ROWS)], "union55")
    known = batch.joints_3d[..., 3] > 0
    pixels = batch.camera(144).project(batch.joints_3d[..., :3])[..., :2]
    assert np.abs((pixels + 0.5) / 72 - 1 - batch.keypoints_2d[..., :2])[known].max() < 1e-5
    assert known.sum(1).tolist() == [4, 3]
    assert people[1].sequence.endswith("camera 2") and people[1].time == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": np.tile([0.1, 0.0, -2.5], (ROWS, 1))}, "row 0: a joint lies behind the camera"),
        ({"valid": np.ones((ROWS, 4), bool)}, "row 1: joints_3d is not a finite number although"),
        ({"K": np.zeros((ROWS, 3))}, "K must be numbers of shape 2 x 3 x 3"),
        ({"K": np.stack([np.eye(3), np.diag([0.0, 1, 1])])}, "row 1: K has a focal length that is not positive"),
        ({"box2d": np.full((ROWS, 4), np.nan)}, "row 0: box2d"),
    ],
)
def test_damaged_folders(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_multiview(write(tmp_path, **changes))


def test_the_real_frames(shared):
    people = read_multiview(shared / "multiview")
    assert len(people) == 136
    with np.load(shared / "multiview/gt.npz", allow_pickle=False) as truth:
        for row in range(0, 136, 17):
            sample = people[row]
            valid = truth["valid"][row]
            assert np.array_equal(sample.keypoints_2d[:, 2] > 0, valid)
            # OpenCV undistorts the file's own projections to ours.
            distorted = truth["joints_2d"][row][valid].astype(float)
            matrix = truth["K"][row]
            undistorted = cv2.undistortPoints(distorted, matrix, truth["dist"][row], P=matrix)[:, 0]
            to_crop = sample.to_crop
            expected = undistorted @ to_crop[:, :2].T + to_crop[:, 2]
            assert np.abs(sample.keypoints_2d[valid, :2] - expected).max() < 1e-3
            assert sample.joints_3d[valid, 2].min() > 1
