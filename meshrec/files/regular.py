"""Regular files up to a size: pipes, devices and files without end are refused before they are read."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from meshrec.errors import InputError

SPARE_BYTES = 64 << 20  # that any compressed file may unpack to
MOST_TIMES = 32  # its own size; deflate packs zeros to a thousandth, real tables seldom to a tenth


def regular_size(path: str | Path, most_bytes: int) -> int:
    """Number of bytes of a regular file.

    Raises:
        InputError: The path leads to something else than a file or folder, or the file has more than ``most_bytes``.
        OSError: There is no such file.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # opening a folder is an OSError
        raise InputError(f"{path} is no regular file, but a pipe, a device or a socket.")
    if status.st_size > most_bytes:
        raise InputError(f"{path}: the file has more than {most_bytes >> 20} MiB.")
    return status.st_size


def open_regular(path: str | Path, most_bytes: int) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        InputError: As for :func:`regular_size`.
        OSError: There is no such file, it is a folder, or it may not be read.
    """
    regular_size(path, most_bytes)
    return open(path, "rb", opener=_without_waiting)


def most_unpacked(stored: int, most_bytes: int) -> int:
    """Number of bytes that a compressed file may unpack to, so that a small one cannot take much memory.

    Args:
        stored: Number of bytes of the file.
        most_bytes: Limit for files of any size.

    Example:
        >>> from meshrec.files.regular import most_unpacked
        >>> most_unpacked(1_000_000, 2 << 30) >> 20, most_unpacked(1 << 30, 2 << 30) >> 20
        (94, 2048)
    """
    return min(most_bytes, SPARE_BYTES + MOST_TIMES * stored)


def read_regular(path: str | Path, most_bytes: int) -> bytes:
    """The content of a regular file; arguments and errors are those of :func:`open_regular`."""
    with open_regular(path, most_bytes) as file:
        return file.read(min(os.fstat(file.fileno()).st_size, most_bytes))


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, even if a pipe has taken its place meanwhile, which would wait until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
