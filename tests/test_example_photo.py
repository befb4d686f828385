"""The shipped example photo is what its tool draws."""

from pathlib import Path

import numpy as np

from meshrec.data.picture import Picture
from meshrec.example_photo import draw_example_photo


def test_the_shipped_photo_is_drawn_anew():
    shipped = Picture(Path(__file__).parents[1] / "examples/dancer.jpg").read().astype(int)
    assert np.abs(draw_example_photo() - shipped).mean() < 3  # of 255: JPEG's own noise
