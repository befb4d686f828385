"""Atomic writing: a file appears under its name whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from meshrec.errors import InputError

_HINTS = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


def write_file(path: str | os.PathLike, data: bytes) -> Path:
    """Write ``data`` so that ``path`` never holds half a file, not even after the process is killed.

    Missing folders are created; an existing file is replaced.

    Args:
        path: The file.
        data: Its content.

    Returns:
        The path.

    Raises:
        InputError: The path is a folder, the folder cannot be written to, or the disk is full. The old file, if there
            was one, is then still there.

    Example:
        >>> import tempfile
        >>> from meshrec.files import write_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_file(f"{folder}/new/note.txt", b"whole").read_text()
        'whole'
    """
    path = Path(path)
    with _temporary_name(path, path.parent) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(part, data)
        os.replace(part, path)
    return path


def require_writable(path: str | os.PathLike) -> None:
    """Check that a file can be written, before the work whose result it will hold. Nothing is left behind.

    Raises:
        InputError: :func:`write_file` would raise it.
    """
    path = Path(path)
    # Missing folders are only created when there is a file to put into them.
    there = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    with _temporary_name(path, there) as part:
        _create(part, b"")


@contextmanager
def _temporary_name(path: Path, folder: Path) -> Iterator[Path]:
    """A name in ``folder`` under which the content of ``path`` is written first; errors are reported as those of
    ``path``, and what is left under the name is deleted.
    """
    if os.path.isdir(path):
        raise InputError(f"cannot write {path}: it is a folder; name a file in it, such as {path / 'person.glb'}.")
    part = folder / f".{secrets.token_hex(8)}.part"
    try:
        yield part
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "choose another place")
        raise InputError(f"cannot write {path}: {error.strerror or error}; {hint}.") from error
    finally:
        with suppress(OSError):
            part.unlink()


def known_suffix(path: str | os.PathLike, known: Sequence[str]) -> str:
    """The suffix of ``path`` in lower case.

    Args:
        path: A file's path.
        known: The suffixes that are allowed, with their dots, in lower case.

    Raises:
        InputError: The suffix is none of ``known``.

    Example:
        >>> from meshrec.files import known_suffix
        >>> known_suffix("body.OBJ", (".obj", ".ply"))
        '.obj'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise InputError(f"{path}: the name must end in {' or '.join(known)}, which tells the format.")
    return suffix


def _create(part: Path, data: bytes) -> None:
    try:
        # On Linux the file has no name until it is complete, so that even kill -9 leaves nothing behind.
        descriptor = os.open(part.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            # The (unused) src_dir_fd makes Python call linkat(), which can follow the link in /proc.
            os.link(f"/proc/self/fd/{descriptor}", part, src_dir_fd=descriptor, follow_symlinks=True)
    except (AttributeError, OSError):  # other systems and some network disks have no files without a name
        part.write_bytes(data)
