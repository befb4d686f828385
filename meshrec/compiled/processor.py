"""Which processor this is."""

import platform
from functools import cache
from pathlib import Path

INFORMATION = Path("/proc/cpuinfo")  # Linux gives the name here only


@cache
def processor_name() -> str:
    """The name of the processor as its maker gives it, or of its family."""
    lines = INFORMATION.read_text().splitlines() if INFORMATION.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def is_intel() -> bool:
    """Whether Intel made the processor, for which MKL, torch's library for products of matrices, is written."""
    return "intel" in processor_name().lower()
