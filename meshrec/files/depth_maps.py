"""Reading depth maps: 16-bit PNG and TIFF as depth cameras write them, 32-bit TIFF, and arrays of numpy."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.fingerprint import Fingerprint, fingerprint_of
from meshrec.files.regular import open_regular

FORMATS = ("PNG", "TIFF")
UNITS = {"metres": 1.0, "millimetres": 1e-3}
MAX_PIXELS = 64_000_000
MOST_BYTES = 640 << 20
LEAST_SIDE = 48  # pixels; in a smaller map hands and feet are single pixels
NEAREST, FARTHEST = 0.2, 20.0  # metres: depth cameras measure from a third of a metre to ten metres
NOTHING = 65535  # what some cameras write into 16 bits where nothing was measured; others write 0


@dataclass(frozen=True, eq=False)
class DepthFile:
    """A depth map from a file.

    Attributes:
        depth: (H, W) float32 distances along the camera's axis, metres, 0 where nothing was measured.
        path: The file.
        fingerprint: That of its content; None of an array in memory.
    """

    depth: np.ndarray
    path: Path
    fingerprint: Fingerprint | None = None


def depth_unit(text: str | None) -> float | None:
    """Metres per unit: ``metres``, ``millimetres`` or a number; None stays None.

    Raises:
        InputError: It is none of these.

    Example:
        >>> from meshrec.files.depth_maps import depth_unit
        >>> depth_unit("millimetres"), depth_unit("0.00025")
        (0.001, 0.00025)
    """
    if text is None or text in UNITS:
        return None if text is None else UNITS[text]
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(
            f"--depth-unit {text}: give metres, millimetres, or how many metres a unit has, such as 0.00025."
        )
    return scale


def read_depth(path: str | Path, unit: float | None = None) -> DepthFile:
    """Read a depth map.

    Args:
        path: A PNG or TIFF of 16-bit whole numbers, a TIFF of 32-bit numbers, or a ``.npy`` array.
        unit: Metres per unit. Default: whole numbers are millimetres, others metres.

    Raises:
        InputError: The file cannot be read, is no depth map, or shows nothing from 0.2 to 20 metres away.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> from meshrec.files.depth_maps import read_depth
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.fromarray(np.full((48, 64), 2500, np.uint16)).save(f"{folder}/depth.png")
        ...     float(read_depth(f"{folder}/depth.png").depth[0, 0])
        2.5
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder, not a depth map.")
    try:
        with open_regular(path, MOST_BYTES) as file:
            fingerprint = fingerprint_of(file)
            content = file.read(fingerprint.size)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: the depth map cannot be read ({error}).") from error
    values = _array(content, path) if content[:6] == b"\x93NUMPY" else _picture(content, path)
    return DepthFile(as_depth(values, unit, path), path, fingerprint)


def as_depth(values: np.ndarray, unit: float | None = None, path: str | Path = "depth map") -> np.ndarray:
    """Distances in metres of the numbers of a depth map.

    Args:
        values: (H, W) whole numbers of at least 16 bits, or floats. What is zero, negative or not finite was not
            measured, nor what is 65535 in 16 bits.
        unit: Metres per unit. Default: whole numbers are millimetres, others metres.
        path: What messages call the map.

    Returns:
        (H, W) float32 metres, 0 where nothing was measured.

    Raises:
        InputError: It is no depth map, or shows nothing from 0.2 to 20 metres away.
    """
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError(f"{path}: a depth map has one number a pixel, but this one is of shape {values.shape}.")
    if values.dtype.kind not in "uif" or values.dtype.itemsize < 2:
        raise InputError(
            f"{path}: 8 bits a pixel are a picture of a depth map, whose distances are lost; give the map itself, as "
            "16-bit PNG or TIFF, 32-bit TIFF or .npy."
        )
    if min(values.shape) < LEAST_SIDE or values.size > MAX_PIXELS:
        size = f"{values.shape[1]} x {values.shape[0]}"
        raise InputError(
            f"{path}: a depth map has {LEAST_SIDE} pixels or more along each side and up to {MAX_PIXELS // 10**6} "
            f"megapixels, not {size}."
        )
    whole = values.dtype.kind in "ui"
    with np.errstate(invalid="ignore", over="ignore"):
        depth = values.astype(np.float64) * ((1e-3 if whole else 1.0) if unit is None else unit)
        depth[~(np.isfinite(depth) & (depth > 0))] = 0
    if values.dtype == np.uint16:
        depth[values == NOTHING] = 0
    known = depth[depth > 0]
    if not len(known):
        raise InputError(f"{path}: nothing was measured in this depth map: all its pixels are zero.")
    middle = float(np.median(known))
    if not NEAREST <= middle <= FARTHEST:
        said = "metres" if unit is None and not whole else "millimetres" if unit is None else f"units of {unit:g} m"
        raise InputError(
            f"{path}: read as {said}, half of this map is more than {middle:.3g} m away, which depth cameras do not "
            "measure; give its unit with --depth-unit metres, millimetres, or a number of metres."
        )
    depth[(depth < NEAREST / 2) | (depth > 2 * FARTHEST)] = 0
    return depth.astype(np.float32)


def _picture(content: bytes, path: Path) -> np.ndarray:
    """The numbers of a PNG or TIFF."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(f"{path}: the depth map has more than {MAX_PIXELS // 10**6} megapixels.")
            if picture.mode not in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
                kind = "8 bits a pixel" if picture.mode in ("L", "P", "1") else "colours"
                raise InputError(
                    f"{path}: {kind} are a picture of a depth map, whose distances are lost; give the map itself, as "
                    "16-bit PNG or TIFF, 32-bit TIFF or .npy."
                )
            values: Any = np.asarray(picture)
    except InputError:
        raise
    except Exception as error:  # decoders raise exceptions of any kind on damaged files
        raise InputError(
            f"{path}: this is no depth map that can be read ({str(error)[:100]}); give a 16-bit PNG or TIFF, a 32-bit "
            "TIFF or a .npy array."
        ) from error
    # Pillow gives a 16-bit PNG of some versions as 32-bit numbers.
    return values.astype(np.uint16) if values.dtype.kind == "i" and values.max(initial=0) <= NOTHING else values


def _array(content: bytes, path: Path) -> np.ndarray:
    """The numbers of a ``.npy`` file, of which nothing is unpickled."""
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: the array cannot be read ({str(error)[:100]}).") from error
