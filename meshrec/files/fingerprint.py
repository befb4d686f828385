"""What a file was when it was read, so that a later run can tell whether it is still the same."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from meshrec.files.regular import open_regular

BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Fingerprint:
    """A file at the moment at which its content was read.

    Attributes:
        sha256: Hash of the content, in hexadecimal digits.
        size: Length of the content, bytes.
        modified: Time of the content's last change, nanoseconds since 1970.
        changed: Time of the last change of content, name or owner, which no program can set back; nanoseconds.
    """

    sha256: str
    size: int
    modified: int
    changed: int


def fingerprint_of(file: BinaryIO) -> Fingerprint:
    """The fingerprint of an open file, which is read from its beginning, and put back there."""
    status = os.fstat(file.fileno())  # before the content: a later change gives the file other times
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while size < status.st_size and (block := file.read(min(BLOCK, status.st_size - size))):
        digest.update(block)
        size += len(block)
    file.seek(0)
    return Fingerprint(digest.hexdigest(), size, status.st_mtime_ns, status.st_ctime_ns)


def has_changed(file: BinaryIO, fingerprint: Fingerprint) -> bool:
    """Whether the content of an open file has been changed since its fingerprint was taken."""
    status = os.fstat(file.fileno())
    return (status.st_size, status.st_mtime_ns) != (fingerprint.size, fingerprint.modified)


def is_unchanged(path: str | Path, fingerprint: Fingerprint, most_bytes: int) -> bool:
    """Whether a file still has the content of a fingerprint. It is read only if its times, but not its size, differ.

    Raises:
        InputError: It is no regular file, or larger than ``most_bytes``.
        OSError: There is no such file, or it may not be read.
    """
    status = os.stat(path)
    if status.st_size != fingerprint.size:
        return False
    if (status.st_mtime_ns, status.st_ctime_ns) == (fingerprint.modified, fingerprint.changed):
        return True
    with open_regular(path, most_bytes) as file:
        return fingerprint_of(file).sha256 == fingerprint.sha256
