"""DensePose-COCO's annotations, in their layout."""

import json

import cv2
import numpy as np
import pytest

from meshrec.data.sample import cut
from meshrec.datasets.densepose import read_densepose
from meshrec.errors import InputError


def part(rows, columns):
    """A mask of 256 x 256 pixels, 1 in some rows and columns, as lengths of runs down the columns."""
    mask = np.zeros((256, 256), bool)
    mask[rows, columns] = True
    flat = [False, *mask.T.ravel().tolist(), None]
    edges = [i for i in range(1, len(flat)) if flat[i] != flat[i - 1]]
    return {"size": [256, 256], "counts": np.diff([1, *edges]).tolist()}


@pytest.fixture
def annotations(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((120, 200, 3), 77, np.uint8))
    keypoints = np.stack([np.arange(17) * 10.0, np.arange(17) * 5.0, np.full(17, 2)], axis=1)
    keypoints[3] = 0
    person = {
        "image_id": 9,
        "bbox": [20, 10, 128, 64],
        "keypoints": keypoints.ravel().tolist(),
        "dp_masks": [part(slice(0, 128), slice(0, 64)), [], part(slice(128, 256), slice(64, 128)), *[[]] * 11],
        "dp_x": [1.0],
        "dp_I": [2],
    }
    content = {
        "images": [{"id": 9, "file_name": "a.jpg", "width": 200, "height": 120}],
        "annotations": [{"image_id": 9, "bbox": [0, 0, 5, 5]}, person],
    }

    def write(image=(), **changes):
        content["images"][0] |= dict(image)
        changed = {key: value for key, value in (person | changes).items() if value is not None}
        text = json.dumps(content | {"annotations": [content["annotations"][0], changed]})
        (tmp_path / "densepose.json").write_text(text)
        return tmp_path / "densepose.json"

    return write


def test_people(annotations, tmp_path):
    people = read_densepose(annotations(), tmp_path)
    assert len(people) == 1  # the other has no masks
    sample = people[0]
    # 1.2 times the longer side of the box, around its middle (84, 42)
    assert np.allclose(sample.keypoints_2d[11], ((110 - 84) / 76.8, (55 - 42) / 76.8, 1), atol=1e-6)
    assert sample.keypoints_2d[3].tolist() == [0, 0, 0]
    truth = np.zeros((120, 200), np.uint8)
    truth[10:42, 20:52] = truth[42:74, 52:84] = 255
    assert (sample.mask == truth).all()
    assert cut(sample, 64).image[32, 32].tolist() == [77, 77, 77]
    sample = read_densepose(annotations(keypoints=None, bbox=[180.5, 100.5, 64, 64]), tmp_path)[0]
    assert not sample.keypoints_2d.any() and sample.mask[100:].any() and not sample.mask[:100].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 8}, "person 0 belongs to image 8"),
        ({"image_id": [9]}, "person 0 belongs to image"),
        ({"image": {"width": 0}}, "the image of person 0 needs file_name, width and height"),
        ({"image": {"file_name": 3}}, "the image of person 0 needs file_name"),
        ({"bbox": [1, 2, 3]}, "bbox of person 0 must be 4 numbers"),
        ({"bbox": [1, 2, 0, 5]}, r"the bbox of person 0 \(a\.jpg\) is empty"),
        ({"bbox": [1, 2, 10**400, 5]}, "bbox has a number that is too large"),
        ({"keypoints": [1, 2, 3]}, "keypoints of person 0 must be 51 numbers"),
        ({"keypoints": [5] * 51}, "row 0: keypoints has a confidence"),
        ({"dp_masks": {}}, "dp_masks of person 0 must be a list"),
    ],
)
def test_damaged_people_are_named(annotations, tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"densepose\.json: .*{message}"):
        read_densepose(annotations(**changes), tmp_path)


@pytest.mark.parametrize("mask", [{"size": [2, 2], "counts": [4]}, {"size": [256, 256], "counts": "?"}, "text"])
def test_damaged_masks_are_named(annotations, tmp_path, mask):
    people = read_densepose(annotations(dp_masks=[mask]), tmp_path)
    with pytest.raises(InputError, match=r"densepose\.json: dp_masks of person 0"):
        people[0]


def test_foreign_files(annotations, tmp_path):
    with pytest.raises(InputError, match="nobody has dp_masks"):
        read_densepose(annotations(dp_masks=None), tmp_path)
    for text, message in (("{", "no JSON"), ("[]", "no file of annotations"), ('{"images": [1]}', "no file of ann")):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(InputError, match=message):
            read_densepose(tmp_path / "x.json", tmp_path)
    with pytest.raises(InputError, match=r"none\.json: the file cannot be read"):
        read_densepose(tmp_path / "none.json", tmp_path)
