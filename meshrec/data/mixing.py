"""Mixes datasets in given proportions.

The mixture is one endless sequence of samples; batches are consecutive parts of it. A periodic pattern assigns each
place of the sequence to a dataset. Each dataset is visited in a new random order in every epoch of its own. The sample
at a place depends only on the seed and the place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from meshrec.data.augmentation import Augmentation, augment
from meshrec.data.occluders import Occluder
from meshrec.data.sample import Batch, Sample, Samples, collate, cut
from meshrec.errors import InputError

PATTERN = 1000  # period of the pattern, by which proportions are kept to a thousandth


@dataclass(frozen=True, eq=False)
class MixedSamples:
    """An endless sequence of samples of several datasets.

    Attributes:
        datasets: The datasets, none of them empty.
        proportions: Proportions of the datasets, above 0; only their ratios count.
        resolution: Side of the crops in pixels.
        joints: Joint set of the labels.
        augmentation: Strengths of the augmentation; None leaves samples as they are.
        occluders: Objects that the augmentation pastes; without any, random shapes are drawn.
        seed: Seed of order and augmentation.
        pattern: (1000,) the dataset at each place of a period.

    Raises:
        InputError: A dataset is empty, or the proportions do not fit the datasets.
    """

    datasets: Sequence[Samples]
    proportions: Sequence[float]
    resolution: int = 224
    joints: str = "union55"
    augmentation: Augmentation | None = None
    occluders: Sequence[Occluder] = ()
    seed: int = 0
    pattern: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.proportions):
            raise InputError(f"{len(self.datasets)} datasets need as many proportions, not {len(self.proportions)}.")
        if empty := [number for number, dataset in enumerate(self.datasets) if not len(dataset)]:
            raise InputError(f"dataset {empty[0]} of the mixture is empty.")
        object.__setattr__(self, "pattern", spread(self.proportions))

    def batch(self, places: range) -> Batch:
        """The samples at these places of the sequence, as a batch."""
        return collate([self._sample(place) for place in places], self.joints)

    def drawn(self, place: int) -> tuple[int, int]:
        """The number of the dataset at a place, and the index of the sample in it."""
        rounds, within = divmod(place, PATTERN)
        number = int(self.pattern[within])
        own = self.pattern == number
        position = rounds * int(own.sum()) + int(own[:within].sum())
        size = len(self.datasets[number])
        epoch, offset = divmod(position, size)
        return number, int(order(self.seed, number, epoch, size)[offset])

    def _sample(self, place: int) -> Sample:
        number, index = self.drawn(place)
        sample = self.datasets[number][index]
        if self.augmentation is None:
            return cut(sample, self.resolution)
        rng = np.random.default_rng((self.seed, place))
        return augment(sample, self.resolution, self.augmentation, rng, self.occluders)


def spread(proportions: Sequence[float]) -> np.ndarray:
    """Spread datasets over a period as evenly as possible, so that any part of it has nearly the right proportions.

    Each place goes to the dataset that is furthest behind its share. Every dataset gets at least one place.

    Args:
        proportions: Proportions of the datasets; only their ratios count.

    Returns:
        (1000,) numbers of datasets.

    Raises:
        InputError: A proportion is not a number above 0.
    """
    shares = np.asarray(proportions, float)
    if not len(shares) or not np.isfinite(shares).all() or (shares <= 0).any():
        raise InputError(f"proportions must be numbers above 0, not {', '.join(str(p) for p in proportions)}.")
    shares = np.maximum(shares / shares.sum(), 1 / PATTERN)
    shares = shares / shares.sum()
    given = np.zeros(len(shares))
    pattern = np.empty(PATTERN, np.int64)
    for place in range(PATTERN):
        pattern[place] = np.argmax(shares * (place + 1) - given)
        given[pattern[place]] += 1
    return pattern


@lru_cache(maxsize=16)
def order(seed: int, dataset: int, epoch: int, size: int) -> np.ndarray:
    """The random order in which an epoch visits a dataset.

    Args:
        seed: Seed of the mixture.
        dataset: Number of the dataset in it.
        epoch: Number of the epoch.
        size: Number of samples in the dataset.

    Returns:
        (size,) a permutation.
    """
    return np.random.default_rng((seed, dataset, epoch, 1)).permutation(size)
