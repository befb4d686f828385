"""Focal lengths from fields of view."""

import math

import numpy as np
import pytest

from meshrec.files.photos import field_of_view
from meshrec.regress.focal_lengths import focal_of_view, letterboxed


@pytest.mark.parametrize("size", [(640, 480), (480, 640)])
def test_the_focal_length_sees_the_vertical_field_of_view(size):
    focal = focal_of_view(0.9, size)
    assert 2 * math.atan(size[1] / 2 / focal) == pytest.approx(0.9)


@pytest.mark.parametrize(("view", "kept"), [(-0.2, 4), (0.0, 4), (1e-5, 4), (3.1, 150), (9.0, 150)])
def test_a_view_that_no_camera_has_becomes_the_nearest(view, kept):
    assert field_of_view(focal_of_view(view, (640, 480)), (640, 480)) == pytest.approx(kept)


@pytest.mark.parametrize(("shape", "bars"), [((200, 400), (64, 0)), ((400, 100), (0, 96)), ((3000, 2), (0, 127))])
def test_a_photo_lies_in_the_middle_of_a_white_square(shape, bars):
    square = letterboxed(np.zeros((*shape, 3), np.uint8))[0]
    white, black = square.amax(), square.amin()
    is_white = (square[2] > (white + black) / 2).numpy()
    assert is_white.all(1).sum() // 2 == bars[0] and is_white.all(0).sum() // 2 == bars[1]
