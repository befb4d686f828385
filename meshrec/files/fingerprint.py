"""What a file was when it was read, so that a later run can tell whether it is still the same."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from meshrec.files.regular import open_regular


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


def read_fingerprinted(path: str | Path, most_bytes: int) -> tuple[bytes, Fingerprint]:
    """The content of a regular file, and its fingerprint, which is of this content even if the file is just changing.

    Raises:
        InputError: It is no regular file, or larger than ``most_bytes``.
        OSError: There is no such file, or it may not be read.
    """
    with open_regular(path, most_bytes) as file:
        status = os.fstat(file.fileno())  # before the content: a later change gives the file other times
        data = file.read(min(status.st_size, most_bytes))
    digest = hashlib.sha256(data).hexdigest()
    return data, Fingerprint(digest, len(data), status.st_mtime_ns, status.st_ctime_ns)


def is_unchanged(path: str | Path, fingerprint: Fingerprint, most_bytes: int) -> bool:
    """Whether a file still has the content of a fingerprint. It is read only if its times, but not its size, differ.

    Raises:
        InputError, OSError: As for :func:`read_fingerprinted`.
    """
    status = os.stat(path)
    if status.st_size != fingerprint.size:
        return False
    if (status.st_mtime_ns, status.st_ctime_ns) == (fingerprint.modified, fingerprint.changed):
        return True
    return read_fingerprinted(path, most_bytes)[1].sha256 == fingerprint.sha256
