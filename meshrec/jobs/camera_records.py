"""The record of the results of several cameras, of photos or of clips, by which earlier results are found."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meshrec.files.fingerprint import Fingerprint, fingerprint_of, is_unchanged
from meshrec.files.regular import open_regular
from meshrec.jobs.clip_results import source_fingerprint
from meshrec.jobs.records import Kind

RECORD, SCENE = "cameras.json", "scene.glb"
SCHEMA, VERSION = "meshrec.cameras", 1
TRACK_SUFFIXES = ("npz", "glb", "bvh", "json")
MOST_BYTES = 1 << 30  # of a calibration
OWN_FILES = re.compile(
    r"person_\d+\.(obj|glb|ply|json)|track_\d+\.(npz|glb|bvh|json)|overlay_[\w.-]+\.(png|mp4)"
    r"|thumbnail_[\w.-]+\.jpg|scene\.glb|cameras\.json|\.[0-9a-f]{16}\.part"
)


def file_name(name: str) -> str:
    """The name of a camera as a part of a file's.

    Example:
        >>> from meshrec.jobs.camera_records import file_name
        >>> file_name("left / 2")
        'left_2'
    """
    return re.sub(r"[^\w.-]+", "_", name)


def names_in(file: Path, names: Sequence[str]) -> str | None:
    """The longest of the names of cameras that is in a file's name; cam1 is not in that of cam10."""
    return max((name for name in names if _contains(file, name)), key=len, default=None)


def _contains(file: Path, name: str) -> bool:
    """Whether a camera's name is in a file's, and not just the beginning of a longer number."""
    return re.search(rf"{re.escape(name)}(?![0-9])", file.stem, re.IGNORECASE) is not None


def calibration_fingerprint(path: Path) -> Fingerprint:
    """What a calibration is: the content of its file, or the names, sizes and times of the files in a folder."""
    if os.path.isdir(path):
        return source_fingerprint(path)
    with open_regular(path, MOST_BYTES) as file:
        return fingerprint_of(file)


def _result_files(record: Mapping[str, Any]) -> set[str]:
    """Names of all result files of clips but the record."""
    count = len(record["people"])
    own = {f"track_{i}.{suffix}" for i in range(count) for suffix in TRACK_SUFFIXES}
    if not count:
        return own
    return own | {SCENE} | {camera["overlay"] for camera in record["cameras"] if camera["overlay"] is not None}


def _unchanged(path: Path, file: Fingerprint) -> bool:
    return calibration_fingerprint(path) == file if os.path.isdir(path) else is_unchanged(path, file, MOST_BYTES)


CAMERAS = Kind(RECORD, SCHEMA, VERSION, "calibration", "people", _result_files, OWN_FILES, _unchanged)
