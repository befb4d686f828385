"""Common instants of cameras whose frames are at other times."""

import numpy as np
import pytest

from meshrec import Detection, InputError
from meshrec.detect import Mask
from meshrec.reconstruct.instants import between, common_span, left_out
from meshrec.reconstruct.observations import Glimpse


def glimpse(x: float, level: int = 255) -> Glimpse:
    """Somebody whose second keypoint is seen from x = 10 on."""
    keypoints = np.array([[x, 50, 1], [x + 5, 80, float(x >= 10)]], np.float32)
    box = np.array([x - 10, 40, x + 10, 90], np.float32)
    return Glimpse(Detection(box, keypoints, "coco17", 0.9, Mask(np.full((4, 4), level, np.uint8), box)))


def test_a_person_between_two_frames_is_on_the_way():
    person = between(glimpse(10), glimpse(30, 200), 0.75).detection
    assert person.keypoints[:, :2].tolist() == [[25, 50], [30, 80]]
    assert person.box.tolist() == [15, 40, 35, 90]
    assert person.mask is not None and person.mask.box.tolist() == [15, 40, 35, 90]
    assert person.mask.values.max() == 200  # of the nearer frame


def test_a_keypoint_that_is_seen_in_one_frame_alone_is_not_seen_between():
    assert between(glimpse(0), glimpse(20), 0.5).detection.keypoints[1, 2] == 0


def test_the_shared_time():
    names = ["left", "right"]
    assert common_span(names, [0, -1], [3, 2.5], 0.5, None) == (0.5, 2.5)
    with pytest.raises(InputError, match="the clip of left ends at 1 seconds, before that of right begins at 2"):
        common_span(names, [0, 2], [1, 3], None, None)
    with pytest.raises(InputError, match="nothing lies in the part asked for"):
        common_span(names, [0, 0], [1, 1], 2, None)


def test_a_frame_more_or_less_is_no_remark():
    assert left_out([0, 0], [3, 3.04], 25) == []
    assert left_out([0, 0.5], [3, 3], 25)[0].startswith("the cameras share 2.5 seconds of clips of up to 3 seconds")
