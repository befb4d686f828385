"""Timing on shared and noisy machines.

Candidates are timed in turn. Each time is a median over rounds, and each ratio is the median of the rounds' ratios.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call of one function.

    Attributes:
        median: Median over the rounds.
        low: The fastest round.
        high: The slowest round.
        rounds: All rounds, in their order.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]

    def ratio_to(self, other: "Timing") -> float:
        """How many times longer this took than ``other``, which was timed in the same rounds."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds))


def time_in_turn(candidates: Mapping[str, Callable[[], object]], seconds: float = 1.0) -> dict[str, Timing]:
    """Time functions in turn, A B A B ..., so that changes in the load of the machine affect all of them equally.

    Args:
        candidates: Functions by name. Each is called once before timing, to compile and to fill caches.
        seconds: Approximate time to spend on each; at least five rounds are run.

    Returns:
        The timing of each function, by name.
    """
    once = {}
    for name, function in candidates.items():
        function()
        once[name] = _seconds(function)
    calls = {name: max(1, round(0.01 / taken)) for name, taken in once.items()}
    slowest = max(calls[name] * taken for name, taken in once.items())
    rounds = max(5, min(100, round(seconds / slowest)))
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            taken[name].append(1e3 * _seconds(function, calls[name]) / calls[name])
    return {name: Timing(statistics.median(t), min(t), max(t), tuple(t)) for name, t in taken.items()}


def _seconds(function: Callable[[], object], calls: int = 1) -> float:
    """Elapsed time of several calls, seconds."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return time.perf_counter() - start
