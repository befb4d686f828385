"""Detected people: boxes, 2D keypoints and masks, all in pixels of the full photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

MOST_CONFIDENCE = 2  # COCO's flag of a visible keypoint; regressed scores overshoot by less
SAME_PERSON = 0.3  # least overlap (IoU) of two boxes around the same person


@dataclass(frozen=True)
class Mask:
    """The pixels that show one person: a map at the detector's resolution, and the part of the photo that it covers.

    Attributes:
        values: (h, w) uint8, from 0 for pixels that certainly do not show the person to 255 for those that certainly
            do. Outside the map nothing shows the person.
        box: (4,) x0, y0, x1, y1, the photo coordinates of the map's outer edges. Pixel centres are integers, so a map
            of the 10 x 10 pixels in the photo's upper left corner has the box (-0.5, -0.5, 9.5, 9.5).

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Mask
        >>> mask = Mask(np.array([[255, 0]], np.uint8), box=np.array([-0.5, -0.5, 19.5, 9.5]))
        >>> mask.crop(np.array([-0.5, -0.5, 19.5, 9.5]), size=(1, 2)).tolist()  # white left half, black right half
        [[1.0, 0.0]]
    """

    values: np.ndarray
    box: np.ndarray

    def crop(self, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Resample the mask over a region of the photo.

        Args:
            box: (4,) x0, y0, x1, y1, the photo coordinates of the region's outer edges.
            size: (height, width) of the result, pixels.

        Returns:
            (height, width) float32 coverage in [0, 1]; averaged if the result is coarser than the map.
        """
        import cv2

        box = np.asarray(box, np.float64)
        height, width = size
        step = (box[2:] - box[:2]) / (width, height)  # photo pixels per result pixel
        own = (self.box[2:] - self.box[:2]) / self.values.shape[::-1]  # photo pixels per map pixel
        values, ratio = self.values, step / own
        if (ratio > 1).any():  # shrink by area first, so that thin limbs are not lost between samples
            shape = np.maximum(np.round(np.array(values.shape[::-1]) / np.maximum(ratio, 1)), 1).astype(int)
            values = cv2.resize(values, tuple(int(n) for n in shape), interpolation=cv2.INTER_AREA)
            own = (self.box[2:] - self.box[:2]) / values.shape[::-1]
        scale = step / own
        shift = (box[:2] + step / 2 - self.box[:2]) / own - 0.5
        to_map = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(values, to_map, (width, height), flags=flags).astype(np.float32) / 255


@dataclass(frozen=True)
class Region:
    """A turned square of a picture, in which a person stands upright.

    Attributes:
        center: (2,) x, y in pixels from the picture's upper left edge.
        side: Pixels.
        turn: Radians, clockwise as seen.
    """

    center: np.ndarray
    side: float
    turn: float

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) affine map from a crop of ``size`` x ``size`` pixels to the picture."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        linear = np.array([[cos, -sin], [sin, cos]]) * (self.side / size)
        return np.hstack([linear, (self.center - linear @ [size / 2, size / 2])[:, None]])


@dataclass(frozen=True)
class CloseUp:
    """A face or a hand as a landmark network of its own sees it: how a head or a wrist is turned.

    Attributes:
        joint: Joint of ``smpl24`` that moves it: "head", "left_wrist" or "right_wrist".
        points: (K, 3) float32 MediaPipe's landmarks, 468 of a face or 21 of a hand, at any place and scale: x right, y
            down, z away from a camera that looks at ``center``.
        center: (2,) float32 middle of the landmarks, photo pixels.
        score: Confidence in [0, 1] that this is a face or a hand.
    """

    joint: str
    points: np.ndarray
    center: np.ndarray
    score: float


@dataclass(frozen=True)
class Detection:
    """One person in a photo.

    Attributes:
        box: (4,) float32 x0, y0, x1, y1 around the person, photo pixels, inside the photo.
        keypoints: (K, 3) float32 x, y in photo pixels (may lie outside the photo) and confidence in [0, 1].
        joint_set: Name of the keypoints' joint set in :mod:`meshrec.body.joints`, such as "mediapipe33".
        score: Confidence in [0, 1] that this is a person.
        mask: The pixels that show the person, or None.
        world: (K, 3) float32 the detector's own estimate of the keypoints in space, metres: origin between the hips,
            x right, y down, z away from the camera. None if it makes none.
        region: Where to look for the person in the next frame of a video, or None if the detector does not say.
        close_ups: The person's face and hands, as far as the detector recognises them; at most one of each.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> keypoints = np.ones((17, 3), np.float32)
        >>> person = meshrec.Detection(np.array([10, 10, 90, 190], np.float32), keypoints, "coco17", score=0.9)
        >>> person.joint_set, person.mask is None
        ('coco17', True)
    """

    box: np.ndarray
    keypoints: np.ndarray
    joint_set: str
    score: float
    mask: Mask | None = None
    world: np.ndarray | None = None
    region: Region | None = None
    close_ups: tuple[CloseUp, ...] = ()


class Detector(Protocol):
    """A function that finds people in a photo.

    For videos it may have a method ``follow(image, people, hidden=())``, which finds people of the frame before again
    at less cost than a search, as :meth:`meshrec.detect.blazepose_detector.BlazePoseDetector.follow` does.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> def nobody(image, boxes=None):
        ...     return []
        >>> meshrec.Reconstructor(regressor="none", detector=nobody)(np.zeros((64, 64, 3), np.uint8))
        []
    """

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """Find people.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (N, 4) x0, y0, x1, y1 in photo pixels, where people are known to be.

        Returns:
            Without boxes everyone found, highest score first. With boxes one detection for each, in their order; its
            score is 0 if the box shows nobody.
        """
        ...


