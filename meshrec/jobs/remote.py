"""The work on photos and clips that lie in object stores, or whose results go into one.

Each worker copies one file at a time into a folder for temporary files, works on it there, copies the results to where
they belong, and deletes its copies. A record is deleted first and written last, so that results are complete where
there is one. The names of the copies are made here: those in a store never become names on this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from meshrec.errors import InputError
from meshrec.files.addresses import Location
from meshrec.files.stores import StoredFile, fetch, names_in, put, remove
from meshrec.jobs.clip_results import CLIP, source_fingerprint
from meshrec.jobs.inputs import holds_clip
from meshrec.jobs.plan import Job, Outcome, Progress, RemoteJob
from meshrec.jobs.records import Kind, foreign
from meshrec.jobs.results import PHOTO
from meshrec.jobs.thumbnails import find_thumbnail

KINDS: Mapping[bool, Kind] = {False: PHOTO, True: CLIP}  # by whether it is a clip


def work_in_store(job: RemoteJob, work: Callable[[Job], Iterator[Outcome | Progress]]) -> Iterator[Outcome | Progress]:
    """Copy a photo or clip, work on it, and copy its results to their folder.

    Args:
        job: What there is to do.
        work: The work on files of this machine, as :func:`meshrec.jobs.work.work_on` does it.

    Yields:
        How far a clip is, now and then; at last the outcome.

    Raises:
        InputError: The store cannot be read or written, or the folder holds the results of another file.
    """
    scratch = job.scratch if job.scratch.is_dir() else None  # that of this machine, if it is another one of a cluster
    with TemporaryDirectory(prefix="meshrec-", dir=scratch, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        source, clip = Path(str(job.source)), job.clip
        if job.file is not None:
            source = _copy(job.file, folder)
            clip = holds_clip(source)
        todo, held = (job.as_clip if clip else job.as_photo), job.held.get(clip)
        if isinstance(todo, str):
            yield Outcome(job.source, job.folder, error=todo, clip=clip)
            return
        if held is not None:
            same = source_fingerprint(source).sha256 == held.sha256
            if same and held.fit:
                yield Outcome(job.source, job.folder, held.people, skipped=True, clip=clip)
                return
            if not same and held.path != str(job.source):
                raise foreign(job.source, job.folder, held.path)
        results = folder / "results"

        def shown(text: str) -> str:
            """A text without names of copies."""
            return text.replace(str(results), str(job.folder)).replace(str(source), str(job.source))

        for message in work(replace(todo, source=source, folder=results)):
            message = replace(message, source=job.source)
            if isinstance(message, Outcome):
                error = None if message.error is None else shown(message.error)
                notes = tuple(map(shown, message.notes))
                message = replace(message, folder=job.folder, error=error, notes=notes)
                if error is None:
                    if job.file is not None:
                        _say_where(results / KINDS[clip].record, KINDS[clip], job.file, shown)
                    _send(results, job.folder, KINDS[clip])
            yield message


def _copy(file: StoredFile, folder: Path) -> Path:
    """Copy a file out of its store. Of its name only letters and digits of the suffix are kept."""
    suffix = re.sub(r"[^.A-Za-z0-9]", "", PurePosixPath(file.location.name).suffix)[:12]
    path = folder / f"source{suffix}"
    fetch(file, path)
    return path


def _say_where(path: Path, kind: Kind, file: StoredFile, shown: Callable[[str], str]) -> None:
    """Let a record tell the file in the store instead of its copy."""
    record = json.loads(path.read_bytes())
    modified = file.modified or 0
    record[kind.source] |= {"path": str(file.location), "modified": modified, "changed": modified}
    record[kind.source] |= {} if file.etag is None else {"etag": file.etag}
    record["notes"] = [shown(note) for note in record["notes"]]
    path.write_bytes((json.dumps(record, indent=2) + "\n").encode())


def _send(results: Path, folder: Location, kind: Kind) -> None:
    """Copy results to their folder, and delete earlier ones there that are not replaced.

    Raises:
        InputError: The store cannot be written.
    """
    for overlay in results.glob("overlay*"):
        find_thumbnail(overlay)
    paths = {path.name: path for path in sorted(results.iterdir()) if path.is_file()}
    before = names_in(folder)
    if kind.record in before:
        remove(folder.below(kind.record))  # from now on the file counts as unfinished
    for name in before:
        if kind.own.fullmatch(name) and name not in paths:
            remove(folder.below(name))
    for name, path in paths.items():
        if name != kind.record:
            put(path, folder.below(name))
    if kind.record not in paths:
        raise InputError(f"{folder}: the results have no record.")
    put(paths[kind.record], folder.below(kind.record))
