"""Random numbers for batches, in which every sample has a stream of its own.

Sample i of seed s is the same whatever batch it is drawn in and however many workers there are; and what one purpose
draws does not shift the numbers of another.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


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
        return low + (high - low) * self._draw(lambda g, s: g.random(s, np.float32), shape)

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) float32, standard normal."""
        return self._draw(lambda g, s: g.standard_normal(s, np.float32), shape)

    def tails(self, freedom: int, *shape: int) -> Tensor:
        """(B, *shape) factors that turn standard normal numbers into those of Student's t."""
        return (freedom / self.normal(*shape, freedom).square().sum(-1)).sqrt()

    def happens(self, share: float, *shape: int) -> Tensor:
        """(B, *shape) bool, true in this share of cases."""
        return self.uniform(*shape) < share

    def whole(self, stop: int, *shape: int) -> Tensor:
        """(B, *shape) int64 in [0, stop)."""
        return self._draw(lambda g, s: g.integers(stop, size=s), shape)

    def pick(self, shares: Sequence[float]) -> Tensor:
        """(B,) int64: which of several outcomes, with these probabilities; what they lack to one is outcome -1."""
        edges = torch.tensor(shares, dtype=torch.float64).cumsum(0).float()
        chosen = torch.searchsorted(edges, self.uniform(), right=True)
        return torch.where(chosen < len(shares), chosen, -1)

    def _draw(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        draws = [draw(generator, shape) for generator in self._generators]
        return torch.from_numpy(np.stack(draws)) if draws else torch.zeros(0)


class BatchStream(Streams):
    """The same from one generator for the whole batch: much cheaper, but a sample depends on the batch it is in.

    Args:
        count: Samples in the batch.
        seed: Numbers that tell this batch from all others, such as the data set's seed, the step and the process.
        purpose: As for :class:`Streams`.
    """

    def __init__(self, count: int, seed: Sequence[int], purpose: str) -> None:
        self._count = count
        self._generator = np.random.default_rng((*seed, crc32(purpose.encode())))

    def __len__(self) -> int:
        return self._count

    def _draw(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(draw(self._generator, (self._count, *shape)))
