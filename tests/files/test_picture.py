"""Pictures of datasets as their labels refer to them."""

import io

import cv2
import numpy as np
import pytest
from helpers.bad_input.files import jpeg_that_claims, png
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.picture import Picture, decode


def encoded(image: np.ndarray, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=100, exif=exif)
    return data.getvalue()


def test_colours_are_rgb_and_exif_turns_the_picture(tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30] = (200, 40, 10)
    (tmp_path / "a.jpg").write_bytes(encoded(image))
    assert np.abs(Picture(tmp_path / "a.jpg").read()[5:15, 5:25].astype(int) - (200, 40, 10)).max() < 6
    (tmp_path / "b.jpg").write_bytes(encoded(image, orientation=6))  # the camera was held upright
    turned = Picture(tmp_path / "b.jpg").read()
    assert turned.shape == (60, 40, 3) and turned[5, 35, 0] > 150 and turned[5, 5, 0] < 50


def test_part_of_a_file(tmp_path):
    data = encoded(np.full((20, 30, 3), 90, np.uint8))
    (tmp_path / "box").write_bytes(b"before" + data + b"after")
    assert Picture(tmp_path / "box", 6, len(data)).read().shape == (20, 30, 3)
    with pytest.raises(InputError, match="box"):
        Picture(tmp_path / "box", 0, 6).read()


@pytest.mark.parametrize("claimed", [(65_000, 65_000), (12_000, 11_000), (40_000, 10)])
def test_pictures_that_claim_too_much(claimed):
    for data in (jpeg_that_claims(*claimed), png(*claimed)):
        with pytest.raises(InputError, match=r"claim: \d+ x \d+ pixels are more than|claim: this is not a picture"):
            decode(data, "claim")


def test_masks_are_gray():
    mask = np.arange(600, dtype=np.uint8).reshape(20, 30)
    assert np.array_equal(decode(cv2.imencode(".png", mask)[1].tobytes(), "mask", gray=True), mask)
    with pytest.raises(InputError, match="nothing: this is not a picture"):
        decode(b"", "nothing")
