"""Several datasets in every batch, each in its proportion, and the same batches however they are loaded.

All samples that a training ever sees stand in one endless row: step s of all ranks together takes the next piece of
it. A short pattern says from which dataset each place is drawn; each dataset is gone through in a new random order in
every epoch of its own. So a batch is a function of (seed, step, rank), two ranks see what one rank sees with batches
twice as large, and a training resumes at any step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from torch.utils.data import DataLoader, Dataset

from meshrec.data.augmentation import Augmentation, augment
from meshrec.data.occluders import Occluder
from meshrec.data.sample import Batch, Sample, Samples, collate, cut
from meshrec.errors import InputError

PATTERN = 1000  # places after which the pattern repeats: proportions are kept to a thousandth


@dataclass(frozen=True, eq=False)
class MixedBatches(Dataset):
    """Batches by step, for a data loader.

    Attributes:
        datasets: What readers return.
        proportions: One for each; only their ratios count.
        batch_size: Of one rank.
        resolution: Side of the crops in pixels.
        joints: The joint set of the labels.
        augmentation: None leaves samples as they are.
        occluders: For the augmentation; without any, shapes are drawn.
        seed: Of order and augmentation.
        rank, ranks: Which process this is, of how many.
        steps: How many there are.
    """

    datasets: Sequence[Samples]
    proportions: Sequence[float]
    batch_size: int
    resolution: int = 224
    joints: str = "union55"
    augmentation: Augmentation | None = None
    occluders: Sequence[Occluder] = ()
    seed: int = 0
    rank: int = 0
    ranks: int = 1
    steps: int = 1_000_000
    pattern: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.proportions):
            raise InputError(f"{len(self.datasets)} datasets need as many proportions, not {len(self.proportions)}.")
        if empty := [number for number, dataset in enumerate(self.datasets) if not len(dataset)]:
            raise InputError(f"dataset {empty[0]} of those to mix holds nobody.")
        object.__setattr__(self, "pattern", spread(self.proportions))

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        first = (step * self.ranks + self.rank) * self.batch_size
        return self.piece(range(first, first + self.batch_size))

    def piece(self, places: range) -> Batch:
        """The samples that stand at these places of the endless row."""
        return collate([self._sample(place) for place in places], self.joints)

    def _sample(self, place: int) -> Sample:
        number, index = self.drawn(place)
        sample = self.datasets[number][index]
        if self.augmentation is None:
            return cut(sample, self.resolution)
        rng = np.random.default_rng((self.seed, place))
        return augment(sample, self.resolution, self.augmentation, rng, self.occluders)

    def drawn(self, place: int) -> tuple[int, int]:
        """Which dataset, and which of its samples, stands at a place of the endless row."""
        rounds, within = divmod(place, PATTERN)
        number = int(self.pattern[within])
        own = self.pattern == number
        position = rounds * int(own.sum()) + int(own[:within].sum())
        size = len(self.datasets[number])
        epoch, offset = divmod(position, size)
        return number, int(order(self.seed, number, epoch, size)[offset])


def load_batches(batches: MixedBatches, workers: int = 0, first_step: int = 0, pin_memory: bool = False) -> DataLoader:
    """The batches from ``first_step`` on, made by ``workers`` processes, or by this one for 0."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_step, len(batches)),
        num_workers=workers,
        worker_init_fn=_use_one_thread,
        pin_memory=pin_memory,
    )


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


def _use_one_thread(worker: int) -> None:
    """Workers are as many as there are cores to use: OpenCV's own threads would only get in each other's way."""
    import cv2

    cv2.setNumThreads(0)
