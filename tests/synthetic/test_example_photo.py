"""The shipped example photo is what its tool draws."""

import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.files.picture import Picture
from meshrec.synthetic.example_photo import draw_example_clip, draw_example_photo


def test_the_shipped_photo_is_drawn_anew():
    shipped = Picture(EXAMPLES / "dancer.jpg").read().astype(int)
    assert np.abs(draw_example_photo() - shipped).mean() < 3  # of 255: JPEG's own noise


def test_the_example_clip_moves_and_is_short_of_no_pose():
    first, second = draw_example_clip(frames=2, step=8)
    assert first.shape == second.shape == (900, 720, 3)
    moved = np.abs(first.astype(int) - second).max(axis=-1) > 60
    assert 1000 < moved.sum() < 0.2 * moved.size  # the dancer, and not the room
    with pytest.raises(ValueError, match="no held-out take 'waltz'"):
        next(draw_example_clip(take="waltz"))
