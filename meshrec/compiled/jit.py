"""One decorator for compiled loops. Import this only from modules that are themselves imported when first needed."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile ``function`` with numba: threads run it in parallel (it releases the GIL), and it is cached on disk.

    The cache lies beside the source or, where that folder is read-only, in the user's cache folder or the one that
    NUMBA_CACHE_DIR names. Where nothing is writable the function is compiled anew in each process.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        return numba.njit(nogil=True)(function)
