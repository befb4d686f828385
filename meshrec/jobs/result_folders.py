"""The results of a run as they lie on the disk: which folders hold some, and what their records say."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.json_text import parse_json
from meshrec.files.names import natural_key
from meshrec.files.regular import read_regular
from meshrec.jobs.camera_records import CAMERAS
from meshrec.jobs.clip_results import CLIP
from meshrec.jobs.records import MOST_RECORD_BYTES, Kind
from meshrec.jobs.results import PHOTO

KINDS: Mapping[str, Kind] = {"photo": PHOTO, "clip": CLIP, "cameras": CAMERAS}
PARAMETERS = re.compile(r"person_\d+\.json|track_\d+\.npz")


@dataclass(frozen=True)
class ResultFolder:
    """A folder with the results of a photo, a clip, or several cameras.

    Attributes:
        path: The folder.
        kind: photo, clip or cameras.
        record: The content of its record, as it was read: nothing in it has been checked but its schema and version.
        files: Names of the result files that are there, in their natural order, without the record.
    """

    path: Path
    kind: str
    record: Mapping[str, Any]
    files: tuple[str, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the files with the parameters of each person or track."""
        return tuple(name for name in self.files if PARAMETERS.fullmatch(name))

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks of the record."""
        notes = self.record.get("notes")
        return tuple(note for note in notes if isinstance(note, str)) if isinstance(notes, list) else ()

    @property
    def source(self) -> str:
        """The path of the photo or clip, as the record gives it; empty for cameras, and if it gives none."""
        entry = self.record.get(KINDS[self.kind].source) if self.kind != "cameras" else None
        path = entry.get("path") if isinstance(entry, dict) else None
        return path if isinstance(path, str) else ""


def result_folders(out: str | os.PathLike) -> Iterator[ResultFolder]:
    """Find all finished results below a folder, and in itself.

    Hidden folders and links to folders are left out, as are records that are damaged or of another version.

    Args:
        out: The folder.

    Yields:
        The folders in the natural order of their paths.
    """
    names = {kind.record for kind in KINDS.values()}
    found = []
    for folder, below, files in os.walk(Path(out)):
        below[:] = [name for name in below if not name.startswith(".")]
        if names & set(files):
            found.append(Path(folder))
    for path in sorted(found, key=lambda path: natural_key(path.as_posix())):
        yield from _in_folder(path)


def read_result_folder(path: str | os.PathLike) -> ResultFolder:
    """Read the results in one folder.

    Raises:
        InputError: There are none.
    """
    found = next(_in_folder(Path(path)), None)
    if found is None:
        names = ", ".join(kind.record for kind in KINDS.values())
        raise InputError(f"{path}: no results there, which have a {names}; name a folder that reconstruct has written.")
    return found


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if the file is missing or damaged."""
    try:
        content = parse_json(read_regular(path, MOST_RECORD_BYTES))
    except (InputError, OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def results_in(path: Path, names: Collection[str]) -> Iterator[ResultFolder]:
    """The results in one folder; there may be those of a photo and those of a clip.

    Args:
        path: The folder, in which the records lie.
        names: Names of all files of the results, which may lie elsewhere.
    """
    for name, kind in KINDS.items():
        record = read_object(path / kind.record)
        if (record.get("schema"), record.get("version")) != (kind.schema, kind.version):
            continue
        own = [file for file in names if kind.own.fullmatch(file) and file[0] != "." and file != kind.record]
        yield ResultFolder(path, name, record, tuple(sorted(own, key=natural_key)))


def _in_folder(path: Path) -> Iterator[ResultFolder]:
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from results_in(path, names)
