"""The people who are evaluated: samples of a data set with their detections and the assumed camera."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import convert_joints
from meshrec.data.sample import FAR, Sample
from meshrec.detect.people import Detection, Detector, Mask, inner_box, keypoint_box, person_at, photo_edges
from meshrec.errors import InputError
from meshrec.evaluation.datasets import EvaluationSet, Search
from meshrec.evaluation.detections import load_detections
from meshrec.geometry import Camera
from meshrec.geometry.affine import apply, inverse
from meshrec.synthetic.benchmark import SyntheticBenchmark

LABEL_JOINTS = "union55"  # has a place for the keypoints of every data set


@dataclass(frozen=True)
class Subject:
    """A person to be evaluated.

    Attributes:
        sample: The labelled person.
        image: (H, W, 3) uint8 RGB; where the picture is not needed, None or zeros that take no memory.
        detection: Detection in pixels of the picture; None where the person was not found, or nothing was detected.
        camera: Camera of the picture, assumed where the sample has none.
    """

    sample: Sample
    image: np.ndarray | None
    detection: Detection | None
    camera: Camera

    @property
    def picture(self) -> np.ndarray:
        """The image.

        Raises:
            ValueError: It was not read.
        """
        if self.image is None:
            raise ValueError(f"{self.sample.name}: the picture was not read")
        return self.image

    @property
    def detected(self) -> Detection:
        """The detection.

        Raises:
            ValueError: The person was not found.
        """
        if self.detection is None:
            raise ValueError(f"{self.sample.name}: nobody was detected")
        return self.detection

    @property
    def crop_camera(self) -> tuple[Tensor, Tensor]:
        """Focal lengths (2,) over half the crop's side, and the principal point (2,) in the crop's coordinates."""
        matrix = self.camera.matrix
        to_crop = torch.from_numpy(self.sample.to_crop).float()
        return matrix.diagonal()[:2] * to_crop[0, 0], to_crop[:, :2] @ matrix[:2, 2] + to_crop[:, 2]


class DetectionSource(Protocol):
    """A source of detections of samples.

    Attributes:
        looks: Whether it needs the pictures.
    """

    looks: bool

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        """Detect the person of a sample.

        Args:
            sample: The sample.
            image: (H, W, 3) uint8 RGB, its picture; only the size counts if the source needs no pictures.

        Returns:
            The detection in pixels of the picture, or None if the person is not found.
        """
        ...


class Detected:
    """Detections by a detector.

    Args:
        detector: Detector to run on the pictures.
        search: How it is asked for a person; see :class:`meshrec.evaluation.datasets.EvaluationSet`.
    """

    looks = True

    def __init__(self, detector: Detector, search: Search = "box") -> None:
        self._detector, self._search = detector, search

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        """Detect the person of a sample in its picture (H, W, 3), uint8 RGB; None if the person is not found."""
        size = image.shape[1], image.shape[0]
        if self._search == "crop":
            (found,) = self._detector(image, inner_box(size)[None])
            return found if found.score > 0 else None
        box = labelled_box(sample, size)
        people = self._detector(image) if self._search == "photo" else self._detector(image, box[None])
        return person_at([person for person in people if person.score > 0], box)


class Labelled:
    """The data set's own 2D labels in place of detections."""

    looks = False

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        """The labels as a detection in pixels of the picture (H, W, 3); None if there are no 2D labels."""
        return labelled_detection(sample, (image.shape[1], image.shape[0]))


class Kept:
    """Detections of an earlier run.

    Args:
        path: File of :func:`meshrec.evaluation.detections.save_detections`.

    Raises:
        InputError: The file holds no detections.
    """

    looks = False

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._found = load_detections(path)

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        """The stored detection of a sample; None if the person was not found then.

        Raises:
            InputError: The file does not hold the sample.
        """
        if sample.name not in self._found:
            raise InputError(f"{self._path} says nothing of {sample.name}: it was made for other people.")
        return self._found[sample.name]


