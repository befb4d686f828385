"""Reading clips: videos, animated pictures, folders of frames and arrays, one frame at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from itertools import count as counted
from pathlib import Path
from typing import Protocol

import numpy as np

from meshrec.errors import InputError
from meshrec.files.animated_picture import AnimatedPicture, is_animated
from meshrec.files.containers import HEAD, container_of
from meshrec.files.regular import open_regular
from meshrec.files.still_frames import FrameArrays, FrameFolder
from meshrec.files.video_file import FASTEST, MOST_BYTES, SLOWEST, VideoFile

_SLACK = 1e-6  # seconds by which a time may miss ``start`` or ``end`` because it was rounded


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a clip.

    Attributes:
        number: Its number in the source, from 0, whatever part of the source is read.
        time: Seconds since the first frame of the source.
        image: (H, W, 3) uint8 RGB, upright, with square pixels.
    """

    number: int
    time: float
    image: np.ndarray


class Source(Protocol):
    """What clips are read from.

    Attributes:
        path: The file or folder.
        size: (width, height) of the frames.
        rate: Average number of frames per second.
        notes: Remarks for the user, some of which come while frames are read.
    """

    @property
    def path(self) -> Path: ...

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def rate(self) -> float: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def times(self) -> np.ndarray | None:
        """(N,) seconds since the first frame; None if the number of frames is not known."""

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Numbers and pictures of the frames of these ascending numbers. Those that cannot be read are left out."""
        ...


class Clip:
    """Frames of a clip, which are decoded while one iterates; :func:`open_clip` makes it.

    One can iterate several times, and each time decodes again. No frame is kept.

    Attributes:
        path: The file or folder; ``clip`` for arrays.
        size: (width, height) of every frame, pixels.
        rate: Frames per second of what is read, after ``stride`` and ``fps``: the average where frames have times of
            their own.
        count: Number of frames that are read, None if unknown. Frames that are damaged beyond decoding are missing.
        times: (count,) seconds of the frames, None if their number is unknown.
    """

    def __init__(self, source: Source, numbers: np.ndarray | None, rate: float, every: _Every) -> None:
        self._source, self._numbers, self._every = source, numbers, every
        self._begun: Iterator[Frame] | None = None  # a generator's frames, of which the first was looked at
        self.path, self.size, self.rate = source.path, source.size, rate
        self.count = None if numbers is None else len(numbers)
        self.times = None if numbers is None or source.times is None else source.times[numbers]

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user. Damage in the middle of a file is noted when it is met."""
        return tuple(self._source.notes)

    def __iter__(self) -> Iterator[Frame]:
        return self.after(-1)

    def first(self) -> Frame | None:
        """The first frame, None if there is none. Iterating gives it again, also that of a generator."""
        frames = self.after(-1)
        first = next(frames, None)
        if first is not None and isinstance(self._source, FrameArrays) and self._source.is_once:
            self._begun = chain([first], frames)
        return first

    def after(self, number: int) -> Iterator[Frame]:
        """The frames behind one, as iterating over all would give them.

        In MP4, MOV, MKV and WebM they are found by a seek; other sources are decoded from the start.

        Args:
            number: The number of a frame, such as the last one for which there is a result; -1 for all.
        """
        if self._begun is not None:
            begun, self._begun = self._begun, None
            yield from (frame for frame in begun if frame.number > number)
            return
        numbers: Iterable[int]
        if self._numbers is not None:
            numbers = (int(n) for n in self._numbers[np.searchsorted(self._numbers, number, "right") :])
        else:
            numbers = (n for n in self._every.numbers(self._source.rate) if n > number)
        times, rate = self._source.times, self._source.rate
        for n, image in self._source.images(numbers):
            yield Frame(n, n / rate if times is None else float(times[n]), image)

    def numbers_and_times(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (N,) of the frames, and their times in seconds, (N,).

        Raises:
            ValueError: The number of frames is not known.
        """
        if self._numbers is None or self.times is None:
            raise ValueError("the number of frames is not known")
        return np.asarray(self._numbers), np.asarray(self.times, np.float64)

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Clip:
        """The same frames after a change of each picture, such as the removal of a lens's distortion.

        Args:
            change: Makes a picture (H, W, 3) uint8 RGB of another one of the same size.
        """
        return Clip(_Changed(self._source, change), self._numbers, self.rate, self._every)

    def between(self, start: float, end: float) -> Clip:
        """The frames of this clip from one time to another, both included.

        Args:
            start, end: Seconds since the first frame of the source.

        Raises:
            InputError: There are none.
        """
        if self._numbers is None or self.times is None:
            least, most = max(start, self._every.start or 0.0), end + 2 * _SLACK
            most = most if self._every.end is None else min(most, self._every.end)
            return Clip(self._source, None, self.rate, replace(self._every, start=least, end=most))
        numbers = self._numbers[(self.times >= start - _SLACK) & (self.times <= end + _SLACK)]
        if not len(numbers):
            raise InputError(f"{self.path}: the clip has no frame from {start:.4g} to {end:.4g} seconds.")
        return Clip(self._source, numbers, self.rate, self._every)


@dataclass(frozen=True, eq=False)
class _Changed:
    """A source whose pictures are changed as they are read."""

    source: Source
    change: Callable[[np.ndarray], np.ndarray]

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def size(self) -> tuple[int, int]:
        return self.source.size

    @property
    def rate(self) -> float:
        return self.source.rate

    @property
    def notes(self) -> list[str]:
        return self.source.notes

    @property
    def times(self) -> np.ndarray | None:
        return self.source.times

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        return ((number, self.change(image)) for number, image in self.source.images(numbers))


@dataclass(frozen=True)
class _Every:
    """Which frames of a source are read."""

    start: float | None
    end: float | None
    stride: int
    fps: float | None = None

    def __post_init__(self) -> None:
        start, end = self.start or 0.0, math.inf if self.end is None else self.end
        if not (0 <= start < math.inf):
            raise InputError(f"the start of a clip must be 0 seconds or more, not {self.start:g}.")
        if not end > start:
            raise InputError(f"the end of a clip must be after its start of {start:g} seconds, not {end:g}.")
        if self.stride < 1:
            raise InputError(f"the stride of a clip must be 1 frame or more, not {self.stride}.")
        if self.fps is not None and not SLOWEST <= self.fps <= FASTEST:
            raise InputError(
                f"the frame rate of a clip must be {SLOWEST:g} to {FASTEST:g} per second, not {self.fps:g}."
            )

    def chosen(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the frames to read, of frames at these times."""
        start, end = self.start or 0.0, math.inf if self.end is None else self.end
        numbers = np.flatnonzero((times >= start - _SLACK) & (times < end - _SLACK))
        if self.fps is not None and len(numbers):
            numbers = numbers[nearest_frames(times[numbers], self.fps)]
        return numbers[:: self.stride]

    def numbers(self, rate: float) -> Iterator[int]:
        """The same for frames of a constant rate whose number is not known."""
        end = math.inf if self.end is None else self.end
        first = math.ceil(((self.start or 0.0) - _SLACK) * rate)
        return takewhile(lambda n: n / rate < end - _SLACK, counted(max(first, 0), self.stride))


def open_clip(
    source: str | os.PathLike | Iterable[np.ndarray],
    *,
    start: float | None = None,
    end: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Clip:
    """Open a clip; its frames are decoded when one iterates over it.

    Args:
        source: A video or an animated GIF, WebP or PNG, which the content decides and not the name; a folder of
            frames, in the natural order of their names; or arrays (H, W, 3) uint8 RGB, also from a generator.
        start, end: The part to read, seconds since the first frame; the end is not included.
        stride: Read every n-th frame.
        fps: For videos and animations, the rate to read them at: for each instant of this rate the nearest frame is
            read, and none twice, so that no frames are made up; all keep their exact times. For folders and arrays,
            the rate that they have; 30 if it is not given.

    Raises:
        InputError: The source is not a clip, is damaged, or has no frames in this part, or an option makes no sense.

    Example:
        >>> import numpy as np
        >>> from meshrec.files import open_clip
        >>> clip = open_clip([np.full((48, 64, 3), 10 * k, np.uint8) for k in range(9)], fps=10, start=0.2, stride=3)
        >>> clip.size, clip.rate, clip.count
        ((64, 48), 3.3333333333333335, 3)
        >>> [(frame.number, frame.time, int(frame.image.max())) for frame in clip]
        [(2, 0.2, 20), (5, 0.5, 50), (8, 0.8, 80)]
    """
    every = _Every(start, end, stride, fps)
    opened, resampled = _source(source, fps)
    if not resampled:
        every = _Every(start, end, stride)
    rate = opened.rate
    if every.fps is not None:
        rate = min(rate, every.fps)
        if every.fps > 1.001 * opened.rate:
            opened.notes.append(
                f"the clip has {opened.rate:.4g} frames per second, and not the {every.fps:g} asked for"
            )
    numbers = None if opened.times is None else every.chosen(opened.times)
    if numbers is not None and not len(numbers):
        assert opened.times is not None
        lasts = opened.times[-1] + 1 / opened.rate
        raise InputError(f"{opened.path}: the clip lasts {lasts:.4g} seconds, and has no frame in the part asked for.")
    return Clip(opened, numbers, rate / stride, every)


def is_clip(path: str | os.PathLike) -> bool:
    """Whether a file is a clip and not a photo: a video, or a GIF, WebP or PNG with more than one frame.

    The content decides, and not the name. Damaged videos and files that hold only sound are clips, too, for which
    :func:`open_clip` has the better message. A folder is none, because its pictures may be photos that have nothing to
    do with one another.

    Args:
        path: A path, which need not exist.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from meshrec.files import is_clip
        >>> frames = [Image.new("L", (64, 48), level) for level in (0, 255)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frames[0].save(f"{folder}/photo.gif")
        ...     frames[0].save(f"{folder}/clip.gif", save_all=True, append_images=frames[1:])
        ...     is_clip(f"{folder}/photo.gif"), is_clip(f"{folder}/clip.gif"), is_clip(folder)
        (False, True, False)
    """
    path = Path(path)
    try:
        with open_regular(path, MOST_BYTES) as file:
            head = file.read(HEAD)
    except (InputError, OSError, ValueError):  # there is no such file, it is a folder or a device, or no name at all
        return False
    return container_of(head) is not None or bool(is_animated(path))


def nearest_frames(times: np.ndarray, fps: float) -> np.ndarray:
    """The frames that are nearest to the instants of a constant rate, from the first frame to the last, each once.

    Args:
        times: (N,) ascending, seconds.
        fps: Instants per second.

    Returns:
        Ascending indices. An instant for which there is no frame of its own has none.

    Example:
        >>> import numpy as np
        >>> from meshrec.files.clips import nearest_frames
        >>> nearest_frames(np.arange(10) / 50, 20).tolist()
        [0, 3, 5, 8]
    """
    between = (times[:-1] + times[1:]) / 2
    # A frame is read if an instant lies in the part of time that is nearer to it than to others. Rounding must not
    # matter where an instant lies in the middle.
    upper = np.append(between - _SLACK, times[-1] + _SLACK) - times[0]
    instants = np.ceil(upper * fps)  # how many lie before the end of this part
    return np.flatnonzero(np.diff(instants, prepend=0.0) > 0)


def _source(source: str | os.PathLike | Iterable[np.ndarray], fps: float | None) -> tuple[Source, bool]:
    """A source, and whether ``fps`` is a rate to read it at and not the rate that it has."""
    if not isinstance(source, str | os.PathLike):
        return (FrameArrays(source, fps), False)
    path = Path(source)
    if os.path.isdir(path):
        return (FrameFolder(path, fps), False)
    try:
        with open_regular(path, MOST_BYTES) as file:
            head = file.read(HEAD)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read this file.") from error
    except (OSError, ValueError) as error:  # a name that is too long, or has a zero in it
        raise InputError(f"{path}: the file cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if container_of(head) is None and (animated := is_animated(path)) is not None:
        if not animated:
            raise InputError(f"{path}: this is a photo, not a clip.")
        return (AnimatedPicture(path), True)
    return (VideoFile(path), True)
