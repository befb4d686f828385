"""Reader of MMPose's predictions in JSON (MMPose 1.x: its inferencer, and the scripts of its ``demo`` folder).

A person is an instance with ``keypoints`` [[x, y], ...], ``keypoint_scores`` and, optionally, ``bbox``
[[x0, y0, x1, y1]] and ``bbox_score``. A file holds the instances of one photo: as a list; under ``instance_info``,
beside ``meta_info``, which names the keypoints; or under ``predictions``, a list of them for each photo. Files of
videos hold a list of ``instances`` for each frame.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.detect.keypoint_rows import NOTHING, ByPhoto, number, numbers, person, person_layout
from meshrec.detect.people import Detection
from meshrec.errors import InputError

PREFIX = "results_"  # of files that the demo scripts write
WANTED = "17 keypoints (keypoints of MMPose's instances)"


def is_mmpose(content: Any) -> bool:
    """Whether the content of a JSON file is of this format."""
    if isinstance(content, dict):
        return "instance_info" in content or "predictions" in content
    rows = content[0] if isinstance(content, list) and content and isinstance(content[0], list) else content
    marks = {"keypoint_scores", "instances"}
    return isinstance(rows, list) and any(isinstance(row, dict) and marks & row.keys() for row in rows)


def read_mmpose(content: Any, path: Path, layout: str | None) -> ByPhoto[list[Detection]]:
    """The people of one file.

    Args:
        content: What the file holds.
        path: The file.
        layout: The user's choice of a layout, or None.

    Raises:
        InputError: The file holds several photos or frames, or has another structure.
    """
    found: ByPhoto[list[Detection]] = ByPhoto(named=False)
    names: Sequence[str] = ()
    if isinstance(content, dict):
        names = _names(content.get("meta_info"))
        content = content["instance_info"] if "instance_info" in content else content["predictions"]
    people = []
    for index, row in enumerate(_instances(content, path)):
        if not row.get("keypoints"):
            found.skipped[NOTHING] += 1
            continue
        values = _flat(row, path, index)
        known = person_layout(values, path, index, WANTED, names, layout)
        score, box = row.get("bbox_score"), _corners(row.get("bbox"), path, index)
        if score is not None:
            score = number(np.squeeze(numbers(score, path, f"the score of person {index}")), path, "the score")
        if detection := person(values, known, path, index, score, box):
            people.append(detection)
        else:
            found.skipped[NOTHING] += 1
    found[path.stem.removeprefix(PREFIX)] = people
    return found


def _instances(content: Any, path: Path) -> list[dict[str, Any]]:
    """The instances of the one photo of a file."""
    rows = content
    if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) and "instances" in rows[0]:
        rows = rows[0]["instances"]
    if isinstance(rows, list) and all(isinstance(row, dict) and "instances" not in row for row in rows):
        return rows
    several = isinstance(rows, list) and len(rows) > 1
    if several and all(isinstance(row, list) or (isinstance(row, dict) and "instances" in row) for row in rows):
        raise InputError(f"{path}: this file of MMPose holds {len(rows)} photos or frames; give a file for each photo.")
    raise InputError(f"{path}: MMPose's instances must be a list of objects.")


def _flat(row: dict[str, Any], path: Path, index: int) -> list[float]:
    """x, y and confidence of the keypoints of an instance."""
    what = f"the keypoints of person {index}"
    places = numbers(row["keypoints"], path, what, finite=False)
    if "keypoint_scores" in row:
        scores = numbers(row["keypoint_scores"], path, f"the keypoint_scores of person {index}", finite=False)
        if places.ndim == 2 and places.shape[1] == 2 and scores.shape == (len(places),):
            return np.column_stack([places, scores]).ravel().tolist()
    elif places.ndim == 2 and places.shape[1] == 3:
        return places.ravel().tolist()
    raise InputError(f"{path}: {what} must be a list of [x, y] with a keypoint_score for each.")


def _corners(box: Any, path: Path, index: int) -> np.ndarray | None:
    if box is None:
        return None
    corners = np.squeeze(numbers(box, path, f"the bbox of person {index}"))
    if corners.shape not in ((4,), (5,)):  # the fifth is a score
        raise InputError(f"{path}: the bbox of person {index} must be [[x0, y0, x1, y1]].")
    return corners[:4]


def _names(meta: Any) -> list[str]:
    """The names of the keypoints that a file's description gives, in their order; empty if it gives none."""
    table = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(table, dict) or not all(str(i) in table for i in range(len(table))):
        return []
    return [str(table[str(i)]) for i in range(len(table))]
