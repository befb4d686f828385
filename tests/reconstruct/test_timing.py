"""Motions at other instants, against SciPy's interpolation and motions that are known at all times."""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from meshrec import Track, load_body
from meshrec.reconstruct.timing import even_times, is_constant, rotations_at, values_at

RNG = np.random.default_rng(0)
TIMES = np.cumsum(RNG.uniform(0.01, 0.2, 12))
INSTANTS = np.linspace(TIMES[0], TIMES[-1], 37)


def test_rotations_are_those_of_scipy():
    rotations = Rotation.random(12, random_state=1)
    found = rotations_at(rotations.as_matrix(), TIMES, INSTANTS)
    assert np.allclose(found, Slerp(TIMES, rotations)(INSTANTS).as_matrix(), atol=1e-9)


def test_values_are_those_of_numpy_and_stay_at_the_ends():
    values = RNG.normal(size=(12, 2, 3)).astype(np.float32)
    instants = np.concatenate([[TIMES[0] - 1], INSTANTS, [TIMES[-1] + 1]])
    found = values_at(values, TIMES, instants)
    assert found.dtype == np.float32
    expected = [np.interp(instants, TIMES, column) for column in values.reshape(12, -1).T]
    assert np.allclose(found.reshape(len(instants), -1).T, expected, atol=1e-5)


def test_one_frame():
    one = np.array([2.0])
    assert is_constant(one, 30) and even_times(one, 30).tolist() == [2.0]
    assert np.array_equal(rotations_at(np.eye(3)[None], one, np.array([1.0, 3.0])), np.tile(np.eye(3), (2, 1, 1)))


def test_an_animation_stays_in_time_with_a_clip_of_variable_rate():
    """Someone walks and turns at a constant speed, filmed at uneven times: the animation does it at a constant rate."""
    times = np.cumsum(np.where(np.arange(40) % 3, 1 / 30, 1 / 12)) + 5
    rotations = np.tile(np.eye(3), (40, 24, 1, 1))
    rotations[:, 0] = Rotation.from_euler("y", 0.7 * times[:, None]).as_matrix()
    places = np.array([1.0, 0, 0]) * times[:, None] + [-6.0, 0, 4]
    rate = 39 / (times[-1] - times[0])
    track = Track(load_body("neutral"), np.zeros(10), rotations, places, np.arange(40), times, rate)
    animation = track.animation()
    at = animation.start + np.arange(len(animation.translation)) / animation.frame_rate
    assert at[0] == times[0] and abs(at[-1] - times[-1]) < 1e-6 and len(at) == 40
    assert np.allclose(animation.translation[:, 0], at - 6, atol=1e-5)
    expected = np.diag([1, -1, -1]) @ Rotation.from_euler("y", 0.7 * at[:, None]).as_matrix()
    assert np.allclose(animation.rotations[:, 0], expected, atol=1e-5)
    assert np.array_equal(track.times, times)


def test_rounded_times_are_no_variable_rate():
    times = np.round(np.arange(300) / 29.97, 3)
    track = Track(
        load_body("neutral"), np.zeros(10), np.tile(np.eye(3), (300, 24, 1, 1)), np.ones((300, 3)), np.arange(300),
        times, 29.97,
    )  # fmt: skip
    assert len(track.animation().translation) == 300 and is_constant(times, 29.97)
