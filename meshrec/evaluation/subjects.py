"""Who is evaluated: a person of a data set, what was detected of them, and the camera that is assumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import convert_joints
from meshrec.data.sample import FAR, Sample
from meshrec.detect.people import Detection, Detector, Mask, keypoint_box, person_at, photo_edges
from meshrec.errors import InputError
from meshrec.evaluation.datasets import EvaluationSet
from meshrec.evaluation.detections import load_detections
from meshrec.geometry import Camera
from meshrec.geometry.affine import apply, inverse
from meshrec.synthetic.benchmark import SyntheticBenchmark

LABEL_JOINTS = "union55"  # any data set's keypoints have a place in it


@dataclass(frozen=True)
class Subject:
    """A person to be evaluated.

    Attributes:
        sample: With the labels.
        image: (H, W, 3) uint8 RGB; where nobody looks at it, zeros that take no memory, or None.
        detection: In pixels of the picture; None where the person was not found, or nothing was detected.
        camera: Of the picture. Where the sample has none, the one that was assumed.
    """

    sample: Sample
    image: np.ndarray | None
    detection: Detection | None
    camera: Camera

    @property
    def picture(self) -> np.ndarray:
        """The image of a person at whose picture somebody looks."""
        if self.image is None:
            raise ValueError(f"{self.sample.name}: the picture was not read")
        return self.image

    @property
    def detected(self) -> Detection:
        """The detection of a person who was found."""
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
    """What says where people are in pictures."""

    looks: bool  # whether it needs the pictures

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        """The person of a sample in its picture, None where the person is not found."""
        ...


class Detected:
    """What a detector says of the person in the labelled box, which is what published protocols give it.

    Args:
        detector: Which.
    """

    looks = True

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        box = labelled_box(sample, (image.shape[1], image.shape[0]))
        (found,) = self._detector(image, box[None])
        return person_at([found], box) if found.score > 0 else None


class Labelled:
    """The data set's own 2D labels, as if they had been detected."""

    looks = False

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
        return labelled_detection(sample, (image.shape[1], image.shape[0]))


class Kept:
    """What an earlier run found, by the names of samples; see :func:`meshrec.evaluation.detections.save_detections`.

    Raises:
        InputError: The file holds no detections.
    """

    looks = False

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._found = load_detections(path)

    def of(self, sample: Sample, image: np.ndarray) -> Detection | None:
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
    """People of some rows.

    Args:
        data: Whose rows.
        rows: Of its samples.
        source: Of detections; None for those that the synthetic benchmark simulates.
        camera_of: The camera to assume for a sample's picture of (width, height).
        looks: Whether somebody will look at the pictures.
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
    """The camera of a sample's whole picture of (width, height); far away where it is unknown."""
    focal = sample.focal / sample.to_crop[0, 0]
    center = apply(inverse(sample.to_crop), sample.principal)
    return Camera(focal, center, size)


def far_camera(sample: Sample, size: tuple[int, int]) -> Camera:
    """A camera that sees the crop of a sample's picture nearly without perspective, looking at its centre."""
    far = replace(sample, focal=np.full(2, FAR), principal=np.zeros(2))
    return known_camera(far, size)


def assumed_camera(sample: Sample, size: tuple[int, int]) -> Camera:
    """The camera of a sample's picture of (width, height); where it is unknown, the one that photos get."""
    return known_camera(sample, size) if sample.camera_confidence > 0 else Camera.from_fov(size)


def labelled_box(sample: Sample, size: tuple[int, int]) -> np.ndarray:
    """(4,) float32 around the person as labelled, in the picture: of the mask, else the 2D keypoints, else the crop."""
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
    """The picture, or where only its size matters and the labels tell it, zeros of that size."""
    if not looked_at and not isinstance(sample.image, np.ndarray) and sample.mask is not None:
        return np.broadcast_to(np.zeros(1, np.uint8), (*sample.mask.shape, 3))
    return sample.read_image()
