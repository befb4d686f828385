"""Atomic writing: a file appears under its name whole or not at all."""

import errno
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from meshrec.errors import InputError

STALE = re.compile(r"\.[0-9a-f]{16}\.part")
"""Names of temporary files. A process that is killed between two steps leaves one, the next write removes it."""

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
    with reported_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_name(path, path.parent) as part, _create(part, data):
            os.replace(part, path)
    return path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside ``path``, for a file that is written little by little, such as a video.

    The temporary file takes the place of ``path`` when the block ends. After an error in the block it is removed, and
    what was at ``path`` stays. Missing folders are created.

    Args:
        path: The file.

    Yields:
        The name of an empty file that may be opened and written.

    Raises:
        InputError: As for :func:`write_file`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from meshrec.files.atomic import replacing
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/note.txt") as part:
        ...         _ = part.write_text("whole")
        ...     Path(f"{folder}/note.txt").read_text()
        'whole'
    """
    path = Path(path)
    with ExitStack() as stack:
        with reported_writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = stack.enter_context(_temporary_name(path, path.parent))
            stack.enter_context(_create(part, b""))
        yield part
        with reported_writing(path):
            os.replace(part, path)


def require_writable(path: str | os.PathLike) -> None:
    """Check that a file can be written, before the work whose result it will hold. Nothing is left behind.

    Raises:
        InputError: :func:`write_file` would raise it.
    """
    path = Path(path)
    with reported_writing(path):
        # Missing folders are only created when there is a file to put into them.
        there = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        with _temporary_name(path, there) as part, _create(part, b""):
            pass


@contextmanager
def _temporary_name(path: Path, folder: Path) -> Iterator[Path]:
    """A name in ``folder`` under which the content of ``path`` is written first. What is left under it in the end, or
    was left under such a name by a program that was killed, is removed; what another program is writing stays.
    """
    mark = "." + hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]  # for a name that must not be long
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.name.startswith(mark)]:
            if STALE.fullmatch(name):
                with suppress(OSError), _left(folder / name):
                    os.unlink(folder / name)
    part = folder / f"{mark}{secrets.token_hex(4)}.part"
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def _left(part: Path) -> Iterator[None]:
    """Make sure that nobody is writing a temporary file, where this can be told.

    Raises:
        OSError: Somebody is.
    """
    if sys.platform == "win32":  # which deletes no open files
        yield
        return
    with open(part, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        hold(file)
        yield


def hold(file: IO[bytes]) -> None:
    """Take the lock of a file, which ends when the file is closed or the process ends, however that happens.

    Raises:
        OSError: Another process holds it, or there are no locks here.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def reported_writing(path: Path) -> Iterator[None]:
    """Report errors of the system as those of writing ``path``."""
    if os.path.isdir(path):
        raise InputError(f"cannot write {path}: it is a folder; name a file in it, such as {path / 'person.glb'}.")
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "choose another place")
        raise InputError(f"cannot write {path}: {error.strerror or error}; {hint}.") from error


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


def _create(part: Path, data: bytes) -> AbstractContextManager:
    """Write a file; until the result is closed, its lock says that it is no stale one."""
    try:
        # On Linux the file has no name until it is complete, so that a kill before leaves nothing behind.
        descriptor = os.open(part.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        with ExitStack() as opened:
            file = opened.enter_context(open(descriptor, "wb"))
            file.write(data)
            file.flush()
            with suppress(OSError):  # some network disks have no locks
                hold(file)
            # The (unused) src_dir_fd makes Python call linkat(), which can follow the link in /proc.
            os.link(f"/proc/self/fd/{descriptor}", part, src_dir_fd=descriptor, follow_symlinks=True)
            return opened.pop_all()
    except (AttributeError, OSError):  # other systems and some network disks have no files without a name
        part.write_bytes(data)
        if sys.platform == "win32":  # which renames no open files
            return nullcontext()
        written = open(part, "rb")  # noqa: SIM115  # the caller closes it
        with suppress(OSError):
            hold(written)
        return written
