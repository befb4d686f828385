"""Photos and clips from files, folders and patterns, and the folder for the results of each."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshrec.errors import InputError
from meshrec.files.animated_picture import is_animated
from meshrec.files.clips import is_clip
from meshrec.files.photos import heic_formats

# Suffixes of the photos that are searched for in folders. A file that is given by its name is read whatever its suffix.
SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".avif", ".tga",
    ".mpo", ".jfif", ".pjpeg",
}  # fmt: skip
HEIC = {".heic", ".heif", ".hif"}  # read if pillow-heif is installed
# Pictures that are not read, so that a user has to be told of them. Other files are not meant to be photos.
UNREAD = {
    *HEIC, ".jxl", ".svg", ".psd", ".eps", ".pdf", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
    ".raf",
}  # fmt: skip
VIDEOS = {
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".3gp", ".wmv", ".flv",
    ".ogv",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A photo or clip to reconstruct.

    Attributes:
        source: The file, or the folder of a clip's frames.
        folder: The folder for its results.
        clip: Whether it is a clip.
    """

    source: Path
    folder: Path
    clip: bool = False


def list_inputs(
    sources: Sequence[str | os.PathLike], out: str | os.PathLike, folders_are_clips: bool = False
) -> list[Task]:
    """List photos and clips, and choose a folder for the results of each.

    The results of each are written to a folder of its own, ``out/<relative path with suffix>/``, so that those of
    ``a/1.jpg`` and ``b/1.png`` do not mix. Paths are relative to the current folder; those of sources outside it are
    relative to the folder that these sources have in common.

    Args:
        sources: Photo and video files, folders (searched with their sub-folders), or patterns such as
            ``holiday/**/*.jpg``. Whether a file is a clip is decided by its content.
        out: The folder for all results. Files in it, such as earlier overlays, are left out.
        folders_are_clips: Whether each folder among the sources holds the frames of one clip.

    Returns:
        Every photo and clip once, in the order of the sources, and by name inside a folder.

    Raises:
        InputError: A folder contains no photos, a pattern matches none, or the results of a file would replace another
            file or its results.
    """
    out, here = Path(out), Path.cwd()
    fixed = {source: _fixed_part(source) for source in sources}
    outside = [part for part in fixed.values() if not part.is_relative_to(here)]
    common = Path(os.path.commonpath(outside)) if outside else here
    tasks: dict[Path, Task] = {}  # by absolute path
    for source, part in fixed.items():
        frames = folders_are_clips and os.path.isdir(source)
        found = [path for path in ([Path(source)] if frames else _expand(source)) if not _is_result(path, out, part)]
        if not found:
            others = "; ".join(unread_files([source], out))
            known = ", ".join(sorted(photo_suffixes() | VIDEOS))
            raise InputError(f"{source}: no photos or videos there ({others or known}).")
        base = here if part.is_relative_to(here) else common
        for path in found:
            absolute = Path(os.path.abspath(path))
            tasks.setdefault(absolute, Task(path, out / _below(absolute, base), frames or holds_clip(path)))
    _check_folders(list(tasks.values()))
    return list(tasks.values())


def unread_files(sources: Sequence[str | os.PathLike], out: str | os.PathLike) -> tuple[str, ...]:
    """A note on pictures in folders, or that patterns match, that are not read; none if there are none.

    Counted are files whose names are those of pictures, and links that lead to folders or to nothing.

    Args:
        sources, out: As for :func:`list_inputs`.
    """
    kinds = {
        os.path.abspath(path): "links" if path.is_symlink() and not path.is_file() else path.suffix.lower()
        for source in sources
        for path, shown in _matches(source)
        if not _is_hidden(shown) and not _is_result(path, Path(out), _fixed_part(source))
    }
    return note_on_unread(kinds.values())


def note_on_unread(kinds: Iterable[str]) -> tuple[str, ...]:
    """A note on files of those kinds that are not read: suffixes in lower case, and "links"; none if there are none."""
    read = photo_suffixes()
    counts = Counter(kind for kind in kinds if kind == "links" or kind in UNREAD - read)
    if not counts:
        return ()
    total = sum(counts.values())
    parts = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
    hint = ' (HEIC needs pip install "meshrec[heic]")' if counts.keys() & HEIC else ""
    return (f"{total} {'file' if total == 1 else 'files'} not read: {parts}{hint}",)


def photo_suffixes() -> set[str]:
    """The suffixes of the photos that are searched for in folders with the packages that are installed."""
    return SUFFIXES | HEIC if heic_formats() else SUFFIXES


def holds_clip(path: Path) -> bool:
    """Whether a file is a clip by its content; of what is neither a clip nor a picture the name decides."""
    return is_clip(path) or (path.suffix.lower() in VIDEOS and is_animated(path) is None)


def _below(path: Path, base: Path) -> Path:
    """A path relative to a folder; that of the folder itself is its name."""
    return Path(path.name) if path == base else path.relative_to(base)


def _check_folders(tasks: Sequence[Task]) -> None:
    taken: dict[Path, Path] = {}
    for task in tasks:
        if os.path.isfile(task.folder):
            raise InputError(f"the folder for results {task.folder} is a file; choose another --out.")
        other = taken.setdefault(task.folder, task.source)
        if other != task.source:
            raise InputError(
                f"{other} and {task.source} would share the folder {task.folder}; process them in separate runs."
            )


def _expand(source: str | os.PathLike) -> Iterator[Path]:
    path = Path(source)
    if os.path.isdir(path) or (not os.path.exists(path) and glob.has_magic(str(source))):
        suffixes = photo_suffixes() | VIDEOS
        return (p for p, shown in _matches(source) if _is_input(shown, suffixes) and p.is_file())
    return iter([path])


def _matches(source: str | os.PathLike) -> Iterator[tuple[Path, Path]]:
    """Everything in a folder or that a pattern matches, with the part of its path that may not be hidden."""
    path = Path(source)
    if os.path.isdir(path):  # Path.is_dir() raises an error for names that are too long
        yield from ((p, p.relative_to(path)) for p in sorted(path.rglob("*")))
    elif not os.path.exists(path) and glob.has_magic(str(source)):
        yield from ((Path(name), Path(name)) for name in sorted(glob.glob(str(source), recursive=True)))


def _is_input(path: Path, suffixes: set[str]) -> bool:
    return path.suffix.lower() in suffixes and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    """Whether a file or one of its folders is hidden, such as macOS' ``._1.jpg``."""
    return any(part.startswith(".") and part != ".." for part in path.parts)


def _is_result(photo: Path, out: Path, source: Path) -> bool:
    """Whether a photo lies in the folder for results, unless its source lies in it too."""
    out = Path(os.path.abspath(out))
    return Path(os.path.abspath(photo)).is_relative_to(out) and not source.is_relative_to(out)


def _fixed_part(source: str | os.PathLike) -> Path:
    """The deepest folder that contains all photos that a source can ever name."""
    path = Path(os.path.abspath(source))
    if os.path.isdir(path):
        return path
    while glob.has_magic(str(path.parent)):
        path = path.parent
    return path.parent
