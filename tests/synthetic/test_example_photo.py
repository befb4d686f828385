"""The shipped example photo is what its tool draws."""

import numpy as np
from helpers.paths import EXAMPLES

from meshrec.files.picture import Picture
from meshrec.synthetic.example_photo import draw_example_photo


def test_the_shipped_photo_is_drawn_anew():
    shipped = Picture(EXAMPLES / "dancer.jpg").read().astype(int)
    assert np.abs(draw_example_photo() - shipped).mean() < 3  # of 255: JPEG's own noise
