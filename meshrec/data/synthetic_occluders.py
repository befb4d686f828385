"""What hides people from the camera: things in front of them, and the photo's edge."""

import math

import torch
from torch import Tensor

from meshrec.data.streams import Streams


def occluders(streams: Streams, box: Tensor, size: tuple[int, int], share: float) -> Tensor:
    """Something in front of this share of people: an ellipse or a rounded bar across their box.

    Args:
        streams: One for each person.
        box: (B, 4) around the people, pixels.
        size: (W, H) of the crops.
        share: Of people hidden in part.

    Returns:
        (B, H, W) bool.
    """
    middle = streams.uniform(2).to(box)
    radii = streams.uniform(2, low=0.06, high=0.28).to(box)
    angle, power = streams.uniform(high=math.pi).to(box), 2 + 8 * streams.whole(2).to(box)
    present = streams.happens(share).to(box.device).nonzero().squeeze(-1)

    box, angle, power = box[present], angle[present, None, None], power[present, None, None]
    extent = box[:, 2:] - box[:, :2]
    center = box[:, :2] + middle[present] * extent
    a, b = (radii[present] * extent.amax(1, keepdim=True))[..., None, None].unbind(1)
    x, y = pixel_grid(size, box)
    u, v = x - center[:, 0, None, None], y - center[:, 1, None, None]
    cosine, sine = angle.cos(), angle.sin()
    inside = ((cosine * u + sine * v) / a).abs() ** power + ((cosine * v - sine * u) / b).abs() ** power < 1
    covered = torch.zeros(len(streams), size[1], size[0], dtype=torch.bool, device=box.device)
    covered[present] = inside
    return covered


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
