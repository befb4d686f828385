"""Frames of videos as pictures of a data set, which are read when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from meshrec.errors import InputError
from meshrec.files.clips import Clip, Frame, open_clip
from meshrec.files.picture import Lens

MOST_OPEN = 4  # videos that stay open
AHEAD = 25  # frames that are decoded and passed over before a new seek is quicker


class Videos:
    """Reads frames of videos by their numbers. Frames in rising order are decoded one after the other.

    In MP4, MOV, MKV and WebM other frames are found by a seek; AVI is decoded from its start for each jump, so extract
    its frames, or convert the data set to shards, before reading it in random order.

    Example:
        >>> import tempfile
        >>> from meshrec.files import VideoWriter
        >>> from meshrec.files.video_pictures import Videos
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with VideoWriter(f"{folder}/gray.mp4", (64, 48), 25) as video:
        ...         for level in (0, 128, 255):
        ...             video.write(np.full((48, 64, 3), level, np.uint8))
        ...     round(float(Videos().frame(Path(folder, "gray.mp4"), 1).mean()), -1)
        130.0
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _Reading] = OrderedDict()
        self._lock = Lock()

    def frame(self, path: Path, number: int) -> np.ndarray:
        """A frame, (H, W, 3) uint8 RGB.

        Args:
            path: The video.
            number: Number of the frame, from 0.

        Raises:
            InputError: The video is missing or damaged, or has no frame of this number.
        """
        with self._lock:
            reading = self._open.pop(path, None) or _Reading(open_clip(path))
            self._open[path] = reading
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return reading.frame(number)

    def __getstate__(self) -> dict[str, object]:
        return {}  # the processes of a data loader open the videos themselves

    def __setstate__(self, state: dict[str, object]) -> None:
        Videos.__init__(self)


class _Reading:
    """A video whose frames are decoded one after the other."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.frames: Iterator[Frame] = iter(())
        self.last = -AHEAD - 1

    def frame(self, number: int) -> np.ndarray:
        if not self.last < number <= self.last + AHEAD:
            self.frames = self.clip.after(number - 1)
        for frame in self.frames:
            self.last = frame.number
            if frame.number >= number:
                break
        if self.last != number:
            self.last = -AHEAD - 1
            raise InputError(f"{self.clip.path}: the video has no frame {number} that can be read.")
        return frame.image


@dataclass(frozen=True, eq=False)
class VideoPicture:
    """A frame of a video.

    Attributes:
        videos: Reads it.
        path: The video.
        number: Number of the frame, from 0.
        lens: Calibration. If given, the distortion is removed on reading, as in
            :class:`meshrec.files.picture.Picture`.
    """

    videos: Videos
    path: Path
    number: int
    lens: Lens | None = None

    def read(self) -> np.ndarray:
        """Read the frame as (H, W, 3) uint8 RGB.

        Raises:
            InputError: As for :meth:`Videos.frame`.
        """
        import cv2

        image = self.videos.frame(self.path, self.number)
        return image if self.lens is None else cv2.undistort(image, self.lens.matrix, self.lens.distortion)
