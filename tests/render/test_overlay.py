"""Pictures for people to look at."""

import cv2
import numpy as np
import pytest

from meshrec.render.overlay import encode_png


@pytest.mark.parametrize("compression", [0, 1, 6])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (60, 90)])
def test_png_is_read_back_exactly(size, compression):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for given in (picture, picture[::-1, :, ::-1]):  # also views that are not contiguous
        read = cv2.imdecode(np.frombuffer(encode_png(given, compression), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., ::-1], given)
