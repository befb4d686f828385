"""What a camera saw: the left part of an overlay, or a frame of the clip that the user names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files.clips import Clip, Frame, open_clip
from meshrec.files.photos import read_photo

WIDEST = 960  # pixels of a picture that is sent to the browser
FAR = -10  # number of no frame, nor of one that comes just before the first
GAP = 8  # pixels around the parts of the overlay of a photo


def left_part(overlay: np.ndarray, size: tuple[int, int], gap: int = GAP) -> np.ndarray:
    """The first picture of an overlay, which is the photo, or a frame of the clip with the meshes on it.

    Args:
        overlay: (H, W, 3) uint8 RGB.
        size: (width, height) of the photo or clip; the overlay's part has this aspect ratio.
        gap: Pixels around each part.

    Example:
        >>> import numpy as np
        >>> from meshrec.viewer.pictures import left_part
        >>> left_part(np.zeros((116, 400, 3), np.uint8), (200, 100)).shape
        (100, 200, 3)
    """
    height = overlay.shape[0] - 2 * gap
    width = round(height * size[0] / size[1])
    return overlay[gap : gap + height, gap : gap + width]


class StillPicture:
    """A picture that is the same at all times."""

    def __init__(self, overlay: Path, size: tuple[int, int]) -> None:
        self._path, self._size = overlay, size
        self._picture: np.ndarray | None = None

    def at(self, frame: int, time: float) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None if the overlay cannot be read."""
        if self._picture is None:
            try:
                self._picture = shrunk(left_part(read_photo(self._path).image, self._size))
            except InputError:
                return None
        return self._picture


class MovingPicture:
    """The frames of a video, which are decoded as they are asked for: best in their order.

    Args:
        path: The overlay of a clip, or the clip itself.
        size: (width, height) of the clip.
        overlay: Whether it is an overlay. Its frames are found by their times, those of a clip by their numbers.
        start: Time in the results at which the overlay begins, seconds.

    Raises:
        InputError: It is no clip.
    """

    def __init__(self, path: Path, size: tuple[int, int], overlay: bool = True, start: float = 0.0) -> None:
        self._clip: Clip = open_clip(path)
        self._size, self._overlay, self._start = size, overlay, start
        self._frames: Iterator[Frame] = iter(())
        self._last, self._picture = FAR, None  # type: tuple[int, np.ndarray | None]

    def at(self, frame: int, time: float) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB of a frame; None if it cannot be read.

        Args:
            frame: Its number in the clip.
            time: Its time in the results, seconds.
        """
        number = self._number(time) if self._overlay else frame
        if number == self._last:
            return self._picture
        if not self._last < number <= self._last + 2:  # further on a seek is quicker
            self._frames = self._clip.after(number - 1)
        try:
            found = next((frame for frame in self._frames if frame.number >= number), None)
        except InputError:
            found = None
        if found is None:
            self._last, self._frames = FAR, iter(())
            return None
        image = left_part(found.image, self._size, 0) if self._overlay else found.image
        self._last, self._picture = number, shrunk(image)
        return self._picture

    def _number(self, time: float) -> int:
        if self._clip.times is None or not len(self._clip.times):
            return max(0, round((time - self._start) * self._clip.rate))
        numbers, times = self._clip.numbers_and_times()
        return int(numbers[np.abs(times - (time - self._start)).argmin()])


def shrunk(image: np.ndarray) -> np.ndarray:
    """A picture that is at most :data:`WIDEST` pixels wide."""
    import cv2

    scale = WIDEST / image.shape[1]
    if scale >= 1:
        return np.ascontiguousarray(image)
    return cv2.resize(image, (WIDEST, max(1, round(image.shape[0] * scale))), interpolation=cv2.INTER_AREA)
