"""The outline silhouette with compiled loops. The method is described in :mod:`meshrec.render.silhouette`."""

from math import ceil, floor, hypot, inf

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled import compiled
from meshrec.parallel import over_items
from meshrec.render.edges import mesh_edges
from meshrec.render.numba_backend import box_of, edge_functions, faces_array, pixel_bounds, screen_array

TOUCH = 1e-7  # pixels: an outline this near to a pixel's centre runs through it


def outline(screen: Tensor, faces: Tensor, size: tuple[int, int], softness: float) -> Tensor:
    """Coverage (B, H, W), differentiable in ``screen``; contract of :func:`meshrec.render.torch_outline.outline`."""
    return _Outline.apply(screen, faces, size, softness)


class _Outline(torch.autograd.Function):
    @staticmethod
    def forward(ctx, screen, faces, size, softness):
        points, triangles = screen_array(screen), faces_array(faces)
        edges = mesh_edges(triangles)
        width, height = size
        coverage = torch.zeros(len(points), height, width, dtype=screen.dtype)
        pictures = coverage.numpy()
        ctx.slopes = over_items(lambda i: _draw(points[i], triangles, edges, softness, pictures[i]), len(points))
        ctx.like = screen
        return coverage.to(screen.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        upstream = np.ascontiguousarray(grad.cpu().numpy()).reshape(len(grad), -1)
        gradient = torch.zeros(ctx.like.shape, dtype=ctx.like.dtype)
        out = gradient.numpy()
        for i, (pixel, ends, slope) in enumerate(ctx.slopes):
            _push_back(upstream[i], pixel, ends, slope, out[i])
        return gradient.to(grad.device), None, None, None


@compiled
def _draw(points, faces, edges, softness, coverage):
    """Fill ``coverage`` (H, W), which starts at zero.

    Returns the N pixels on the ramp, the two vertices (N, 2) of their outline edge, and the derivative of their
    coverage with respect to the u and v of both (N, 4).
    """
    height, width = coverage.shape
    reach = softness / 2
    # Work in a window: the mesh's box and a margin. The margin goes beyond the picture too, because an outline just
    # outside counts, while the picture's own border is not an outline.
    margin = ceil(reach) + 1
    low_x, low_y, high_x, high_y = inf, inf, -inf, -inf
    for i in range(len(points)):
        if np.isfinite(points[i, 0] + points[i, 1]):
            low_x, high_x = min(low_x, points[i, 0]), max(high_x, points[i, 0])
            low_y, high_y = min(low_y, points[i, 1]), max(high_y, points[i, 1])
    if low_x > width - 1 + margin or high_x < -margin or low_y > height - 1 + margin or high_y < -margin:
        return np.empty(0, np.int64), np.empty((0, 2), np.int32), np.empty((0, 4))
    left, top = max(floor(low_x), 0) - margin, max(floor(low_y), 0) - margin
    columns = min(ceil(high_x), width - 1) + margin + 1 - left
    rows = min(ceil(high_y), height - 1) + margin + 1 - top
    shifted = np.empty((len(points), 2))
    for i in range(len(points)):
        shifted[i, 0], shifted[i, 1] = points[i, 0] - left, points[i, 1] - top

    mask = np.zeros((rows, columns), np.bool_)
    _fill(shifted, faces, mask)
    outline_edges, outward = _outline_edges(shifted, edges, mask)
    owner = _nearest(shifted, outline_edges, mask, reach)

    x0, x1 = max(-left, 0), min(width - left, columns)
    y0, y1 = max(-top, 0), min(height - top, rows)
    count = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            count += owner[y, x] >= 0
            if mask[y, x]:
                coverage[y + top, x + left] = 1
    pixel, ends, slope = np.empty(count, np.int64), np.empty((count, 2), np.int32), np.empty((count, 4))
    n = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            e = owner[y, x]
            if e < 0:
                continue
            a, b = outline_edges[e, 0], outline_edges[e, 1]
            t, dx, dy = _to_segment(shifted, a, b, x, y)
            distance = hypot(dx, dy)
            side = 1.0 if mask[y, x] else -1.0
            coverage[y + top, x + left] = 0.5 + side * distance / softness
            if distance > TOUCH:
                gx, gy = side * dx / distance, side * dy / distance
            else:
                gx, gy = outward[e, 0], outward[e, 1]
            pixel[n] = (y + top) * width + x + left
            ends[n, 0], ends[n, 1] = a, b
            slope[n, 0], slope[n, 1] = (1 - t) * gx / softness, (1 - t) * gy / softness
            slope[n, 2], slope[n, 3] = t * gx / softness, t * gy / softness
            n += 1
    return pixel, ends, slope


@compiled
def _fill(points, faces, mask):
    """Mark the pixels whose centre lies in a face."""
    rows, columns = mask.shape
    bounds = pixel_bounds(points)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = box_of(bounds, a, b, c, columns, rows)
        if x0 > x1 or y0 > y1:
            continue
        (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = edge_functions(points, a, b, c)
        for y in range(y0, y1 + 1):
            entered = False
            ra, rb, rc = va * y + oa, vb * y + ob, vc * y + oc
            for x in range(x0, x1 + 1):
                wa, wb, wc = ua * x + ra, ub * x + rb, uc * x + rc
                if min(wa, wb, wc) >= 0 and wa + wb + wc > 0:
                    entered = True
                    mask[y, x] = True
                elif entered:
                    break


@compiled
def _outline_edges(points, edges, mask):
    """The edges that bound the mask (N, 2), and their outward unit normals (N, 2).

    Among the edges where the surface folds or ends, those that are the outermost to cross some step between a pixel
    inside and its neighbour outside.
    """
    rows, columns = mask.shape
    folds = np.empty((len(edges), 2), np.int32)
    normals = np.empty((len(edges), 2))
    found = np.zeros(len(edges), np.bool_)
    count = 0
    # For the step from (x, y) to its right and to its lower neighbour: where it is crossed, and by which fold.
    place = np.empty((2, rows, columns))
    owner = np.full((2, rows, columns), -1, np.int32)
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        if not np.isfinite(ax + ay + bx + by):
            continue
        if max(ax, bx) < 0 or max(ay, by) < 0 or min(ax, bx) > columns - 1 or min(ay, by) > rows - 1:
            continue
        first, second = _side(points, ax, ay, bx, by, edges[e, 2]), _side(points, ax, ay, bx, by, edges[e, 3])
        if first * second < 0 or (np.isnan(first) and np.isnan(second)):
            continue
        length = hypot(bx - ax, by - ay)
        if length == 0:
            continue
        # The face lies where its third corner does, the outside opposite.
        inner = second if np.isnan(first) or first == 0 else first
        turn = -1.0 if inner > 0 else 1.0
        folds[count, 0], folds[count, 1] = a, b
        normals[count, 0], normals[count, 1] = turn * (ay - by) / length, turn * (bx - ax) / length
        _cross(ax, ay, bx, by, count, mask, place[0], owner[0])
        _cross(ay, ax, by, bx, count, mask.T, place[1].T, owner[1].T)
        count += 1
    for direction in range(2):
        for y in range(rows):
            for x in range(columns):
                if owner[direction, y, x] >= 0:
                    found[owner[direction, y, x]] = True
    return folds[:count][found[:count]], normals[:count][found[:count]]


@compiled
def _side(points, ax, ay, bx, by, c):
    """On which side of a -> b the vertex ``c`` lies: a signed area, NaN where there is no vertex."""
    if c < 0:
        return np.nan
    return (bx - ax) * (points[c, 1] - ay) - (by - ay) * (points[c, 0] - ax)


@compiled
def _cross(ax, ay, bx, by, fold, mask, place, owner):
    """Enter a fold where it crosses a step, along a row, between inside and outside, if it is the outermost there."""
    rows, columns = mask.shape
    for y in range(ceil(max(min(ay, by), 0.0)), floor(min(max(ay, by), rows - 1.0)) + 1):
        if ay == by:
            return
        x = ax + (y - ay) * (bx - ax) / (by - ay)
        if not 0 <= x <= columns - 1:
            continue
        for i in range(max(ceil(x - 1 - TOUCH), 0), min(floor(x + TOUCH), columns - 2) + 1):
            if mask[y, i] == mask[y, i + 1]:
                continue
            outer = owner[y, i] < 0 or (x > place[y, i] if mask[y, i] else x < place[y, i])
            if outer:
                place[y, i] = x
                owner[y, i] = fold


@compiled
def _nearest(points, outline_edges, mask, reach):
    """The nearest outline edge within ``reach`` of each pixel, or -1."""
    rows, columns = mask.shape
    squared = np.full((rows, columns), reach * reach)
    owner = np.full((rows, columns), -1, np.int32)
    for e in range(len(outline_edges)):
        a, b = outline_edges[e, 0], outline_edges[e, 1]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        x0, x1 = ceil(max(min(ax, bx) - reach, 0.0)), floor(min(max(ax, bx) + reach, columns - 1.0))
        y0, y1 = ceil(max(min(ay, by) - reach, 0.0)), floor(min(max(ay, by) + reach, rows - 1.0))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                _, dx, dy = _to_segment(points, a, b, x, y)
                near = dx * dx + dy * dy
                # An edge may run on behind or in front of other faces: only its stretch along the mask's rim counts.
                if near < squared[y, x] and _on_rim(mask, x + dx, y + dy):
                    squared[y, x] = near
                    owner[y, x] = e
    return owner


@compiled
def _to_segment(points, a, b, x, y):
    """From (x, y) to the nearest point a + t (b - a) of a segment: t, and the way there."""
    ax, ay = points[a, 0] - x, points[a, 1] - y
    ex, ey = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    t = min(max(-(ax * ex + ay * ey) / (ex * ex + ey * ey), 0.0), 1.0)
    return t, ax + t * ex, ay + t * ey


@compiled
def _on_rim(mask, x, y):
    """Whether the pixel centres around a point lie partly in the mask and partly not."""
    rows, columns = mask.shape
    inside = outside = False
    for j in range(max(floor(y - TOUCH), 0), min(ceil(y + TOUCH), rows - 1) + 1):
        for i in range(max(floor(x - TOUCH), 0), min(ceil(x + TOUCH), columns - 1) + 1):
            inside |= mask[j, i]
            outside |= not mask[j, i]
    return inside and outside


@compiled
def _push_back(upstream, pixel, ends, slope, gradient):
    """Add each ramp pixel's gradient to its edge's two vertices in ``gradient`` (V, 3)."""
    for n in range(len(pixel)):
        g = upstream[pixel[n]]
        for k in range(2):
            gradient[ends[n, k], 0] += g * slope[n, 2 * k]
            gradient[ends[n, k], 1] += g * slope[n, 2 * k + 1]
