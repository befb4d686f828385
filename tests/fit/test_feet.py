"""Contacts of feet, and the floor below them."""

import numpy as np

from meshrec.fit.feet import FootSettings, contacts_of, floor_of

UP = np.array([0.0, -1.0, 0.0])
RATE = 30


def steps(seconds: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feet that stand and swing by turns for half a second each: points, times, and which stand."""
    times = np.arange(int(seconds * RATE)) / RATE
    points, stands = np.zeros((len(times), 4, 3)), np.zeros((len(times), 4), bool)
    for foot, shift in ((0, 0.0), (1, 0.5)):
        phase = (times + shift) % 1.0
        swing = np.clip(phase - 0.5, 0, 0.5) * 2
        place = np.floor(times + shift) * 1.2 + 1.2 * (3 * swing**2 - 2 * swing**3)
        for k in (2 * foot, 2 * foot + 1):
            points[:, k] = np.stack([place + 0.2 * (k % 2), 1.0 - 0.15 * np.sin(np.pi * swing), 4.0 + 0 * times], 1)
            stands[:, k] = phase < 0.5
    return points, times, stands


def test_standing_feet_are_in_contact_and_swinging_ones_are_not():
    points, times, stands = steps()
    found = contacts_of(points, times, UP)
    assert (found & stands).sum() > 0.95 * stands.sum()
    swings = ~stands & (np.roll(~stands, 3, 0) & np.roll(~stands, -3, 0))  # the middle of each swing
    assert not (found & swings).any()


def test_trembling_and_depth_do_not_end_a_contact():
    points, times, stands = steps()
    rng = np.random.default_rng(0)
    points = points + rng.normal(0, 0.002, points.shape)
    points[..., 2] += 0.03 * np.sin(times)[:, None] * 5
    found = contacts_of(points, times, UP)
    assert (found & stands).sum() > 0.9 * stands.sum()


def test_short_and_high_stops_are_no_contacts():
    times = np.arange(30) / RATE
    points = np.zeros((30, 4, 3)) + [0, 1, 4]
    points[:, 2:, 1] -= 0.4  # the right foot is still, but high above the left one
    points[:, 1, 0] = 3 * times
    points[12:14, 1, 0] = points[12, 1, 0]  # the left toes stop for two frames
    found = contacts_of(points, times, UP)
    assert found[:, 0].all() and not found[:, 1:].any()
    assert not contacts_of(points[:1], times[:1], UP).any()


def test_thresholds_have_hysteresis():
    times = np.arange(40) / RATE
    points = np.zeros((40, 4, 3)) + [0, 1, 4]
    settings = FootSettings()
    speed = np.full(40, (settings.begin + settings.end) / 2)
    points[:, 0, 0] = np.cumsum(speed) / RATE
    points[:, 1, 0] = np.cumsum(np.where(np.arange(40) < 5, 0, speed)) / RATE
    found = contacts_of(points, times, UP)
    assert not found[:, 0].any() and found[:, 1].all()


def test_the_floor_is_where_most_contacts_are():
    rng = np.random.default_rng(0)
    down = np.array([0.1, 0.9, 0.2])
    down /= np.linalg.norm(down)
    points = rng.normal(size=(300, 3))
    points += np.outer(1.4 + rng.normal(0, 0.01, 300) - points @ down, down)
    points[:40] -= 0.5 * down  # a chair
    floor = floor_of(points, down)
    assert abs(floor.offset - 1.4) < 0.01
    assert np.allclose(floor.height(np.zeros(3)), floor.offset)
    assert np.abs(floor.height(points[40:])).max() < 0.06
    assert floor_of(points[:0], down) is None
