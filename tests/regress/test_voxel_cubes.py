"""Cubes around people in depth maps: their axes, their points, and their voxels."""

import numpy as np

from meshrec.geometry import Camera
from meshrec.regress.voxel_cubes import Cube, belongs, cube_points, fill_voxels, looking_at


def test_the_axes_look_at_the_centre():
    for point in ([0.0, 0.0, 3.0], [1.0, -0.5, 2.0], [-2.0, 1.0, 1.5]):
        rotation = looking_at(np.array(point))
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        np.testing.assert_allclose(rotation @ point, [0, 0, np.linalg.norm(point)], atol=1e-5)
        assert np.linalg.det(rotation) > 0


def test_there_and_back():
    cube, points = Cube.at(np.array([0.5, 0.2, 2.5])), np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(cube.from_cube(cube.to_cube(points)), points, atol=1e-5)


def test_the_cube_is_around_the_points():
    points = np.random.default_rng(0).uniform([-0.3, -0.9, 2.9], [0.3, 0.9, 3.1], (2000, 3))
    cube = Cube.around(points)
    np.testing.assert_allclose(cube.center, [0, 0, 3.1], atol=0.05)  # the surface's middle, and 10 cm behind it


def test_points_of_a_map_are_in_the_cube():
    camera, depth = Camera(300.0, size=(320, 240)), np.full((240, 320), 3.0, np.float32)
    depth[:, 250:] = 6.0
    cube = Cube.at(np.array([0.1, 0.0, 3.0]), side=2.0)
    points, full = cube_points(depth, camera, cube)
    assert len(points) > 1000 and np.abs(points).max() <= 1.0
    np.testing.assert_allclose(cube.from_cube(points)[:, 2], 3.0, atol=1e-4)
    # So many points lie on the face of a voxel.
    area = len(points) / full * (2.0 / 64) ** 2
    seen = (min(0.9 + 0.1 + 0.1, 0.905) + 0.9) * 1.6
    assert 0.8 * seen < area < 1.3 * seen


def test_a_point_is_shared_between_its_voxels():
    grid = fill_voxels(np.array([[0.25, 0.0, -0.4]], np.float32), np.array([True]), 1.0, side=4.0, voxels=4)
    assert grid.shape == (2, 4, 4, 4) and not grid[1].any()
    np.testing.assert_allclose(grid[0].sum(), 1.0)
    centers = np.arange(4) - 1.5
    for axis, expected in ((2, 0.25), (1, 0.0), (0, -0.4)):  # the mean place is the point's
        others = tuple(a for a in range(3) if a != axis)
        np.testing.assert_allclose(grid[0].sum(others) @ centers, expected, atol=1e-6)


def test_channels_and_full_voxels():
    points = np.zeros((30, 3), np.float32)
    own = np.arange(30) < 20
    grid = fill_voxels(points, own, 5.0, side=3.0, voxels=3)
    assert grid[0, 1, 1, 1] == 1.0 and grid[1, 1, 1, 1] == 1.0 and grid.sum() == 2.0
    assert np.isclose(fill_voxels(points, own, 40.0, side=3.0, voxels=3)[0, 1, 1, 1], 0.5)


def test_no_points_are_empty_voxels():
    assert not fill_voxels(np.zeros((0, 3), np.float32), np.zeros(0, bool), 1.0).any()


def test_points_belong_to_near_ones():
    seen = np.array([[0.0, 0.0, 0.0]])
    points = np.array([[0.02, 0, 0], [0.04, -0.04, 0.01], [0.2, 0, 0], [0.0, 0.0, 0.9]])
    assert belongs(points, seen, 2.0).tolist() == [True, True, False, False]
    assert not belongs(points, np.zeros((0, 3)), 2.0).any()
