"""Synthetic depth maps: the sensor's noise against its formulas, and the scene against what is known of it."""

import numpy as np
import pytest
import torch

from meshrec.detect.depth_people import map_points
from meshrec.geometry import Camera
from meshrec.synthetic.depth_maps import RoomMix, SyntheticDepthMaps
from meshrec.synthetic.depth_sensor import DepthSensor, axial_deviation, in_steps, measured

PERFECT = DepthSensor(0, 0, lateral=0, disparity_step=0, edge_loss=0, patches=0, loss=0, grazing=0.0001)


@pytest.fixture(scope="module")
def maps(body):
    return SyntheticDepthMaps(body, seed=3, rooms=RoomMix(clothed=0)).draw(range(6))


@pytest.mark.parametrize("distance", [1.0, 2.5, 4.0])
def test_noise_has_the_deviation_of_its_formula(distance):
    sensor = DepthSensor(disparity_step=0, lateral=0, patches=0, loss=0)
    flat = np.full((200, 300), distance, np.float32)
    seen = measured(flat, 300.0, np.random.default_rng(0), sensor)
    assert (seen > 0).all()
    expected = 0.0012 + 0.0019 * (distance - 0.4) ** 2
    assert np.isclose(axial_deviation(np.array(distance)), expected)
    assert np.isclose(seen.std(), expected, rtol=0.02) and np.isclose(seen.mean(), distance, atol=5e-4)


def test_steps_grow_with_the_square_of_the_distance():
    depth = np.linspace(1.5, 4.5, 400_000)
    levels = np.unique(in_steps(depth))
    steps = np.diff(levels)
    expected = ((levels[1:] + levels[:-1]) / 2) ** 2 * 0.125 / 43.5
    np.testing.assert_allclose(steps[1:-1], expected[1:-1], rtol=1e-2)
    assert np.abs(in_steps(depth) - depth).max() <= 0.51 * steps.max()


def test_a_share_of_pixels_is_lost():
    flat = np.full((200, 300), 2.0, np.float32)
    sensor = DepthSensor(patches=0, loss=0.1)
    lost = measured(flat, 300.0, np.random.default_rng(1), sensor) == 0
    assert np.isclose(lost.mean(), 0.1, atol=0.01)


def test_edges_lose_pixels_and_the_rest_does_not():
    step = np.full((100, 100), 2.0, np.float32)
    step[:, 50:] = 4.0
    sensor = DepthSensor(lateral=0, patches=0, loss=0, edge_loss=1.0)
    lost = measured(step, 100.0, np.random.default_rng(0), sensor) == 0
    assert lost[:, 49:51].all() and not lost[:, :48].any() and not lost[:, 52:].any()


def test_a_perfect_sensor_changes_nothing():
    ramp = np.linspace(1, 3, 64 * 48, dtype=np.float32).reshape(48, 64)
    assert np.array_equal(measured(ramp, 60.0, np.random.default_rng(0), PERFECT), ramp)


def test_maps_do_not_depend_on_their_batch(body):
    maps = SyntheticDepthMaps(body, seed=3, size=(80, 60))
    (alone,) = maps.draw([4])
    together = maps.draw([2, 4])[1]
    assert (alone.depth != together.depth).mean() < 0.01  # rounding may move an edge by a pixel
    assert torch.allclose(alone.vertices, together.vertices, atol=1e-5)


def test_the_persons_pixels_lie_on_the_body(body):
    """Without noise each pixel of the person is on the body's surface, and other pixels are not."""
    for seen in SyntheticDepthMaps(body, 3, "held_out", rooms=RoomMix(clothed=0), sensor=PERFECT).draw(range(4)):
        points = torch.from_numpy(map_points(seen.depth, seen.camera)[seen.person & (seen.depth > 0)])
        distance = torch.cdist(points[::5], seen.vertices).amin(1)
        assert len(points) > 200 and distance.max() < 0.05
        assert torch.allclose(body(
            seen.betas[None], seen.rotations[None, 1:], seen.rotations[None, 0], seen.translation[None]
        ).vertices[0], seen.vertices, atol=1e-5)  # fmt: skip


def test_rooms_are_behind_and_around(maps):
    shares = [float((seen.depth[~seen.person] > 0).mean()) for seen in maps]
    assert max(shares) > 0.5  # floors and walls
    for seen in maps:
        assert seen.person.mean() > 0.005
        assert (seen.depth[seen.depth > 0] >= 0.5).all() and seen.depth.max() <= 8.0


def test_points_of_a_map_project_to_their_pixels():
    camera = Camera((90.0, 100.0), (30.0, 21.0), (64, 48))
    depth = np.random.default_rng(0).uniform(1, 3, (48, 64)).astype(np.float32)
    points = torch.from_numpy(map_points(depth, camera, stride=2))
    screen = camera.project(points.reshape(1, -1, 3)).reshape(24, 32, 3)
    assert torch.allclose(screen[..., 0], torch.arange(0, 64, 2.0).expand(24, 32), atol=1e-3)
    assert torch.allclose(screen[..., 1], torch.arange(0, 48, 2.0)[:, None].expand(24, 32), atol=1e-3)
