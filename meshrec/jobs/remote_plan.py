"""The plan of a run whose photos and clips lie in object stores, or whose results go into one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from meshrec.detect.inputs import names_of_photos
from meshrec.detect.keypoint_rows import ByPhoto
from meshrec.errors import InputError
from meshrec.files.addresses import WEB, Location, fixed_part, is_address, protocol_of
from meshrec.files.stores import StoredFile, list_files, location, names_in, read, require_writable
from meshrec.jobs.inputs import VIDEOS, Task, list_inputs, note_on_unread, photo_suffixes, unread_files
from meshrec.jobs.plan import (
    HeldResults,
    Job,
    Outcome,
    Plan,
    RemoteJob,
    clip_job,
    photo_job,
    read_evidence,
)
from meshrec.jobs.records import MOST_RECORD_BYTES, Record, foreign, parse_record
from meshrec.jobs.remote import KINDS
from meshrec.jobs.settings import Settings

REQUESTS = 16  # that are made at the same time


@dataclass(frozen=True)
class _Found:
    """A photo or clip of the run.

    Attributes:
        source: The file, or the folder of a clip's frames.
        relative: The folder for its results, relative to that of the run.
        clip: Whether it is a clip; of files in stores by their names.
        file: What the store tells of the file; None if it lies on a disk.
        reason: Why nothing can be done with it; None if something can.
    """

    source: Path | Location
    relative: str
    clip: bool
    file: StoredFile | None = None
    reason: str | None = None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the copies of a run, which is deleted when the block ends."""
    with TemporaryDirectory(prefix="meshrec-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def folder_of(out: str | os.PathLike) -> Location:
    """The folder for results as a location, also if it lies on a disk.

    Raises:
        InputError: Nothing can be written there, or as for :func:`meshrec.files.stores.location`.
        MissingDependency: The package for this kind of store is not installed.
    """
    if is_address(out):
        folder = location(str(out))
        if protocol_of(folder.shown) in WEB:
            raise InputError(f"{folder} can only be read; choose another --out.")
        return folder
    return Location("file:///", os.path.abspath(out), str(out))


def plan_in_stores(
    sources: Sequence[str], out: str | os.PathLike, settings: Settings, scratch: Path, force: bool = False
) -> Plan:
    """List the photos and clips of a run, and find those that are already finished.

    The results of each go into a folder of its own, as :func:`meshrec.jobs.inputs.list_inputs` says. Those of files in
    stores are relative to the deepest folder that all addresses have in common.

    Args:
        sources: Paths as for :func:`meshrec.jobs.plan.plan_run`, and addresses of files, folders and patterns such as
            ``s3://bucket/photos/**/*.jpg``.
        out: The folder for all results, a path or an address.
        settings: Settings of the run.
        scratch: A folder for copies.
        force: Whether to reconstruct finished photos again.

    Returns:
        The plan.

    Raises:
        InputError: There are no photos, their results would overwrite each other, or the file of boxes or keypoints is
            wrong.
        MissingDependency: A package for one of the stores is not installed.
    """
    evidence = read_evidence(settings)
    target = folder_of(out)
    if is_address(out):
        names_in(target)  # a store that cannot be reached is said once, and not of each file
    found, outcomes, notes = _list(sources, out, target, settings, scratch)
    _check_folders(found, target, ignoring_case=not is_address(out))
    file = settings.boxes or settings.keypoints
    notes += tuple(evidence.notes(file)) if evidence is not None and file else ()
    photos = [_virtual(item) for item in found if not item.clip]
    names = {} if evidence is None else names_of_photos(evidence, photos)

    def checked(item: _Found) -> RemoteJob | Outcome:
        folder = target.below(item.relative)
        try:
            return _checked(_job(item, folder, settings, evidence, names, scratch), force)
        except InputError as error:
            return Outcome(item.source, folder, error=_sentence(item, error), clip=item.clip)

    with ThreadPoolExecutor(REQUESTS) as pool:
        results = list(pool.map(checked, found))
    jobs = [result for result in results if isinstance(result, RemoteJob)]
    if jobs and is_address(out):
        require_writable(target)
    return Plan(jobs, outcomes + [result for result in results if isinstance(result, Outcome)], notes)


def _list(
    sources: Sequence[str], out: str | os.PathLike, target: Location, settings: Settings, scratch: Path
) -> tuple[list[_Found], list[Outcome], tuple[str, ...]]:
    """The photos and clips, the sources that cannot be read, and notes on what is left out."""
    on_disk = [source for source in sources if not is_address(source)]
    here = scratch / "none" if is_address(out) else Path(out)
    found: list[_Found] = []
    notes: tuple[str, ...] = ()
    if on_disk:
        tasks = list_inputs(on_disk, here, settings.folders_are_clips)
        found += [_Found(task.source, task.folder.relative_to(here).as_posix(), task.clip) for task in tasks]
        notes += unread_files(on_disk, here)
    outcomes: list[Outcome] = []
    listed: list[tuple[Location, list[StoredFile]]] = []
    for place in (location(source) for source in sources if is_address(source)):
        try:
            base, files = list_files(place)
        except InputError as error:
            outcomes.append(Outcome(place, target, error=str(error)))
            listed.append((fixed_part(place), []))
            continue
        if base == place and settings.folders_are_clips:
            raise InputError(f"{place}: --clip takes folders of frames on a disk; copy this folder first.")
        single = [file for file in files if file.location.path == place.path]
        if not single:
            files = [file for file in files if _is_own(file, base, target)]
            notes += note_on_unread(_suffix(file) for file in files)
        listed.append((base, single or _inputs(place, files)))
    common = len(os.path.commonprefix([base.parts for base, _ in listed]))
    by_path: dict[tuple[str, str], _Found] = {}
    for base, files in listed:
        for file in files:
            relative = "/".join((*base.parts[common:], file.relative))
            item = _Found(file.location, relative, _suffix(file) in VIDEOS, file, _fault(relative))
            by_path.setdefault((base.parts[0], file.location.path), item)
    return [*found, *by_path.values()], outcomes, notes


def _inputs(place: Location, files: Sequence[StoredFile]) -> list[StoredFile]:
    """Those files that are photos or videos by their names."""
    known = photo_suffixes() | VIDEOS
    inputs = [file for file in files if _suffix(file) in known]
    if not inputs:
        raise InputError(f"{place}: no photos or videos there ({', '.join(sorted(known))}).")
    return inputs


def _suffix(file: StoredFile) -> str:
    return PurePosixPath(file.relative).suffix.lower()


def _is_own(file: StoredFile, base: Location, out: Location) -> bool:
    """Whether a file is meant: it is not hidden, and no result of an earlier run."""
    if any(part.startswith(".") and part not in (".", "..") for part in file.relative.split("/")):
        return False
    below = (str(file.location).startswith(f"{out}/"), f"{base}/".startswith(f"{out}/"))
    return below != (True, False)


def _fault(relative: str) -> str | None:
    """Why a path in a store can be no folder for results; None if it can."""
    if any(part in ("", ".", "..") for part in relative.split("/")):
        return "a part of its path is empty, . or .."
    if "\\" in relative or any(unicodedata.category(character) in ("Cc", "Cs") for character in relative):
        return "there is a backslash or a control character in its name"
    return None


def _check_folders(found: Sequence[_Found], target: Location, ignoring_case: bool) -> None:
    """Require a folder for each. On disks names may be the same that differ in their case."""
    taken: dict[str, _Found] = {}
    for item in found:
        name = item.relative.casefold() if ignoring_case else item.relative
        other = taken.setdefault(name, item)
        if other is not item:
            raise InputError(
                f"{other.source} and {item.source} would share the folder {target.below(item.relative)}; process them "
                "in separate runs."
            )


def _virtual(item: _Found) -> Path:
    """The path by which a file is found in a file of boxes or keypoints."""
    return Path("/", *item.source.parts) if isinstance(item.source, Location) else item.source


def _sentence(item: _Found, error: InputError) -> str:
    text = str(error) if item.file is None else str(error).replace(str(_virtual(item)), str(item.source))
    return text if str(item.source) in text else f"{item.source}: {text}"


def _job(
    item: _Found,
    folder: Location,
    settings: Settings,
    evidence: ByPhoto[Any] | None,
    names: Mapping[Path, str | None],
    scratch: Path,
) -> RemoteJob:
    """What there is to do with a file.

    Raises:
        InputError: There is nothing that can be done.
    """
    if item.reason is not None:
        raise InputError(
            f"{item.source}: the folder for its results would have no safe name ({item.reason}); rename it."
        )
    task = Task(_virtual(item), Path(item.relative), item.clip)

    def made(clip: bool) -> Job | str:
        try:
            job = clip_job(task, settings, evidence) if clip else photo_job(task, settings, evidence, names)
        except InputError as error:
            return _sentence(item, error)
        return job

    todo = {clip: made(clip) for clip in (False, True)}
    if isinstance(todo[False], str) and isinstance(todo[True], str):
        raise InputError(str(todo[item.clip]))
    return RemoteJob(item.source, folder, item.clip, item.file, todo[False], todo[True], {}, scratch)


def _checked(job: RemoteJob, force: bool) -> RemoteJob | Outcome:
    """The outcome if a store has the results already; otherwise the job with what is held of it.

    Raises:
        InputError: The store cannot be read, or it has the results of another file or of a newer version.
    """
    if force:
        return job
    sizes, held = names_in(job.folder), {}
    for clip, kind in KINDS.items():
        todo, path = (job.as_clip if clip else job.as_photo), job.folder.below(kind.record)
        if isinstance(todo, str) or (sizes.get(kind.record) or MOST_RECORD_BYTES + 1) > MOST_RECORD_BYTES:
            continue
        if job.file is None and clip != job.clip:
            continue
        record = parse_record(read(path), kind, path)
        if record is None:
            continue
        fit = record.fits(todo.request, sizes.get)
        if job.file is None:
            source = Path(str(job.source))
            try:
                same = kind.unchanged(source, record.file)
            except OSError as error:
                raise InputError(f"{source}: {error.strerror or error}.") from error
            if not same and record.path != os.path.abspath(source):
                raise foreign(source, job.folder, record.path)
        else:
            same = _is_same(job.file, record)
            held[clip] = HeldResults(record.path, record.file.sha256, record.people, fit)
        if same and fit:
            return Outcome(job.source, job.folder, record.people, skipped=True, clip=clip)
    return replace(job, held=held)


def _is_same(file: StoredFile, record: Record) -> bool:
    """Whether a store tells that a file is that of a record. If it does not, the content has to decide."""
    if record.path != str(file.location) or record.file.size != file.size:
        return False
    if file.etag is not None or record.etag is not None:
        return file.etag == record.etag
    return file.modified is not None and file.modified == record.file.modified
