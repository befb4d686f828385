"""Reader of DensePose-COCO's annotations (Güler et al. 2018), such as ``densepose_coco_2014_train.json``.

The file has COCO's layout. People with ``dp_masks`` are read, and of them:

- ``image_id``, ``bbox`` (x, y, width and height in pixels) and ``keypoints`` (17, 3), as in COCO; labelled keypoints
  have a confidence of 1, whether hidden or not. Without ``keypoints`` all confidences are 0.
- ``dp_masks``: a run-length encoded mask of 256 x 256 pixels over the ``bbox`` for each of 14 parts of the body, an
  empty list where a part is not seen. Together they are the mask of the person, whose body annotators guess below
  loose clothes.

Points on the surface (``dp_x``, ``dp_y``, ``dp_I``, ``dp_U``, ``dp_V``) are not read, since they need the charts of
SMPL's surface that DensePose distributes. The layout is known from the documentation of Detectron2 and DensePose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, box_crop, person_sample
from meshrec.datasets.columns import labels, numbers
from meshrec.errors import InputError
from meshrec.files.coco_masks import decode_mask
from meshrec.files.json_text import parse_json
from meshrec.files.names import find_picture
from meshrec.files.picture import MOST_BYTES as MOST_PICTURE_BYTES
from meshrec.files.picture import Picture
from meshrec.files.regular import read_regular

JOINTS = joint_set("coco17")
PARTS, SIDE = 14, 256
MOST_BYTES = 4 * MOST_PICTURE_BYTES  # of the annotations, a GiB
MOST_SIDE = 32_766  # pixels of a picture


@dataclass(frozen=True, eq=False)
class DensePoseSamples:
    """The N people.

    Attributes:
        path: The annotations.
        folder: Folder of the pictures.
        pictures: Names of the people's pictures.
        sizes: (N, 2) width and height of the pictures.
        boxes: (N, 4) boxes x0, y0, x1, y1, pixels.
        keypoints_2d: (N, 17, 3) x and y in pixels, and confidence.
        parts: The encoded masks of each person's parts.
    """

    path: Path
    folder: Path
    pictures: list[str]
    sizes: np.ndarray
    boxes: np.ndarray
    keypoints_2d: np.ndarray
    parts: list[list[Any]]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        return person_sample(
            name=f"{self.path.name} person {index} ({self.pictures[index]})",
            image=Picture(find_picture(self.folder, self.pictures[index])),
            crop=box_crop(self.boxes[index]),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            mask=self._mask(index),
        )

    def _mask(self, index: int) -> np.ndarray:
        """The person's mask (H, W) over the picture, 255 where the person is."""
        import cv2

        seen = np.zeros((SIDE, SIDE), bool)
        for part in self.parts[index]:
            if part:
                try:
                    mask = decode_mask(part)
                except ValueError as error:
                    raise InputError(f"{self.path}: dp_masks of person {index}: {error}.") from error
                if mask.shape != seen.shape:
                    raise InputError(f"{self.path}: dp_masks of person {index} must be of {SIDE} x {SIDE} pixels.")
                seen |= mask
        width, height = (int(n) for n in self.sizes[index])
        # As in DensePose's own example, the mask covers the part of the box within the picture, in whole pixels.
        x0, y0, x1, y1 = self.boxes[index].astype(int)
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        whole = np.zeros((height, width), np.uint8)
        if x0 < x1 and y0 < y1:
            small = seen.astype(np.uint8) * 255
            whole[y0:y1, x0:x1] = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        return whole


def read_densepose(path: str | Path, folder: str | Path) -> DensePoseSamples:
    """Read the people with masks of parts.

    Args:
        path: The annotations.
        folder: Folder of the pictures.

    Raises:
        InputError: The file is missing or damaged, or has no such people; the message names the person.
    """
    path = Path(path)
    try:
        content = parse_json(read_regular(path, MOST_BYTES))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is no JSON file ({error}).") from error
    found = [content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")]
    if not all(isinstance(part, list) and all(isinstance(entry, dict) for entry in part) for part in found):
        raise InputError(f"{path}: this is no file of annotations, with images and annotations.")
    images: dict[Any, Mapping[str, Any]] = {
        image["id"]: image for image in found[0] or () if isinstance(image.get("id"), int | str)
    }
    people = [person for person in found[1] or () if "dp_masks" in person]
    if not people:
        raise InputError(f"{path}: nobody has dp_masks; are these COCO's own annotations, which the format coco reads?")
    pictures, sizes = zip(*(_picture(path, images, person, index) for index, person in enumerate(people)))
    for index, person in enumerate(people):
        parts = person["dp_masks"]
        if not isinstance(parts, list) or len(parts) > PARTS:
            raise InputError(f"{path}: dp_masks of person {index} must be a list of {PARTS} masks.")
    rows = len(people)
    boxes = numbers(path, _column(path, people, "bbox", [0.0] * 4), "bbox", (4,), rows)
    if (boxes[:, 2:] <= 0).any():
        row = int(np.argmax((boxes[:, 2:] <= 0).any(1)))
        raise InputError(f"{path}: the bbox of person {row} ({pictures[row]}) is empty.")
    columns = _column(path, people, "keypoints", [0.0] * (3 * len(JOINTS)))
    columns["keypoints"] = columns["keypoints"].reshape(rows, -1, 3)
    return DensePoseSamples(
        path=path,
        folder=Path(folder),
        pictures=list(pictures),
        sizes=np.array(sizes),
        boxes=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        keypoints_2d=labels(path, columns, "keypoints", (len(JOINTS), 3), rows),
        parts=[person["dp_masks"] for person in people],
    )


def _picture(
    path: Path, images: Mapping[Any, Mapping[str, Any]], person: Mapping[str, Any], index: int
) -> tuple[str, tuple[int, int]]:
    """Name and size of a person's picture."""
    number = person.get("image_id")
    image = images.get(number) if isinstance(number, int | str) else None
    if image is None:
        raise InputError(f"{path}: person {index} belongs to image {str(number)[:40]}, which is not listed.")
    name, size = image.get("file_name"), (image.get("width"), image.get("height"))
    if not isinstance(name, str) or not all(type(n) is int and 0 < n <= MOST_SIDE for n in size):
        raise InputError(f"{path}: the image of person {index} needs file_name, width and height.")
    return name, size  # type: ignore[return-value]  # just checked


def _column(path: Path, people: list[dict[str, Any]], name: str, default: list[float]) -> dict[str, np.ndarray]:
    """A column of lists of one length."""
    rows = [person.get(name, default) for person in people]
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(default) or not all(type(n) in (int, float) for n in row):
            raise InputError(f"{path}: {name} of person {index} must be {len(default)} numbers.")
    try:
        return {name: np.array(rows, float)}
    except OverflowError as error:
        raise InputError(f"{path}: {name} has a number that is too large.") from error
