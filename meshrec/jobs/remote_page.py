"""The picture page of a run whose results lie in a store, made of what the store has."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from meshrec.errors import MeshrecError
from meshrec.files.addresses import Location, is_address
from meshrec.files.atomic import write_file
from meshrec.files.folder_lock import locked
from meshrec.files.names import natural_key
from meshrec.files.store_lock import locked_in_store
from meshrec.files.stores import paths_below, put, read
from meshrec.jobs.page_entries import Entry, page_entry
from meshrec.jobs.picture_page import MARK, PAGE, page_of_results, picture_page
from meshrec.jobs.plan import Outcome, Progress
from meshrec.jobs.remote_plan import REQUESTS, folder_of
from meshrec.jobs.result_folders import KINDS, PARAMETERS, results_in

Work: TypeAlias = Iterator[Outcome | Progress]


@contextmanager
def results_folder(out: str | os.PathLike) -> Iterator[Callable[[Work], Work]]:
    """The folder for the results of a run, which is locked, as far as a store allows it.

    The picture page is written when the block ends, also if it is interrupted or fails.

    Args:
        out: The folder, a path or an address.

    Yields:
        A function through which the run's messages go. It raises an ``InputError`` if the lock is lost, as that of a
        folder in a store may be after the machine slept.

    Raises:
        InputError: Another run is writing into it, or the page cannot be written although the block succeeded.
    """
    if not is_address(out):
        with locked(out), page_of_results(Path(out)):
            yield iter
        return
    folder = folder_of(out)
    with locked(folder.path) if folder.on_disk else locked_in_store(folder) as lock, _page_in_store(folder):
        yield iter if lock is None else lock.watched


@contextmanager
def _page_in_store(folder: Location) -> Iterator[None]:
    """Write the picture page when the block ends, also if it is interrupted or fails."""
    try:
        yield
    except BaseException:
        with suppress(MeshrecError, OSError):  # the reason why the block failed is the one to report
            write_page_in_store(folder)
        raise
    write_page_in_store(folder)


def write_page_in_store(out: Location) -> bool:
    """Write the picture page of all finished results in a folder of a store.

    Args:
        out: The folder.

    Returns:
        Whether there is a page now: not if there are no results, or if there is an ``index.html`` of another origin.

    Raises:
        InputError: The store cannot be read or written.
    """
    paths = paths_below(out)
    before = read(out.below(PAGE)) if PAGE in paths else None
    if before is not None and MARK.encode() not in before[:1000]:
        return False
    records = {kind.record for kind in KINDS.values()}
    names: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folder, _, name = path.rpartition("/")
        if not any(part.startswith(".") for part in folder.split("/")):
            names[folder].append(name)
    folders = sorted((folder for folder, own in names.items() if records & set(own)), key=natural_key)
    with ThreadPoolExecutor(REQUESTS) as pool:
        found = pool.map(lambda folder: _entries(out, folder, names[folder]), folders)
        entries = [entry for own in found for entry in own]
    if not entries:
        return False
    text = picture_page(entries).encode()
    if text != before:
        with TemporaryDirectory(prefix="meshrec-") as scratch:
            put(write_file(Path(scratch, PAGE), text), out.below(PAGE))
    return True


def _entries(out: Location, folder: str, names: list[str]) -> list[Entry]:
    """What the page shows of the results in one folder, whose small files are copied for a moment."""
    place = out.below(folder) if folder else out
    with TemporaryDirectory(prefix="meshrec-") as scratch:
        copies = Path(scratch)
        for name in names:
            known = name in {kind.record for kind in KINDS.values()}
            if known or (PARAMETERS.fullmatch(name) and name.endswith(".json")):
                write_file(copies / name, read(place.below(name)))
        return [page_entry(result, folder) for result in results_in(copies, names)]
