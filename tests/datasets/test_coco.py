"""People from COCO's and OpenPose's keypoint JSON."""

import json

import cv2
import numpy as np
import pytest

from meshrec.body import joint_index
from meshrec.data.sample import cut
from meshrec.datasets.coco import read_coco
from meshrec.errors import InputError


@pytest.fixture
def coco(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((100, 200, 3), 77, np.uint8))
    keypoints = np.stack([np.arange(17) * 10.0, np.arange(17) * 5.0, np.full(17, 2)], axis=1)
    keypoints[3] = 0
    keypoints[4, 2] = 1
    few = keypoints.copy()
    few[4:] = 0
    content = {
        "images": [{"id": 9, "file_name": "a.jpg"}],
        "annotations": [
            {"image_id": 9, "keypoints": few.ravel().tolist(), "bbox": [0, 0, 10, 10]},
            {"image_id": 9, "keypoints": keypoints.ravel().tolist(), "bbox": [20, 10, 100, 60]},
        ],
    }

    def write(**changes):
        content["annotations"][1] |= changes
        (tmp_path / "person.json").write_text(json.dumps(content))
        return tmp_path / "person.json"

    return write


def test_people(coco, tmp_path):
    people = read_coco(coco(), tmp_path)
    assert len(people) == 1  # the other has three keypoints
    sample = people[0]
    # 1.2 times the longer side of the box, around its middle (70, 40)
    hip = sample.keypoints_2d[joint_index("left_hip", "coco17")]
    assert np.allclose(hip, ((110 - 70) / 60, (55 - 40) / 60, 1), atol=1e-6)
    assert sample.keypoints_2d[3].tolist() == [0, 0, 0]
    assert sample.keypoints_2d[4, 2] == 1  # hidden, but labelled
    assert cut(sample, 60).image[30, 30].tolist() == [77, 77, 77]
    assert len(read_coco(coco(), tmp_path, least_keypoints=1)) == 2


def test_openpose_files_find_their_pictures(coco, tmp_path):
    cv2.imwrite(str(tmp_path / "b.png"), np.full((100, 200, 3), 99, np.uint8))
    keypoints = np.stack([np.linspace(20, 90, 25), np.linspace(10, 80, 25), np.full(25, 0.7)], axis=1)
    (tmp_path / "json").mkdir()
    content = {"people": [{"pose_keypoints_2d": keypoints.ravel().tolist()}]}
    (tmp_path / "json/b_keypoints.json").write_text(json.dumps(content))
    sample = read_coco(tmp_path / "json", tmp_path)[0]
    assert sample.joints[24] == "right_heel" and sample.keypoints_2d[24, 2] == pytest.approx(0.7)
    assert cut(sample, 20).image[10, 10].tolist() == [99, 99, 99]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 8}, "person 1 belongs to image 8"),
        ({"keypoints": [1, 2, 3]}, "person 1 must have 17 keypoints"),
        ({"keypoints": [None] * 51}, "keypoints of person 1"),
        ({"bbox": [1, 2, 3]}, "bbox of person 1"),
        ({"bbox": [20, 10, 0, 0]}, r"person 0 \(a\.jpg\) is empty"),
    ],
)
def test_damaged_people_are_named(coco, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_coco(coco(**changes), tmp_path)


def test_what_is_left_out_is_noted(coco, tmp_path):
    path = coco()
    content = json.loads(path.read_text())
    content["annotations"] += [{"image_id": 9, "bbox": [1, 2, 3, 4]}] * 2
    content["images"][0]["file_name"] = "images\\train\\a.jpg"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    people = read_coco(path, tmp_path)
    assert people.notes == (f"{path}: left out people without keypoints (2)",)
    assert people[0].read_image().shape == (100, 200, 3)


def test_nobody_left(coco, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        read_coco(coco(), tmp_path, least_keypoints=18)
