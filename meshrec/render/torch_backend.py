"""Rasterisation in plain torch: any device, the default on a GPU."""

import torch
from torch import Tensor

CHUNK = 2**22  # candidate pixels looked at together


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre.

    Args:
        screen: (B, V, 3) u, v in pixels and depth in metres; a face with a NaN corner is left out.
        faces: (F, 3) int64.
        size: (W, H) pixels.
        perspective: Whether 1 / depth, rather than depth, is linear on the screen.

    Returns:
        (B, H, W) int32: the nearest face, the first among equals, or -1.
    """
    width, height = size
    triangles = exact(screen)[:, faces].flatten(0, 1)  # (B F, 3, 3)
    x, y, z = triangles.unbind(-1)
    if perspective:
        z = -1 / z
    # Twice the areas that a pixel spans with the edges, as linear functions of the pixel (Pineda 1988).
    xb, yb, xc, yc = x.roll(-1, 1), y.roll(-1, 1), x.roll(-2, 1), y.roll(-2, 1)
    planes = torch.stack([yb - yc, xc - xb, xb * yc - yb * xc], dim=-1)  # (B F, 3 edges, 3)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0])
    planes = planes * area.sign()[:, None, None]

    nearest = torch.full((len(screen) * height * width,), torch.iinfo(torch.int64).max, device=screen.device)
    low, high = triangles[..., :2].amin(1).ceil(), triangles[..., :2].amax(1).floor()
    for i, column, row in pixels_in(low, high, size):
        weights = planes[i, :, 0] * column[:, None] + (planes[i, :, 1] * row[:, None] + planes[i, :, 2])
        total = weights.sum(-1)
        inside = ((weights >= 0).all(-1) & (total > 0)).nonzero().squeeze(-1)
        i = i[inside]
        order = (weights[inside] * z[i]).sum(-1) / total[inside]
        pixel = ((i // len(faces)) * height + row[inside]) * width + column[inside]
        nearest.scatter_reduce_(0, pixel, ranked(order, i % len(faces)), "amin")
    return winner(nearest).int().view(len(screen), height, width)


def exact(screen: Tensor) -> Tensor:
    """In float64, so that every backend decides alike, except where a device has none."""
    return screen.detach() if screen.device.type == "mps" else screen.detach().double()


def pixels_in(low: Tensor, high: Tensor, size: tuple[int, int]):
    """The pixels of many boxes, clipped to a picture.

    Args:
        low, high: (N, 2) first and last column and row of each box, whole numbers; a NaN makes it empty.
        size: (W, H) pixels.

    Yields:
        (box, column, row), each (M,) int64, at most CHUNK at a time unless one box alone is larger.
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


def ranked(value: Tensor, index: Tensor) -> Tensor:
    """One int64 per pair that sorts by ``value``, as float32, and then by ``index`` < 2^32."""
    bits = value.float().view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # as integers, negative floats run backwards
    return (bits.long() << 32) | index


def winner(rank: Tensor) -> Tensor:
    """The index inside the smallest :func:`ranked` number, or -1 where none has arrived."""
    return torch.where(rank == torch.iinfo(torch.int64).max, -1, rank & 0xFFFFFFFF)
