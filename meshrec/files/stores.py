"""Files in object stores and other file systems that fsspec knows, by addresses such as ``s3://bucket/photo.jpg``.

Access data are those that the file system finds by itself, such as environment variables. What is shown and stored of
an address is without passwords and signatures.
"""

from __future__ import annotations

import errno
import posixpath
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from meshrec.errors import InputError, MissingDependency
from meshrec.files.addresses import (
    DISK,
    WEB,
    Location,
    fixed_part,
    has_patterns,
    protocol_of,
    shown_below,
    without_secrets,
)

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci")  # these have no real folders
ETAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "checksum")
TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified")
TRIES, FIRST_WAIT = (
    4,
    0.5,
)  # of each request, and seconds before the second one; each further wait is four times as long
LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
LONGEST_REASON = 200  # characters

T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """A file as a store lists it.

    Attributes:
        location: Where it is.
        relative: Its path relative to the folder that was listed.
        size: Bytes; None if the store does not tell.
        etag: What changes with the content, as the store tells it; None if it does not.
        modified: Time of the last change, nanoseconds since 1970; None if the store does not tell.
    """

    location: Location
    relative: str
    size: int | None = None
    etag: str | None = None
    modified: int | None = None


def location(address: str) -> Location:
    """The location with an address.

    Raises:
        InputError: There is no such kind of file system, or the address is one of a file inside another.
        MissingDependency: The package for this kind is not installed.
    """
    shown = without_secrets(address)
    if "::" in address:
        raise InputError(f"{shown}: addresses inside other ones, with '::', cannot be read; unpack the files first.")
    _, path = _opened(address)
    path = path.rstrip("/")
    if not path:
        raise InputError(f"{shown}: name a bucket or folder after this.")
    if protocol_of(shown) in DISK:
        shown = f"file://{path}"  # also of a relative path
    return Location(address, path, shown.rstrip("/"))


def list_files(source: Location) -> tuple[Location, list[StoredFile]]:
    """List the files that an address names: the file itself, all files below a folder, or those that a pattern matches.

    Returns:
        The folder to which the files' paths are relative, and the files in the order of their paths.

    Raises:
        InputError: The store cannot be reached, or there is no such file or folder.
    """
    system, _ = _opened(source.root)
    base = fixed_part(source)
    system.invalidate_cache()
    if has_patterns(source) and not _asked(source, lambda: system.exists(source.path)):
        found = _asked(source, lambda: system.glob(source.path, detail=True))
    else:
        info = _asked(source, lambda: system.info(source.path))
        found = {source.path: info}
        if info.get("type") == "directory":
            base, found = source, _asked(source, lambda: system.find(source.path, detail=True))
    files = [_stored(base, path, info) for path, info in found.items() if info.get("type") != "directory"]
    return base, sorted(files, key=lambda file: file.relative.split("/"))


def names_in(folder: Location) -> dict[str, int | None]:
    """Names and sizes of the files in a folder; none if there is no such folder.

    Raises:
        InputError: The store cannot be reached.
    """
    return {file.location.name: file.size for file in files_in(folder)}


def files_in(folder: Location) -> list[StoredFile]:
    """The files in a folder, without those in folders below; none if there is no such folder.

    Raises:
        InputError: The store cannot be reached.
    """
    system, _ = _opened(folder.root)
    system.invalidate_cache(folder.path)
    try:
        infos = _asked(
            folder, lambda: system.ls(folder.path, detail=True), passing=(FileNotFoundError, NotADirectoryError)
        )
    except (FileNotFoundError, NotADirectoryError):
        return []
    files = [info for info in infos if info.get("type") != "directory" and info["name"] != folder.path]
    return [_stored(folder, info["name"], info) for info in files]


def paths_below(folder: Location) -> list[str]:
    """Paths of all files below a folder, relative to it; none if there is no such folder.

    Raises:
        InputError: The store cannot be reached.
    """
    system, _ = _opened(folder.root)
    system.invalidate_cache()
    try:
        found = _asked(folder, lambda: system.find(folder.path), passing=(FileNotFoundError,))
    except FileNotFoundError:
        return []
    start = f"{folder.path}/"
    return [path.removeprefix(start) for path in found if path.startswith(start)]


def read(file: Location) -> bytes:
    """The content of a small file.

    Raises:
        InputError: The store cannot be reached, or has no such file.
    """
    system, _ = _opened(file.root)
    return _asked(file, lambda: system.cat_file(file.path))


def fetch(file: StoredFile, path: Path) -> None:
    """Copy a file out of its store.

    Args:
        file: The file.
        path: The copy, in a folder that is there.

    Raises:
        InputError: The store cannot be reached or has no such file, or there is no room for it.
    """
    system, _ = _opened(file.location.root)
    if file.size is not None and file.size > shutil.disk_usage(path.parent).free:
        raise InputError(
            f"{file.location}: its {file.size} bytes do not fit into {path.parent}; set TMPDIR to a larger disk."
        )
    _asked(file.location, lambda: system.get_file(file.location.path, str(path)))


