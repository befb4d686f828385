"""Backgrounds of pictures: noise with contours, or crops of the pictures in a folder."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from meshrec.data.streams import Streams
from meshrec.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
CPU = torch.device("cpu")
KEPT_SIDE = 448  # largest side of the pictures that are kept in memory, pixels


class Backgrounds(Protocol):
    """Draws backgrounds."""

    def __call__(self, streams: Streams, size: int, device: torch.device) -> Tensor:
        """Square pictures (B, 3, N, N), RGB in [0, 1].

        Args:
            streams: One random stream per picture.
            size: Side N in pixels.
            device: Device of the result.
        """
        ...


def noise_backgrounds(streams: Streams, size: int, device: torch.device = CPU) -> Tensor:
    """Two smooth fields of colour, divided by the contour lines of a third field; see :class:`Backgrounds`."""
    first, second = (_colour_field(streams, size, cells, device) for cells in ((2, 5, 12), (2, 7, 40)))
    shape = _noise(streams, 1, 7, size, device) + 0.5 * _noise(streams, 1, 20, size, device)
    level = streams.uniform(1, 1, 1, low=-0.8, high=1.2).to(device)
    picture = torch.where(shape > level, first, second)
    return picture.clamp_(0, 1)


class FolderBackgrounds:
    """Random crops of the pictures in a folder and its subfolders; see :class:`Backgrounds`.

    Args:
        folder: The folder; no picture in it should show people.

    Raises:
        InputError: The folder holds no pictures, or, when it is drawn, a picture cannot be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise InputError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}) to put behind people")

    def __call__(self, streams: Streams, size: int, device: torch.device = CPU) -> Tensor:
        chosen, place = streams.whole(len(self.paths)), streams.uniform(3)
        mirrored = streams.happens(0.5)
        crops = [_crop(_read(self.paths[i]), p, size) for i, p in zip(chosen.tolist(), place.tolist())]
        pictures = torch.from_numpy(np.stack(crops)).movedim(-1, 1).float() / 255
        return torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures).to(device)


@lru_cache(maxsize=256)
def _read(path: Path) -> np.ndarray:
    """A picture, reduced to at most :data:`KEPT_SIDE` pixels a side."""
    import cv2

    from meshrec.files.picture import Picture

    image = Picture(path).read()
    scale = KEPT_SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _crop(image: np.ndarray, place: Sequence[float], size: int) -> np.ndarray:
    """Crop a square of at least half the picture's shorter side.

    Args:
        image: (H, W, 3) uint8.
        place: Side, left and top of the square, numbers in [0, 1] for the smallest and largest possible values.
        size: Side in pixels to which it is resized.
    """
    import cv2

    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * (0.5 + 0.5 * place[0])))
    left, top = round(place[1] * (width - side)), round(place[2] * (height - side))
    return cv2.resize(image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR)


def _colour_field(streams: Streams, size: int, cells: tuple[int, ...], device: torch.device) -> Tensor:
    """Pictures (B, 3, N, N) of a random colour with noise at several scales, weaker with each.

    Args:
        streams: One random stream per picture.
        size: Side N in pixels.
        cells: Cells along a side of each scale's noise.
        device: Device of the result.
    """
    color = streams.uniform(3, 1, 1)
    base = torch.lerp(color.mean(1, keepdim=True), color, streams.uniform(1, 1, 1) ** 2)
    strength = streams.uniform(1, 1, 1, low=0.05, high=0.3).to(device)
    shade = sum(0.6**i * _noise(streams, 1, n, size, device) for i, n in enumerate(cells))
    return base.to(device) + strength * (shade + 0.4 * _noise(streams, 3, cells[1], size, device))


def _noise(streams: Streams, channels: int, cells: int, size: int, device: torch.device) -> Tensor:
    """Smooth noise (B, channels, N, N): standard normal numbers on a grid of cells, interpolated."""
    grid = streams.normal(channels, cells, cells).to(device)
    return interpolate(grid, (size, size), mode="bilinear", align_corners=False)
