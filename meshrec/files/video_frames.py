"""How a frame of a video becomes an upright picture with square pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshrec.errors import InputError
from meshrec.files.photos import MIN_SIDE

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MOST_PIXELS = 8192 * 8192  # of a frame: 8K, and whole spheres at twice that height
MOST_STRETCH = 4  # of pixels that are not square; what is beyond is damage
HD_HEIGHT = 720  # pixels; a video of this size whose colours are not described has those of BT.709, and else BT.601's


@dataclass(frozen=True)
class FrameShape:
    """How the frames of a video are turned into upright pictures.

    Attributes:
        coded: (width, height) of the frames as they are stored, pixels.
        square: (width, height) with square pixels, before turning.
        turn: (2, 2) of -1, 0 and 1: where x and y of a stored pixel go, as in :func:`_turned`.
    """

    coded: tuple[int, int]
    square: tuple[int, int]
    turn: tuple[tuple[int, int], tuple[int, int]]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright pictures."""
        width, height = self.square
        return (width, height) if self.turn[0][0] else (height, width)


def check_frame_size(path: Path, width: int, height: int) -> None:
    """Refuse frames that are too large or too small; 0 stands for what is not known yet.

    Raises:
        InputError: They are.
    """
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{path}: frames of {width} x {height} pixels have more than {MOST_PIXELS // 10**6} megapixels; "
            "scale them down."
        )
    if 0 < min(width, height) < MIN_SIDE:
        raise InputError(
            f"{path}: frames of {width} x {height} pixels are too small; a side needs at least {MIN_SIDE} pixels."
        )


def pixel_stretch(ratio: Fraction | None) -> Fraction:
    """Width of a pixel by its height, as a stream states it; 1 where it states none, or one that no camera has."""
    return ratio if ratio and ratio > 0 and max(ratio, 1 / ratio) <= MOST_STRETCH else Fraction(1)


def shape_of(frame: VideoFrame, stretch: Fraction, path: Path) -> FrameShape:
    """How frames like one become upright, with pixels that are made square by enlarging their shorter side.

    Args:
        frame: The frame, which carries the video's display matrix.
        stretch: Width of a pixel by its height.
        path: The video, for messages.

    Raises:
        InputError: The frames would be too large or too small.
    """
    width, height = frame.width, frame.height
    square = (round(width * stretch), height) if stretch > 1 else (width, round(height / stretch))
    check_frame_size(path, *square)
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    turn = _turn_of(np.frombuffer(bytes(matrix), np.int32)[:9]) if matrix is not None else ((1, 0), (0, 1))
    return FrameShape((width, height), square, turn)


def upright(frame: VideoFrame, shape: FrameShape) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB of a frame."""
    colours = "ITU709" if frame.colorspace == 2 and frame.height >= HD_HEIGHT else None  # 2: not described
    image: np.ndarray = frame.to_ndarray(format="rgb24", src_colorspace=colours)
    if frame.interlaced_frame:
        image = _first_field(image)
    if shape.square != shape.coded:
        image = _resized(image, shape.square)
    return _turned(image, shape.turn)


def _turn_of(matrix: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """The nearest quarter turn, mirrored or not, of a display matrix.

    Args:
        matrix: (9,) rows (a, b, u), (c, d, v), (x, y, w); a point (p, q) of the stored frame is shown at
            (a p + c q + x, b p + d q + y) (ISO/IEC 14496-12, 6.2.2).

    Returns:
        ((a, b), (c, d)) of -1, 0 and 1.
    """
    if len(matrix) < 5:
        return ((1, 0), (0, 1))
    a, b, c, d = (int(matrix[k]) for k in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return ((-1 if a < 0 else 1, 0), (0, -1 if d < 0 else 1))
    return ((0, -1 if b < 0 else 1), (-1 if c < 0 else 1, 0))


def _turned(image: np.ndarray, turn: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """An image turned as :func:`_turn_of` says."""
    import cv2

    (a, b), (c, d) = turn
    if a == 0:
        image = cv2.transpose(image)  # stored x is shown along y, and stored y along x
        across, down = c, b
    else:
        across, down = a, d
    if across < 0 or down < 0:
        image = cv2.flip(image, -1 if across < 0 and down < 0 else 1 if across < 0 else 0)
    return image


def _first_field(image: np.ndarray) -> np.ndarray:
    """The even rows of an image, and between them their means: the odd rows were seen half a frame earlier or later."""
    import cv2

    result = image.copy()
    above = image[0::2]
    below = np.concatenate([above[1:], above[-1:]])
    odd = len(image) // 2
    result[1::2] = cv2.addWeighted(above[:odd], 0.5, below[:odd], 0.5, 0)
    return result


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image scaled to fit into (width, height), in the middle of a black one of this size."""
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    result = np.zeros((height, width, 3), np.uint8)
    result[top : top + inner[1], left : left + inner[0]] = _resized(image, inner)
    return result
