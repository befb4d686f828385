"""Regular files up to a size: pipes, devices and files without end are refused before they are read."""

import os
import stat
from pathlib import Path

from meshrec.errors import InputError


def regular_size(path: Path, most_bytes: int) -> int:
    """Number of bytes of a regular file.

    Raises:
        InputError: The path leads to something else than a file or folder, or the file has more than ``most_bytes``.
        OSError: There is no such file.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # opening a folder is an OSError
        raise InputError(f"{path} is no regular file")
    if status.st_size > most_bytes:
        raise InputError(f"{path}: the file has more than {most_bytes >> 20} MiB")
    return status.st_size


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        InputError: As for :func:`regular_size`.
        OSError: There is no such file, or it may not be read.
    """
    size = regular_size(path, most_bytes)
    with open(path, "rb") as file:
        return file.read(size)
