"""Reading depth maps: units, formats, and what is no depth map."""

import numpy as np
import pytest
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.depth_maps import as_depth, depth_unit, read_depth


@pytest.fixture
def metres() -> np.ndarray:
    depth = np.random.default_rng(0).uniform(1, 4, (60, 80)).round(3).astype(np.float32)
    depth[:5] = 0
    return depth


def test_millimetres_in_16_bits_come_back(tmp_path, metres):
    values = (metres * 1000).round().astype(np.uint16)
    for name in ("depth.png", "depth.tiff"):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_allclose(read_depth(tmp_path / name).depth, metres, atol=1e-6)
    with_opencv = tmp_path / "opencv.png"
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(with_opencv), values)
    np.testing.assert_allclose(read_depth(with_opencv).depth, metres, atol=1e-6)


def test_metres_in_floats_come_back(tmp_path, metres):
    Image.fromarray(metres).save(tmp_path / "depth.tiff")
    np.save(tmp_path / "depth.npy", metres.astype(np.float64))
    for name in ("depth.tiff", "depth.npy"):
        np.testing.assert_allclose(read_depth(tmp_path / name).depth, metres, atol=1e-6)


def test_other_units(tmp_path, metres):
    Image.fromarray((metres * 4000).round().astype(np.uint16)).save(tmp_path / "depth.png")
    np.testing.assert_allclose(read_depth(tmp_path / "depth.png", 0.00025).depth, metres, atol=2e-4)
    assert depth_unit("metres") == 1 and depth_unit("millimetres") == 0.001 and depth_unit(None) is None
    for wrong in ("feet", "-1", "nan", "0"):
        with pytest.raises(InputError, match="--depth-unit"):
            depth_unit(wrong)


def test_what_was_not_measured_is_zero():
    depth = np.full((60, 80), 2.0)
    depth[0, :5] = [np.nan, np.inf, -1, 0, 1e9]
    assert (as_depth(depth)[0, :5] == 0).all() and (as_depth(depth)[1:] == 2).all()
    values = np.full((60, 80), 2000, np.uint16)
    values[0, 0] = 65535
    assert as_depth(values)[0, 0] == 0 and as_depth(values)[1, 1] == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((60, 80), 90, np.uint8), "8 bits"),
        (np.zeros((60, 80), np.uint16), "all its pixels are zero"),
        (np.full((60, 80), 2, np.uint16), "--depth-unit"),  # metres, read as millimetres
        (np.full((60, 80), 2500.0, np.float32), "--depth-unit"),  # millimetres, read as metres
        (np.full((60, 80, 3), 2000, np.uint16), "one number a pixel"),
        (np.full((20, 20), 2000, np.uint16), "48 pixels"),
        (np.full((60, 80), 2 + 0j), "depth map"),
    ],
)
def test_wrong_arrays(values, words):
    with pytest.raises(InputError, match=words):
        as_depth(values, path="map.png")


def test_wrong_files(tmp_path):
    Image.new("L", (80, 60), 100).save(tmp_path / "gray.png")
    Image.new("RGB", (80, 60)).save(tmp_path / "colours.png")
    Image.new("RGB", (80, 60)).save(tmp_path / "photo.jpg")
    (tmp_path / "text.png").write_text("no picture")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    for name, words in {
        "gray.png": "8 bits", "colours.png": "colours", "photo.jpg": "16-bit", "text.png": "16-bit",
        "objects.npy": "cannot be read", "cut.npy": "cannot be read", "missing.png": "no such file",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=words) as error:
            read_depth(tmp_path / name)
        assert name in str(error.value)
    with pytest.raises(InputError, match="folder"):
        read_depth(tmp_path)
