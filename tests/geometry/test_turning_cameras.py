"""Cameras that turn and zoom in one place."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshrec.geometry import Camera
from meshrec.geometry.turning_cameras import Turned, TurnSettings, estimate_turn, focal_costs, pixel_slopes

CAMERA = Camera((560.0, 540.0), (330.0, 170.0), (640, 360))
FIRST = Turned(np.eye(3))


def turned(degrees: tuple[float, float, float], zoom: float = 1.0) -> Turned:
    return Turned(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix(), zoom)


def spread_pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0, 0], CAMERA.size, (count, 2))


def angle_between(view: Turned, other: Turned) -> float:
    """Degrees."""
    return float(np.degrees(Rotation.from_matrix(view.turn @ other.turn.T).magnitude()))


def test_distant_points_are_seen_where_a_camera_with_extrinsics_sees_them():
    view = turned((8, -20, 5), 1.3)
    focal = tuple(view.zoom * np.array(CAMERA.focal))
    posed = Camera(focal, CAMERA.center, CAMERA.size, rotation=view.turn)
    directions = FIRST.directions(spread_pixels(20), CAMERA)
    expected = posed.project(posed.world_to_camera(torch.from_numpy(7 * directions)))[:, :2].numpy()
    assert np.allclose(view.pixels(directions, CAMERA), expected)
    assert np.allclose(view.directions(expected, CAMERA), directions)
    assert np.isnan(view.pixels(-directions, CAMERA)).all()  # behind it


def test_a_homography_leads_from_one_picture_to_the_other():
    before, after = turned((3, 9, 1), 1.1), turned((-5, 14, -3), 1.4)
    pixels = spread_pixels(20)
    mapped = np.c_[pixels, np.ones(20)] @ before.homography(after, CAMERA).T
    assert np.allclose(mapped[:, :2] / mapped[:, 2:], after.pixels(before.directions(pixels, CAMERA), CAMERA))


def test_slopes_are_those_of_finite_differences():
    view, step = turned((4, -7, 2), 1.2), 1e-6
    directions = view.directions(spread_pixels(10), CAMERA)
    slopes = pixel_slopes(directions, view, CAMERA)

    def seen(change: np.ndarray) -> np.ndarray:
        turn = Rotation.from_rotvec(change[:3]).as_matrix() @ view.turn
        return Turned(turn, view.zoom * np.exp(change[3])).pixels(directions, CAMERA)

    for unknown, change in enumerate(step * np.eye(4)):
        numeric = (seen(change) - seen(-change)) / (2 * step)
        assert np.allclose(slopes[:, :, unknown], numeric, atol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, 0.3, 0.55])
def test_turn_and_zoom_are_found_among_wrong_points(wrong):
    truth = turned((6, -16, 4), 1.25)
    random = np.random.default_rng(1)
    directions = FIRST.directions(spread_pixels(200), CAMERA)
    pixels = truth.pixels(directions, CAMERA) + random.normal(0, 0.2, (200, 2))
    bad = random.random(200) < wrong
    pixels[bad] += random.normal(0, 40, (bad.sum(), 2))
    estimate = estimate_turn(directions, pixels, CAMERA, FIRST)
    assert angle_between(estimate.view, truth) < 0.04
    assert abs(estimate.view.zoom / truth.zoom - 1) < 0.002
    assert estimate.agrees[~bad].mean() > 0.98 and estimate.agrees[bad].sum() < 10


def test_without_zoom_the_focal_length_stays():
    truth, start = turned((2, 5, -1), 1.1), Turned(np.eye(3), 1.1)
    directions = FIRST.directions(spread_pixels(50), CAMERA)
    estimate = estimate_turn(directions, truth.pixels(directions, CAMERA), CAMERA, start, zooms=False)
    assert estimate.view.zoom == 1.1 and angle_between(estimate.view, truth) < 1e-6
    assert not estimate.covariance[3].any()


def test_covariance_is_that_of_the_errors():
    truth, random = turned((2, 5, -1), 1.1), np.random.default_rng(2)
    directions = FIRST.directions(spread_pixels(60), CAMERA)
    squares = []
    for _ in range(60):
        pixels = truth.pixels(directions, CAMERA) + random.normal(0, 0.3, (60, 2))
        estimate = estimate_turn(directions, pixels, CAMERA, truth)
        error = Rotation.from_matrix(truth.turn @ estimate.view.turn.T).as_rotvec()
        error = np.append(error, np.log(truth.zoom / estimate.view.zoom))
        squares.append(error @ np.linalg.solve(estimate.covariance, error))
    assert 2.5 < np.mean(squares) < 6.5  # four degrees of freedom; the robust loss costs a little


@pytest.mark.parametrize("truth", [0.7, 1.0, 1.2])
def test_the_focal_length_that_is_true_costs_least(truth):
    random, ratios = np.random.default_rng(3), np.array([0.5, 0.7, 0.85, 1.0, 1.2, 1.5])
    views = (turned((1, 2, 0)), turned((5, -11, 3), 1.2))
    before = spread_pixels(80)
    after = views[1].pixels(views[0].directions(before, CAMERA), CAMERA) + random.normal(0, 0.2, (80, 2))
    wrong = Camera(tuple(np.array(CAMERA.focal) / truth), CAMERA.center, CAMERA.size)
    believed = estimate_turn(views[0].directions(before, wrong), after, wrong, views[0]).view
    costs = focal_costs(before, after, wrong, (views[0], believed), ratios)
    assert ratios[costs.argmin()] == truth and costs.min() < 0.1


def test_nothing_is_found_where_points_determine_nothing():
    directions = FIRST.directions(np.full((10, 2), 100.0), CAMERA)
    assert estimate_turn(directions[:2], np.full((2, 2), 100.0), CAMERA, FIRST) is None
    assert estimate_turn(directions, np.full((10, 2), 100.0), CAMERA, FIRST) is None
    behind = -FIRST.directions(spread_pixels(10), CAMERA)
    assert estimate_turn(behind, spread_pixels(10), CAMERA, FIRST, TurnSettings(tolerance=0.1), zooms=False) is None
