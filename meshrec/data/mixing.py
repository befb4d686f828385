"""Several datasets in one endless row, each in its proportion, from which batches are cut.

A short pattern says from which dataset each place of the row is drawn; each dataset is gone through in a new random
order in every epoch of its own. What stands at a place follows from the seed and the place alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from meshrec.data.augmentation import Augmentation, augment
from meshrec.data.occluders import Occluder
from meshrec.data.sample import Batch, Sample, Samples, collate, cut
from meshrec.errors import InputError

PATTERN = 1000  # places after which the pattern repeats: proportions are kept to a thousandth


@dataclass(frozen=True, eq=False)
class MixedSamples:
    """The row.

    Attributes:
        datasets: What readers return.
        proportions: One for each; only their ratios count.
        resolution: Side of the crops in pixels.
        joints: The joint set of the labels.
        augmentation: None leaves samples as they are.
        occluders: For the augmentation; without any, shapes are drawn.
        seed: Of order and augmentation.
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
            raise InputError(f"dataset {empty[0]} of those to mix holds nobody.")
        object.__setattr__(self, "pattern", spread(self.proportions))

    def batch(self, places: range) -> Batch:
        """The samples that stand at these places."""
        return collate([self._sample(place) for place in places], self.joints)

    def drawn(self, place: int) -> tuple[int, int]:
        """Which dataset, and which of its samples, stands at a place."""
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
    """Numbers of datasets, (1000,), each in its proportion and as evenly as can be: in every piece of the row too.

    The next place goes to whichever dataset is furthest behind its due. Every dataset has at least one place.

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
    """The order in which a dataset is gone through in one of its epochs."""
    return np.random.default_rng((seed, dataset, epoch, 1)).permutation(size)
