"""What is behind people: noise with contours, or a folder of pictures."""

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
KEPT_SIDE = 448  # pixels: pictures are kept in memory no larger than this


class Backgrounds(Protocol):
    """Draws square pictures (B, 3, N, N) on a device, RGB in [0, 1]."""

    def __call__(self, streams: Streams, size: int, device: torch.device) -> Tensor: ...


def noise_backgrounds(streams: Streams, size: int, device: torch.device = CPU) -> Tensor:
    """Two clouds of colour, one shown where a third, cut at a level, is high: smooth shades and sharp contours."""
    first, second = (_clouds(streams, size, cells, device) for cells in ((2, 5, 12), (2, 7, 40)))
    shape = _octave(streams, 1, 7, size, device) + 0.5 * _octave(streams, 1, 20, size, device)
    level = streams.uniform(1, 1, 1, low=-0.8, high=1.2).to(device)
    picture = torch.where(shape > level, first, second)
    return picture.clamp_(0, 1)


class FolderBackgrounds:
    """Crops of the pictures in a folder and the folders in it. None should show people.

    Raises:
        InputError: There are none, or one cannot be read.
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
    import cv2

    from meshrec.files.picture import Picture

    image = Picture(path).read()
    scale = KEPT_SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _crop(image: np.ndarray, place: Sequence[float], size: int) -> np.ndarray:
    """A random square of at least half the picture's shorter side, resized."""
    import cv2

    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * (0.5 + 0.5 * place[0])))
    left, top = round(place[1] * (width - side)), round(place[2] * (height - side))
    return cv2.resize(image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR)


def _clouds(streams: Streams, size: int, cells: tuple[int, ...], device: torch.device) -> Tensor:
    """(B, 3, N, N): a colour with noise of several scales, each weaker than the last."""
    color = streams.uniform(3, 1, 1)
    base = torch.lerp(color.mean(1, keepdim=True), color, streams.uniform(1, 1, 1) ** 2)
    strength = streams.uniform(1, 1, 1, low=0.05, high=0.3).to(device)
    shade = sum(0.6**i * _octave(streams, 1, n, size, device) for i, n in enumerate(cells))
    return base.to(device) + strength * (shade + 0.4 * _octave(streams, 3, cells[1], size, device))


def _octave(streams: Streams, channels: int, cells: int, size: int, device: torch.device) -> Tensor:
    grid = streams.normal(channels, cells, cells).to(device)
    return interpolate(grid, (size, size), mode="bilinear", align_corners=False)
