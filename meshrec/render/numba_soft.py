"""SoftRas' silhouette with compiled loops. The formula is described in :mod:`meshrec.render.silhouette`."""

from math import ceil, exp, floor

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled import compiled
from meshrec.parallel import over_items
from meshrec.render.numba_backend import edge_functions, faces_array, screen_array


def soft_silhouette(
    screen: Tensor, faces: Tensor, size: tuple[int, int], sigma: float, reach: float, sliver: float
) -> Tensor:
    """Coverage (B, H, W); same contract as :func:`meshrec.render.torch_soft.soft_silhouette`."""
    return _Soft.apply(screen, faces, size, sigma, reach, sliver)


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx, screen, faces, size, *scale):
        ctx.points, ctx.triangles, ctx.scale = screen_array(screen), faces_array(faces), scale
        width, height = size
        ctx.empty = np.ones((len(ctx.points), height, width))
        over_items(lambda i: _draw(ctx.points[i], ctx.triangles, *scale, ctx.empty[i]), len(ctx.points))
        return 1 - torch.from_numpy(ctx.empty).to(screen)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        upstream = np.ascontiguousarray(grad.cpu().numpy(), dtype=np.float64)
        gradient = np.zeros_like(ctx.points)

        def job(i: int) -> None:
            _push_back(ctx.points[i], ctx.triangles, *ctx.scale, ctx.empty[i], upstream[i], gradient[i])

        over_items(job, len(ctx.points))
        return torch.from_numpy(gradient).to(grad), None, None, None, None, None


@compiled
def _draw(points, faces, sigma, reach, sliver, empty):
    """Multiply ``empty`` (H, W), the probability that no face is there, by that of each face."""
    rows, columns = empty.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = _box(points, a, b, c, reach, sliver, columns, rows)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                near, signed, _, _, _, _, _ = _to_face(points, a, b, c, x, y)
                if signed < 0 or near < reach * reach:
                    empty[y, x] *= _sigmoid(signed / sigma)


@compiled
def _push_back(points, faces, sigma, reach, sliver, empty, upstream, gradient):
    """Add the gradient of each face's corners to ``gradient`` (V, 3)."""
    rows, columns = empty.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = _box(points, a, b, c, reach, sliver, columns, rows)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                near, signed, p, q, t, dx, dy = _to_face(points, a, b, c, x, y)
                if signed < 0 or near < reach * reach:
                    # d coverage / d signed = -empty * sigmoid(-signed / sigma) / sigma, and signed = +-(dx^2 + dy^2).
                    g = -upstream[y, x] * empty[y, x] * _sigmoid(-signed / sigma) / sigma
                    g *= -2.0 if signed < 0 else 2.0
                    gradient[p, 0] += g * (1 - t) * dx
                    gradient[p, 1] += g * (1 - t) * dy
                    gradient[q, 0] += g * t * dx
                    gradient[q, 1] += g * t * dy


@compiled
def _box(points, a, b, c, reach, sliver, columns, rows):
    """First and last pixel column and row within reach of a triangle; none for slivers or where a corner is NaN."""
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    left, right = max(min(ax, bx, cx) - reach, 0.0), min(max(ax, bx, cx) + reach, columns - 1.0)
    top, bottom = max(min(ay, by, cy) - reach, 0.0), min(max(ay, by, cy) + reach, rows - 1.0)
    if not np.isfinite(area) or abs(area) <= sliver or left > right or top > bottom:
        return 0, -1, 0, -1
    return ceil(left), floor(right), ceil(top), floor(bottom)


@compiled
def _to_face(points, a, b, c, x, y):
    """From a pixel to the rim of a triangle.

    Returns the squared distance; the same, negative inside; the two vertices p and q of the nearest edge; the nearest
    point's place t on it; and the way there.
    """
    near, p, q, t, dx, dy = np.inf, a, b, 0.0, 0.0, 0.0
    for i, j in ((a, b), (b, c), (c, a)):
        px, py = points[i, 0] - x, points[i, 1] - y
        ex, ey = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        s = min(max(-(px * ex + py * ey) / (ex * ex + ey * ey), 0.0), 1.0)
        wx, wy = px + s * ex, py + s * ey
        if wx * wx + wy * wy < near:
            near, p, q, t, dx, dy = wx * wx + wy * wy, i, j, s, wx, wy
    (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = edge_functions(points, a, b, c)
    inside = min(ua * x + va * y + oa, ub * x + vb * y + ob, uc * x + vc * y + oc) > 0
    return near, -near if inside else near, p, q, t, dx, dy


@compiled
def _sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))