def load_subjects(
    data: EvaluationSet,
    rows: Sequence[int],
    source: DetectionSource | None,
    camera_of: Callable[[Sample, tuple[int, int]], Camera],
    looks: bool = True,
) -> list[Subject]:
    """Load people of a data set.

    Args:
        data: The data set.
        rows: Indices of the samples to load.
        source: Source of their detections; None for those that the synthetic benchmark simulates.
        camera_of: Function from a sample and its picture's (width, height) to the camera to assume.
        looks: Whether the pictures are needed.
    """
    observed: list[tuple[Sample, Detection | None]]
    if isinstance(data.samples, SyntheticBenchmark):
        observed = list(data.samples.observed(rows))
    else:
        observed = [(data.samples[row], None) for row in rows]
    subjects = []
    for sample, detection in observed:
        image = _picture(sample, looks or (source is not None and source.looks))
        if source is not None:
            detection = source.of(sample, image)
        subjects.append(Subject(sample, image, detection, camera_of(sample, (image.shape[1], image.shape[0]))))
    return subjects


def known_camera(sample: Sample, size: tuple[int, int]) -> Camera:
    """The camera of a sample's whole picture of (width, height); nearly orthographic where it is unknown."""
    focal = sample.focal / sample.to_crop[0, 0]
    center = apply(inverse(sample.to_crop), sample.principal)
    return Camera(focal, center, size)


def far_camera(sample: Sample, size: tuple[int, int]) -> Camera:
    """A nearly orthographic camera for a sample's picture of (width, height) that looks at the crop's centre."""
    far = replace(sample, focal=np.full(2, FAR), principal=np.zeros(2))
    return known_camera(far, size)


def assumed_camera(sample: Sample, size: tuple[int, int]) -> Camera:
    """The camera of a sample's picture of (width, height); the default one of photos where it is unknown."""
    return known_camera(sample, size) if sample.camera_confidence > 0 else Camera.from_fov(size)


def labelled_box(sample: Sample, size: tuple[int, int]) -> np.ndarray:
    """(4,) float32 box around the labelled person, in pixels: of the mask, else the 2D keypoints, else the crop."""
    limit = np.array([size, size]).reshape(4) - 1
    if sample.mask is not None and (sample.mask > 127).any():
        rows, columns = (np.flatnonzero((sample.mask > 127).any(axis)) for axis in (1, 0))
        return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)
    known = sample.keypoints_2d[sample.keypoints_2d[:, 2] > 0]
    to_pixels = inverse(sample.to_crop)
    if len(known) > 2:
        return keypoint_box(np.column_stack([apply(to_pixels, known[:, :2]), known[:, 2]]), size, least=0)
    corners = apply(to_pixels, np.array([[-1.0, -1.0], [1.0, 1.0]]))
    return np.clip(corners.reshape(4), 0, limit).astype(np.float32)


def labelled_detection(sample: Sample, size: tuple[int, int]) -> Detection | None:
    """The labels of a sample as a detection; None where it has no 2D labels."""
    keypoints, _ = convert_joints(sample.keypoints_2d, sample.joints, LABEL_JOINTS)
    known = keypoints[:, 2:] > 0
    if not known.any():
        return None
    pixels = np.where(known, apply(inverse(sample.to_crop), keypoints[:, :2]), 0)
    keypoints = np.column_stack([pixels, keypoints[:, 2]]).astype(np.float32)
    mask = None if sample.mask is None else Mask(sample.mask, photo_edges(size))
    return Detection(labelled_box(sample, size), keypoints, LABEL_JOINTS, 1.0, mask)


def _picture(sample: Sample, looked_at: bool) -> np.ndarray:
    """The picture; zeros of its size where the pixels are not needed and the mask tells the size."""
    if not looked_at and not isinstance(sample.image, np.ndarray) and sample.mask is not None:
        return np.broadcast_to(np.zeros(1, np.uint8), (*sample.mask.shape, 3))
    return sample.read_image()
