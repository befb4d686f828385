"""Random numbers for batches, with a separate stream for each sample and purpose.

So sample i of a seed does not depend on the batch in which it is drawn or on the number of workers, and the numbers
drawn for one purpose do not shift those for another.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Streams:
    """A random generator for each of B samples. Each method draws from all of them.

    Args:
        seed: Seed of the data set.
        indices: Numbers of the B samples in it.
        purpose: Name of what the numbers are for; streams of different purposes are independent.
    """

    def __init__(self, seed: int, indices: Sequence[int], purpose: str) -> None:
        name = crc32(purpose.encode())
        self._generators = [np.random.default_rng((seed, int(index), name)) for index in indices]

    def __len__(self) -> int:
        return len(self._generators)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high), (B, *shape) float32."""
        return low + (high - low) * self._draw(lambda g, s: g.random(s, np.float32), shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (B, *shape) float32."""
        return self._draw(lambda g, s: g.standard_normal(s, np.float32), shape)

    def tails(self, freedom: int, *shape: int) -> Tensor:
        """Factors (B, *shape) that turn standard normal numbers into numbers of Student's t.

        Args:
            freedom: Degrees of freedom of Student's t.
            *shape: Shape of a sample's numbers.
        """
        return (freedom / self.normal(*shape, freedom).square().sum(-1)).sqrt()

    def happens(self, share: float, *shape: int) -> Tensor:
        """Booleans (B, *shape) that are true with probability ``share``."""
        return self.uniform(*shape) < share

    def whole(self, stop: int, *shape: int) -> Tensor:
        """Uniform integers in [0, stop), (B, *shape) int64."""
        return self._draw(lambda g, s: g.integers(stop, size=s), shape)

    def pick(self, shares: Sequence[float]) -> Tensor:
        """Choose among outcomes.

        Args:
            shares: Probabilities of the outcomes. If their sum is below 1, the rest is the probability of outcome -1.

        Returns:
            (B,) int64.
        """
        edges = torch.tensor(shares, dtype=torch.float64).cumsum(0).float()
        chosen = torch.searchsorted(edges, self.uniform(), right=True)
        return torch.where(chosen < len(shares), chosen, -1)

    def _draw(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        draws = [draw(generator, shape) for generator in self._generators]
        return torch.from_numpy(np.stack(draws)) if draws else torch.zeros(0)


class BatchStream(Streams):
    """One random generator for the whole batch: much faster, but samples depend on the batch in which they are drawn.

    Args:
        count: Number of samples in the batch.
        seed: Numbers that identify the batch, such as the data set's seed, the step and the process.
        purpose: As in :class:`Streams`.
    """

    def __init__(self, count: int, seed: Sequence[int], purpose: str) -> None:
        self._count = count
        self._generator = np.random.default_rng((*seed, crc32(purpose.encode())))

    def __len__(self) -> int:
        return self._count

    def _draw(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(draw(self._generator, (self._count, *shape)))
