"""Cuts of videos that are put together from photos."""

import cv2
import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.detect.cuts import Change, Cuts, difference, thumbnail
from meshrec.files import read_photo


@pytest.fixture(scope="module")
def photos():
    return [
        cv2.resize(read_photo(EXAMPLES / f"{name}.jpg").image, (480, 360), interpolation=cv2.INTER_AREA)
        for name in ("astronaut", "dancer")
    ]


def changes(frames, rate=25.0):
    cuts = Cuts()
    return [cuts.step(frame, i / rate) for i, frame in enumerate(frames)]


def test_another_photo_is_a_cut(photos):
    a, b = photos
    random = np.random.default_rng(0)
    frames = [np.clip(x + random.normal(0, 6, x.shape), 0, 255).astype(np.uint8) for x in [a] * 8 + [b] * 12 + [a] * 5]
    found = changes(frames)
    assert [i for i, change in enumerate(found) if change is Change.CUT] == [8, 20]
    assert Change.BACK not in found


def test_a_closer_view_is_a_cut(photos):
    wide = photos[0]
    close = cv2.resize(wide[40:220, 120:360], (480, 360))
    assert changes([wide] * 5 + [close] * 5).index(Change.CUT) == 5


def test_a_flash_ends_with_the_scene_before(photos):
    a, b = photos
    for flash in (np.full_like(a, 255), b):
        found = changes([a] * 5 + [flash] * 3 + [a] * 5)
        assert found[5] is Change.CUT and found[8] is Change.BACK
        assert all(change is Change.NONE for i, change in enumerate(found) if i not in (5, 8))


def test_pans_and_lights_are_no_cuts(photos):
    wide = np.concatenate([photos[0], photos[0][:, ::-1]], axis=1)
    pan = [wide[:, x : x + 480] for x in np.r_[[0] * 4, np.arange(0, 480, 48), [480] * 4]]  # a tenth of it a frame
    assert set(changes(pan)) == {Change.NONE}
    dark = [(photos[0] * share).astype(np.uint8) for share in (1, 1, 0.6, 0.6, 0.3, 1, 1)]
    assert set(changes(dark)) == {Change.NONE}


def test_a_black_beginning_is_a_scene_of_its_own(photos):
    assert changes([np.zeros_like(photos[0])] * 3 + [photos[0]] * 3)[3] is Change.CUT


def test_difference_of_thumbnails(photos):
    a, b = (thumbnail(photo, 16) for photo in photos)
    assert a.mean() == pytest.approx(0, abs=1e-4) and a.std() == pytest.approx(1, abs=1e-4)
    assert difference(a, a, 4) == 0 and difference(a, b, 0) == pytest.approx(np.abs(a - b).mean(), rel=1e-5)
    shifted = np.roll(a, (2, -3), axis=(0, 1))
    assert difference(shifted, a, 4) == 0 < difference(shifted, a, 2)
    assert not thumbnail(np.full((9, 9, 3), 7, np.uint8), 16).any()
