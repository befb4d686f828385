"""A lock on a folder in a store, which has no locks of its own.

Each run first writes a file of its own into the folder, its mark, and then looks for the marks of others. Of two runs,
the one that looks last sees the other, so that they never go on together; if both begin at the same moment, both may be
refused. This asks of a store only that a file is listed as soon as it is written, as S3, Google Cloud Storage and Azure
promise. A mark is written anew every minute while its run goes on. One that is five minutes older than that of the run
which finds it, both as the store tells it, belongs to a run that was killed, and is deleted.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TypeVar

from meshrec.errors import InputError
from meshrec.files.addresses import Location
from meshrec.files.atomic import write_file
from meshrec.files.stores import StoredFile, files_in, put, read, remove

MARK = re.compile(r"\.meshrec-[0-9a-f]{16}\.lock")
RENEWED_SECONDS = 60.0
DEAD_SECONDS = 300.0
MOST_MARK_BYTES = 1000

T = TypeVar("T")


@dataclass
class StoreLock:
    """A run's lock on a folder in a store.

    Attributes:
        mark: The run's mark.
        content: What it tells of the run.
        renewed: When it was last written, seconds since 1970.
        lost: Why the run has to stop; None if it may go on.
    """

    mark: Location
    content: bytes
    renewed: float = field(default_factory=time.time)
    lost: str | None = None

    def watched(self, work: Iterator[T]) -> Iterator[T]:
        """Pass on what a run tells of its work.

        Raises:
            InputError: Another run has begun, because this one was away for too long.
        """
        for message in work:
            yield message
            if self.lost is not None:
                raise InputError(self.lost)


@contextmanager
def locked_in_store(folder: Location) -> Iterator[StoreLock | None]:
    """Hold the lock of a folder in a store.

    Where no mark can be written there is no lock either: whoever writes results tells what is wrong.

    Args:
        folder: The folder.

    Yields:
        The lock, which may be lost while the machine sleeps or is cut off; None if there is none.

    Raises:
        InputError: Another run holds it.
    """
    lock = StoreLock(folder.below(f".meshrec-{secrets.token_hex(8)}.lock"), _content())
    with ExitStack() as undone:
        undone.callback(_delete, lock.mark)
        if not _write(lock):
            undone.pop_all()
            yield None
            return
        _require_alone(folder, lock)
        undone.enter_context(_renewed(folder, lock))
        yield lock


def _require_alone(folder: Location, lock: StoreLock) -> None:
    """Look for other runs, and delete the marks of those that were killed.

    Raises:
        InputError: There is one that goes on.
    """
    for other in _other_marks(folder, lock):
        raise InputError(
            f"another run{_described(other)} is writing into {folder}; wait until it ends, "
            f"{_if_killed(other)} if it was killed, or choose another folder."
        )


def _other_marks(folder: Location, lock: StoreLock) -> list[StoredFile]:
    """The marks of other runs that are not known to be dead; the others are deleted."""
    marks = [file for file in files_in(folder) if MARK.fullmatch(file.location.name)]
    own = next((file.modified for file in marks if file.location.name == lock.mark.name), None)
    living = []
    for file in marks:
        if file.location.name == lock.mark.name:
            continue
        if own is not None and file.modified is not None and own - file.modified > DEAD_SECONDS * 1e9:
            _delete(file.location)
        else:
            living.append(file)
    return living


@contextmanager
def _renewed(folder: Location, lock: StoreLock) -> Iterator[None]:
    """Write the mark again and again while the block runs."""
    ended = Event()

    def renew() -> None:
        while lock.lost is None and not ended.wait(RENEWED_SECONDS):
            with suppress(InputError):  # it is tried again in a minute
                _renew(folder, lock)

    thread = Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _renew(folder: Location, lock: StoreLock) -> None:
    """Write the mark again.

    After a pause in which another run may have taken this one for dead, it then looks again, so that one of the two
    sees the other.
    """
    now = time.time()
    late = now - lock.renewed > DEAD_SECONDS / 2
    if not _write(lock):
        return
    if late and (others := _other_marks(folder, lock)):
        lock.lost = (
            f"this run was away for a while, and another run{_described(others[0])} now writes into {folder}; start it "
            "again when that one has ended."
        )
    else:
        lock.renewed = now


def _content() -> bytes:
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return (json.dumps({"host": platform.node(), "process": os.getpid(), "began": began}) + "\n").encode()


def _write(lock: StoreLock) -> bool:
    """Write the mark; whether this was possible."""
    try:
        with TemporaryDirectory(prefix="meshrec-") as scratch:
            put(write_file(Path(scratch, "mark"), lock.content), lock.mark)
    except (InputError, OSError):
        return False
    return True


def _delete(mark: Location) -> None:
    with suppress(InputError):
        remove(mark)


def _described(mark: StoredFile) -> str:
    """What a mark tells of its run, in brackets; nothing if it cannot be read."""
    if mark.size is None or mark.size > MOST_MARK_BYTES:
        return ""
    try:
        told = json.loads(read(mark.location))
        return f" (process {told['process']} on {told['host']}, begun {told['began']})"
    except (InputError, ValueError, TypeError, KeyError, RecursionError):  # it has ended just now, or is damaged
        return ""


def _if_killed(mark: StoredFile) -> str:
    if mark.modified is None:
        return f"or delete {mark.location}"
    return f"or {DEAD_SECONDS / 60:.0f} minutes"
