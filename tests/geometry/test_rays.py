"""Rays of sight, against closed forms, projection and another library."""

import cv2
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from meshrec.geometry import Camera
from meshrec.geometry.rays import (
    Rays,
    camera_center,
    closest_distances,
    epipolar_distance,
    fundamental_matrix,
    meeting_point,
    ray_angle,
    ray_distance,
    rays_of,
)


def cameras(count: int = 3, seed: int = 0) -> list[Camera]:
    """Cameras that differ in everything, in front of which the origin lies."""
    random = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(random.normal(0, 0.8, (count, 3))).as_matrix()
    return [
        Camera((700 + 50 * i, 720.0), (300, 250 + 9 * i), (640, 480), turn, random.normal(0, 0.3, 3) + (0, 0, 4))
        for i, turn in enumerate(turns)
    ]


def seen(camera: Camera, points: np.ndarray) -> np.ndarray:
    return camera.project(camera.world_to_camera(torch.from_numpy(points)))[..., :2].numpy()


POINTS = np.random.default_rng(1).normal(0, 0.5, (20, 3))


def test_rays_go_through_what_is_seen():
    for camera in cameras():
        rays = rays_of(camera, seen(camera, POINTS))
        away = POINTS - camera_center(camera)
        distances = np.linalg.norm(away, axis=1)
        assert np.allclose(rays.points(distances), POINTS, atol=1e-9)
        assert np.allclose(np.linalg.norm(rays.directions, axis=1), 1)


def test_rays_of_one_point_meet_in_it():
    views = cameras(4)
    rays = [rays_of(camera, seen(camera, POINTS)) for camera in views]
    assert np.allclose(ray_distance(rays[0], rays[1]), 0, atol=1e-9)
    together = Rays(np.stack([r.origins for r in rays], 1), np.stack([r.directions for r in rays], 1))
    assert np.allclose(meeting_point(together), POINTS, atol=1e-9)
    weights = np.ones((len(POINTS), 4))
    weights[:, 1:] = 0
    assert np.isnan(meeting_point(together, weights)).all()


@pytest.mark.parametrize("seed", range(5))
def test_closest_points_are_the_closest(seed):
    random = np.random.default_rng(seed)
    directions = random.normal(size=(2, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b = (Rays(random.normal(size=3), direction) for direction in directions)
    found = minimize(lambda x: np.sum((a.points(x[0]) - b.points(x[1])) ** 2), np.zeros(2), tol=1e-14)
    assert np.allclose(closest_distances(a, b), found.x, atol=1e-5)
    assert np.isclose(ray_distance(a, b), np.sqrt(found.fun), atol=1e-6)


def test_meeting_point_has_least_distances():
    random = np.random.default_rng(3)
    directions = random.normal(size=(5, 3))
    rays = Rays(random.normal(size=(5, 3)), directions / np.linalg.norm(directions, axis=1, keepdims=True))
    weights = random.uniform(0.1, 1, 5)

    def cost(x: np.ndarray) -> float:
        return float(weights @ np.linalg.norm(np.cross(x - rays.origins, rays.directions), axis=1) ** 2)

    assert np.allclose(meeting_point(rays, weights), minimize(cost, np.zeros(3), tol=1e-14).x, atol=1e-5)


def test_parallel_rays():
    a, b = Rays(np.zeros(3), np.array([0, 0, 1.0])), Rays(np.array([0.3, 0.4, 2.0]), np.array([0, 0, 1.0]))
    assert np.isclose(ray_distance(a, b), 0.5) and ray_angle(a, b) == 0
    both = Rays(np.stack([a.origins, b.origins]), np.stack([a.directions, b.directions]))
    assert np.isnan(meeting_point(both)).all()


@pytest.mark.parametrize("degrees", [0.01, 30, 90, 150])
def test_angles(degrees):
    turned = Rotation.from_euler("y", degrees, degrees=True).apply([0, 0, 1.0])
    angle = ray_angle(Rays(np.zeros(3), np.array([0, 0, 1.0])), Rays(np.ones(3), turned))
    assert np.isclose(np.rad2deg(angle), min(degrees, 180 - degrees))


def test_epipolar_lines_are_those_of_opencv():
    a, b = cameras(2)
    matrix = fundamental_matrix(a, b)
    first, second = seen(a, POINTS), seen(b, POINTS)
    assert np.allclose(epipolar_distance(matrix, first, second), 0, atol=1e-7)
    moved = second + np.random.default_rng(4).normal(0, 5, second.shape)
    in_b = cv2.computeCorrespondEpilines(first[:, None], 1, matrix)[:, 0]  # with a normal of length 1
    in_a = cv2.computeCorrespondEpilines(moved[:, None], 2, matrix)[:, 0]
    from_a, from_b = epipolar_distance(matrix, first, moved)
    assert np.allclose(from_b, np.abs((in_b[:, :2] * moved).sum(1) + in_b[:, 2]), atol=1e-6)
    assert np.allclose(from_a, np.abs((in_a[:, :2] * first).sum(1) + in_a[:, 2]), atol=1e-6)
