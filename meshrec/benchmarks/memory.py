"""Peak memory of one piece of work, in a process of its own; Linux only."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")


def can_measure_memory() -> bool:
    """Whether this system tells how much memory a process has used."""
    return _STATUS.exists()


def peak_megabytes(prepare: Callable[..., Callable[[], object]], *arguments: object) -> float:
    """How much more memory work takes at its peak than its process held before it.

    Args:
        prepare: a function of a module, which makes the work; its own memory and what it loads do not count.
        arguments: for it; they must be picklable.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (prepare, arguments))


def _measure(prepare: Callable[..., Callable[[], object]], arguments: tuple) -> float:
    work = prepare(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A memory figure of this process in kB."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
