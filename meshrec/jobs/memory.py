"""Memory that a process has freed but not given back."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back_memory() -> None:
    """Give memory that is free inside the process back to the system, where the C library is glibc.

    Tensors that come and go between others that stay leave holes in glibc's heap, which otherwise grows with the length
    of a clip: by 0.11 MB a frame, although no more is in use. It takes a few milliseconds. Elsewhere it does nothing.

    Example:
        >>> from meshrec.jobs.memory import give_back_memory
        >>> give_back_memory()
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
