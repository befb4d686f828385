"""Reader of calibrated frames with 3D joints: a folder with the pictures and their labels in ``gt.npz``.

``gt.npz`` has a row per picture, of which these columns are read:

- ``image`` (N,): path of the picture relative to the folder; ``camera`` (N,): number of the camera; ``time_s`` (N,).
- ``wh`` (N, 2): width and height; ``K`` (N, 3, 3): calibration matrix; ``dist`` (N, 5): distortion as in OpenCV.
- ``R`` (N, 3, 3) and ``t`` (N, 3): world to camera, x_cam = R X + t, metres.
- ``joint_names`` (J,), such as ``l_knee``; ``joints_3d`` (N, J, 3) in the world, metres; ``valid`` (N, J): 1 where a
  joint is labelled.
- ``box2d`` (N, 4): box x0, y0, x1, y1 around the person, pixels.

Pictures are undistorted when they are read. The 2D keypoints are the projections of the 3D joints.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.data.sample import Sample, box_crop, person_sample
from meshrec.datasets.columns import calibrations, joint_names, labels, numbers, texts
from meshrec.errors import InputError
from meshrec.files.npz import read_npz
from meshrec.files.picture import Lens, Picture
from meshrec.geometry import Camera

# The two detectors that the labels come from mark the tip of the big toe.
TOES = {"left_toe": "left_big_toe", "right_toe": "right_big_toe"}


@dataclass(frozen=True, eq=False)
class MultiviewSamples:
    """The N pictures of one folder.

    Attributes:
        folder: The folder.
        pictures: (N,) paths relative to the folder.
        cameras: (N,) numbers of the cameras.
        time: (N,) seconds.
        size: (N, 2) width and height, pixels.
        calibration: (N, 3, 3) calibration matrices K.
        distortion: (N, 5) distortion coefficients as in OpenCV.
        rotation: (N, 3, 3) world to camera.
        translation: (N, 3) world to camera, metres.
        boxes: (N, 4) boxes x0, y0, x1, y1, pixels.
        joints: Names of the J joints.
        joints_3d: (N, J, 4) joints in camera space, metres, and confidence.
        keypoints_2d: (N, J, 3) joints in pixels of the undistorted picture, and confidence.
    """

    folder: Path
    pictures: np.ndarray
    cameras: np.ndarray
    time: np.ndarray
    size: np.ndarray
    calibration: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    boxes: np.ndarray
    joints: tuple[str, ...]
    joints_3d: np.ndarray
    keypoints_2d: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        matrix = self.calibration[index]
        width, height = (int(n) for n in self.size[index])
        return person_sample(
            name=f"{self.folder.name} row {index} ({self.pictures[index]})",
            image=Picture(self.folder / str(self.pictures[index]), lens=Lens(matrix, self.distortion[index])),
            crop=box_crop(self.boxes[index]),
            joints=self.joints,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            camera=Camera.from_matrix(matrix, (width, height)),
            sequence=f"{self.folder.name} camera {self.cameras[index]}",
            time=float(self.time[index]),
        )


def read_multiview(folder: str | Path) -> MultiviewSamples:
    """Read a folder of calibrated frames.

    Args:
        folder: The folder with ``gt.npz``.

    Raises:
        InputError: The file cannot be read, or a column is missing or damaged; the message names file and row.
    """
    folder = Path(folder)
    path = folder / "gt.npz"
    columns = read_npz(path, pass_objects=True)
    pictures = texts(path, columns, "image")
    rows = len(pictures)
    joints = tuple(TOES.get(name, name) for name in joint_names(path, columns))
    matrix = calibrations(path, columns, "K", rows)
    rotation, translation = numbers(path, columns, "R", (3, 3), rows), numbers(path, columns, "t", (3,), rows)
    world = labels(path, columns, "joints_3d", (len(joints), 4), rows, confidence="valid")
    joints_3d, keypoints_2d = to_camera(world, rotation, translation, matrix)
    if lost := np.flatnonzero(((joints_3d[..., 2] <= 0) & (world[..., 3] > 0)).any(1)).tolist():
        raise InputError(f"{path}: row {lost[0]}: a joint lies behind the camera; R and t are world to camera.")
    return MultiviewSamples(
        folder=folder,
        pictures=pictures,
        cameras=numbers(path, columns, "camera", (), rows).astype(int),
        time=numbers(path, columns, "time_s", (), rows),
        size=numbers(path, columns, "wh", (2,), rows),
        calibration=matrix,
        distortion=numbers(path, columns, "dist", (5,), rows),
        rotation=rotation,
        translation=translation,
        boxes=numbers(path, columns, "box2d", (4,), rows),
        joints=joints,
        joints_3d=joints_3d,
        keypoints_2d=keypoints_2d,
    )


def to_camera(
    points: np.ndarray, rotation: np.ndarray, translation: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Transform joints to camera space and project them.

    Args:
        points: (N, J, 4) joints in the world, metres, and confidence.
        rotation: (N, 3, 3) world to camera.
        translation: (N, 3) likewise, metres.
        matrix: (3, 3) or (N, 3, 3) calibration matrices K.

    Returns:
        Joints in camera space with their confidence (N, J, 4), and in pixels (N, J, 3), where the confidence of joints
        behind the camera is 0.
    """
    places, confidence = points[..., :3], points[..., 3:]
    seen = places @ rotation.swapaxes(-1, -2) + translation[:, None]
    depth = np.where(seen[..., 2:] > 0, seen[..., 2:], 1)  # joints behind the camera have no projection
    pixels = (seen / depth) @ matrix.swapaxes(-1, -2)
    visible = confidence * (seen[..., 2:] > 0)
    return np.concatenate([seen, confidence], axis=2), np.concatenate([pixels[..., :2], visible], axis=2)
