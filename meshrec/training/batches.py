"""Batches of a training, in which each source has its proportion, and their loader.

All samples of a training form one endless sequence, of which the batches with number s on all ranks together are a
consecutive part. So a batch is a function of seed, number and rank, whichever process makes it, and a training can be
resumed at any batch.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from meshrec.data.mixing import PATTERN, spread
from meshrec.training.pieces import Piece, Source, joined

PREFETCHED = 4  # number of batches that each worker makes ahead


@dataclass(frozen=True, eq=False)
class Mixture(Dataset):
    """The batches of one rank.

    Attributes:
        sources: The sources of samples.
        proportions: Proportions of the sources; only their ratios count.
        batch_size: Number of samples in a batch of one rank.
        rank: Rank of this training process.
        ranks: Number of training processes.
        made: Indices of the sources from which samples are made here; None is all. The samples of the other sources
            are made elsewhere.
        pattern: (1000,) the source at each place of a period of the sequence.
    """

    sources: Sequence[Source]
    proportions: Sequence[float]
    batch_size: int
    rank: int = 0
    ranks: int = 1
    made: frozenset[int] | None = None
    pattern: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", spread(self.proportions))

    def __getitem__(self, number: int) -> list[Piece]:
        """The part of a batch that is made here, as one piece, or no piece if there is none."""
        first = (number * self.ranks + self.rank) * self.batch_size
        rows = enumerate(zip(self._before(first), self._before(first + self.batch_size)))
        asked = range(len(self.sources)) if self.made is None else self.made
        # Workers have one thread, and sums over several threads differ from theirs in the last digits.
        with at_most_threads(1):
            pieces = [self.sources[i](range(*places)) for i, places in rows if i in asked and len(range(*places))]
        return [joined(pieces)] if pieces else []

    def _before(self, place: int) -> list[int]:
        """The number of samples of each source before a place of the sequence."""
        rounds, within = divmod(place, PATTERN)
        counts = [np.bincount(part, minlength=len(self.sources)) for part in (self.pattern, self.pattern[:within])]
        return [int(count) for count in rounds * counts[0] + counts[1]]


class Loader:
    """Loads batches in order, which worker processes make ahead, and measures how long the training waits for them.

    Args:
        mixture: Makes the batches.
        first: Number of the first batch.
        count: Number after that of the last batch.
        workers: Number of worker processes; 0 makes batches in this process.
        pin_memory: Whether to put batches into page-locked memory, from which copies to a GPU are fastest.

    Attributes:
        waited: Seconds of waiting, without the wait for the first batch, which includes the start of the workers.
    """

    def __init__(self, mixture: Mixture, first: int, count: int, workers: int, pin_memory: bool) -> None:
        self.count, self.waited = count, 0.0
        self._loader = DataLoader(
            mixture,
            batch_size=None,
            sampler=range(first, count),
            num_workers=workers,
            prefetch_factor=PREFETCHED if workers else None,
            worker_init_fn=_use_one_thread,
            pin_memory=pin_memory,
        )

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[Piece]]:
        pieces, first = self._ahead() if self._loader.num_workers else iter(self._loader), True
        while True:
            begin = perf_counter()
            piece = next(pieces, None)
            if piece is None:
                return
            if not first:
                self.waited += perf_counter() - begin
            first = False
            yield piece

    def _ahead(self) -> Iterator[list[Piece]]:
        """Fetch batches from the workers in a thread, one ahead, because each tensor costs a message to its worker."""
        pieces = iter(self._loader)
        with ThreadPoolExecutor(1) as fetching:
            coming = fetching.submit(next, pieces, None)
            while (piece := coming.result()) is not None:
                coming = fetching.submit(next, pieces, None)
                yield piece


@contextmanager
def at_most_threads(count: int) -> Iterator[None]:
    """Limit torch to ``count`` threads, and at least one, inside the ``with`` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, count)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _use_one_thread(worker: int) -> None:
    """Limit a worker to one thread: there is a worker for each core to use, and more threads would compete for them."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
