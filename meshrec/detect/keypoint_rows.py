"""What the readers of keypoint files have in common: numbers, one person, and content by photo name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from meshrec.detect.layouts import Layout, find_layout
from meshrec.detect.people import Detection, as_confidence, keypoint_box
from meshrec.errors import InputError

ANY_PHOTO = ""  # the photo name under which the content of a file without photo names is kept
NOTHING = "people without keypoints"  # what is left out of a file

Found = TypeVar("Found")


class ByPhoto(dict[str, Found]):
    """The content of a file by photo name.

    Attributes:
        named: Whether the file itself names its photos. Otherwise the name is that of the file.
        errors: By photo name, what is wrong with the content for that photo, which matters only if the photo is asked
            for. Such a photo has no entry in the dictionary.
        skipped: Numbers of entries that were left out, by what they are.
    """

    def __init__(self, named: bool = True) -> None:
        super().__init__()
        self.named = named
        self.errors: dict[str, InputError] = {}
        self.skipped: Counter[str] = Counter()

    def fail(self, name: str, error: InputError) -> None:
        """Keep the error of a photo instead of its content."""
        self.errors.setdefault(name, error)
        self.pop(name, None)

    def add(self, other: ByPhoto[Found]) -> None:
        """Take over the content of another file."""
        self.named |= other.named
        self.update(other)
        self.errors |= other.errors
        self.skipped += other.skipped

    def notes(self, path: Path) -> tuple[str, ...]:
        """One sentence about what was left out, if anything was."""
        parts = [f"{what} ({count})" for what, count in self.skipped.items()]
        if self.errors:
            parts.append(f"damaged entries of photos ({len(self.errors)})")
        return (f"{path}: left out {', '.join(parts)}",) if parts else ()


def numbers(values: Any, path: Path, what: str, finite: bool = True) -> np.ndarray:
    """Values of a file as a float32 array.

    Args:
        values: What the file holds.
        path, what: The file, and what the values are, for messages.
        finite: Whether values have to be finite.

    Raises:
        InputError: They are not numbers, or not finite.
    """
    try:
        with np.errstate(over="ignore"):  # what overflows is reported as not finite
            array = np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: {what} must be numeric.") from error
    if finite:
        _require_finite(array, path, what)
    return array


def number(value: Any, path: Path, what: str) -> float:
    """One finite number of a file; arguments and errors are those of :func:`numbers`."""
    array = numbers(value, path, what)
    if array.ndim:
        raise InputError(f"{path}: {what} must be a single number.")
    return float(array)


def person_layout(
    values: Any, path: Path, index: int, wanted: str, names: Sequence[str] = (), chosen: str | None = None
) -> Layout:
    """The layout of a person's flat list of x, y and confidence of each keypoint.

    Args:
        values: The list.
        path, index: The file, and the person's number in it, for messages.
        wanted: The keypoints that the format usually has, for messages, such as "17 keypoints".
        names, chosen: As for :func:`meshrec.detect.layouts.find_layout`.

    Raises:
        InputError: They are not of a known layout.
    """
    if not isinstance(values, list) or not values or len(values) % 3:
        raise InputError(f"{path}: person {index} must have {wanted}, as a flat list of x, y and confidence of each.")
    try:
        return find_layout(len(values) // 3, names, chosen)
    except ValueError as error:
        raise InputError(f"{path}: person {index} must have {wanted}, or {error}.") from None


def person(
    values: Any,
    layout: Layout,
    path: Path,
    index: int,
    score: Any = None,
    corners: np.ndarray | None = None,
) -> Detection | None:
    """A person of a file.

    Args:
        values: x, y and confidence of each keypoint, 3 * ``layout.count`` numbers. Confidences are those of
            :func:`meshrec.detect.people.as_confidence`; keypoints of confidence 0 may have any place.
        layout: The order of the keypoints.
        path, index: The file, and the person's number in it, for messages.
        score: The person's score; None is the mean confidence.
        corners: (4,) the person's box x0, y0, x1, y1; None is the one around the keypoints.

    Returns:
        The person, or None if no keypoint was found.

    Raises:
        InputError: A number is missing or wrong.
    """
    what = f"the keypoints of person {index}"
    keypoints = numbers(values, path, what, finite=False).reshape(-1, 3)[: layout.used].copy()
    certain = as_confidence(keypoints[:, 2])
    if np.isnan(keypoints[:, 2]).any():
        _require_finite(keypoints[:, 2], path, what)
    if np.isnan(certain).any():
        largest = keypoints[:, 2].max()
        raise InputError(
            f"{path}: person {index} has a keypoint confidence of {largest:g}; it must be a score from 0 to 1, or "
            "COCO's visibility 0, 1 or 2."
        )
    seen = certain > 0
    keypoints[:, 2] = certain
    if not seen.any():
        return None
    keypoints[~seen, :2] = 0  # a missing keypoint has no position
    _require_finite(keypoints, path, what)
    if np.abs(keypoints[seen, :2]).max() <= 1:
        raise InputError(
            f"{path}: the keypoints of person {index} are normalised to 1; they have to be in photo pixels."
        )
    box = keypoint_box(keypoints[seen], least=0) if corners is None else corners
    certainty = keypoints[seen, 2].mean() if score is None else number(score, path, f"the score of person {index}")
    return Detection(box.astype(np.float32), keypoints, layout.joints, float(np.clip(certainty, 0, 1)))


def box_corners(box: Any, path: Path, index: int) -> np.ndarray | None:
    """A person's box [x, y, width, height] of a file as x0, y0, x1, y1; None for no box.

    Raises:
        InputError: It is no such box.
    """
    if box is None:
        return None
    sides = numbers(box, path, f"the bbox of person {index}")
    if sides.shape != (4,):
        raise InputError(f"{path}: the bbox of person {index} must be [x, y, width, height].")
    return np.concatenate([sides[:2], sides[:2] + sides[2:]])


def _require_finite(array: np.ndarray, path: Path, what: str) -> None:
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {what} must be finite, without NaN, infinity or null.")
