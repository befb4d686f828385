"""Random numbers for batches, in which every sample has a stream of its own.

Sample i of seed s is the same whatever batch it is drawn in and however many workers there are; and what one purpose
draws does not shift the numbers of another.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor


class Streams:
    """One generator for each sample of a batch; every method draws once from each.

    Args:
        seed: Of the whole data set.
        indices: Numbers of the samples.
        purpose: What the numbers are for; different purposes are independent of each other.
    """

    def __init__(self, seed: int, indices: Sequence[int], purpose: str) -> None:
        name = crc32(purpose.encode())
        self._generators = [np.random.default_rng((seed, int(index), name)) for index in indices]

    def __len__(self) -> int:
        return len(self._generators)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(B, *shape) float32 in [low, high)."""
        return low + (high - low) * self._stack([g.random(shape, np.float32) for g in self._generators])

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) float32, standard normal."""
        return self._stack([g.standard_normal(shape, np.float32) for g in self._generators])

    def happens(self, share: float, *shape: int) -> Tensor:
        """(B, *shape) bool, true in this share of cases."""
        return self.uniform(*shape) < share

    def whole(self, stop: int, *shape: int) -> Tensor:
        """(B, *shape) int64 in [0, stop)."""
        return self._stack([g.integers(stop, size=shape) for g in self._generators])

    def pick(self, shares: Sequence[float]) -> Tensor:
        """(B,) int64: which of several outcomes, with these probabilities; what they lack to one is outcome -1."""
        edges = torch.tensor(shares, dtype=torch.float64).cumsum(0).float()
        chosen = torch.searchsorted(edges, self.uniform(), right=True)
        return torch.where(chosen < len(shares), chosen, -1)

    @staticmethod
    def _stack(draws: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(draws)) if draws else torch.zeros(0)
