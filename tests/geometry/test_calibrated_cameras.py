"""Cameras with distorting lenses against OpenCV's own projection, which knows all of its lens models."""

import cv2
import numpy as np
import pytest

from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import (
    CalibratedCamera,
    distort_points,
    undistort_image,
    undistort_points,
)

SIZE = (1280, 720)
MATRIX = np.array([[900.0, 0, 650], [0, 910, 350], [0, 0, 1]])
LENSES = {
    "none": ((), False),
    "mild": ((-0.05, 0.14, 0.0006, 0.0007, 0.0), False),
    "barrel": ((-0.32, 0.11, 0.001, -0.002, -0.015), False),
    "pincushion": ((0.25, 0.1, -0.001, 0.002, 0.02), False),
    "rational": ((0.5, -0.2, 0.001, 0.0005, 0.01, 0.7, -0.1, 0.02), False),
    "prism": ((-0.1, 0.02, 0.001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, -0.002, 0.003, 0.001), False),
    "tilted": ((-0.1, 0.02, 0.001, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.02, -0.01), False),
    "fisheye": ((-0.03, 0.01, -0.004, 0.0007), True),
}


def lens(kind, focal=None):
    distortion, fisheye = LENSES[kind]
    camera = Camera((MATRIX[0, 0], MATRIX[1, 1]) if focal is None else focal, MATRIX[:2, 2], SIZE)
    return CalibratedCamera("cam1", camera, distortion, fisheye)


def project(points, calibrated):
    """Pixels (N, 2) of points in camera space by OpenCV."""
    matrix, coefficients, zero = calibrated.matrix, np.array(calibrated.distortion), np.zeros(3)
    if calibrated.fisheye:
        return cv2.fisheye.projectPoints(points[:, None], zero, zero, matrix, coefficients)[0][:, 0]
    return cv2.projectPoints(points, zero, zero, matrix, coefficients)[0][:, 0]


@pytest.mark.parametrize("kind", LENSES)
def test_points_against_the_projection_of_opencv(kind):
    calibrated = lens(kind)
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform([-0.7, -0.4], [0.7, 0.4], (200, 2)), np.ones((200, 1))], axis=1)
    seen, truth = project(points, calibrated), (points @ MATRIX.T)[:, :2]
    scored = np.concatenate([seen, rng.uniform(0.1, 1, (200, 1))], axis=1).reshape(4, 50, 3)
    found = undistort_points(scored, calibrated)
    assert found.shape == scored.shape and np.array_equal(found[..., 2], scored[..., 2])
    assert np.abs(found[..., :2].reshape(-1, 2) - truth).max() < 1e-6
    assert np.abs(distort_points(truth, calibrated) - seen).max() < 1e-9


def test_points_that_the_lens_cannot_have_seen_keep_their_place_and_lose_their_confidence():
    calibrated = lens("barrel", focal=500.0)
    assert 0.8 < calibrated.reach < 2
    points = np.array([[650.0, 350, 0.9], [4000, 350, 0.8], [0, 0, 0]])
    found = undistort_points(points, calibrated)
    assert found[0].tolist() == pytest.approx([650, 350, 0.9]) and found[1].tolist() == [4000, 350, 0]
    assert np.isfinite(found).all() and undistort_points(np.zeros((0, 2)), calibrated).shape == (0, 2)
    behind = undistort_points(np.array([[1e5, 350, 1.0]]), lens("fisheye"))
    assert behind.tolist() == [[1e5, 350, 0]]
    with pytest.raises(ValueError, match="points must be"):
        undistort_points(np.zeros((3, 4)), calibrated)


@pytest.mark.parametrize("kind", ["mild", "barrel", "rational", "fisheye"])
def test_pictures_and_points_are_undistorted_alike(kind):
    """Spots at known pixels of the original lie where their undistorted points are."""
    calibrated = lens(kind)
    spots = np.array([[300.0, 200], [640, 360], [900, 600], [1100, 150]])
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    image = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18) for x, y in spots)
    flat = undistort_image((image * 250).astype(np.uint8), calibrated)
    assert flat.shape == image.shape and flat.dtype == np.uint8
    for x, y in undistort_points(spots, calibrated):
        window = np.hypot(columns - x, rows - y) < 12
        weights = flat * window.astype(float)
        centre = [(weights * grid).sum() / weights.sum() for grid in (columns, rows)]
        assert np.abs(np.array(centre) - [x, y]).max() < 0.4  # a spot is stretched by the lens, too


