"""Frames of videos by their numbers."""

import pickle

import numpy as np
import pytest

from meshrec.errors import InputError
from meshrec.files import VideoWriter
from meshrec.files.picture import Lens
from meshrec.files.video_pictures import MOST_OPEN, VideoPicture, Videos


def write(path, count=60):
    with VideoWriter(path, (64, 48), 25) as video:
        for number in range(count):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, : number + 1] = 255  # the number of white columns tells the frame
            video.write(image)
    return path


def number_in(image):
    return round(float((image[..., 1] > 128).mean(0).sum())) - 1


def test_frames_in_any_order(tmp_path):
    path, videos = write(tmp_path / "a.mp4"), Videos()
    for number in (0, 1, 2, 7, 3, 59, 58, 0):
        assert abs(number_in(videos.frame(path, number)) - number) <= 0
    copy = pickle.loads(pickle.dumps(videos))
    assert number_in(copy.frame(path, 5)) == 5
    for number in (60, 10_000):
        with pytest.raises(InputError, match=f"no frame {number}"):
            videos.frame(path, number)
    assert number_in(videos.frame(path, 4)) == 4  # an error does not end it
    with pytest.raises(InputError, match=r"none\.mp4"):
        videos.frame(tmp_path / "none.mp4", 0)


def test_few_videos_stay_open(tmp_path):
    videos = Videos()
    for number in range(MOST_OPEN + 2):
        videos.frame(write(tmp_path / f"{number}.mp4", 2), 1)
    assert len(videos._open) == MOST_OPEN


def test_distortion_is_removed(tmp_path):
    path = write(tmp_path / "a.mp4")
    matrix = np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    plain = VideoPicture(Videos(), path, 40).read()
    none = VideoPicture(Videos(), path, 40, Lens(matrix, np.zeros(5))).read()
    bent = VideoPicture(Videos(), path, 40, Lens(matrix, np.array([0.5, 0, 0, 0, 0]))).read()
    assert (plain == none).all() and (plain != bent).any()
