"""Clips whose frames are pictures of their own: a folder of files, or arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sized
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.names import natural_key
from meshrec.files.photos import FORMATS, Photo, as_photo, heic_formats, read_photo
from meshrec.files.video_file import USUAL_RATE

UNNAMED = Path("clip")  # what messages call frames that are not files


class FrameFolder:
    """A folder of frames at a constant rate, in the natural order of their names.

    Args:
        folder: The folder. Sub-folders, hidden files and files that are no pictures by their suffix are left out.
        fps: Frames per second; None for 30, with a note.

    Attributes:
        size: (width, height) of the frames.
        times: (N,) seconds since the first frame.
        rate: Frames per second.
        notes: Remarks for the user.

    Raises:
        InputError: There are no pictures, or the first cannot be read.
    """

    def __init__(self, folder: Path, fps: float | None) -> None:
        self.path = folder
        self.rate, self.notes = _rate(fps)
        self._paths = frames_in(folder)
        self.times = np.arange(len(self._paths)) / self.rate
        self.size = _size(read_photo(self._paths[0]).image)

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Read frames; as :meth:`meshrec.files.video_file.VideoFile.images`.

        Raises:
            InputError: A file is no picture, or has another size than the first.
        """
        for number in numbers:
            path = self._paths[number]
            photo = read_photo(path)
            _check_size(photo, self.size, str(path))
            self.notes.extend(note for note in photo.notes if note not in self.notes)
            yield number, photo.image


class FrameArrays:
    """Arrays at a constant rate.

    Args:
        frames: (H, W, 3) uint8 RGB, or whatever else :func:`meshrec.files.as_photo` takes; also a generator, whose
            frames can be read once.
        fps: Frames per second; None for 30, with a note.

    Attributes:
        path: What messages call the clip.
        size: (width, height) of the frames.
        times: (N,) seconds since the first frame; None if the number of frames is not known.
        rate: Frames per second.
        notes: Remarks for the user.
        is_once: Whether the frames are those of a generator, which can be read once.

    Raises:
        InputError: There are no frames, or the first is no picture.
    """

    def __init__(self, frames: Iterable[np.ndarray], fps: float | None) -> None:
        self.path = UNNAMED
        self.rate, self.notes = _rate(fps)
        try:
            iterator = iter(frames)
        except TypeError as error:
            kind = type(frames).__name__
            raise InputError(f"a clip must be a file, a folder or arrays of RGB, not {kind}.") from error
        first = next(iterator, None)
        if first is None:
            raise InputError("there are no frames in this clip.")
        self.times = np.arange(len(frames)) / self.rate if isinstance(frames, Sized) else None
        self.size = _size(as_photo(first).image)
        self.is_once, self._begun = iterator is frames, False
        self._frames = chain([first], iterator) if self.is_once else frames

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames of these numbers; as :meth:`meshrec.files.video_file.VideoFile.images`.

        Raises:
            InputError: A frame is no picture or has another size than the first, or a generator is read again.
        """
        if self.is_once and self._begun:
            raise InputError("the frames of a generator can be read once; give a list, or open the clip again.")
        self._begun = True
        frames, at = iter(self._frames), 0
        for number in numbers:
            frame = next(islice(frames, number - at, None), None)
            if frame is None:
                return
            at = number + 1
            photo = as_photo(frame)
            _check_size(photo, self.size, f"frame {number}")
            self.notes.extend(note for note in photo.notes if note not in self.notes)
            yield number, photo.image


def _rate(fps: float | None) -> tuple[float, list[str]]:
    """The rate of frames, and notes on it."""
    if fps is not None:
        return float(fps), []
    return USUAL_RATE, [f"the frames have no times, so that {USUAL_RATE:g} per second are assumed"]


def _size(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _check_size(photo: Photo, size: tuple[int, int], name: str) -> None:
    if _size(photo.image) != size:
        width, height = _size(photo.image)
        raise InputError(
            f"{name}: this frame has {width} x {height} pixels, but the first of the clip has {size[0]} x {size[1]}; "
            "make them one size."
        )


def frames_in(folder: Path) -> list[Path]:
    """The pictures in a folder, in the natural order of their names.

    Raises:
        InputError: There are none, or the folder cannot be read.
    """
    Image.init()
    formats = (*FORMATS, *heic_formats())
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in formats}
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror}).") from error
    names = [name for name in names if os.path.splitext(name)[1].lower() in suffixes]
    if not names:
        raise InputError(f"{folder}: there are no frames in this folder, such as 0001.jpg or 0001.png.")
    return [folder / name for name in sorted(names, key=natural_key)]
