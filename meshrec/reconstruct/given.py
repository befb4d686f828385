"""What users give with photos and clips: statures, keypoints and calibrations, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from meshrec.detect import Detection
from meshrec.detect.layouts import find_layout, known_counts
from meshrec.detect.people import as_confidence, keypoint_box
from meshrec.errors import InputError
from meshrec.files import Photo
from meshrec.fit.stature import LEAST, MOST

if TYPE_CHECKING:
    from meshrec.geometry.calibrated_cameras import Calibration

Picture = Photo | Image.Image | np.ndarray | bytes | str | os.PathLike
"""What stands for one photo; :func:`meshrec.files.as_photo` says more."""
FrameKeypoints = Sequence[Sequence[Detection] | np.ndarray | None]
"""The user's own keypoints (N, K, 3) or detections in each frame of a clip; None for nobody."""


def as_detections(keypoints: np.ndarray | Sequence[Detection], size: tuple[int, int]) -> list[Detection]:
    """Detections as they are, or those of keypoints (N, K, 3) in a picture of size (W, H).

    Raises:
        InputError: The array is not one of keypoints.
    """
    if not isinstance(keypoints, np.ndarray):
        return list(keypoints)
    if keypoints.ndim != 3 or keypoints.shape[2] != 3:
        raise InputError(
            f"keypoints must have the shape (N, K, 3) with K one of {known_counts()}, not {keypoints.shape}."
        )
    try:
        layout = find_layout(keypoints.shape[1])
    except ValueError as error:
        raise InputError(f"an array of keypoints must have {error}, or be given as detections.") from None
    rows = keypoints[:, : layout.used].astype(np.float32)
    rows[..., 2] = as_confidence(rows[..., 2])
    if not np.isfinite(rows).all():
        raise InputError("keypoints must be finite, with confidences from 0 to 1; give a missing one the confidence 0.")
    return [Detection(keypoint_box(row, size), row, layout.joints, float(row[:, 2].mean())) for row in rows]


def require_height(height: float | Sequence[float] | np.ndarray) -> None:
    """Refuse statures that nobody has.

    Raises:
        InputError: One is not a number of metres from 0.3 to 2.6.
    """
    for metres in np.atleast_1d(np.asarray(height, dtype=object)).tolist():
        if not (isinstance(metres, int | float) and LEAST <= metres <= MOST):  # false for NaN
            raise InputError(f"a height must be a number of metres from {LEAST} to {MOST}, not {metres}.")


def as_calibration(calibration: Calibration | str | Path) -> Calibration:
    """A calibration as it is, or that of a file."""
    from meshrec.geometry.calibrated_cameras import Calibration
    from meshrec.geometry.calibration_files import read_calibration

    return calibration if isinstance(calibration, Calibration) else read_calibration(calibration)


def for_each(value: Any, count: int) -> list[Any]:
    """An argument for each of several photos: a list has an entry for each, anything else is that of all."""
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise InputError(f"there are {count} photos, but a list of boxes, keypoints or cameras has {len(value)}.")
        return list(value)
    if isinstance(value, np.ndarray):
        raise InputError("for a list of photos, boxes and keypoints must be lists with an entry for each photo.")
    return [value] * count
