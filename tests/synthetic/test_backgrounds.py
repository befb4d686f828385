"""Backgrounds: noise, and the pictures of a folder."""

import cv2
import numpy as np
import pytest
import torch

from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds


def test_noise_backgrounds_fill_the_picture_with_contours():
    pictures = noise_backgrounds(Streams(0, range(6), "picture"), 64)
    assert pictures.shape == (6, 3, 64, 64)
    assert pictures.min() >= 0 and pictures.max() <= 1
    assert (pictures.diff(dim=-1).abs().amax((1, 2, 3)) > 0.05).float().mean() > 0.6


def test_backgrounds_come_from_a_folder(tmp_path):
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[..., 2] = 200  # red in OpenCV's order
    (tmp_path / "sub").mkdir()
    cv2.imwrite(str(tmp_path / "sub" / "red.png"), picture)
    backgrounds = FolderBackgrounds(tmp_path)
    drawn = backgrounds(Streams(0, range(3), "picture"), 32)
    assert drawn.shape == (3, 3, 32, 32)
    assert torch.allclose(drawn[:, 0], torch.tensor(200 / 255)) and (drawn[:, 1:] == 0).all()


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        FolderBackgrounds(tmp_path)
