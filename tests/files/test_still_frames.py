"""Folders of frames and arrays."""

import numpy as np
import pytest
from helpers.clips import level_of, levels
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.clips import open_clip


def test_a_folder_in_natural_order(tmp_path):
    images = levels(12)
    for number in (11, 3, 0, 10, 1, 2, 9):
        Image.fromarray(images[number]).save(tmp_path / f"frame_{number}.{'jpg' if number % 2 else 'PNG'}")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "._frame_4.png").write_bytes(b"macOS")
    (tmp_path / "more.png").mkdir()
    clip = open_clip(tmp_path)
    assert [level_of(frame.image) for frame in clip] == [0, 1, 2, 3, 9, 10, 11]
    assert [frame.number for frame in clip] == list(range(7)) and clip.rate == 30
    assert clip.notes == ("the frames have no times, so that 30 per second are assumed",)
    assert open_clip(tmp_path, fps=24).notes == ()


def test_frames_of_a_folder_are_read_as_photos(tmp_path):
    Image.new("RGBA", (64, 48), (0, 0, 0, 0)).save(tmp_path / "1.png")
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    Image.new("L", (48, 64), 200).save(tmp_path / "2.png", exif=exif)
    clip = open_clip(tmp_path, fps=10)
    assert [level_of(frame.image) for frame in clip] == [51, 40]
    assert clip.notes == ("transparent parts are shown on white",)


def test_broken_folders(tmp_path):
    with pytest.raises(InputError, match=r"no frames in this folder, such as 0001\.jpg"):
        open_clip(tmp_path)
    Image.new("L", (64, 48)).save(tmp_path / "1.png")
    Image.new("L", (48, 64)).save(tmp_path / "2.png")
    with pytest.raises(
        InputError, match=r"2\.png: this frame has 48 x 64 pixels, but the first of the clip has 64 x 48"
    ):
        list(open_clip(tmp_path))
    (tmp_path / "2.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"2\.png: this is not a photo"):
        list(open_clip(tmp_path))


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        ([], "no frames in this clip"),
        (iter([]), "no frames in this clip"),
        (3, "not int"),
        (None, "not NoneType"),
        ([np.zeros((48, 64, 2), np.uint8)], "must be"),
        ([np.zeros((4, 64, 3), np.uint8)], "too small"),
        ([np.zeros((48, 64, 3), np.uint8), np.zeros((64, 48, 3), np.uint8)], "frame 1: this frame has 48 x 64"),
    ],
)
def test_what_is_no_clip(frames, part):
    with pytest.raises(InputError, match=part):
        list(open_clip(frames, fps=25))


def test_arrays_are_not_copied():
    images = levels(3)
    for frame, image in zip(open_clip(images, fps=25), images, strict=True):
        assert np.shares_memory(frame.image, image)