def as_confidence(values: np.ndarray) -> np.ndarray:
    """Confidences of keypoints as files give them: scores, or COCO's visibility (0 no label, 1 hidden, 2 visible).

    Networks regress scores, which overshoot: below 0 they count as 0, and above 1 as 1, as do hidden and visible
    keypoints. What is above 2 is neither of the two, but perhaps a percentage.

    Args:
        values: Confidences of any shape.

    Returns:
        Values in [0, 1] of the same shape; NaN where a confidence is no number or above 2.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect.people import as_confidence
        >>> as_confidence(np.array([-0.003, 0.5, 1.02, 2, 87])).tolist()
        [0.0, 0.5, 1.0, 1.0, nan]
    """
    return np.where(values <= MOST_CONFIDENCE, np.clip(values, 0, 1), np.nan)


def keypoint_box(
    keypoints: np.ndarray, size: tuple[int, int] | None = None, margin: float = 0.15, least: float = 0.3
) -> np.ndarray:
    """Box around the keypoints of a person.

    Args:
        keypoints: (K, 3) x, y in photo pixels and confidence.
        size: (width, height) of the photo, to which the box is clipped. Default: no clipping.
        margin: Widening on every side as a share of the longer side, for the parts of the body beyond the joints
            (skull, hands, feet, flesh).
        least: Keypoints of lower confidence are left out, unless all are lower.

    Returns:
        (4,) float32 x0, y0, x1, y1 in photo pixels.
    """
    sure = keypoints[:, 2] >= least
    points = keypoints[sure, :2] if sure.any() else keypoints[:, :2]
    low, high = points.min(0), points.max(0)
    grow = margin * (high - low).max()
    box = np.concatenate([low - grow, high + grow])
    if size is not None:
        box = np.clip(box, 0, np.array([size, size]).reshape(4) - 1)
    return box.astype(np.float32)


def photo_edges(size: tuple[float, float]) -> np.ndarray:
    """The outer edges (4,) of a whole photo of (width, height) pixels, in the coordinates of :attr:`Mask.box`."""
    return np.array([-0.5, -0.5, size[0] - 0.5, size[1] - 0.5])


def inner_box(size: tuple[int, int]) -> np.ndarray:
    """Box (4,) float32 of the person in a crop of (width, height) pixels, with a margin of a quarter of their size."""
    width, height = size
    return np.array([width / 6, height / 6, width * 5 / 6, height * 5 / 6], np.float32)


def person_box(keypoints: np.ndarray, mask: Mask | None, size: tuple[int, int]) -> np.ndarray:
    """Tight box around a person's mask and clearly visible keypoints.

    Args:
        keypoints: (K, 3) x, y in photo pixels and confidence.
        mask: The person's mask. Without one, or with an empty one, the box is that of :func:`keypoint_box`.
        size: (width, height) of the photo, to which the box is clipped.

    Returns:
        (4,) float32 x0, y0, x1, y1 in photo pixels.
    """
    if mask is None or not (mask.values > 127).any():
        return keypoint_box(keypoints, size)
    rows, columns = (np.flatnonzero((mask.values > 127).any(axis)) for axis in (1, 0))
    step = (mask.box[2:] - mask.box[:2]) / mask.values.shape[::-1]
    low = mask.box[:2] + step * (columns[0], rows[0])
    high = mask.box[:2] + step * (columns[-1] + 1, rows[-1] + 1)
    seen = keypoints[keypoints[:, 2] > 0.5, :2]
    low, high = np.vstack([seen, low]).min(0), np.vstack([seen, high]).max(0)
    limit = np.array(size) - 1
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)]).astype(np.float32)


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes.

    Args:
        a: (N, 4) x0, y0, x1, y1.
        b: (M, 4), in the same unit.

    Returns:
        (N, M) in [0, 1].
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=-1) for x in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def person_at(people: Sequence[Detection], box: np.ndarray) -> Detection | None:
    """Find the detection of a person whose box is known.

    Args:
        people: Detections in one photo.
        box: (4,) x0, y0, x1, y1 in photo pixels.

    Returns:
        The detection that overlaps the box most, or None if its overlap is less than :data:`SAME_PERSON`.
    """
    if not people:
        return None
    overlaps = box_iou(np.stack([person.box for person in people]), box[None])[:, 0]
    best = int(overlaps.argmax())
    return people[best] if overlaps[best] >= SAME_PERSON else None


def pose_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two poses as a share of the body's size: 0 for the same pose, above 0.3 for different people.

    It is the median distance between corresponding keypoints, weighted by confidence, divided by the larger of the two
    poses' extents.

    Args:
        a, b: (K, 3) x, y and confidence, in the same joint set and unit.
    """
    weight = np.sqrt(np.clip(a[:, 2] * b[:, 2], 0, None)) + 1e-6
    distance = np.linalg.norm(a[:, :2] - b[:, :2], axis=1)
    order = np.argsort(distance)
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    size = max(np.linalg.norm(np.ptp(p[:, :2], axis=0)) for p in (a, b))
    return float(distance[order][middle] / max(size, 1e-6))
