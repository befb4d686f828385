"""SoftRas' silhouette in plain torch. The formula is described in :mod:`meshrec.render.silhouette`."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from meshrec.render.torch_backend import pixels_in


def soft_silhouette(
    screen: Tensor, faces: Tensor, size: tuple[int, int], sigma: float, reach: float, sliver: float
) -> Tensor:
    """Coverage by the product of all faces' sigmoids.

    Args:
        screen: (B, V, 3) u, v in pixels and depth; a face with a NaN corner is left out.
        faces: (F, 3) int64 vertex indices.
        size: (W, H) pixels.
        sigma: Sharpness, square pixels.
        reach: How far outside itself a face counts, pixels.
        sliver: Faces are left out if twice their area is at most this, square pixels.

    Returns:
        (B, H, W) in [0, 1], differentiable in ``screen``.
    """
    width, height = size
    corners = screen[..., :2][:, faces].flatten(0, 1)  # (B F, 3, 2)
    (ax, ay), (bx, by) = ((corners[:, i] - corners[:, 0]).detach().unbind(-1) for i in (1, 2))
    area = ax * by - ay * bx  # twice the signed area
    low, high = (corners.detach().amin(1) - reach).ceil(), (corners.detach().amax(1) + reach).floor()
    low = torch.where(area[:, None].abs() <= sliver, torch.inf, low)
    log_empty = screen.new_zeros(len(screen) * height * width)
    for i, column, row in pixels_in(low, high, size):
        triangle, centre = corners[i], torch.stack([column, row], -1).to(corners)
        start, end = triangle, triangle.roll(-1, 1)
        along, to = end - start, start - centre[:, None]
        with torch.no_grad():
            t = (-(to * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
            span = to[..., 0] * along[..., 1] - to[..., 1] * along[..., 0]
            inside = (span * area.sign()[i][:, None] > 0).all(-1)
        near = (to + t[..., None] * along).square().sum(-1).amin(-1)
        counts = (inside | (near.detach() < reach * reach)).nonzero().squeeze(-1)
        signed = torch.where(inside, -near, near)[counts]
        pixel = (((i // len(faces)) * height + row) * width + column)[counts]
        log_empty = log_empty.index_add(0, pixel, logsigmoid(signed / sigma))
    return 1 - log_empty.exp().view(len(screen), height, width)
