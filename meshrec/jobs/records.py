"""The record of a photo's or clip's results, which is written last and tells whether they are complete and valid."""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.fingerprint import Fingerprint
from meshrec.files.json_text import parse_json
from meshrec.files.regular import read_regular

MOST_RECORD_BYTES = 16 << 20


@dataclass(frozen=True)
class Kind:
    """A kind of results.

    Attributes:
        record: Name of the record's file.
        schema, version: What the record says that it is.
        source: Key of the record for the file of which the results are, "photo" or "clip".
        results: Key of the record for the list of results.
        files: Names of all result files but the record, by the record's content.
        own: Names of the files of such results, also of those of earlier runs.
        unchanged: Whether a source still is what a fingerprint says.
    """

    record: str
    schema: str
    version: int
    source: str
    results: str
    files: Callable[[Mapping[str, Any]], set[str]]
    own: re.Pattern
    unchanged: Callable[[Path, Fingerprint], bool]


def write_record(folder: Path, kind: Kind, source: Path, file: Fingerprint, content: Mapping[str, Any]) -> None:
    """Write the record of results that are all there.

    Args:
        folder: The folder of the results.
        kind: Their kind.
        source: The file of which they are.
        file: The file as it was read.
        content: The rest of the record: "request", which :func:`finished` compares, the list of results, and others.
    """
    record = {
        "schema": kind.schema,
        "version": kind.version,
        kind.source: {
            "path": os.path.abspath(source),
            "bytes": file.size,
            "modified": file.modified,
            "changed": file.changed,
            "sha256": file.sha256,
        },
        **content,
    }
    record["files"] = {name: (folder / name).stat().st_size for name in sorted(kind.files(record))}
    write_file(folder / kind.record, (json.dumps(record, indent=2) + "\n").encode())


def finished(folder: Path, kind: Kind, source: Path, request: Mapping[str, object]) -> int | None:
    """Check whether results are complete and up to date.

    Args:
        folder: The folder for the results.
        kind: Their kind.
        source: The file of which they are.
        request: The settings on which they depend.

    Returns:
        The number of people found, or None if the file, as it is now, has to be reconstructed for this request.

    Raises:
        InputError: The file cannot be read, or the folder contains the results of another one or of a newer version.
    """
    record = _read_record(folder, kind)
    if record is None:
        return None
    try:
        same_file = kind.unchanged(source, record.file)
    except OSError as error:
        raise InputError(f"{source}: {error.strerror or error}.") from error
    if not same_file:
        if record.path != os.path.abspath(source):
            raise foreign(source, folder, record.path)
        return None
    return record.people if record.fits(request, lambda name: _size(folder / name)) else None


def foreign(source: object, folder: object, other: str) -> InputError:
    """The error of a folder with the results of another file."""
    return InputError(f"{source}: {folder} contains the results of {other}; choose another --out, or use --force.")


def remove_results(folder: Path, kind: Kind) -> None:
    """Delete earlier results, the record first: from then on the file counts as unfinished.

    Raises:
        InputError: They cannot be deleted.
    """
    if not os.path.isdir(folder):
        return
    try:
        (folder / kind.record).unlink(missing_ok=True)
        for path in folder.iterdir():
            if kind.own.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise InputError(f"cannot replace the results in {folder}: {error.strerror or error}.") from error


@dataclass(frozen=True)
class Record:
    """The content of a record, checked.

    Attributes:
        path: Path of the file of which the results are.
        file: Its content.
        request: The settings on which the results depend.
        people: Number of people.
        files: Sizes of the result files by name.
        etag: What a store told of the file's content (:class:`meshrec.files.stores.StoredFile`); None of other files.
    """

    path: str
    file: Fingerprint
    request: dict[str, Any]
    people: int
    files: dict[str, int]
    etag: str | None = None

    def fits(self, request: Mapping[str, object], size_of: Callable[[str], int | None]) -> bool:
        """Whether the results are complete, and those of this request.

        Args:
            request: The settings on which they depend.
            size_of: Bytes of the result file of a name; None if there is none.
        """
        complete = all(size_of(name) == size for name, size in self.files.items())
        return complete and self.request == json.loads(json.dumps(request))


def _read_record(folder: Path, kind: Kind) -> Record | None:
    """The record in a folder, as :func:`parse_record` has it; None if it cannot be read."""
    path = folder / kind.record
    try:
        data = read_regular(path, MOST_RECORD_BYTES)
    except (OSError, ValueError):
        return None
    return parse_record(data, kind, path)


def parse_record(data: bytes, kind: Kind, path: object) -> Record | None:
    """The record in a file's content, or None if it is not of this version, or it lacks something or is damaged.

    Args:
        data: The content.
        kind: The kind of the results.
        path: The file, for messages.

    Raises:
        InputError: It is of a newer version.
    """
    try:
        content = parse_json(data)
        newer = content["schema"] == kind.schema and content["version"] > kind.version
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if newer:
        raise InputError(
            f"{path} is of version {content['version']}, but {kind.version} is the newest known; "
            "update meshrec, choose another --out, or use --force."
        )
    try:
        if (content["schema"], content["version"]) != (kind.schema, kind.version):
            return None
        source, request, files = content[kind.source], dict(content["request"]), dict(content["files"])
        file = Fingerprint(source["sha256"], source["bytes"], source["modified"], source["changed"])
        texts, numbers = (source["path"], file.sha256), (file.size, file.modified, file.changed)
        sound = (
            all(isinstance(text, str) for text in texts)
            and len(file.sha256) == 64
            and all(isinstance(number, int) for number in numbers)
        )
        if not sound or files.keys() != kind.files(content):
            return None
        etag = source.get("etag")
        etag = etag if isinstance(etag, str) else None
        return Record(source["path"], file, request, len(content[kind.results]), files, etag)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _size(path: Path) -> int | None:
    """Number of bytes of a file, None for what is no file."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
