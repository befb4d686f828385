"""Readers of the user's own boxes and keypoints, so that any detector can be used.

Boxes are a JSON object from photos to boxes x0, y0, x1, y1 in photo pixels, or a list of boxes if there is one photo:

    {"holiday/1.jpg": [[120, 40, 380, 900], [400, 60, 610, 880]], "2.jpg": []}
    [[120, 40, 380, 900]]

Keypoints are files of OpenPose, COCO, AI Challenger, AlphaPose or MMPose, or a folder of them, which
:mod:`meshrec.detect.openpose`, :mod:`meshrec.detect.coco` and :mod:`meshrec.detect.mmpose` describe;
:mod:`meshrec.detect.layouts` lists the orders of keypoints. Entries that are empty or belong to something else are left
out and counted, and what is wrong with the entries of a photo matters only if that photo is asked for.

Photos are identified by name: ``holiday/1.jpg`` stands for a photo whose path ends with it, ``1.jpg`` and ``1`` for any
photo of that name. Names may be URLs, have backslashes, or lead to another folder: then the name of the file alone
decides, if only one name of the file and one photo have it. Where a file does not name its photos and there is only one
of both, it is that photo's.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.detect.coco import (
    COCO_DIGITS,
    is_ai_challenger,
    is_annotations,
    read_ai_challenger,
    read_annotations,
    read_results,
)
from meshrec.detect.keypoint_rows import ANY_PHOTO, ByPhoto, Found, numbers
from meshrec.detect.layouts import LAYOUTS
from meshrec.detect.mmpose import is_mmpose, read_mmpose
from meshrec.detect.openpose import SUFFIX, is_openpose, read_openpose
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files.json_text import parse_json
from meshrec.files.names import name_parts
from meshrec.files.regular import read_regular

MOST_BYTES = 1 << 30  # of a file; COCO's largest has 450 MB


def read_boxes(path: str | Path) -> ByPhoto[np.ndarray]:
    """Read a file of boxes.

    Args:
        path: A JSON file as this module describes it.

    Returns:
        Boxes (N, 4) float32 x0, y0, x1, y1 in photo pixels, by photo name.

    Raises:
        InputError: The file cannot be read or has another format.
    """
    path = Path(path)
    content = _read_json(path)
    if isinstance(content, list):
        content = {ANY_PHOTO: content}
    if not isinstance(content, dict):
        raise InputError(f'{path}: boxes have to be {{"photo.jpg": [[x0, y0, x1, y1], ...]}} or a list of boxes.')
    found: ByPhoto[np.ndarray] = ByPhoto()
    for name, rows in content.items():
        try:
            found[name] = _boxes(rows, path, name)
        except InputError as error:
            found.fail(name, error)
    return _checked(found)


def read_keypoints(path: str | Path, layout: str | None = None) -> ByPhoto[list[Detection]]:
    """Read keypoints in one of the formats above.

    Args:
        path: A file, or a folder of files.
        layout: Order of the keypoints, a name in :data:`meshrec.detect.layouts.LAYOUTS`. Default: what their number and
            their names in the file tell.

    Returns:
        Detections without masks, by photo name, with the number of entries that were left out. If the file has no
        boxes, they are those around the keypoints.

    Raises:
        InputError: The file cannot be read or has another format, or there is no such layout.
    """
    path = Path(path)
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"there is no keypoint layout '{layout}'; choose of {', '.join(LAYOUTS)}.")
    if not path.is_dir():
        return _checked(_keypoints_of(path, layout))
    files = sorted(path.glob(f"*{SUFFIX}.json")) or sorted(path.glob("*.json"))
    if not files:
        raise InputError(f"{path}: the folder contains no OpenPose files (*{SUFFIX}.json), nor other keypoint files.")
    found: ByPhoto[list[Detection]] = ByPhoto(named=False)
    for file in files:
        try:
            found.add(_keypoints_of(file, layout))
        except InputError as error:
            found.fail(file.stem.removesuffix(SUFFIX), error)
    return _checked(found)


def names_of_photos(found: ByPhoto[Found], photos: Sequence[str | Path]) -> dict[Path, str | None]:
    """The name under which the result of :func:`read_boxes` or :func:`read_keypoints` has each photo.

    Args:
        found: Boxes or detections by photo name.
        photos: Paths of all photos of a run. A photo that is a symbolic link may go by the name of its target.

    Returns:
        By path, the longest name that fits it; None if no name does.
    """
    paths = [Path(photo) for photo in photos]
    known = [name for name in (*found, *found.errors) if name != ANY_PHOTO]
    parts = {name: name_parts(name) for name in known}
    by_file: dict[str, list[str]] = defaultdict(list)
    for name in known:
        if parts[name]:
            by_file[parts[name][-1]].append(name)
    sharing = Counter(photo.name for photo in paths)
    chosen: dict[Path, str | None] = {}
    for photo in paths:
        chosen[photo] = _name_of(photo, parts, by_file, alone=sharing[photo.name] == 1)
        if chosen[photo] is None and photo.is_symlink():
            chosen[photo] = _name_of(photo.resolve(), parts, by_file, alone=False)
        if chosen[photo] is None and ANY_PHOTO in (*found, *found.errors):
            chosen[photo] = ANY_PHOTO
        if chosen[photo] is None and not found.named and len(known) == len(paths) == 1:
            chosen[photo] = known[0]
    return chosen


def found_in_frames(found: ByPhoto[Found], clip: str | Path, frames: Sequence[str | Path] = ()) -> dict[int, Found]:
    """What a file has of the frames of a clip, by their numbers from 0.

    A frame goes by the last number in its name, as OpenPose, AlphaPose and others call frames, such as
    ``dance_000000000012`` or ``12.jpg``. Names that begin with another clip's name are left out if some begin with
    this one's. Frames that are files of their own go by their names, whatever number these begin with, if any has one.

    Args:
        found: Boxes or detections by name.
        clip: The clip's file, or the folder of its frames.
        frames: Paths of its frames in their order, where they are files.

    Raises:
        InputError: The entries of a frame are damaged.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> from meshrec.detect.inputs import found_in_frames, read_boxes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "boxes.json")
        ...     _ = file.write_text(json.dumps({"101.png": [[0, 0, 9, 9]], "102.png": []}))
        ...     found = read_boxes(file)
        >>> {number: len(boxes) for number, boxes in found_in_frames(found, "walk.mp4").items()}
        {101: 1, 102: 0}
        >>> sorted(found_in_frames(found, "walk", ["walk/100.png", "walk/101.png", "walk/102.png"]))
        [1, 2]
    """
    names = names_of_photos(found, frames)
    named = {number: names[Path(frame)] for number, frame in enumerate(frames)}
    own_names = {number: name for number, name in named.items() if name not in (None, ANY_PHOTO)}
    if own_names:
        return {number: of_name(found, name) for number, name in own_names.items() if name is not None}
    stem = Path(clip).stem
    stems = {name: Path(name_parts(name)[-1]).stem if name_parts(name) else "" for name in (*found, *found.errors)}
    own = [name for name in stems if stems[name].startswith(stem)] or list(stems)
    digits = {name: re.findall(r"[0-9]+", stems[name].removeprefix(stem)) for name in own}
    return {int(digits[name][-1]): of_name(found, name) for name in own if digits[name]}


def for_photo(found: ByPhoto[Found], photo: str | Path) -> Found | None:
    """Look up one photo, as if it were the only one, in the result of :func:`read_boxes` or :func:`read_keypoints`.

    Args:
        found: Boxes or detections by photo name.
        photo: Path of the photo.

    Returns:
        Those of the name that :func:`names_of_photos` finds, or None if no name fits.

    Raises:
        InputError: The file's entries for this photo are damaged.
    """
    name = names_of_photos(found, [photo])[Path(photo)]
    return None if name is None else of_name(found, name)


def of_name(found: ByPhoto[Found], name: str) -> Found:
    """What a file has under a photo's name.

    Raises:
        InputError: The file's entries for this photo are damaged.
    """
    if name in found.errors:
        raise found.errors[name]
    return found[name]


def boxes_in_photo(boxes: np.ndarray, size: tuple[int, int], photo: str | Path) -> np.ndarray:
    """Clip boxes to a photo.

    Args:
        boxes: (N, 4) x0, y0, x1, y1 in photo pixels.
        size: (width, height) of the photo.
        photo: The photo's name, for messages.

    Returns:
        (N, 4) float32.

    Raises:
        InputError: A box is empty, not finite, or outside the photo.
    """
    limit = np.array([size, size]).reshape(4) - 1
    clipped = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4), 0, limit).astype(np.float32)
    for box, inside in zip(boxes, clipped):
        if not np.isfinite(inside).all() or (inside[2:] - inside[:2] < 1).any():
            values = ", ".join(f"{v:g}" for v in box)
            raise InputError(
                f"{photo}: the box {values} (x0, y0, x1, y1) lies outside this {size[0]} x {size[1]} photo, "
                "or is smaller than a pixel."
            )
    return clipped


def people_in_photo(people: list[Detection], size: tuple[int, int], photo: str | Path) -> list[Detection]:
    """Clip the boxes of people who were read from a file to their photo.

    Args:
        people: Detections in photo pixels.
        size: (width, height) of the photo.
        photo: The photo's name, for messages.

    Returns:
        The detections in the same order.

    Raises:
        InputError: Somebody has no keypoint inside the photo, or a box outside it.
    """
    inside = []
    for number, person in enumerate(people):
        points = person.keypoints[person.keypoints[:, 2] > 0, :2]
        if not ((points > -0.5) & (points < np.array(size) - 0.5)).all(1).any():
            raise InputError(
                f"{photo}: person {number} of the keypoint file has no keypoint inside this {size[0]} x {size[1]} "
                "photo; keypoints have to be in pixels of the full photo."
            )
        inside.append(replace(person, box=boxes_in_photo(person.box[None], size, photo)[0]))
    return inside


def _name_of(
    photo: Path, parts: Mapping[str, tuple[str, ...]], by_file: Mapping[str, list[str]], alone: bool
) -> str | None:
    """The longest name that a photo's path, with or without suffix, ends with; else the only one of its file name.

    Args:
        photo: Path of the photo.
        parts: Names, split at their folders.
        by_file: Names by their last part.
        alone: Whether no other photo of the run has this file name.
    """
    stem = photo.with_suffix("") if photo.name else photo
    number = stem.name.rpartition("_")[2]  # COCO's photos of 2014: COCO_val2014_000000000007.jpg
    numbered = [stem.with_name(number)] if len(number) == COCO_DIGITS and number.isdigit() else []
    candidates = [
        (name, own)
        for own in dict.fromkeys(path.parts for path in (photo, stem, *numbered))
        if own
        for name in by_file.get(own[-1], ())
    ]
    if fitting := [name for name, own in candidates if own[len(own) - len(parts[name]) :] == parts[name]]:
        return max(fitting, key=lambda name: len(parts[name]))
    return candidates[0][0] if len(candidates) == 1 and alone else None


def _keypoints_of(path: Path, layout: str | None) -> ByPhoto[list[Detection]]:
    """The content of one file of keypoints."""
    content = _read_json(path)
    if content == []:  # of a photo without people
        found: ByPhoto[list[Detection]] = ByPhoto(named=False)
        found[path.stem] = []
        return found
    if is_openpose(content):
        return read_openpose(content, path, layout)
    if is_annotations(content):
        return read_annotations(content, path, layout)
    if is_mmpose(content):
        return read_mmpose(content, path, layout)
    if is_ai_challenger(content):
        return read_ai_challenger(content, path)
    if isinstance(content, list):
        return read_results(content, path, layout)
    raise InputError(
        f"{path}: this is neither OpenPose's JSON (people) nor COCO's (images and annotations, or a list), AlphaPose's "
        "or MMPose's."
    )


def _checked(found: ByPhoto[Found]) -> ByPhoto[Found]:
    """What was read, unless there is something wrong with all of it."""
    if found.errors and not found:
        raise next(iter(found.errors.values()))
    return found


def _read_json(path: Path) -> Any:
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    try:
        return parse_json(data)
    except ValueError as error:
        raise InputError(f"{path}: this is not JSON ({error}).") from error


def _boxes(rows: Any, path: Path, photo: str) -> np.ndarray:
    boxes = numbers(rows if rows != [] else np.zeros((0, 4)), path, f"the boxes of {photo or 'the photo'}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{path}: the boxes of {photo or 'the photo'} must be a list of [x0, y0, x1, y1].")
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise InputError(
            f"{path}: a box of {photo or 'the photo'} is empty; boxes are [x0, y0, x1, y1], not [x, y, width, height]."
        )
    return boxes
