"""Projections of joints whose place in front of the camera is not known."""

import torch


def best_projections(points: torch.Tensor, places: torch.Tensor, focal: torch.Tensor) -> torch.Tensor:
    """Projections (B, K, 2) of points after the translation that brings them nearest to places, by least squares.

    From x = f (X + tx) / (Z + tz) follows f tx - x tz = x Z - f X.
    """
    shape = points.shape[:2]
    f = focal[:, None].expand(shape)
    zero, (x, y) = torch.zeros(shape), places.unbind(-1)
    rows = torch.cat([torch.stack([f, zero, -x], -1), torch.stack([zero, f, -y], -1)], dim=1)
    right = torch.cat([x * points[..., 2] - f * points[..., 0], y * points[..., 2] - f * points[..., 1]], dim=1)
    moved = points + torch.linalg.lstsq(rows, right[..., None]).solution.mT
    return f[..., None] * moved[..., :2] / moved[..., 2:]
