"""Peak memory of a function in a process of its own. It can be measured on Linux only."""

import ctypes
import multiprocessing
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")


def can_measure_memory() -> bool:
    """Whether this system records the peak memory of a process."""
    return _STATUS.exists()


def peak_megabytes(prepare: Callable[..., Callable[[], object]], *arguments: object) -> float:
    """Measure by how much a function raises the memory of a fresh process at its peak.

    Args:
        prepare: a function at the top level of a module, which returns the function to measure. Memory that ``prepare``
            itself allocates does not count.
        arguments: arguments of ``prepare``, which must be picklable.

    Returns:
        Megabytes.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (prepare, arguments))


def _measure(prepare: Callable[..., Callable[[], object]], arguments: tuple) -> float:
    work = prepare(*arguments)
    if give_back := getattr(ctypes.CDLL(None), "malloc_trim", None):  # else the work may use what is free already
        give_back(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the recorded peak
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A memory figure of this process, kB.

    Args:
        field: its name in ``/proc/self/status``.
    """
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
