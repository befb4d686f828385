"""A lock on a folder, so that two runs do not write into it at the same time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from meshrec.errors import InputError
from meshrec.files.atomic import hold

LOCK = ".meshrec.lock"


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing, and removed again if nothing was written into it.

    The system releases the lock of a process that ends, even if it is killed; its file, which may stay, means nothing.
    Where the folder cannot be made or there are no locks, as on some network disks, there is no lock either.

    Raises:
        InputError: Another process holds it.
    """
    folder = Path(folder)
    with ExitStack() as undone:
        with suppress(OSError):  # whoever writes into the folder tells what is wrong with it
            _make(folder, undone)
            _take(folder, undone)
        yield


def _make(folder: Path, undone: ExitStack) -> None:
    """Make a folder and those above it; in the end the empty ones are removed."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        undone.callback(_remove_empty, path)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _take(folder: Path, undone: ExitStack) -> None:
    path = folder / LOCK
    while True:
        file = undone.enter_context(path.open("ab"))
        try:
            hold(file)
        except (BlockingIOError, PermissionError):
            raise InputError(
                f"another run is writing into {folder}; wait until it ends, or choose another folder."
            ) from None
        undone.callback(_remove_lock, path)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return
        # The run before has removed its file between the two steps: the lock is that of a file that nobody finds.


def _remove_lock(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
