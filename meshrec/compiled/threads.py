"""Running compiled kernels over a batch on as many threads as torch uses.

The kernels release the interpreter's lock, so plain Python threads run them side by side. numba's own thread pools
would compete with torch's for the same cores.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch

from meshrec.errors import MeshrecError

Item = TypeVar("Item")

PARTS = 4
"""Parts of a batch for each thread: enough that a thread which is kept waiting delays the others little."""


def over_batch(
    kernel: Callable[..., None], batched: Sequence[np.ndarray], shared: Sequence[np.ndarray | float]
) -> None:
    """Call ``kernel(*batched, *shared)`` on parts of the batch, which idle threads take one after another.

    A thread that other programs keep from its core takes fewer parts, and one that has not begun when all parts are
    taken is not waited for.

    Args:
        kernel: A function compiled with ``nogil=True``, which writes its results into some of its arguments.
        batched: Arrays whose first axis is the batch.
        shared: Arrays that every part needs whole, and numbers.
    """
    size = len(batched[0])
    threads = min(torch.get_num_threads(), size)
    if threads <= 1:
        kernel(*batched, *shared)
        return
    bounds = np.linspace(0, size, min(size, PARTS * threads) + 1).astype(int)
    left = deque(pairwise(bounds.tolist()))

    def work() -> None:
        while left:
            try:
                start, stop = left.popleft()
            except IndexError:  # another thread was quicker
                return
            kernel(*[array[start:stop] for array in batched], *shared)

    helpers = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    work()
    for helper in helpers:
        if not helper.cancel():
            helper.result()


def over_items(job: Callable[[int], Item], count: int, own: int = 1) -> list[Item]:
    """``[job(0), ..., job(count - 1)]``, where each job spends its time in compiled kernels.

    Args:
        job: The work on one item.
        count: Number of items.
        own: Number of threads on which each job runs by itself; as many fewer jobs run at the same time.
    """
    threads = min(torch.get_num_threads() // own, count)
    if threads <= 1:
        return [job(i) for i in range(count)]
    return list(_pool(threads).map(job, range(count)))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="meshrec")


_using: list[int] = []
"""The process that first loaded what finds or fits people; one forked from it has this list, but not its threads."""


def require_own_threads() -> None:
    """Refuse to work in a process that was forked from one which has called this before.

    Native libraries believe there that their threads, which a fork does not copy, are still there, and wait for them
    for ever.

    Raises:
        MeshrecError: This is such a process.
    """
    if not _using:
        _using.append(os.getpid())
    if _using[0] != os.getpid():
        raise MeshrecError(
            "this process was forked from one that has loaded a detector or Reconstructor, whose threads it lacks; "
            "start it by multiprocessing.get_context('spawn'), or load them in the new processes only."
        )


if hasattr(os, "register_at_fork"):  # a forked process, such as a data loader's worker, has lost the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
