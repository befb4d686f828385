"""Readers of the user's own boxes and keypoints, so that any detector can be used.

Boxes are a JSON object from photos to boxes x0, y0, x1, y1 in photo pixels, or a list of boxes if there is one photo:

    {"holiday/1.jpg": [[120, 40, 380, 900], [400, 60, 610, 880]], "2.jpg": []}
    [[120, 40, 380, 900]]

Keypoints are in OpenPose's format (BODY_25: one ``<photo>_keypoints.json`` for each photo, or a folder of them) or in
COCO's: an annotation file (``images``, ``annotations``) or a list of results, one file for many photos.

Photos are identified by name: ``holiday/1.jpg`` stands for a photo whose path ends with it, ``1.jpg`` and ``1`` for any
photo of that name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from meshrec.detect.people import Detection, keypoint_box
from meshrec.errors import InputError
from meshrec.files.json_text import parse_json
from meshrec.files.regular import read_regular

ANY_PHOTO = ""  # the photo name under which the content of a file without photo names is kept
OPENPOSE_SUFFIX = "_keypoints"
MOST_BYTES = 1 << 30  # of a file; COCO's largest has 450 MB
COCO_SIZES = (17 * 3, 133 * 3)  # numbers of COCO and COCO-WholeBody, whose first 17 keypoints are those of COCO

Found = TypeVar("Found")


def read_boxes(path: str | Path) -> dict[str, np.ndarray]:
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
    return {name: _boxes(rows, path, name) for name, rows in content.items()}


def read_keypoints(path: str | Path) -> dict[str, list[Detection]]:
    """Read keypoints in OpenPose's or COCO's format.

    Args:
        path: An OpenPose or COCO file, or a folder of OpenPose files.

    Returns:
        Detections without masks, by photo name. If the file has no boxes, they are those around the keypoints.

    Raises:
        InputError: The file cannot be read or has another format.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob(f"*{OPENPOSE_SUFFIX}.json"))
        if not files:
            raise InputError(f"{path}: the folder contains no OpenPose files (*{OPENPOSE_SUFFIX}.json).")
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
    """Look up one photo in the result of :func:`read_boxes` or :func:`read_keypoints`.

    Args:
        found: Boxes or detections by photo name.
        photo: Path of the photo.

    Returns:
        Those of the longest name that fits the path, or None if no name does.
    """
    photo = Path(photo)
    without_suffix = photo.with_suffix("")
    fitting = [name for name in found if _ends_with(photo, name) or _ends_with(without_suffix, name)]
    return found[max(fitting, key=len)] if fitting else None


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


def _ends_with(photo: Path, name: str) -> bool:
    parts = Path(name).parts
    return photo.parts[len(photo.parts) - len(parts) :] == parts


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
    boxes = _numbers(rows if rows != [] else np.zeros((0, 4)), path, f"the boxes of {photo or 'the photo'}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{path}: the boxes of {photo or 'the photo'} must be a list of [x0, y0, x1, y1].")
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise InputError(
            f"{path}: a box of {photo or 'the photo'} is empty; boxes are [x0, y0, x1, y1], not [x, y, width, height]."
        )
    return boxes


def _numbers(values: Any, path: Path, what: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what overflows is reported as not finite
            numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: {what} must be numeric.") from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {what} must be finite, without NaN, infinity or null.")
    return numbers


def _number(value: Any, path: Path, what: str) -> float:
    number = _numbers(value, path, what)
    if number.ndim:
        raise InputError(f"{path}: {what} must be a single number.")
    return float(number)


def _person(values: Any, joint_set: str, path: Path, number: int, score: Any, box: Any) -> Detection | None:
    """A person from a flat list of x, y and confidence of each keypoint; None if no keypoint was found."""
    keypoints = _numbers(values, path, f"the keypoints of person {number}").reshape(-1, 3)
    if (keypoints[:, 2] < 0).any():
        raise InputError(f"{path}: person {number} has a negative keypoint confidence.")
    keypoints[:, 2] = np.minimum(keypoints[:, 2], 1)
    seen = keypoints[:, 2] > 0
    if not seen.any():
        return None
    keypoints[~seen, :2] = 0  # a missing keypoint has no position
    if np.abs(keypoints[seen, :2]).max() <= 1:
        raise InputError(
            f"{path}: the keypoints of person {number} are normalised to 1; they have to be in photo pixels."
        )
    if box is None:
        corners = keypoint_box(keypoints[seen], least=0)
    else:
        sides = _numbers(box, path, f"the bbox of person {number}")
        if sides.shape != (4,):
            raise InputError(f"{path}: the bbox of person {number} must be [x, y, width, height].")
        corners = np.concatenate([sides[:2], sides[:2] + sides[2:]])
    certainty = keypoints[seen, 2].mean() if score is None else _number(score, path, f"the score of person {number}")
    return Detection(corners.astype(np.float32), keypoints, joint_set, float(np.clip(certainty, 0, 1)))


def _openpose_people(people: Any, path: Path) -> list[Detection]:
    found = []
    if not isinstance(people, list):
        raise InputError(f"{path}: the people of OpenPose's format must be a list.")
    for number, person in enumerate(people):
        values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
        if not isinstance(values, list) or len(values) != 25 * 3:
            raise InputError(
                f"{path}: person {number} must have 25 keypoints (pose_keypoints_2d of OpenPose's BODY_25)."
            )
        found.append(_person(values, "openpose25", path, number, None, None))
    return [person for person in found if person]


def _coco_names(images: Any, path: Path) -> dict[str, str]:
    try:
        return {str(image["id"]): str(image["file_name"]) for image in images}
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: each of COCO's images needs an id and a file_name.") from error


def _coco_people(rows: Any, names: dict[str, str] | None, path: Path) -> dict[str, list[Detection]]:
    """People by photo name.

    Args:
        rows: COCO's annotations or results.
        names: Photo names by image id. None for results, where the id itself is the photo's name.
        path: The file, for messages.
    """
    found: dict[str, list[Detection]] = {name: [] for name in (names or {}).values()}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "image_id" in row for row in rows):
        raise InputError(f"{path}: COCO's annotations or results must be a list of objects, each with an image_id.")
    for number, row in enumerate(rows):
        name: str | None
        if names is None:  # COCO's photos are named by their id in twelve digits
            name = f"{row['image_id']:012d}" if isinstance(row["image_id"], int) else str(row["image_id"])
        elif (name := names.get(str(row["image_id"]))) is None:
            raise InputError(
                f"{path}: person {number} belongs to image {str(row['image_id'])[:80]}, which is not among the images."
            )
        values = row.get("keypoints")
        if not isinstance(values, list) or len(values) not in COCO_SIZES:
            raise InputError(f"{path}: person {number} must have 17 keypoints (x, y and visibility of each).")
        person = _person(values[: COCO_SIZES[0]], "coco17", path, number, row.get("score"), row.get("bbox"))
        if person:
            found.setdefault(name, []).append(person)
    return found
