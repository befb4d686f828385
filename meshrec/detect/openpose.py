"""Reader of OpenPose's JSON, and of AlphaPose's in OpenPose's style.

OpenPose writes a file a photo, ``<photo>_keypoints.json``, with ``people``: each has ``pose_keypoints_2d``, in old
versions ``pose_keypoints``, a flat list of x, y and confidence, of 25 keypoints (BODY_25), 18 (its COCO model) or 15
(its MPI model). The list is empty where only a face or a hand was found (OpenPose's documentation, "Output format").

AlphaPose's formats ``open`` and ``cmu`` are one object from photo names to such people, or a file a photo; ``cmu``
calls them ``bodies`` and their keypoints ``joints`` (AlphaPose's documentation, "Output").
"""

from pathlib import Path
from typing import Any

from meshrec.detect.keypoint_rows import NOTHING, ByPhoto, person, person_layout
from meshrec.detect.people import Detection
from meshrec.errors import InputError

SUFFIX = "_keypoints"
LISTS = {"people": ("pose_keypoints_2d", "pose_keypoints"), "bodies": ("joints",)}
WANTED = "25 keypoints (pose_keypoints_2d of OpenPose's BODY_25)"


def is_openpose(content: Any) -> bool:
    """Whether the content of a JSON file is of this format."""
    if not isinstance(content, dict) or not content:
        return False
    return _has_people(content) or all(_has_people(part) for part in content.values())


def read_openpose(content: dict[str, Any], path: Path, layout: str | None) -> ByPhoto[list[Detection]]:
    """The people of one file.

    Args:
        content: What the file holds.
        path: The file.
        layout: The user's choice of a layout, or None.

    Raises:
        InputError: The people are no list.
    """
    single = _has_people(content)
    found: ByPhoto[list[Detection]] = ByPhoto(named=not single)
    for name, part in {path.stem.removesuffix(SUFFIX): content}.items() if single else content.items():
        try:
            found[name] = _people(part, path, layout, found)
        except InputError as error:
            found.fail(name, error)
    return found


def _has_people(content: Any) -> bool:
    return isinstance(content, dict) and any(key in content for key in LISTS)


def _people(
    content: dict[str, Any], path: Path, layout: str | None, found: ByPhoto[list[Detection]]
) -> list[Detection]:
    kind = next(key for key in LISTS if key in content)
    rows = content[kind]
    if not isinstance(rows, list):
        raise InputError(f"{path}: the {kind} of OpenPose's format must be a list.")
    values = [_keypoints(row, LISTS[kind]) for row in rows]
    people = []
    for index, keypoints in enumerate(values):
        detection = None
        if keypoints != [] and not (keypoints is None and any(values)):  # else only a face or a hand was found
            known = person_layout(keypoints, path, index, WANTED, chosen=layout)
            detection = person(keypoints, known, path, index)
        if detection:
            people.append(detection)
        else:
            found.skipped[NOTHING] += 1
    return people


def _keypoints(row: Any, keys: tuple[str, ...]) -> Any:
    """The keypoints of a person; none for a null, and None where a person has no such entry."""
    if not isinstance(row, dict):
        return row
    return next((row[key] for key in keys if row.get(key)), [] if any(key in row for key in keys) else None)
