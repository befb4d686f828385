"""Reading animated GIF, WebP and PNG by Pillow, one frame at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from meshrec.errors import InputError, MeshrecError
from meshrec.files.frames import gif_delays, png_delays, webp_delays
from meshrec.files.photos import FORMATS, UNNAMED, Photo, as_photo
from meshrec.files.regular import open_regular, read_regular

MOST_BYTES = 512 << 20  # of a file, which Pillow holds in memory
MOST_FRAMES = 100_000
_DELAYS = {"GIF": gif_delays, "PNG": png_delays, "WEBP": webp_delays}
_FAST, _FAST_MEANS = 0.011, 0.1  # seconds; browsers show frames of at most 10 ms for as long as this


def is_animated(path: Path) -> bool | None:
    """Whether a picture is an animated GIF, WebP or PNG of more than one frame; None if it is no picture at all."""
    try:
        with _image(path) as image:
            return image.format in _DELAYS and bool(getattr(image, "is_animated", False))
    except InputError:
        return None


class AnimatedPicture:
    """An animated GIF, WebP or PNG whose frames have numbers from 0. Transparent parts are shown on white.

    Args:
        path: The file.

    Attributes:
        size: (width, height) of the frames.
        times: (N,) seconds since the first frame.
        rate: Average number of frames per second.
        notes: Remarks for the user.

    Raises:
        InputError: It is not such a file, damaged, or too large.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        with _image(path) as image:
            kind = image.format or ""
            photo = _frame(image, 0)
        delays = list(islice(_DELAYS[kind](read_regular(path, MOST_BYTES)), MOST_FRAMES + 1))
        if len(delays) > MOST_FRAMES:
            raise InputError(f"{path}: the animation has more than {MOST_FRAMES:,} frames; save it as a video.")
        if not delays:
            raise InputError(f"{path}: the animation is damaged; save it again, or as a video.")
        shown = np.array([_FAST_MEANS if delay < _FAST else delay for delay in delays])
        self.times = np.concatenate([[0.0], np.cumsum(shown)[:-1]])
        self.rate = float(len(shown) / shown.sum())
        self.size = (photo.image.shape[1], photo.image.shape[0])
        self.notes.extend(photo.notes)

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode frames; as :meth:`meshrec.files.video_file.VideoFile.images`."""
        with _image(self.path) as image:
            skipped = 1 if image.info.get("default_image") else 0  # a PNG's picture for those who show no animations
            for number in numbers:
                try:
                    photo = _frame(image, number + skipped)
                except Exception:  # decoders raise exceptions of any kind on damaged files
                    note = f"the animation is damaged: {number} of {len(self.times)} frames are read"
                    self.notes.extend([note] if note not in self.notes else [])
                    return
                self.notes.extend(note for note in photo.notes if note not in self.notes)
                yield number, photo.image


def _frame(image: Image.Image, number: int) -> Photo:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged metadata
        image.seek(number)
        return as_photo(image)


@contextmanager
def _image(path: Path) -> Iterator[Image.Image]:
    """A picture, opened but not decoded."""
    try:
        with open_regular(path, MOST_BYTES) as file:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about size, which is checked later
                image = Image.open(file, formats=FORMATS)
            yield image
    except MeshrecError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{UNNAMED}: ').removeprefix(f'{path}: ')}") from error
    except MemoryError as error:
        raise InputError(f"{path}: not enough memory to decode the animation; scale it down.") from error
    except Exception as error:  # decoders raise exceptions of any kind on damaged files
        raise InputError(f"{path}: the animation is damaged ({error}); save it again, or as a video.") from error
