"""The user's own boxes and keypoints, so that any detector can be used.

Boxes are a JSON object from photo to boxes, x0, y0, x1, y1 in photo pixels; a bare list is for a single photo:

    {"holiday/1.jpg": [[120, 40, 380, 900], [400, 60, 610, 880]], "2.jpg": []}
    [[120, 40, 380, 900]]

Keypoints come as OpenPose writes them (BODY_25, one `<photo>_keypoints.json` per photo, or a folder of them), or in
COCO's format: an annotation file (`images`, `annotations`) or a list of results, one file for many photos.

Photos are told apart by name: `holiday/1.jpg` fits a photo whose path ends so, `1.jpg` and `1` any photo of that name.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from meshrec.detect.people import Detection, keypoint_box
from meshrec.errors import InputError

ANY_PHOTO = ""  # the name under which a file without photo names files its content
OPENPOSE_SUFFIX = "_keypoints"
COCO_SIZES = (17 * 3, 133 * 3)  # COCO, and COCO-WholeBody, whose first 17 keypoints are COCO's

Found = TypeVar("Found")


def read_boxes(path: str | Path) -> dict[str, np.ndarray]:
    """Boxes (N, 4) float32 x0, y0, x1, y1 of every photo named in a boxes file, by photo name.

    Raises:
        InputError: The file is not as this module's description says.
    """
    path = Path(path)
    content = _read_json(path)
    if isinstance(content, list):
        content = {ANY_PHOTO: content}
    if not isinstance(content, dict):
        raise InputError(f'{path}: boxes are {{"photo.jpg": [[x0, y0, x1, y1], ...]}} or a list of boxes.')
    return {name: _boxes(rows, path, name) for name, rows in content.items()}


def read_keypoints(path: str | Path) -> dict[str, list[Detection]]:
    """People of every photo in an OpenPose or COCO keypoint file, or a folder of OpenPose files, by photo name.

    Boxes are those around the keypoints where the file has none; there are no masks.

    Raises:
        InputError: The file is neither.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob(f"*{OPENPOSE_SUFFIX}.json"))
        if not files:
            raise InputError(f"{path}: the folder holds no OpenPose files (*{OPENPOSE_SUFFIX}.json).")
        return {name: people for file in files for name, people in read_keypoints(file).items()}
    content = _read_json(path)
    if isinstance(content, dict) and "people" in content:
        return {path.stem.removesuffix(OPENPOSE_SUFFIX): _openpose_people(content["people"], path)}
    if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
        return _coco_people(content["annotations"], _coco_names(content["images"], path), path)
    if isinstance(content, list):
        return _coco_people(content, None, path)
    raise InputError(
        f"{path}: this is neither OpenPose's JSON (people) nor COCO's (images and annotations, or a list)."
    )


def for_photo(found: dict[str, Found], photo: str | Path) -> Found | None:
    """What :func:`read_boxes` or :func:`read_keypoints` has on one photo, by the longest name that fits, or None."""
    photo = Path(photo)
    without_suffix = photo.with_suffix("")
    fitting = [name for name in found if _ends_with(photo, name) or _ends_with(without_suffix, name)]
    return found[max(fitting, key=len)] if fitting else None


def boxes_in_photo(boxes: np.ndarray, size: tuple[int, int], photo: str | Path) -> np.ndarray:
    """Boxes (N, 4) clipped to a photo of (width, height).

    Raises:
        InputError: One is off the photo or empty.
    """
    limit = np.array([size, size]).reshape(4) - 1
    clipped = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4), 0, limit).astype(np.float32)
    for box, inside in zip(boxes, clipped):
        if not np.isfinite(inside).all() or (inside[2:] - inside[:2] < 1).any():
            values = ", ".join(f"{v:g}" for v in box)
            raise InputError(
                f"{photo}: the box {values} (x0, y0, x1, y1) covers nothing of this {size[0]} x {size[1]} photo."
            )
    return clipped


def people_in_photo(people: list[Detection], size: tuple[int, int], photo: str | Path) -> list[Detection]:
    """People read from a file, boxes clipped to a photo of (width, height).

    Raises:
        InputError: One is off the photo.
    """
    inside = []
    for number, person in enumerate(people):
        points = person.keypoints[person.keypoints[:, 2] > 0, :2]
        if not ((points > -0.5) & (points < np.array(size) - 0.5)).all(1).any():
            raise InputError(
                f"{photo}: person {number} of the keypoint file has no keypoint on this {size[0]} x {size[1]} photo; "
                "keypoints are in pixels of the full photo."
            )
        inside.append(replace(person, box=boxes_in_photo(person.box[None], size, photo)[0]))
    return inside


