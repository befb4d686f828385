"""What the picture page of a run shows of each result: its people, their scores, and reasons to doubt them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshrec.jobs.result_folders import ResultFolder, read_object
from meshrec.reconstruct.person import MOST_ERROR

OF_PERSON = re.compile(r"(person|track)_\d+: ")  # begins a remark that is on one of the people
NOBODY = "nobody was found"
MISSING = "files are missing, and another run will write them"


@dataclass(frozen=True)
class PersonRow:
    """A person of a result.

    Attributes:
        name: ``person_0`` or ``track_0``.
        score: Confidence in [0, 1]; None if it is not known.
        error: Reprojection error as a share of the box's longer side; None if it is not known. Of several cameras the
            mean.
        overlap: IoU of the body's silhouette and the person's mask; None if it is not known.
        seen: Of a track, in how many frames the person is seen, in words.
        files: Names of their files.
    """

    name: str
    score: float | None
    error: float | None
    overlap: float | None
    seen: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A result on the page.

    Attributes:
        folder: Its folder, relative to that of the page, as POSIX writes it; empty for the page's own.
        kind: photo, clip or cameras.
        title: What it is of.
        people: The people in it.
        doubts: Reasons to look at it; empty if nothing is wrong.
        notes: Other remarks.
        overlays: Names of its overlays.
        files: Names of the files that belong to nobody alone.
    """

    folder: str
    kind: str
    title: str
    people: tuple[PersonRow, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    overlays: tuple[str, ...]
    files: tuple[str, ...]


def page_entry(result: ResultFolder, folder: str) -> Entry:
    """Gather what the page shows of a result. Values of the wrong type, in a file that was edited, are left out.

    Args:
        result: The result.
        folder: Its folder, relative to the page's.
    """
    rows = tuple(_row(result, name, number) for number, name in enumerate(result.people))
    doubts = [note for note in result.notes if OF_PERSON.match(note)]
    if not rows:
        doubts.append(NOBODY)
    if result.kind == "cameras":
        doubts += [
            f"{row.name}: the body misses the keypoints (reprojection error {row.error:.2g})"
            for row in rows
            if row.error is not None and row.error > MOST_ERROR
        ]
    listed = result.record.get("files")
    if isinstance(listed, dict) and set(listed) - set(result.files):
        doubts.append(MISSING)
    of_people = {file for row in rows for file in row.files}
    overlays = tuple(name for name in result.files if name.startswith("overlay"))
    others = tuple(name for name in result.files if name not in of_people and not name.startswith("thumbnail"))
    notes = tuple(note for note in result.notes if not OF_PERSON.match(note))
    title = folder or result.source or result.kind
    return Entry(folder, result.kind, title, rows, tuple(doubts), notes, overlays, others)


def _row(result: ResultFolder, name: str, number: int) -> PersonRow:
    stem = name.rpartition(".")[0]
    files = tuple(file for file in result.files if file.rpartition(".")[0] == stem)
    told = _told(result, name)
    if result.kind == "cameras":
        errors = told.get("reprojection_errors")
        known = [e for e in map(_number, errors.values()) if e is not None] if isinstance(errors, dict) else []
        error = sum(known) / len(known) if known else None
        return PersonRow(stem, _number(told.get("score")), error, None, "", files)
    if result.kind == "clip":
        return PersonRow(stem, _number(told.get("score")), None, None, _seen(told), files)
    own = read_object(result.path / name)
    score, error, overlap = (_number(own.get(key)) for key in ("score", "reprojection_error", "mask_iou"))
    return PersonRow(stem, score, error, overlap, "", files)


def _seen(told: Mapping[str, Any]) -> str:
    """In how many frames a person is seen, and between which; nothing where the record does not tell."""
    frames, seen = told.get("frames"), told.get("seen")
    if not isinstance(frames, list) or len(frames) != 2 or not all(isinstance(n, int) for n in (*frames, seen)):
        return ""
    return f"seen in {seen} frames, {frames[0]} to {frames[1]}"


def _told(result: ResultFolder, name: str) -> Mapping[str, Any]:
    """What the record says of the person with this file."""
    people = result.record.get("tracks" if result.kind == "clip" else "people")
    entries = [e for e in people if isinstance(e, dict)] if isinstance(people, list) else []
    return next((entry for entry in entries if entry.get("file") == name), {})


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]
