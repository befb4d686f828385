"""Linear systems over time: symmetric matrices of blocks, of which only those near the diagonal are not zero.

The unknowns of a frame are one block. Terms that couple up to W + 1 consecutive frames leave W blocks below each
diagonal one, so that factoring costs time and memory in proportion to the number of frames (Golub & Van Loan 2013,
Matrix Computations, section 4.3.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BandedFactor:
    """The lower Cholesky factor L of a banded matrix.

    Attributes:
        blocks: (T, W + 1, P, P), of which ``blocks[t, k]`` is the block of L in block row t + k and block column t.
    """

    blocks: Tensor

    def solve(self, right: Tensor) -> Tensor:
        """Solve A x = b.

        Args:
            right: (T, P) b, or (T, P, N) of several.

        Returns:
            x of the same shape.
        """
        count, band = len(self.blocks), self.blocks.shape[1]
        x = right.clone().view(*right.shape[:2], -1)
        for t in range(count):
            x[t] = torch.linalg.solve_triangular(self.blocks[t, 0], x[t], upper=False)
            reach = min(band, count - t)
            x[t + 1 : t + reach] -= self.blocks[t, 1:reach] @ x[t]
        for t in reversed(range(count)):
            reach = min(band, count - t)
            x[t] -= (self.blocks[t, 1:reach].mT @ x[t + 1 : t + reach]).sum(0)
            x[t] = torch.linalg.solve_triangular(self.blocks[t, 0].mT, x[t], upper=True)
        return x.view(right.shape)

    def variances(self) -> Tensor:
        """The diagonal blocks (T, P, P) of A's inverse, without its other blocks outside the band (Takahashi 1973)."""
        count, band, size = self.blocks.shape[:3]
        inverse = torch.zeros_like(self.blocks)  # the same blocks as those of L
        eye = torch.eye(size, dtype=self.blocks.dtype)
        for t in reversed(range(count)):
            reach = min(band, count - t) - 1
            own = torch.linalg.solve_triangular(self.blocks[t, 0], eye, upper=False)
            inverse[t, 0] = own.T @ own
            if reach:
                levers = self.blocks[t, 1 : reach + 1] @ own
                # The inverse's blocks among the rows below, which the band holds.
                below = own.new_empty(reach, size, reach, size)
                for k in range(reach):
                    for m in range(k + 1):
                        below[k, :, m] = inverse[t + 1 + m, k - m]
                        below[m, :, k] = inverse[t + 1 + m, k - m].T
                beside = -below.reshape(reach * size, -1) @ levers.reshape(-1, size)
                inverse[t, 1 : reach + 1] = beside.view(reach, size, size)
                inverse[t, 0] -= levers.reshape(-1, size).T @ beside
        return inverse[:, 0]


def banded_cholesky(blocks: Tensor) -> BandedFactor | None:
    """Factor a symmetric positive definite banded matrix A.

    Args:
        blocks: (T, W + 1, P, P), of which ``blocks[t, k]`` is the block of A in block row t + k and block column t.
            Blocks beyond the last row are not read.

    Returns:
        The factor, or None if the matrix is not positive definite.

    Example:
        >>> import torch
        >>> from meshrec.fit.banded import banded_cholesky
        >>> # 2 on the diagonal and -1 next to it, as five blocks of one number
        >>> blocks = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).repeat(5, 1, 1, 1)
        >>> banded_cholesky(blocks).solve(torch.ones(5, 1)).flatten().round(decimals=3).tolist()
        [2.5, 4.0, 4.5, 4.0, 2.5]
    """
    lower = blocks.clone()
    count, band, size = lower.shape[:3]
    for t in range(count):
        factor, failed = torch.linalg.cholesky_ex(lower[t, 0])
        if failed:
            return None
        lower[t, 0] = factor
        reach = min(band, count - t) - 1
        if not reach:
            continue
        panel = lower[t, 1 : reach + 1].reshape(-1, size)
        panel = torch.linalg.solve_triangular(factor.T, panel, upper=True, left=False)
        lower[t, 1 : reach + 1] = panel.view(reach, size, size)
        product = (panel @ panel.T).view(reach, size, reach, size)
        for column in range(reach):
            for row in range(column, reach):
                lower[t + 1 + column, row - column] -= product[row, :, column]
    return BandedFactor(lower)
