"""Where the files in an uncompressed tar are: a reader of headers that no header can lead astray.

The formats are those of POSIX (ustar, and pax with its extended headers) and of GNU tar, with long names. Each header
is read where the one before it ends, so that reading ends at the latest with the file. Sparse files are refused.
"""

import io
from pathlib import Path
from typing import BinaryIO

from meshrec.errors import InputError
from meshrec.files.regular import open_regular, regular_size

BLOCK = 512  # bytes of a header, to whose multiples contents are filled up
MOST_BYTES = 1 << 40  # of a tar, which is never read as a whole
MOST_HEADER_BYTES = 1 << 20  # of an extended header or a long name
REGULAR, LONG_NAME, EXTENDED, SPARSE = (b"\0", b"0", b"7"), b"L", b"x", b"S"

Place = tuple[int, int]  # first byte and length of a file


def tar_members(path: Path) -> dict[str, Place]:
    """Locate the regular files in an uncompressed tar.

    Returns:
        Names to first byte and length in bytes.

    Raises:
        InputError: The file is not an uncompressed tar, or is cut short.
    """
    try:
        size = regular_size(path, MOST_BYTES)
        with open_regular(path, MOST_BYTES) as file:
            return _members(file, size)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not an uncompressed tar, or cut short ({reason}).") from error


def read_member(path: Path, member: Place, most_bytes: int) -> io.BytesIO:
    """Read one file of a tar.

    Args:
        path: The tar.
        member: First byte and length, as :func:`tar_members` found them.
        most_bytes: Limit of the length.

    Raises:
        InputError: It is longer, or the tar cannot be read.
    """
    start, length = member
    if length > most_bytes:
        raise InputError(f"{path}: a file in it has more than {most_bytes >> 20} MiB.")
    try:
        with open_regular(path, MOST_BYTES) as file:
            file.seek(start)
            return io.BytesIO(file.read(length))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error


def _members(file: BinaryIO, size: int) -> dict[str, Place]:
    members: dict[str, Place] = {}
    at = 0
    said: dict[str, str] = {}  # by the headers before a file of what does not fit into its own
    while at < size:
        file.seek(at)
        header = file.read(BLOCK)
        if not any(header):
            break
        _check_sum(header)
        kind = header[156:157]
        length = int(said.pop("size", "") or _number(header[124:136]))
        content = at + BLOCK
        if length < 0 or content + length > size:
            raise ValueError("a file in it is longer than the tar")
        at = content + -(-length // BLOCK) * BLOCK
        if kind in (LONG_NAME, EXTENDED):
            if length > MOST_HEADER_BYTES:
                raise ValueError("a name in it is too long")
            data = file.read(length)
            said |= {"path": _text(data)} if kind == LONG_NAME else _extended(data)
            continue
        if kind == SPARSE or any(key.startswith("GNU.sparse.") for key in said):
            raise ValueError("a file in it is sparse")
        if kind in REGULAR and not (name := said.get("path") or _name(header)).endswith("/"):
            members[name] = content, length
        said = {}
    return members


def _check_sum(header: bytes) -> None:
    """Raise a ValueError if a header is none: it tells the sum of its bytes, its own eight counted as spaces."""
    if len(header) < BLOCK or _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise ValueError("a header is damaged")


def _number(field: bytes) -> int:
    """A number in octal digits or, with the highest bit set, in bytes."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    if not all(digit in b"01234567" for digit in digits):
        raise ValueError("a number in it is damaged")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    """The name in a header, with the folder that ustar keeps apart."""
    name, folder = _text(header[:100]), _text(header[345:500])
    return f"{folder}/{name}" if header[257:263] == b"ustar\0" and folder else name


def _extended(data: bytes) -> dict[str, str]:
    """The records ``length key=value`` of an extended header, in which the length is that of the record."""
    records = {}
    while data.strip(b"\0"):
        digits, space, _ = data[:20].partition(b" ")
        if not space or not digits.isdigit() or not len(digits) + 1 < int(digits) <= len(data):
            raise ValueError("an extended header is damaged")
        key, _, value = data[len(digits) + 1 : int(digits)].rstrip(b"\n").partition(b"=")
        records[_text(key)] = _text(value)
        data = data[int(digits) :]
    size = records.get("size", "0")
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        raise ValueError("a size in it is no number")
    return records


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "surrogateescape")
