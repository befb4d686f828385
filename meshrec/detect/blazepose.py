"""BlazePose's networks: where people are in a picture, and the 33 landmarks, mask and 3D points of each.

Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose tracking"; Grishchenko et al. 2022, "BlazePose GHUM
Holistic", for mask and 3D points. What stands around the networks follows MediaPipe 0.10.21's PoseLandmarker, so that
both give the same: a detector of people in the whole picture puts a turned square around each, and a landmark network
looks at the square.

Crops are sampled as MediaPipe does: crop pixel i shows picture pixel M i, where M maps crop coordinates to picture
coordinates measured from the upper left edge. The half pixel between a pixel's edge and its centre is left out on both
sides.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from meshrec.detect.litert import LiteNetwork
from meshrec.detect.people import Region, box_iou
from meshrec.errors import InputError
from meshrec.geometry.affine import apply

LANDMARKS = 33  # of the 39 that the network gives; the others say where to look in the next frame of a video
NEXT_REGION = (33, 34)  # of the 39: the middle of the hips, and a point above the head that tells size and turn
STRIDES = (8, 16, 32, 32, 32)  # of the person detector's anchor grids
POINTS = 4  # that the person detector gives of each person: the middle of the hips and what tells size and turn first
OVERLAP = 0.3  # intersection over union from which two boxes are one person's
MARGIN = 1.25  # side of the region over the diameter of the circle around a person
REFINED_FROM = 0.5  # least peak of a landmark's heatmap by which its place is refined
WINDOW = 3  # cells of the heatmap to each side of a landmark that refine it
LOOKS_AT_ONCE = 2  # closer looks at a person between two decisions whether they are enough, on any machine
MOST_THREADS = 4  # of a closer look: networks of this size gain little from more

FOLDER = Path(__file__).parent / "networks"
# The two members of MediaPipe's .task files.
TASK_PERSONS, TASK_LANDMARKS = "pose_detector.tflite", "pose_landmarks_detector.tflite"
MOST_BYTES = 256 << 20  # of a network in a .task file


@dataclass(frozen=True)
class Pose:
    """One person as the landmark network sees them, in the coordinates of the picture.

    Attributes:
        keypoints: (33, 3) x, y in pixels, visibility in [0, 1].
        world: (33, 3) metres, hips at the origin, x right, y down, z away from the camera.
        mask: (H, W) float32 in [0, 1], or None.
        presence: Confidence in [0, 1] that the region shows a person.
        region: Region around the landmarks, to look at more closely or in the next frame of a video; None if unknown.
        to_mask: (2, 3) affine map from the picture to the mask; None where the mask lies over the picture.
    """

    keypoints: np.ndarray
    world: np.ndarray
    mask: np.ndarray | None
    presence: float = 1.0
    region: Region | None = None
    to_mask: np.ndarray | None = None


class PersonDetector:
    """Finds people in a picture as regions for :class:`LandmarkNetwork`.

    Args:
        network: ``pose_detection.tflite``.
    """

    def __init__(self, network: LiteNetwork) -> None:
        self.network = network

    def __call__(self, image: np.ndarray, least: float, most: int) -> list[Region]:
        """Regions of people, most certain first.

        Args:
            image: (H, W, 3) uint8 RGB.
            least: Confidence in [0, 1] from which something is a person.
            most: Greatest number of regions.
        """
        size = self.network.input_shape[0]
        height, width = image.shape[:2]
        whole = Region(np.array([width / 2, height / 2]), max(height, width), 0.0)
        boxes, scores = self.network(_crop(image, whole.matrix(size), size) / np.float32(127.5) - 1)
        certain = _sigmoid(scores[:, 0])
        kept = np.flatnonzero(certain >= least)
        points = boxes[kept, 4:].reshape(-1, POINTS, 2) + size * _anchors(size)[kept, None]
        centers = boxes[kept, :2] + size * _anchors(size)[kept]
        extents = boxes[kept, 2:4]
        corners = np.concatenate([centers - extents / 2, centers + extents / 2], axis=1)
        found = _weighted_suppression(corners, certain[kept], points)[:most]
        return [region_around(*apply(whole.matrix(size), pair[:2])) for pair in found]


@dataclass(frozen=True)
class Sight:
    """What the landmark network sees in one crop, in the crop's coordinates.

    Attributes:
        places: (39, 2) x, y of all landmarks as shares of the crop's side, from its upper left edge.
        visibility: (39,) in [0, 1].
        world: (33, 3) metres, hips at the origin, x right, y down, z away from the camera.
        mask: (N, N) in [0, 1], one value for each pixel of the crop.
        presence: Confidence in [0, 1] that the crop shows a person.
    """

    places: np.ndarray
    visibility: np.ndarray
    world: np.ndarray
    mask: np.ndarray
    presence: float


class LandmarkNetwork:
    """The landmarks of the person in a region. Threads may share it.

    Args:
        network: ``pose_landmark_full.tflite`` or ``pose_landmark_heavy.tflite``.
    """

    def __init__(self, network: LiteNetwork) -> None:
        self.network = network
        self.side = network.input_shape[0]  # of its crops, pixels

    def look(self, crop: np.ndarray) -> Sight:
        """Look at a crop.

        Args:
            crop: (N, N, 3) uint8 RGB, N being :attr:`side`, in which the person stands upright.
        """
        landmarks, presence, logits, heatmaps, world = self.network(crop / np.float32(255))
        landmarks = landmarks.reshape(-1, 5)
        return Sight(
            places=_refined(landmarks[:, :2] / self.side, heatmaps),
            visibility=_sigmoid(landmarks[:, 3]),
            world=world.reshape(-1, 3)[:LANDMARKS],
            mask=_sigmoid(logits[..., 0]),
            presence=float(presence[0]),
        )

    def __call__(self, image: np.ndarray, region: Region, mask: bool = True) -> Pose:
        """Look at a region of a picture, as MediaPipe does.

        Args:
            image: (H, W, 3) uint8 RGB.
            region: Where to look; beyond the picture its edge is repeated.
            mask: Whether to give the mask.
        """
        import cv2

        matrix = region.matrix(self.side)
        sight = self.look(_crop(image, matrix, self.side, repeat_edge=True))
        seen = None
        if mask:
            seen = cv2.warpAffine(sight.mask, matrix, image.shape[1::-1], flags=cv2.INTER_LINEAR)
        places = apply(matrix, sight.places * self.side)
        return Pose(
            keypoints=np.column_stack([places[:LANDMARKS] - 0.5, sight.visibility[:LANDMARKS]]).astype(np.float32),
            world=turned_world(sight.world, region.turn),
            mask=seen,
            presence=sight.presence,
            region=region_around(*places[list(NEXT_REGION)]),
        )


def turned_world(world: np.ndarray, turn: float) -> np.ndarray:
    """World landmarks (33, 3) of a crop in the axes of the picture, in which the region is turned by ``turn``."""
    cos, sin = math.cos(turn), math.sin(turn)
    return np.hstack([world[:, :2] @ np.array([[cos, sin], [-sin, cos]]), world[:, 2:]]).astype(np.float32)


@dataclass(frozen=True)
class Networks:
    """The networks of a detector.

    Attributes:
        persons: Finds regions of people.
        search: The landmark network that makes rough poses, many times a photo.
        look: The landmark network that looks closely.
    """

    persons: PersonDetector
    search: LandmarkNetwork
    look: LandmarkNetwork


def load_networks(path: str | Path | None = None) -> Networks:
    """The shipped networks, or those of a file.

    Args:
        path: A MediaPipe pose_landmarker ``.task`` file, whose landmark network then searches and looks. Default: the
            shipped networks, of which ``full`` searches and ``heavy`` looks.

    Raises:
        InputError: The file is missing, or no such file.
    """
    threads = min(MOST_THREADS, max(1, torch.get_num_threads() // LOOKS_AT_ONCE))
    if path is None:
        persons = LiteNetwork(FOLDER / "pose_detection.tflite")
        full = LiteNetwork(FOLDER / "pose_landmark_full.tflite")
        heavy = LiteNetwork(FOLDER / "pose_landmark_heavy.tflite", threads=threads)
        return Networks(PersonDetector(persons), LandmarkNetwork(full), LandmarkNetwork(heavy))
    persons = LiteNetwork(_member(Path(path), TASK_PERSONS), f"{path}, {TASK_PERSONS}")
    landmarks = LiteNetwork(_member(Path(path), TASK_LANDMARKS), f"{path}, {TASK_LANDMARKS}", threads)
    return Networks(PersonDetector(persons), LandmarkNetwork(landmarks), LandmarkNetwork(landmarks))


def _member(path: Path, name: str) -> bytes:
    """The content of one file of a ``.task`` archive."""
    if not path.is_file():
        raise InputError(f"{path}: no such pose model file.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).file_size > MOST_BYTES:
                raise InputError(f"{path}: {name} in it is larger than any pose network.")
            return archive.read(name)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(f"{path}: this is not a MediaPipe pose_landmarker .task file ({error}).") from None


class PoseNetwork:
    """Finds people in a picture, and looks at each: both networks as one function. Threads may share it.

    Args:
        persons: Finds the regions to look at.
        landmarks: Looks at them.
        most: Greatest number of people to look at.
        confidence: Least confidence of the person detector in a person, in [0, 1].
        presence: Least confidence of the landmark network that the region shows a person, in [0, 1].
        masks: Whether poses have masks.
    """

    def __init__(
        self,
        persons: PersonDetector,
        landmarks: LandmarkNetwork,
        most: int,
        confidence: float,
        presence: float,
        masks: bool,
    ) -> None:
        self._persons, self._landmarks = persons, landmarks
        self._most, self._confidence, self._presence, self._masks = most, confidence, presence, masks
        self.threads = landmarks.network.threads  # on which a call runs

    def __call__(self, image: np.ndarray) -> list[Pose]:
        """Poses of the people in an (H, W, 3) uint8 RGB image."""
        regions = self._persons(image, self._confidence, self._most)
        poses = [self._landmarks(image, region, self._masks) for region in regions]
        return [pose for pose in poses if pose.presence >= self._presence]


STEPS = 32  # to which a pixel's width is divided by the sampling that MediaPipe uses


def _crop(image: np.ndarray, matrix: np.ndarray, size: int, repeat_edge: bool = False) -> np.ndarray:
    """(size, size, 3) uint8: the picture under the map (2, 3) from crop to picture; black or its edge beyond."""
    import cv2

    border = cv2.BORDER_REPLICATE if repeat_edge else cv2.BORDER_CONSTANT
    columns, rows = np.arange(size), np.arange(size)[:, None]
    x, y = (np.round((a * columns + b * rows + c) * STEPS).astype(np.float32) / STEPS for a, b, c in matrix)
    # OpenCV 4 and 5 round places and values differently, and the networks feel it; of these floats, both are exact.
    sampled = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=border)
    return (sampled + np.float32(0.5)).astype(np.uint8)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


@cache
def _anchors(size: int) -> np.ndarray:
    """(2254, 2) centres of the detector's boxes as shares of its input: two in each cell of a grid for each stride."""
    cells = []
    for stride in sorted(set(STRIDES)):
        rows, columns = np.mgrid[: size // stride, : size // stride]
        centers = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * (stride / size)
        cells.append(np.repeat(centers, 2 * STRIDES.count(stride), axis=0))
    return np.concatenate(cells).astype(np.float32)


def _weighted_suppression(corners: np.ndarray, scores: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """The keypoints of each person: boxes that overlap the most certain one are averaged, weighted by their scores.

    Args:
        corners: (N, 4) x0, y0, x1, y1.
        scores: (N,) confidences of the boxes.
        points: (N, K, 2) keypoints x, y that come with the boxes.

    Returns:
        (K, 2) mean keypoints of each person, most certain first.
    """
    left = np.argsort(-scores, kind="stable")
    people = []
    while len(left):
        same = box_iou(corners[left[:1]], corners[left])[0] > OVERLAP
        same[0] = True
        group = left[same]
        people.append(np.average(points[group], axis=0, weights=scores[group]))
        left = left[~same]
    return people


def region_around(hips: np.ndarray, above: np.ndarray) -> Region:
    """The region around a person, from the middle of the hips (2,) and the point (2,) that tells size and turn."""
    x, y = above - hips
    turn = math.remainder(math.pi / 2 - math.atan2(-y, x), 2 * math.pi)
    return Region(hips, 2 * MARGIN * math.hypot(x, y), turn)


def _refined(places: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Landmarks moved to the centre of mass of their heatmaps near them, where these are certain.

    Args:
        places: (K, 2) x, y as shares of the crop.
        heatmaps: (N, N, K) logits.

    Returns:
        (K, 2) shares of the crop.
    """
    count = heatmaps.shape[0]
    cells = np.trunc(places * count).astype(int)
    reach = np.arange(-WINDOW, WINDOW + 1)
    columns, rows = (cells[:, axis, None] + reach for axis in (0, 1))  # (K, 7)
    in_rows, in_columns = ((index >= 0) & (index < count) for index in (rows, columns))
    near = np.clip(rows, 0, count - 1)[:, :, None], np.clip(columns, 0, count - 1)[:, None, :]
    values = _sigmoid(heatmaps[(*near, np.arange(len(places))[:, None, None])])  # (K, 7, 7)
    values *= in_rows[:, :, None] & in_columns[:, None, :]
    sure = (values.max((1, 2)) >= REFINED_FROM) & ((cells >= 0) & (cells < count)).all(1)
    moments = np.stack([(values.sum(1) * columns).sum(1), (values.sum(2) * rows).sum(1)], axis=1)
    mass = np.maximum(values.sum((1, 2)), 1e-9)[:, None]
    return np.where(sure[:, None], moments / (mass * count), places)
