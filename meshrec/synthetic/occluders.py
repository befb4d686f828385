"""Objects in front of synthetic people.

Those that are pasted into the pictures of real datasets are in :mod:`meshrec.data.occluders`.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from meshrec.data.streams import Streams


@dataclass(frozen=True)
class Occluders:
    """At most one object in front of each of B people: a superellipse, which is an ellipse or a rounded bar.

    Attributes:
        present: (B,) bool, whether there is an object.
        center: (B, 2) pixels of the crop.
        radii: (B, 2) half axes, pixels of the crop.
        angle: (B,) of the first axis, radians.
        power: (B,) exponent of the superellipse; 2 is an ellipse, larger ones are closer to a bar.
    """

    present: Tensor
    center: Tensor
    radii: Tensor
    angle: Tensor
    power: Tensor

    def of(self, rows: Tensor) -> "Occluders":
        """The objects in front of some of the people.

        Args:
            rows: Indices of the people, or (B,) bool.
        """
        return Occluders(*(getattr(self, f.name)[rows] for f in fields(self)))

    def cover(self, x: Tensor, y: Tensor) -> Tensor:
        """Which points the objects cover.

        Args:
            x, y: (B, ...) coordinates in pixels of the crop, or broadcasting to that shape.

        Returns:
            (B, ...) bool.
        """
        spread = (slice(None), *(None,) * (max(x.ndim, y.ndim) - 1))
        u, v = x - self.center[:, 0][spread], y - self.center[:, 1][spread]
        cosine, sine, power = (t[spread] for t in (self.angle.cos(), self.angle.sin(), self.power))
        a, b = (radius[spread] for radius in self.radii.unbind(1))
        inside = ((cosine * u + sine * v) / a).abs() ** power + ((cosine * v - sine * u) / b).abs() ** power < 1
        return inside & self.present[spread]

    def pictures(self, size: tuple[int, int]) -> Tensor:
        """Masks of the pixels that the objects cover.

        Args:
            size: Width and height of the crops, pixels.

        Returns:
            (B, H, W) bool.
        """
        covered = torch.zeros(len(self.present), size[1], size[0], dtype=torch.bool, device=self.present.device)
        x, y = pixel_grid(size, self.center)
        covered[self.present] = self.of(self.present).cover(x[None], y[None])
        return covered


def draw_occluders(streams: Streams, box: Tensor, share: float) -> Occluders:
    """Draw objects at random places in the people's boxes.

    Args:
        streams: One random stream per person.
        box: (B, 4) boxes x0, y0, x1, y1 around the people, pixels.
        share: Probability that a person has an object in front.
    """
    extent = box[:, 2:] - box[:, :2]
    center = box[:, :2] + streams.uniform(2).to(box) * extent
    radii = streams.uniform(2, low=0.06, high=0.28).to(box) * extent.amax(1, keepdim=True)
    angle, power = streams.uniform(high=math.pi).to(box), 2 + 8 * streams.whole(2).to(box)
    return Occluders(streams.happens(share).to(box.device), center, radii, angle, power)


def pixel_grid(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates of a picture, which broadcast against each other.

    Args:
        size: Width and height, pixels.
        like: A tensor of the wanted type and device.

    Returns:
        x (1, W) and y (H, 1).
    """
    x = torch.arange(size[0], dtype=like.dtype, device=like.device)
    y = torch.arange(size[1], dtype=like.dtype, device=like.device)
    return x[None], y[:, None]
