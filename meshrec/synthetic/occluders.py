"""What hides synthetic people from the camera: things in front of them, and the photo's edge."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from meshrec.data.streams import Streams


@dataclass(frozen=True)
class Occluders:
    """Things in front of B people: an ellipse or a rounded bar each, or nothing.

    Attributes:
        present: (B,) bool.
        center, radii: (B, 2) pixels of the crop.
        angle: (B,) radians.
        power: (B,) 2 for an ellipse; the larger, the more of a bar.
    """

    present: Tensor
    center: Tensor
    radii: Tensor
    angle: Tensor
    power: Tensor

    def of(self, rows: Tensor) -> "Occluders":
        """Those of some of the people."""
        return Occluders(*(getattr(self, f.name)[rows] for f in fields(self)))

    def cover(self, x: Tensor, y: Tensor) -> Tensor:
        """Which points they cover.

        Args:
            x, y: (B, ...) pixels, or broadcasting to it.
        """
        spread = (slice(None), *(None,) * (max(x.ndim, y.ndim) - 1))
        u, v = x - self.center[:, 0][spread], y - self.center[:, 1][spread]
        cosine, sine, power = (t[spread] for t in (self.angle.cos(), self.angle.sin(), self.power))
        a, b = (radius[spread] for radius in self.radii.unbind(1))
        inside = ((cosine * u + sine * v) / a).abs() ** power + ((cosine * v - sine * u) / b).abs() ** power < 1
        return inside & self.present[spread]

    def pictures(self, size: tuple[int, int]) -> Tensor:
        """(B, H, W) bool: the pixels of crops of this size (W, H) that they cover."""
        covered = torch.zeros(len(self.present), size[1], size[0], dtype=torch.bool, device=self.present.device)
        x, y = pixel_grid(size, self.center)
        covered[self.present] = self.of(self.present).cover(x[None], y[None])
        return covered


def draw_occluders(streams: Streams, box: Tensor, share: float) -> Occluders:
    """Something in front of this share of people, across their box.

    Args:
        streams: One for each person.
        box: (B, 4) around the people, pixels.
        share: Of people hidden in part.
    """
    extent = box[:, 2:] - box[:, :2]
    center = box[:, :2] + streams.uniform(2).to(box) * extent
    radii = streams.uniform(2, low=0.06, high=0.28).to(box) * extent.amax(1, keepdim=True)
    angle, power = streams.uniform(high=math.pi).to(box), 2 + 8 * streams.whole(2).to(box)
    return Occluders(streams.happens(share).to(box.device), center, radii, angle, power)


def inside_photo(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels of the crops the photos have.

    Args:
        photo: (B, 4) x0, y0, x1, y1, its outer edges in pixels of the crop.
        size: (W, H) of the crops.

    Returns:
        (B, H, W) bool.
    """
    x, y = pixel_grid(size, photo)
    x0, y0, x1, y1 = photo[:, :, None, None].unbind(1)
    return ((x > x0) & (x < x1)) & ((y > y0) & (y < y1))


def pixel_grid(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates x (1, W) and y (H, 1)."""
    x = torch.arange(size[0], dtype=like.dtype, device=like.device)
    y = torch.arange(size[1], dtype=like.dtype, device=like.device)
    return x[None], y[:, None]