def test_pictures_against_opencv():
    calibrated = lens("mild")
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8), (0, 0), 3)
    truth = cv2.undistort(image, calibrated.matrix, np.array(calibrated.distortion))
    error = np.abs(undistort_image(image, calibrated).astype(int) - truth)
    assert error.mean() < 0.01 and (error > 2).mean() < 1e-4  # a pixel at the border may round to the other side
    assert undistort_image(image, lens("none")) is image
    with pytest.raises(ValueError, match="the picture has 1280 x 700 pixels"):
        undistort_image(image[:700], calibrated)


def test_the_distortion_does_not_fold_back_into_the_picture():
    """Beyond its turning point a barrel distortion would show parts of the picture again, mirrored."""
    calibrated = lens("barrel", focal=350.0)
    flat = undistort_image(np.full((720, 1280), 255, np.uint8), calibrated)
    radius = np.hypot(np.arange(1280) - 650, 0) / 350
    row = flat[350]
    assert (row[radius < 1] > 0).all() and (row[radius > calibrated.reach + 0.01] == 0).all()


def test_pictures_of_another_size():
    calibrated = lens("mild")
    assert calibrated.for_picture(SIZE) is calibrated
    half = calibrated.for_picture((640, 360))
    assert half.camera.size == (640, 360) and len(half.notes) == 1
    points = np.array([[100.0, 50], [700, 400]])
    # The same rays: pixel edges stay edges, so that a pixel's centre moves by half a pixel.
    shrunk = undistort_points((points + 0.5) / 2 - 0.5, half)
    assert np.allclose((undistort_points(points, calibrated) + 0.5) / 2 - 0.5, shrunk)
    odd = calibrated.for_picture((1279, 719))  # as of programs that leave the last column and row out
    assert odd.camera.size == (1279, 719) and np.array_equal(odd.matrix, calibrated.matrix)
    assert calibrated.for_picture((639, 360)).camera.size == (639, 360)
    with pytest.raises(InputError, match="720 x 1280, which are turned by 90 degrees"):
        calibrated.for_picture((720, 1280))
    with pytest.raises(InputError, match="does not belong to pictures of 1000 x 1000"):
        calibrated.for_picture((1000, 1000))


def test_blocks_that_a_codec_fills_up():
    calibrated = CalibratedCamera("a", Camera(1500.0, (950, 530), (1920, 1088)))
    found = calibrated.for_picture((1920, 1080))
    assert (
        found.camera.size == (1920, 1080) and np.array_equal(found.matrix, calibrated.matrix) and len(found.notes) == 1
    )
    small = calibrated.for_picture((960, 540))
    assert np.allclose(small.camera.center, [474.75, 264.75]) and len(small.notes) == 2
    with pytest.raises(InputError):
        CalibratedCamera("a", Camera(1500.0, (950, 530), (1920, 1080))).for_picture((1920, 1072))


def test_a_size_that_the_calibration_does_not_say():
    calibrated = CalibratedCamera("a", Camera(1000.0, (630, 370), (1261, 741)), sized=False)
    found = calibrated.for_picture(SIZE)
    assert found.sized and found.camera.size == SIZE and np.array_equal(found.matrix, calibrated.matrix)
    for wrong in ((720, 1280), (640, 360), (2600, 1500)):
        with pytest.raises(InputError, match="far from the middle"):
            calibrated.for_picture(wrong)


def test_coefficients_are_filled_up_and_checked():
    camera = Camera(500.0, size=(640, 480))
    assert CalibratedCamera("a", camera, (0.1, 0.2, 0, 0)).distortion == (0.1, 0.2, 0, 0, 0)
    assert CalibratedCamera("a", camera, (0.1, 0, 0, 0, 0), fisheye=True).distortion == (0.1, 0, 0, 0)
    assert not CalibratedCamera("a", camera).distorts and CalibratedCamera("a", camera, fisheye=True).distorts
    for wrong in ({"distortion": (0.1,) * 15}, {"distortion": (0.1,) * 5, "fisheye": True}, {"distortion": (np.nan,)}):
        with pytest.raises(ValueError, match="distortion coefficients"):
            CalibratedCamera("a", camera, **wrong)
    with pytest.raises(ValueError, match="printable"):
        CalibratedCamera("a\n", camera)
