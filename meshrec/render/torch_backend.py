"""The torch backend: rasterisation in plain torch on any device, the default on a GPU."""

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 2**22  # candidate pixels that are processed together


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre.

    Args:
        screen: (B, V, 3) u, v in pixels and depth in metres; a face with a NaN corner is left out.
        faces: (F, 3) int64 vertex indices.
        size: (W, H) pixels.
        perspective: Whether 1 / depth, rather than depth, is linear on the screen.

    Returns:
        (B, H, W) int32: the nearest face, the first among equals, or -1.
    """
    width, height = size
    corners = as_double(screen).index_select(1, faces.T.flatten()).view(len(screen), 3, len(faces), 3)
    x, y, z = corners.permute(3, 1, 0, 2).flatten(2)  # (3, B F) each: three corners of every face
    if perspective:
        z = -1 / z
    # Twice the areas of the triangles that a pixel forms with the edges, as linear functions u x + v y + o of the pixel
    # (Pineda 1988).
    (xb, yb), (xc, yc) = (torch.stack([x.roll(-k, 0), y.roll(-k, 0)]) for k in (1, 2))
    side = ((x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])).sign()
    planes = torch.cat([yb - yc, xc - xb, xb * yc - yb * xc]) * side

    nearest = torch.full((len(screen) * height * width,), torch.iinfo(torch.int64).max, device=screen.device)
    low, high = (
        torch.stack([min_of_three(x), min_of_three(y)], -1).ceil(),
        -torch.stack([min_of_three(-x), min_of_three(-y)], -1).ceil(),
    )
    for i, column, row in pixels_in(low, high, size):
        plane = gather_columns(planes, i)
        weights = plane[:3] * column + (plane[3:6] * row + plane[6:])
        total = weights.sum(0)
        inside = ((min_of_three(weights) >= 0) & (total > 0)).nonzero().squeeze(-1)
        i = i[inside]
        order = (gather_columns(weights, inside) * gather_columns(z, i)).sum(0) / total[inside]
        pixel = row[inside] * width + column[inside]
        if len(screen) > 1:
            pixel, i = pixel + i // len(faces) * (height * width), i % len(faces)
        nearest.scatter_reduce_(0, pixel, sort_key(order, i), "amin")
    return index_of_key(nearest).int().view(len(screen), height, width)


def gather_columns(rows: Tensor, index: Tensor) -> Tensor:
    """``rows[:, index]``, (R, M) of (R, N), but several times faster."""
    return rows.gather(1, index.expand(len(rows), -1))


def min_of_three(rows: Tensor) -> Tensor:
    """The smallest of three rows (3, N), NaN where any is NaN: many times faster than ``amin``."""
    return torch.minimum(torch.minimum(rows[0], rows[1]), rows[2])


def as_double(screen: Tensor) -> Tensor:
    """The screen coordinates in float64, so that all backends decide alike; unchanged on MPS, which has no float64."""
    return screen.detach() if screen.device.type == "mps" else screen.detach().double()


def pixels_in(low: Tensor, high: Tensor, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """List the pixels of many boxes, clipped to a picture.

    Args:
        low, high: (N, 2) first and last column and row of each box, whole numbers; a NaN makes the box empty.
        size: (W, H) of the picture, pixels.

    Yields:
        The box, column and row of each pixel, (M,) int64 each: at most CHUNK at a time unless one box alone is larger.
    """
    limit = low.new_tensor(size) - 1
    usable = (low <= limit).all(-1) & (high >= 0).all(-1) & (low <= high).all(-1)  # false for NaN
    box = usable.nonzero().squeeze(-1)
    low = low[box].clamp_min(0).long()
    columns, rows = (torch.minimum(high[box], limit).long() - low + 1).unbind(-1)
    counts = columns * rows
    ends = counts.cumsum(0)
    start = 0
    while start < len(box):
        done = int(ends[start - 1]) if start else 0
        stop = max(int(torch.searchsorted(ends, done + CHUNK, right=True)), start + 1)
        count = counts[start:stop]
        i = torch.repeat_interleave(count) + start
        place = torch.arange(len(i), device=low.device) - (ends[i] - counts[i] - done)
        yield box[i], low[i, 0] + place % columns[i], low[i, 1] + place // columns[i]
        start = stop


def sort_key(value: Tensor, index: Tensor) -> Tensor:
    """One int64 per pair, which sorts by ``value``, rounded to float32, and then by ``index`` < 2^32."""
    bits = value.float().view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # as integers, negative floats run backwards
    return (bits.long() << 32) | index


def index_of_key(key: Tensor) -> Tensor:
    """The index in each :func:`sort_key`, or -1 where the key is the largest int64, which stands for none."""
    return torch.where(key == torch.iinfo(torch.int64).max, -1, key & 0xFFFFFFFF)
