"""The pictures that cameras saw, out of the overlays of results."""

import cv2
import numpy as np
import pytest

from meshrec import Camera, InputError, Person
from meshrec.files.atomic import write_file
from meshrec.files.videos import VideoWriter
from meshrec.jobs.results import draw_overlay
from meshrec.render.overlay import encode_png
from meshrec.viewer.pictures import WIDEST, MovingPicture, StillPicture, left_part, shrunk


def test_the_left_part_of_an_overlay_is_the_photo(body, tmp_path):
    size = (640, 400)
    image = np.random.default_rng(0).integers(0, 255, (10, 16, 3), np.uint8).repeat(40, 0).repeat(40, 1)
    turned = np.tile(np.eye(3), (24, 1, 1))
    turned[0] = np.diag([1.0, -1.0, -1.0])
    person = Person(body, np.zeros(10), turned, np.array([0, 0, 4]), camera=Camera(500.0, size=size))
    path = write_file(tmp_path / "overlay.png", encode_png(draw_overlay(image, [person])))
    found = StillPicture(path, size).at(0, 0.0)
    assert found.shape[1] / found.shape[0] == pytest.approx(1.6, abs=0.01)
    again = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
    assert np.median(np.abs(again.astype(int) - image)) < 3


def test_a_damaged_overlay_is_no_picture(tmp_path):
    (tmp_path / "overlay.png").write_bytes(b"nothing")
    assert StillPicture(tmp_path / "overlay.png", (64, 48)).at(0, 0.0) is None
    with pytest.raises(InputError):
        MovingPicture(tmp_path / "overlay.png", (64, 48))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Eight frames, each of its own grey in the left two thirds, white in the rest."""
    path = tmp_path_factory.mktemp("video") / "overlay.mp4"
    with VideoWriter(path, (96, 48), 10) as written:
        for number in range(8):
            frame = np.full((48, 96, 3), 255, np.uint8)
            frame[:, :64] = 30 * number
            written.write(frame)
    return path


@pytest.mark.parametrize("order", [range(8), (5, 2, 2, 3, 7, 0), (0, 2, 4, 6)])
def test_frames_of_an_overlay_are_found_by_their_times(video, order):
    picture = MovingPicture(video, (64, 48), start=2.0)
    for number in order:
        image = picture.at(100 + number, 2.0 + number / 10)
        assert image.shape == (48, 64, 3)
        assert abs(image[8:-8, 8:-8].mean() - 30 * number) < 6


def test_frames_of_a_clip_are_found_by_their_numbers(video):
    picture = MovingPicture(video, (96, 48), overlay=False)
    for number in (6, 1, 4):
        assert abs(picture.at(number, 99.0)[8:-8, 8:56].mean() - 30 * number) < 6
    assert picture.at(40, 0.0) is None
    assert picture.at(0, 0.0) is not None


def test_pictures_are_not_larger_than_a_browser_needs():
    assert shrunk(np.zeros((1000, 2 * WIDEST, 3), np.uint8)).shape == (500, WIDEST, 3)
    assert left_part(np.zeros((100, 300, 3), np.uint8), (4, 2), 0).shape == (100, 200, 3)
