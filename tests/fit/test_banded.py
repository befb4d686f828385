"""Banded systems against dense ones."""

import pytest
import torch

from meshrec.fit.banded import banded_cholesky


def banded(count: int, band: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A random positive definite banded matrix as blocks, and dense."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(count, band + 1, size, size, generator=generator, dtype=torch.float64)
    lower = torch.zeros(count * size, count * size, dtype=torch.float64)
    for t in range(count):
        for k in range(min(band + 1, count - t)):
            lower[(t + k) * size : (t + k + 1) * size, t * size : (t + 1) * size] = root[t, k]
    dense = lower @ lower.T + torch.eye(count * size, dtype=torch.float64)
    blocks = torch.zeros(count, band + 1, size, size, dtype=torch.float64)
    for t in range(count):
        for k in range(min(band + 1, count - t)):
            blocks[t, k] = dense[(t + k) * size : (t + k + 1) * size, t * size : (t + 1) * size]
    return blocks, dense


@pytest.mark.parametrize("count, band, size", [(1, 2, 3), (2, 2, 4), (9, 2, 5), (7, 1, 3), (6, 3, 2)])
def test_solutions_and_variances_are_those_of_the_dense_matrix(count, band, size):
    blocks, dense = banded(count, band, size)
    right = torch.randn(count, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    factor = banded_cholesky(blocks)
    solved = torch.linalg.solve(dense, right.flatten())
    assert torch.allclose(factor.solve(right).flatten(), solved, rtol=1e-9, atol=1e-12)
    inverse = torch.linalg.inv(dense).view(count, size, count, size)
    expected = torch.stack([inverse[t, :, t] for t in range(count)])
    assert torch.allclose(factor.variances(), expected, rtol=1e-9, atol=1e-12)


def test_a_matrix_that_is_not_positive_definite_has_no_factor():
    blocks, _ = banded(4, 2, 3)
    blocks[2, 0] -= 100 * torch.eye(3, dtype=torch.float64)
    assert banded_cholesky(blocks) is None


def test_blocks_beyond_the_last_row_are_not_read():
    blocks, _ = banded(4, 2, 3)
    spoilt = blocks.clone()
    spoilt[3, 1:], spoilt[2, 2] = torch.nan, torch.nan
    right = torch.ones(4, 3, dtype=torch.float64)
    assert torch.equal(banded_cholesky(spoilt).solve(right), banded_cholesky(blocks).solve(right))
