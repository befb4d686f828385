"""What a calibration file says about its cameras, before units and rotations are checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshrec.errors import InputError

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
MOST_CAMERAS = 1024  # of a file; the largest studio that publishes its calibration has 521


@dataclass(frozen=True, eq=False)
class CameraEntry:
    """One camera as its file describes it.

    Attributes:
        name: Its name.
        matrix: (3, 3) calibration matrix K, pixels.
        distortion: (D,) distortion coefficients in OpenCV's order.
        fisheye: Whether they belong to OpenCV's fisheye model.
        size: (W, H) pixels of its pictures, or None if the file does not say.
        rotation: World to camera, (3,) as a Rodrigues vector or (3, 3) as a matrix; None if the file has none.
        translation: (3,) world to camera, in the file's unit; None if the file has none.
    """

    name: str
    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool = False
    size: tuple[int, int] | None = None
    rotation: np.ndarray | None = None
    translation: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class CalibrationFile:
    """The cameras of a file, or of a folder with a file for each camera.

    Attributes:
        layout: Name of the format.
        entries: The cameras, in the file's order.
        unit: Unit of the translations by convention of the format, "m", "cm" or "mm".
        up: Axis of the world that points up by convention of the format, such as "z" or "-y"; None if it has none.
        up_is_stated: Whether the file itself names that axis.
        notes: Remarks for the user.
    """

    layout: str
    entries: tuple[CameraEntry, ...]
    unit: str = "m"
    up: str | None = None
    up_is_stated: bool = False
    notes: tuple[str, ...] = ()


def array(value: Any, what: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """The numbers of a value in one of several shapes; a row or column of a matrix counts as a vector.

    Args:
        value: Lists of numbers, or an array.
        what: File, camera and key, for the message.
        shapes: The shapes that are allowed.

    Raises:
        InputError: It is something else, or a number is not finite.

    Example:
        >>> from meshrec.files.calibrations.entries import array
        >>> array([[1], [2], [3]], "cam1: t", (3,)).tolist()
        [1.0, 2.0, 3.0]
    """
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty((0, 0, 0))  # fits no shape
    found = next((numbers.reshape(shape) for shape in shapes if _fits(numbers, shape)), None)
    if found is None:
        wanted = " or ".join(" x ".join(map(str, shape)) for shape in shapes)
        raise InputError(f"{what} must be {wanted} numbers.")
    if not np.isfinite(found).all():
        raise InputError(f"{what} holds a number that is not finite.")
    return found


def distortion(value: Any, what: str) -> np.ndarray:
    """Distortion coefficients: a vector of at most 14 numbers. Nothing stands for none.

    Raises:
        InputError: As for :func:`array`.
    """
    return np.zeros(0) if value is None else array(value, what, *((count,) for count in range(15)))


def picture_size(value: Any, what: str) -> tuple[int, int]:
    """A picture's width and height, whole numbers that may be written as floats.

    Raises:
        InputError: They are no sizes of pictures.
    """
    width, height = array(value, what, (2,))
    if not (width == round(width) and height == round(height) and min(width, height) >= 1 and max(width, height) < 1e5):
        raise InputError(f"{what} must be width and height in pixels, not {width:g} x {height:g}.")
    return int(width), int(height)


def needed(table: Mapping[str, Any], key: str, what: str) -> Any:
    """The value of a key.

    Args:
        table: What the file says.
        key: The key.
        what: File and camera, for the message.

    Raises:
        InputError: The key is missing.
    """
    if not isinstance(table, Mapping) or table.get(key) is None:
        raise InputError(f"{what} has no {key!r}, which a calibration needs.")
    return table[key]


def pose(
    rotation: Any, translation: Any, what: str, shapes: Sequence[tuple[int, ...]] = ((3,), (3, 3))
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Rotation and translation of a camera; both None if the file has neither.

    Raises:
        InputError: One is missing, or they have other shapes.
    """
    if rotation is None and translation is None:
        return None, None
    if rotation is None or translation is None:
        raise InputError(f"{what} has a {'translation' if rotation is None else 'rotation'} alone; it needs both.")
    return array(rotation, f"{what}: its rotation", *shapes), array(translation, f"{what}: its translation", (3,))


def _fits(numbers: np.ndarray, shape: tuple[int, ...]) -> bool:
    if len(shape) == 1:
        return numbers.ndim in (1, 2) and numbers.size == shape[0] and max(numbers.shape, default=0) == numbers.size
    return numbers.shape == shape
