"""Reader of COCO's keypoint JSON, and of AlphaPose's and AI Challenger's lists.

- Annotations: ``images`` with ``id`` and ``file_name``; ``annotations`` with ``image_id``, ``keypoints`` (a flat list
  of x, y and visibility), ``bbox`` [x, y, width, height] and, in COCO-WholeBody, ``foot_kpts``; and ``categories``, of
  which the person's names the ``keypoints``. What belongs to other categories, or has no keypoints, is left out.
- Results: a list of such rows with ``score``; there the ``image_id`` is the photo's name. AlphaPose's default format is
  this one, with a ``box`` instead of the ``bbox``.
- AI Challenger: a list of photos with ``image_id``, the name, ``keypoint_annotations`` and ``human_annotations``, from
  each human to 14 keypoints (visibility 1 visible, 2 hidden, 3 no label) and a box x0, y0, x1, y1 (Wu et al. 2017).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.body.joints import FEET
from meshrec.detect.keypoint_rows import NOTHING, ByPhoto, box_corners, numbers, person, person_layout
from meshrec.detect.layouts import LAYOUTS
from meshrec.detect.people import Detection
from meshrec.errors import InputError

WANTED = "17 keypoints (x, y and visibility of each)"
COCO_DIGITS = 12  # of the id that is the name of a photo of COCO
WRONG_ROWS = "COCO's annotations or results must be a list of objects, each with an image_id."
OTHERS = "annotations of other categories"

People = ByPhoto[list[Detection]]


def is_annotations(content: Any) -> bool:
    """Whether the content of a JSON file is COCO's annotations."""
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def is_ai_challenger(content: Any) -> bool:
    """Whether the content of a JSON file is AI Challenger's."""
    return isinstance(content, list) and any(isinstance(row, dict) and "keypoint_annotations" in row for row in content)


def read_annotations(content: dict[str, Any], path: Path, layout: str | None) -> People:
    """The people of an annotation file.

    Args:
        content: What the file holds.
        path: The file.
        layout: The user's choice of a layout, or None.

    Raises:
        InputError: The file has another structure.
    """
    names = _names(content["images"], path)
    found: People = ByPhoto()
    found.update({name: [] for name in names.values()})
    rows = content["annotations"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: {WRONG_ROWS}")
    categories = _categories(content.get("categories"))
    with_feet = any("foot_kpts" in row for row in rows)
    for index, row in enumerate(rows):
        category = str(row.get("category_id"))
        if categories and "category_id" in row and category not in categories:
            found.skipped[OTHERS] += 1
            continue
        if not row.get("keypoints"):
            found.skipped[NOTHING] += 1
            continue
        if "image_id" not in row:
            raise InputError(f"{path}: {WRONG_ROWS}")
        if (name := names.get(str(row["image_id"]))) is None:
            raise InputError(
                f"{path}: person {index} belongs to image {str(row['image_id'])[:80]}, which is not among the images."
            )
        points = categories.get(category, ())
        _add(found, name, row, path, index, points, layout, with_feet)
    return found


def read_results(content: list[Any], path: Path, layout: str | None) -> People:
    """The people of a list of results; arguments and errors are those of :func:`read_annotations`."""
    rows = _rows(content, path)
    found: People = ByPhoto(named=not all(isinstance(row["image_id"], int) for row in rows))
    for index, row in enumerate(rows):
        name = f"{row['image_id']:0{COCO_DIGITS}d}" if isinstance(row["image_id"], int) else str(row["image_id"])
        if name not in found.errors:
            found.setdefault(name, [])
        _add(found, name, row, path, index, (), layout, False)
    return found


def read_ai_challenger(content: list[Any], path: Path) -> People:
    """The people of AI Challenger's annotations; arguments and errors are those of :func:`read_annotations`."""
    found: People = ByPhoto()
    for photo in content:
        humans = photo.get("keypoint_annotations") if isinstance(photo, dict) else None
        if not isinstance(humans, dict) or "image_id" not in photo:
            raise InputError(f"{path}: AI Challenger's photos need an image_id and keypoint_annotations by human.")
        name, boxes = str(photo["image_id"]), photo.get("human_annotations")
        people = []
        try:
            for index, (human, keypoints) in enumerate(humans.items()):
                person_layout(keypoints, path, index, "14 keypoints (x, y and visibility of each)", chosen="aic14")
                values = numbers(keypoints, path, f"the keypoints of person {index}", finite=False).reshape(-1, 3)
                values[:, 2] = np.where(values[:, 2] == 3, 0, values[:, 2])
                box = boxes.get(human) if isinstance(boxes, dict) else None
                corners = None if box is None else numbers(box, path, f"the box of person {index}")
                if corners is not None and corners.shape != (4,):
                    raise InputError(f"{path}: the box of person {index} must be [x0, y0, x1, y1].")
                if detection := person(values, LAYOUTS["aic14"], path, index, corners=corners):
                    people.append(detection)
                else:
                    found.skipped[NOTHING] += 1
            found[name] = people
        except InputError as error:
            found.fail(name, error)
    return found


def _add(
    found: People,
    name: str,
    row: dict[str, Any],
    path: Path,
    index: int,
    points: Sequence[str],
    layout: str | None,
    with_feet: bool,
) -> None:
    """Add the person of a row to a photo, or count or keep what is wrong with it."""
    values = row.get("keypoints")
    if not values:
        found.skipped[NOTHING] += 1
        return
    try:
        known = person_layout(values, path, index, WANTED, points, layout)
        if with_feet and known.joints == "coco17":
            feet = row.get("foot_kpts")
            values = values + (feet if isinstance(feet, list) and len(feet) == 3 * len(FEET) else [0] * 3 * len(FEET))
            known = LAYOUTS["wholebody23"]
        corners = box_corners(row.get("bbox", row.get("box")), path, index)
        detection = person(values, known, path, index, row.get("score"), corners)
    except InputError as error:
        found.fail(name, error)
        return
    if detection is None:
        found.skipped[NOTHING] += 1
    elif name not in found.errors:
        found[name].append(detection)


def _rows(rows: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "image_id" in row for row in rows):
        raise InputError(f"{path}: {WRONG_ROWS}")
    return rows


def _names(images: Any, path: Path) -> dict[str, str]:
    try:
        return {str(image["id"]): str(image["file_name"]) for image in images}
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: each of COCO's images needs an id and a file_name.") from error


def _categories(categories: Any) -> dict[str, Sequence[str]]:
    """The names of the keypoints of each category of people; empty if the file does not tell categories apart."""
    rows = [row for row in categories if isinstance(row, dict)] if isinstance(categories, list) else []
    with_points = [row for row in rows if isinstance(row.get("keypoints"), list)]
    people = [row for row in with_points if row.get("name") == "person"] or with_points
    return {str(row.get("id")): row["keypoints"] for row in people}