def put(path: Path, target: Location, place: Location | None = None) -> None:
    """Copy a file into a store, over one that is there.

    Args:
        path: The file.
        target: Where it is written.
        place: What messages call this. Default: the target itself.

    Raises:
        InputError: The store cannot be reached, or does not allow it.
    """
    system, _ = _opened(target.root)
    place = target if place is None else place

    def copy() -> None:
        try:
            system.put_file(str(path), target.path)
        except FileNotFoundError as error:
            if protocol_of(target.root) in OBJECT_STORES:  # their only folders are buckets, which the user makes
                raise InputError(f"{place}: there is no such bucket or container; make it first.") from error
            system.makedirs(posixpath.dirname(target.path), exist_ok=True)
            system.put_file(str(path), target.path)

    _asked(place, copy, "written")


def require_writable(folder: Location) -> None:
    """Check that files can be written into a folder, before the work whose results it will hold.

    A small file with a hidden name is written, and deleted again where this is allowed.

    Raises:
        InputError: They cannot.
    """
    mark = folder.below(f".{secrets.token_hex(8)}.part")  # a name of unfinished files, which are never results
    with TemporaryDirectory(prefix="meshrec-") as scratch:
        path = Path(scratch, "mark")
        path.touch()
        put(path, mark, folder)
    with suppress(InputError):
        remove(mark)


def remove(file: Location) -> None:
    """Delete a file, which may be missing.

    Raises:
        InputError: The store cannot be reached, or does not allow it.
    """
    system, _ = _opened(file.root)
    with suppress(FileNotFoundError):
        _asked(file, lambda: system.rm_file(file.path), "deleted", passing=(FileNotFoundError,))


def _opened(address: str) -> tuple[Any, str]:
    """The file system with an address, and the path in it."""
    shown = without_secrets(address)
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingDependency(f'{shown} needs fsspec: pip install "meshrec[remote]".') from error
    try:
        return url_to_fs(address)
    except ImportError as error:  # fsspec names the package for this kind of file system
        raise MissingDependency(f"{shown} needs another package ({error}).") from error
    except Exception as error:
        raise InputError(f"{shown}: this address cannot be opened ({_reason(error)}).") from error


def _asked(place: Location, request: Callable[[], T], done: str = "read", passing: tuple[type[OSError], ...] = ()) -> T:
    """The answer to a request, which is made again if it fails for a reason that may pass.

    Args:
        place: What is asked for.
        request: The request.
        done: What is done with it, for the message.
        passing: Errors that the caller handles.

    Raises:
        InputError: It failed.
    """
    for attempt in range(TRIES):
        try:
            return request()
        except (InputError, *passing):  # type: ignore[misc]
            raise
        except FileNotFoundError as error:
            raise InputError(f"{place}: there is no such file or folder.") from error
        except PermissionError as error:
            raise InputError(f"{place} may not be {done} ({_reason(error)}).") from error
        except Exception as error:  # each file system has errors of its own, and many are no OSError
            if isinstance(error, OSError) and error.errno in LASTING:
                raise InputError(f"{place} cannot be {done} ({_reason(error)}).") from error
            if attempt == TRIES - 1:
                raise InputError(f"{place} cannot be {done} ({_reason(error)}); {TRIES} tries failed.") from error
        time.sleep(FIRST_WAIT * 4**attempt)
    raise AssertionError


def _reason(error: Exception) -> str:
    """The first line of a message, in which addresses are without access data."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
    text = re.sub(r"://[^\s/@]*@", "://", text)
    text = re.sub(r"(://[^\s?'\"]*)\?[^\s'\")]*", r"\1", text)
    return text[:LONGEST_REASON]


def _stored(base: Location, path: str, info: Mapping[str, Any]) -> StoredFile:
    """A file with what the store tells of it. A path that does not lie below the folder is kept whole."""
    web = protocol_of(base.shown) in WEB
    relative = posixpath.basename(without_secrets(path)) if web else path.removeprefix(f"{base.path}/")
    etag = next((str(info[key]) for key in ETAGS if info.get(key)), None)
    size = info.get("size")
    where = replace(base, path=path, shown=shown_below(base.shown, relative))
    return StoredFile(where, relative, size if isinstance(size, int) else None, etag, _modified(info))


def _modified(info: Mapping[str, Any]) -> int | None:
    """The time of the last change, nanoseconds since 1970, of the ways in which stores tell it."""
    for key in TIMES:
        value = info.get(key)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            return round(aware.timestamp() * 1_000_000) * 1000
        if isinstance(value, int | float) and not isinstance(value, bool):
            return round(value * 1_000_000) * 1000
    return None
