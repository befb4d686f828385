"""Colours of people who are painted in known colours."""

import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.body import joint_set
from meshrec.detect import Detection, load_detector
from meshrec.detect.clothes_colors import clothes_colors, color_difference
from meshrec.files import read_photo
from meshrec.synthetic.example_photo import SHIRT, TROUSERS


def painted():
    """Somebody in red above y = 50 and in blue below, on green."""
    image = np.full((100, 60, 3), (0, 255, 0), np.uint8)
    image[:, 20:40] = (255, 0, 0)
    image[50:, 20:40] = (0, 0, 255)
    places = {"shoulder": 22, "hip": 50, "knee": 75}
    keypoints = np.zeros((17, 3), np.float32)
    for i, name in enumerate(joint_set("coco17")):
        side, _, part = name.rpartition("_")
        if part in places:
            keypoints[i] = 26 if side == "left" else 34, places[part], 0.9
    return image, Detection(np.array([20.0, 5, 40, 95]), keypoints, "coco17", 0.9)


def test_trunk_and_thighs_have_their_colors():
    image, person = painted()
    assert clothes_colors(image, person).tolist() == [[1, 0, 0], [0, 0, 1]]
    box = Detection(person.box, np.zeros((17, 3), np.float32), "coco17", 0.9)
    assert clothes_colors(image, box).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_what_is_not_seen_has_no_color():
    image, person = painted()
    person.keypoints[[joint_set("coco17").index(f"{side}_knee") for side in ("left", "right")], 2] = 0.1
    trunk, thighs = clothes_colors(image, person)
    assert trunk.tolist() == [1, 0, 0] and np.isnan(thighs).all()
    person.keypoints[:, 0] += 500
    assert np.isnan(clothes_colors(image, person)).all()


def test_difference_of_colors():
    a, b = np.array([[0.2, 0.2, 0.2], [0.5, 0.5, 0.5]]), np.array([[0.2, 0.5, 0.2], [np.nan] * 3])
    assert color_difference(a, b) == pytest.approx(0.1) and color_difference(a, a) == 0
    assert color_difference(a, np.full((2, 3), np.nan)) == 0


def test_colors_of_the_example_photo():
    """The renderer shades the clothes, so that their hue counts: the strongest channel and the weakest."""
    image = read_photo(EXAMPLES / "dancer.jpg").image
    (person,) = load_detector()(image)
    for seen, true in zip(clothes_colors(image, person), (SHIRT.numpy(), TROUSERS.numpy())):
        assert seen.argmax() == true.argmax() and np.abs(seen - true).max() < 0.35
