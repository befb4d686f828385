"""Batches of a training by their number: a piece of each source, in the sources' proportions.

All samples of a training stand in one endless row; batch s of all ranks together is its next piece. So a batch is a
function of (seed, number, rank), whoever makes it, and a training goes on at any batch.
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
from meshrec.training.pieces import Piece, joined
from meshrec.training.sources import Source

PREFETCHED = 4  # batches that each worker makes ahead


@dataclass(frozen=True, eq=False)
class Mixture(Dataset):
    """Batches of one rank.

    Attributes:
        sources: Where samples come from.
        proportions: One for each; only their ratios count.
        batch_size: Of one rank.
        rank, ranks: Which process this is, of how many.
        made: Numbers of the sources that are asked; the others' share of the batches is made elsewhere. None is all.
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
        """The batch of this number as a single piece; without any where none of it is made here."""
        first = (number * self.ranks + self.rank) * self.batch_size
        rows = enumerate(zip(self._before(first), self._before(first + self.batch_size)))
        asked = range(len(self.sources)) if self.made is None else self.made
        # Sums of several threads differ in their last digits from those of one, which is what workers have.
        with at_most_threads(1):
            pieces = [self.sources[i](range(*places)) for i, places in rows if i in asked and len(range(*places))]
        return [joined(pieces)] if pieces else []

    def _before(self, place: int) -> list[int]:
        """How many samples of each source stand before a place of the row."""
        rounds, within = divmod(place, PATTERN)
        counts = [np.bincount(part, minlength=len(self.sources)) for part in (self.pattern, self.pattern[:within])]
        return [int(count) for count in rounds * counts[0] + counts[1]]


class Loader:
    """Batches in their order, made ahead by other processes, and how long the training had to wait for them.

    Args:
        mixture: What makes them.
        first: Number of the first one.
        count: Number after the last one.
        workers: Processes that make them, 0 for none.
        pin_memory: Put them where copies to a GPU are fastest.

    Attributes:
        waited: Seconds, but for the first batch, when the workers start.
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
        """Batches fetched one ahead: every tensor of one is a question to the process that made it, and takes time."""
        pieces = iter(self._loader)
        with ThreadPoolExecutor(1) as fetching:
            coming = fetching.submit(next, pieces, None)
            while (piece := coming.result()) is not None:
                coming = fetching.submit(next, pieces, None)
                yield piece


@contextmanager
def at_most_threads(count: int) -> Iterator[None]:
    """Torch uses no more threads than these meanwhile, and one at least."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, count)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _use_one_thread(worker: int) -> None:
    """Workers are as many as there are cores to use: threads of their own would only get in each other's way."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
