"""Triangulation against known points, and epipolar errors against closed forms and simulation."""

import numpy as np
import pytest
import torch
from helpers.views import ring

from meshrec.geometry import Camera
from meshrec.geometry.triangulation import epipolar_errors, triangulate


def projected(cameras: list[Camera], points: np.ndarray) -> np.ndarray:
    world = torch.from_numpy(points)
    return np.stack([c.project(c.world_to_camera(world))[:, :2].numpy() for c in cameras])


def points_around(count: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((-0.5, 0.0, -0.5), (0.5, 1.8, 0.5), (count, 3))


@pytest.mark.parametrize("count", [2, 3, 6])
def test_exact_views_give_the_points_back(count):
    cameras, points = ring(count, of=max(count, 4)), points_around()
    found = triangulate(projected(cameras, points), np.ones((count, 20)), cameras)
    np.testing.assert_allclose(found.points, points, atol=1e-6)
    assert found.errors.max() < 1e-4


def test_a_wrong_view_hardly_counts_and_shows_its_error():
    cameras, points = ring(4), points_around()
    pixels = projected(cameras, points)
    pixels[2, 5] += [60.0, -40.0]
    found = triangulate(pixels, np.full((4, 20), 0.5), cameras)
    assert np.linalg.norm(found.points[5] - points[5]) < 0.02
    assert found.errors[2, 5] == pytest.approx(np.hypot(60, 40), rel=0.1) and found.errors[0, 5] < 5
    np.testing.assert_allclose(np.delete(found.points, 5, 0), np.delete(points, 5, 0), atol=1e-6)


def test_noise_gives_errors_of_the_stated_deviation():
    cameras, points = ring(3), points_around(400)
    pixels = projected(cameras, points) + np.random.default_rng(1).normal(0, 2.0, (3, 400, 2))
    found = triangulate(pixels, np.full((3, 400), 0.5), cameras)
    error = found.points - points
    assert np.sqrt(np.square(error).sum(1).mean()) < 3**0.5 * found.deviation.mean()
    # No linear combination of the best points' neighbourhood is better: perturbed points reproject worse.
    assert np.median(np.linalg.norm(error, axis=1) / found.deviation) < 1.5


def test_points_of_fewer_than_two_views_are_unknown():
    cameras, points = ring(3), points_around(3)
    precision = np.ones((3, 3))
    precision[1:, 0] = 0
    precision[2, 1] = 0
    pixels = projected(cameras, points)
    pixels[precision == 0] = np.nan
    found = triangulate(pixels, precision, cameras)
    assert np.isnan(found.points[0]).all() and np.isinf(found.deviation[0]) and np.isnan(found.errors[:, 0]).all()
    np.testing.assert_allclose(found.points[1:], points[1:], atol=1e-6)
    assert np.isnan(found.errors[2, 1]) and found.errors[0, 1] < 1e-4


def test_opposed_cameras_say_that_they_do_not_know():
    one, _, opposite, _ = ring(4)
    side = ring(2)[1]
    points = np.array([[0.02, 1.05, 0.0]])
    known, unknown = (
        triangulate(projected(pair, points), np.ones((2, 1)), pair).deviation[0]
        for pair in ([one, side], [one, opposite])
    )
    assert unknown > 10 * known


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="do not agree"):
        triangulate(np.zeros((2, 3, 2)), np.ones((2, 3)), ring(3))


@pytest.mark.parametrize("second", [1, 2])
def test_epipolar_errors_of_noise_are_standard_normal(second):
    """Also for cameras that look at each other, where most points are near the epipoles."""
    cameras = ring(4)
    pair = cameras[0], cameras[second]
    rng = np.random.default_rng(0)
    points = points_around(4000)
    one, two = projected(list(pair), points)
    deviations = np.full(4000, 2.0), np.full(4000, 3.0)
    exact = epipolar_errors(one, two, deviations, pair)
    assert exact.max() < 1e-6
    noisy = epipolar_errors(one + rng.normal(0, 2.0, (4000, 2)), two + rng.normal(0, 3.0, (4000, 2)), deviations, pair)
    assert np.sqrt(np.square(noisy).mean()) == pytest.approx(1.0, abs=0.15)
    wrong = epipolar_errors(one, np.roll(two, 1, axis=0), deviations, pair)
    assert np.median(wrong) > 3
