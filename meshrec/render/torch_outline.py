"""The outline silhouette in plain torch. The method is described in :mod:`meshrec.render.silhouette`."""

from math import ceil

import torch
from torch import Tensor

from meshrec.render.edges import mesh_edges
from meshrec.render.torch_backend import as_double, gather_columns, index_of_key, pixels_in, sort_key, visible_faces

TOUCH = 1e-7  # pixels: an outline this near to a pixel's centre runs through it


def outline(screen: Tensor, faces: Tensor, size: tuple[int, int], softness: float) -> Tensor:
    """Coverage by signed distance to the visible outline.

    Args:
        screen: (B, V, 3) u, v in pixels and depth; a face with a NaN corner is left out.
        faces: (F, 3) int64 vertex indices.
        size: (W, H) pixels.
        softness: Width of the ramp from 0 to 1, pixels.

    Returns:
        (B, H, W) in [0, 1], differentiable in ``screen``.
    """
    reach = softness / 2
    # The margin is there because an outline just outside the picture counts, while the picture's border is no outline.
    margin = ceil(reach) + 1
    points = as_double(screen)[..., :2] + margin
    wide = (size[0] + 2 * margin, size[1] + 2 * margin)
    flat = torch.cat([points, torch.zeros_like(points[..., :1])], dim=-1)
    mask = visible_faces(flat, faces, wide, perspective=False) >= 0

    ends, outward = _outline_edges(points, torch.tensor(mesh_edges(faces.int().cpu().numpy())).to(faces), mask)
    pixel, edge, t, way = _nearest(points, ends, mask, reach)
    distance = way.norm(dim=-1, keepdim=True)
    inside = mask.flatten()[pixel]
    side = inside.to(way.dtype)[:, None] * 2 - 1
    direction = torch.where(distance > TOUCH, side * way / distance.clamp_min(TOUCH), outward[edge])

    # The nearest point's position t on its edge and the direction to it may be held constant: moving them changes the
    # distance only to second order.
    corners = (screen[..., :2] + margin).flatten(0, 1).index_select(0, ends[edge].flatten()).view(-1, 2, 2)
    nearest = torch.lerp(corners[:, 0], corners[:, 1], t[:, None].to(corners.dtype))
    centre = torch.stack([pixel % wide[0], pixel // wide[0] % wide[1]], dim=-1)
    ramp = 0.5 + ((nearest - centre) * direction.to(nearest.dtype)).sum(-1) / softness
    coverage = mask.to(screen.dtype).flatten().index_copy(0, pixel, ramp).view(mask.shape)
    return coverage[:, margin:-margin, margin:-margin].contiguous()


def _outline_edges(points: Tensor, edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The edges that bound the mask, as pairs of indices into the flattened points (N, 2), and their outward unit
    normals (N, 2).

    They are those edges where the surface folds or ends that are the outermost to cross the step from some pixel inside
    the mask to its neighbour outside.
    """
    count = len(points)
    at = [gather_columns(axis, edges.T.flatten().clamp_min(0)).view(count, 4, len(edges)) for axis in points.unbind(-1)]
    (ax, ay), (bx, by), *opposite = ([axis[:, k] for axis in at] for k in range(4))  # (B, E) each
    dx, dy = bx - ax, by - ay
    first, second = (dx * (cy - ay) - dy * (cx - ax) for cx, cy in opposite)  # on which side the third corners lie
    second = torch.where(edges[:, 3] < 0, torch.nan, second)
    fold = ~(first * second < 0) & ~(first.isnan() & second.isnan()) & ((dx != 0) | (dy != 0))
    fold = fold & (dx + dy).isfinite()
    sample, e = fold.nonzero().unbind(-1)
    first, second, ax, ay, bx, by, dx, dy = (value[sample, e] for value in (first, second, ax, ay, bx, by, dx, dy))
    # The face lies on the side of its third corner, the outside on the other.
    inner = torch.where(first.isnan() | (first == 0), second, first)
    turn = torch.where(inner > 0, -1.0, 1.0) / torch.hypot(dx, dy)
    outward = torch.stack([-dy * turn, dx * turn], -1)

    found = _outermost(ax, ay, bx, by, sample, mask) | _outermost(ay, ax, by, bx, sample, mask.transpose(1, 2))
    ends = edges[e, :2] + (sample * points.shape[1])[:, None]
    return ends[found], outward[found]


def _outermost(ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor, sample: Tensor, mask: Tensor) -> Tensor:
    """Which folds from (ax, ay) to (bx, by) are the outermost to cross some step along a row from inside to outside.

    All arguments but the mask (B, H, W) are (N,), and so is the result.
    """
    _, rows, columns = mask.shape
    steps = torch.full(mask.shape, torch.iinfo(torch.int64).max, device=ax.device).flatten()
    low, high = torch.minimum(ay, by).ceil(), torch.maximum(ay, by).floor()
    level = ay == by
    first, last = (torch.stack([torch.zeros_like(low), y], -1) for y in (low.where(~level, torch.inf), high))
    for i, _, y in pixels_in(first, last, (1, rows)):
        x = ax[i] + (y - ay[i]) * (bx[i] - ax[i]) / (by[i] - ay[i])
        for left in ((x - 1 - TOUCH).ceil(), (x + TOUCH).floor()):  # two only where x is a whole number
            left = left.clamp(-1, columns).long()
            step = (sample[i] * rows + y) * columns + left
            fits = ((left >= 0) & (left < columns - 1) & (x >= 0) & (x <= columns - 1)).nonzero().squeeze(-1)
            inside, beyond = mask.flatten()[step[fits]], mask.flatten()[step[fits] + 1]
            fits = fits[inside != beyond]
            inwards = torch.where(mask.flatten()[step[fits]], left[fits] - x[fits], x[fits] - left[fits] - 1)
            steps.scatter_reduce_(0, step[fits], sort_key(inwards, i[fits]), "amin")
    found = torch.zeros(len(ax), dtype=torch.bool, device=ax.device)
    outermost = index_of_key(steps)
    found[outermost[outermost >= 0]] = True
    return found


def _nearest(points: Tensor, ends: Tensor, mask: Tensor, reach: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pixels (P,) within reach of an outline edge, the nearest edge (P,), the nearest point's position t on it
    (P,), and the vector from the pixel to that point (P, 2)."""
    _, rows, columns = mask.shape
    a, b = points.flatten(0, 1)[ends].unbind(1)
    sample = ends[:, 0] // points.shape[1]
    # A cell is the square between four pixel centres. The mask's boundary runs through the cells whose corners differ.
    corners = torch.stack([mask[:, :-1, :-1], mask[:, 1:, :-1], mask[:, :-1, 1:], mask[:, 1:, 1:]])
    rim = corners.any(0) & ~corners.all(0)
    best = torch.full((mask.numel(),), torch.iinfo(torch.int64).max, device=a.device)
    low, high = (torch.minimum(a, b) - reach).ceil(), (torch.maximum(a, b) + reach).floor()
    for i, x, y in pixels_in(low, high, (columns, rows)):
        centre = torch.stack([x, y], -1).to(a.dtype)
        _, way = _to_segment(a[i], b[i], centre)
        squared = way.square().sum(-1)
        near = (squared < reach * reach).nonzero().squeeze(-1)
        i, place, squared = i[near], (centre + way)[near], squared[near]
        # An edge may continue behind or in front of other faces: only its part on the mask's boundary counts.
        along_rim = torch.zeros_like(near, dtype=torch.bool)
        for dx in (-TOUCH, TOUCH):
            for dy in (-TOUCH, TOUCH):
                cx = (place[:, 0] + dx).floor().long().clamp(0, columns - 2)
                cy = (place[:, 1] + dy).floor().long().clamp(0, rows - 2)
                along_rim |= rim[sample[i], cy, cx]
        pixel = (sample[i] * rows + y[near]) * columns + x[near]
        best.scatter_reduce_(0, pixel[along_rim], sort_key(squared, i)[along_rim], "amin")
    edge = index_of_key(best)
    pixel = (edge >= 0).nonzero().squeeze(-1)
    edge = edge[pixel]
    t, way = _to_segment(a[edge], b[edge], torch.stack([pixel % columns, pixel // columns % rows], -1).to(a.dtype))
    return pixel, edge, t, way


def _to_segment(a: Tensor, b: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """The points a + t (b - a) of segments nearest to points: t (M,), and the vectors to them (M, 2)."""
    along = b - a
    t = (((point - a) * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    return t, a + t[:, None] * along - point
