"""Heatmaps against SciPy's Gaussians, numpy's argmax, and Gaussians whose mean is known."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from meshrec.models.heatmaps import argmax_places, cell_centres, gaussian_maps, segment_maps, soft_argmax

SIZES = {2: (5, 8), 3: (6, 5, 8)}


@pytest.mark.parametrize("axes", [2, 3])
def test_gaussians_are_those_of_scipy(axes):
    sizes = SIZES[axes]
    places = torch.rand(3, axes, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2.4 - 1.2
    maps = gaussian_maps(places, sizes, 1.5)
    cells = np.stack(np.meshgrid(*(np.arange(size) for size in sizes), indexing="ij"), -1)
    for place, drawn in zip(places.numpy(), maps.numpy()):
        mean = (place[::-1] + 1) / 2 * sizes - 0.5
        normal = multivariate_normal(mean, 1.5**2 * np.eye(axes))
        np.testing.assert_allclose(drawn, normal.pdf(cells) / normal.pdf(mean), atol=1e-12)


def test_segments_are_the_largest_of_many_gaussians_along_them():
    generator = torch.Generator().manual_seed(4)
    starts, ends = (2 * torch.rand(3, 2, generator=generator, dtype=torch.float64) - 1 for _ in range(2))
    points = starts + torch.linspace(0, 1, 501, dtype=torch.float64)[:, None, None] * (ends - starts)
    many = gaussian_maps(points, SIZES[2], 1.2).amax(0)
    torch.testing.assert_close(segment_maps(starts, ends, SIZES[2], 1.2), many, atol=1e-4, rtol=0)
    point = segment_maps(starts, starts, SIZES[2])
    torch.testing.assert_close(point, gaussian_maps(starts, SIZES[2]))


@pytest.mark.parametrize("axes", [2, 3])
def test_argmax_is_the_centre_of_the_highest_cell(axes):
    sizes = SIZES[axes]
    maps = torch.rand(2, 4, *sizes, generator=torch.Generator().manual_seed(1))
    for found, one in zip(argmax_places(maps, axes).flatten(0, 1), maps.flatten(0, 1)):
        index = np.unravel_index(int(one.argmax()), sizes)
        expected = [cell_centres(size)[i] for size, i in zip(sizes, index)][::-1]
        torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("axes", [2, 3])
def test_a_quarter_of_a_cell_lowers_the_error_by_half(axes):
    """The error of a cell's centre is uniform in half a cell to each side: a mean of a quarter; after it, an eighth."""
    places = torch.rand(4000, axes, generator=torch.Generator().manual_seed(2)) * 1.4 - 0.7
    maps = gaussian_maps(places, (16,) * axes)
    plain, moved = ((argmax_places(maps, axes, quarter) - places).abs().mean().item() * 8 for quarter in (False, True))
    assert abs(plain - 1 / 4) < 0.01 and abs(moved - 1 / 8) < 0.01


def test_a_highest_cell_at_the_edge_stays():
    maps = gaussian_maps(torch.tensor([[1.2, -1.2]]), (8, 8))
    torch.testing.assert_close(argmax_places(maps, quarter=True), torch.tensor([[0.875, -0.875]]))


@pytest.mark.parametrize("axes", [2, 3])
def test_the_mean_of_a_gaussian_is_its_place(axes):
    places = torch.rand(5, axes, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.5
    maps = gaussian_maps(places, (32, 24, 28)[:axes], 1.5)
    torch.testing.assert_close(soft_argmax(maps.log(), axes), places, atol=1e-4, rtol=0)
    logits = torch.randn(2, *(4, 3, 5)[:axes], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: soft_argmax(values, axes), logits)


def test_coordinates_and_axes_must_be_as_many():
    with pytest.raises(ValueError, match="2 coordinates"):
        gaussian_maps(torch.zeros(1, 2), (4, 4, 4))
