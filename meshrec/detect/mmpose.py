"""Reader of MMPose's predictions in JSON.

MMPose 1.x (its inferencer, and the scripts of its ``demo`` folder): a person is an instance with ``keypoints``
[[x, y], ...], ``keypoint_scores`` and, optionally, ``bbox`` [[x0, y0, x1, y1]] and ``bbox_score``. A file holds the
instances of one photo: as a list; under ``instance_info``, beside ``meta_info``, which names the keypoints; or under
``predictions``, a list of them for each photo. Files of videos hold a list of ``instances`` for each frame.

MMPose 0.x: the instances of ``pose_results`` have ``keypoints`` [[x, y, score], ...] and a ``bbox``
[x0, y0, x1, y1, score]. ``tools/test.py --out`` writes a list of batches with ``preds``, the keypoints of people, and
``image_paths``: one for each of them, or a single one for all.
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
    return isinstance(rows, list) and any(isinstance(row, dict) and _is_row(row) for row in rows)


def _is_row(row: dict[str, Any]) -> bool:
    keypoints = row.get("keypoints")
    nested = isinstance(keypoints, list) and bool(keypoints) and isinstance(keypoints[0], list)
    return nested or bool({"keypoint_scores", "instances"} & row.keys()) or {"preds", "image_paths"} <= row.keys()


def read_mmpose(content: Any, path: Path, layout: str | None) -> ByPhoto[list[Detection]]:
    """The people of one file.

    Args:
        content: What the file holds.
        path: The file.
        layout: The user's choice of a layout, or None.

    Raises:
        InputError: The file holds several photos or frames, or has another structure.
    """
    if isinstance(content, list) and all(isinstance(row, dict) and "preds" in row for row in content):
        return _read_batches(content, path, layout)
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


def _read_batches(batches: list[dict[str, Any]], path: Path, layout: str | None) -> ByPhoto[list[Detection]]:
    """The people of a file that ``tools/test.py`` of MMPose 0.x wrote."""
    rows: dict[str, list[Any]] = {}
    for batch in batches:
        people, photos = batch["preds"], batch.get("image_paths")
        if not isinstance(people, list) or not isinstance(photos, list) or len(photos) not in (1, len(people)):
            raise InputError(f"{path}: a batch of MMPose must have preds, and image_paths with one for each of them.")
        for photo in photos:
            rows.setdefault(str(photo), [])
        for points, photo in zip(people, photos if len(photos) > 1 else photos * len(people)):
            rows[str(photo)].append(points)
    found: ByPhoto[list[Detection]] = ByPhoto()
    for photo, people in rows.items():
        try:
            values = [_flat({"keypoints": points}, path, index) for index, points in enumerate(people)]
            layouts = [person_layout(flat, path, index, WANTED, chosen=layout) for index, flat in enumerate(values)]
            read = [person(flat, known, path, index) for index, (flat, known) in enumerate(zip(values, layouts))]
        except InputError as error:
            found.fail(photo, error)
            continue
        found[photo] = [detection for detection in read if detection]
        if len(found[photo]) < len(read):
            found.skipped[NOTHING] += len(read) - len(found[photo])
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
    elif places.ndim == 2 and places.shape[1] >= 3:  # what follows the score are tags of bottom-up networks
        return places[:, :3].ravel().tolist()
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