def _ends_with(photo: Path, name: str) -> bool:
    parts = Path(name).parts
    return photo.parts[len(photo.parts) - len(parts) :] == parts


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is not JSON ({error}).") from error


def _boxes(rows: Any, path: Path, photo: str) -> np.ndarray:
    boxes = _numbers(rows if rows != [] else np.zeros((0, 4)), path, f"the boxes of {photo or 'the photo'}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{path}: the boxes of {photo or 'the photo'} are not a list of [x0, y0, x1, y1].")
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise InputError(f"{path}: a box of {photo or 'the photo'} is empty; boxes are [x0, y0, x1, y1], not widths.")
    return boxes


def _numbers(values: Any, path: Path, what: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what overflows is reported as not finite
            numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: {what} are not all numbers.") from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {what} hold values that are no numbers (NaN, infinite or null).")
    return numbers


def _number(value: Any, path: Path, what: str) -> float:
    number = _numbers(value, path, what)
    if number.ndim:
        raise InputError(f"{path}: {what} is not a number.")
    return float(number)


def _person(values: Any, joint_set: str, path: Path, number: int, score: Any, box: Any) -> Detection | None:
    """A person from a flat list x, y, confidence, ...; None where no keypoint was found."""
    keypoints = _numbers(values, path, f"the keypoints of person {number}").reshape(-1, 3)
    if (keypoints[:, 2] < 0).any():
        raise InputError(f"{path}: person {number} has a negative keypoint confidence.")
    keypoints[:, 2] = np.minimum(keypoints[:, 2], 1)
    seen = keypoints[:, 2] > 0
    if not seen.any():
        return None
    keypoints[~seen, :2] = 0  # a missing keypoint has confidence 0 and no place
    if np.abs(keypoints[seen, :2]).max() <= 1:
        raise InputError(f"{path}: the keypoints of person {number} are scaled to 1; write them in photo pixels.")
    if box is None:
        corners = keypoint_box(keypoints[seen], least=0)
    else:
        sides = _numbers(box, path, f"the bbox of person {number}")
        if sides.shape != (4,):
            raise InputError(f"{path}: the bbox of person {number} is not [x, y, width, height].")
        corners = np.concatenate([sides[:2], sides[:2] + sides[2:]])
    certainty = keypoints[seen, 2].mean() if score is None else _number(score, path, f"the score of person {number}")
    return Detection(corners.astype(np.float32), keypoints, joint_set, float(np.clip(certainty, 0, 1)))


def _openpose_people(people: Any, path: Path) -> list[Detection]:
    found = []
    if not isinstance(people, list):
        raise InputError(f"{path}: OpenPose's people is not a list.")
    for number, person in enumerate(people):
        values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
        if not isinstance(values, list) or len(values) != 25 * 3:
            raise InputError(f"{path}: person {number} has no 25 keypoints (pose_keypoints_2d of OpenPose's BODY_25).")
        found.append(_person(values, "openpose25", path, number, None, None))
    return [person for person in found if person]


def _coco_names(images: Any, path: Path) -> dict[str, str]:
    try:
        return {str(image["id"]): str(image["file_name"]) for image in images}
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: COCO's images need an id and a file_name each.") from error


def _coco_people(rows: Any, names: dict[str, str] | None, path: Path) -> dict[str, list[Detection]]:
    """People by photo from annotations (names by image id) or results (names None: the id is the photo's name)."""
    found: dict[str, list[Detection]] = {name: [] for name in (names or {}).values()}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "image_id" in row for row in rows):
        raise InputError(f"{path}: COCO's annotations or results are a list of objects with an image_id each.")
    for number, row in enumerate(rows):
        name: str | None
        if names is None:  # COCO names its photos by their id in twelve digits
            name = f"{row['image_id']:012d}" if isinstance(row["image_id"], int) else str(row["image_id"])
        elif (name := names.get(str(row["image_id"]))) is None:
            raise InputError(
                f"{path}: person {number} is of image {str(row['image_id'])[:80]}, which is not among the images."
            )
        values = row.get("keypoints")
        if not isinstance(values, list) or len(values) not in COCO_SIZES:
            raise InputError(f"{path}: person {number} has no 17 keypoints (x, y, visibility each).")
        person = _person(values[: COCO_SIZES[0]], "coco17", path, number, row.get("score"), row.get("bbox"))
        if person:
            found.setdefault(name, []).append(person)
    return found
