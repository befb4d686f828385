"""Heatmaps of joints: drawing Gaussians, and reading places from maps by their highest cell or their mean.

:func:`picture_values` is what the networks that make heatmaps see of a picture.

A map has one number for each cell of a picture (H, W) or of a volume (D, H, W). Places are in the coordinates of the
crop, whose edges are -1 and 1, in the order x, y or x, y, z, while the axes of a map are in the order (z,) y, x. The
centre of cell i of N lies at (2 i + 1) / N - 1, so that maps of every size share one system of coordinates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_centres(count: int, like: Tensor | None = None) -> Tensor:
    """The places of N cells along an axis whose edges are -1 and 1.

    Args:
        count: N.
        like: A tensor whose type and device are taken. Default: float32 on the CPU.

    Returns:
        (N,).

    Example:
        >>> from meshrec.models.heatmaps import cell_centres
        >>> cell_centres(4).tolist()
        [-0.75, -0.25, 0.25, 0.75]
    """
    like = torch.empty(0) if like is None else like
    return (2 * torch.arange(count, dtype=like.dtype, device=like.device) + 1) / count - 1


def gaussian_maps(places: Tensor, sizes: Sequence[int], deviation: float = 1.0) -> Tensor:
    """Draw a Gaussian around each place, with a height of 1 at the place itself (Tompson et al. 2014).

    Args:
        places: (..., D) places, D = 2 or 3. Outside the map only the tail that reaches into it is drawn.
        sizes: The map's D numbers of cells in the order of its axes, (H, W) or (D, H, W).
        deviation: Standard deviation in cells.

    Returns:
        (..., *sizes).

    Raises:
        ValueError: The numbers of coordinates and of axes differ.

    Example:
        >>> import torch
        >>> from meshrec.models.heatmaps import gaussian_maps
        >>> gaussian_maps(torch.tensor([0.25, -0.75]), (4, 4))[0].round(decimals=3)
        tensor([0.1350, 0.6070, 1.0000, 0.6070])
    """
    if places.shape[-1] != len(sizes):
        raise ValueError(f"places of {places.shape[-1]} coordinates cannot be drawn into maps of {len(sizes)} axes")
    maps = places.new_ones(places.shape[:-1])
    for size, place in zip(sizes, places.flip(-1).unbind(-1)):  # the first axis is y or z, and x is the last
        cells = (cell_centres(size, places) - place[..., None]) * (size / 2)
        along = torch.exp(-cells.square() / (2 * deviation**2))
        maps = maps[..., None] * along.reshape(*place.shape, *[1] * (maps.dim() - place.dim()), size)
    return maps


def segment_maps(starts: Tensor, ends: Tensor, sizes: Sequence[int], deviation: float = 1.0) -> Tensor:
    """Draw a Gaussian of the distance to each segment, with a height of 1 along it: maps of limbs.

    Args:
        starts, ends: (..., 2) places of the segments' ends.
        sizes: The map's numbers of cells (H, W).
        deviation: Standard deviation in cells.

    Returns:
        (..., H, W).

    Example:
        >>> import torch
        >>> from meshrec.models.heatmaps import segment_maps
        >>> segment_maps(torch.tensor([-0.75, 0.25]), torch.tensor([0.25, 0.25]), (4, 4))[2].round(decimals=3)
        tensor([1.0000, 1.0000, 1.0000, 0.6070])
    """
    scale = starts.new_tensor([sizes[1], sizes[0]]) / 2
    y, x = torch.meshgrid(*(cell_centres(size, starts) for size in sizes), indexing="ij")
    cells = torch.stack([x, y], dim=-1) * scale
    start, along = (values[..., None, None, :] * scale for values in (starts, ends - starts))
    share = ((cells - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-9)
    nearest = start + share.clamp(0, 1)[..., None] * along
    return torch.exp(-(cells - nearest).square().sum(-1) / (2 * deviation**2))


def argmax_places(maps: Tensor, axes: int = 2, quarter: bool = False) -> Tensor:
    """The centres of the highest cells.

    Args:
        maps: (..., H, W), or (..., D, H, W) for three axes.
        axes: Number of axes of a map.
        quarter: Move each coordinate by a quarter of a cell towards the higher one of the two cells beside it, as
            Newell et al. 2016 (section 3.3) do; cells at the edge stay.

    Returns:
        (..., axes) places in the order x, y(, z).

    Example:
        >>> import torch
        >>> from meshrec.models.heatmaps import argmax_places, gaussian_maps
        >>> argmax_places(gaussian_maps(torch.tensor([0.3, -0.7]), (4, 4)))
        tensor([ 0.2500, -0.7500])
    """
    sizes, flat = maps.shape[-axes:], maps.flatten(-axes)
    rest, places = flat.argmax(-1), []
    stride = 1
    for axis in reversed(range(axes)):  # x first
        size = sizes[axis]
        index = rest // stride % size
        moved = (2 * index.to(maps.dtype) + 1) / size - 1
        if quarter:
            inside = (index > 0) & (index < size - 1)
            step = torch.where(inside, stride, 0)
            above, below = (flat.gather(-1, (rest + sign * step)[..., None])[..., 0] for sign in (1, -1))
            moved = moved + torch.sign(above - below) * (0.25 * 2 / size)
        places.append(moved)
        stride *= size
    return torch.stack(places, dim=-1)


def soft_argmax(logits: Tensor, axes: int = 2) -> Tensor:
    """The mean places under the maps' softmax, which have derivatives (Sun et al. 2018, equation 2).

    Args:
        logits: (..., H, W), or (..., D, H, W) for three axes: logarithms of what is proportional to a probability.
        axes: Number of axes of a map.

    Returns:
        (..., axes) places in the order x, y(, z).

    Example:
        >>> import torch
        >>> from meshrec.models.heatmaps import gaussian_maps, soft_argmax
        >>> soft_argmax(gaussian_maps(torch.tensor([0.3, -0.2]), (32, 32)).log())
        tensor([ 0.3000, -0.2000])
    """
    chances = logits.flatten(-axes).softmax(-1).unflatten(-1, logits.shape[-axes:])
    places = []
    for axis in range(-1, -axes - 1, -1):
        others = [other for other in range(-axes, 0) if other != axis]
        along = chances.sum(others) if others else chances
        places.append(along @ cell_centres(logits.shape[axis], logits))
    return torch.stack(places, dim=-1)


def picture_values(image: Tensor) -> Tensor:
    """What networks see of pictures: numbers of mean about 0 and standard deviation about 1.

    Args:
        image: (B, 3, S, S) uint8 RGB.

    Returns:
        (B, 3, S, S) float32, channels last in memory, in which convolutions on a CPU are faster.
    """
    return ((image.float() - 115) / 64).contiguous(memory_format=torch.channels_last)
