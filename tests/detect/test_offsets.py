"""Offsets of clocks, of cameras that film people of the open body in captured motion."""

import numpy as np
import pytest
from helpers.around import JOINTS, pixels_of, ring
from helpers.walking import crossing_paths, walkers, wandering_paths
from scipy.interpolate import interp1d

from meshrec.body import joint_set
from meshrec.detect.offsets import CameraTracks, find_offsets

TIMES = np.arange(0, 8, 1 / 30)


def filmed(points, cameras, offsets, rates, noise=0.02, seed=0, order=None):
    """Tracks of cameras whose clocks are late by offsets, seconds: what they show at 0 has been at the offset."""
    random = np.random.default_rng(seed)
    at = interp1d(TIMES, points, axis=0)
    tracks = []
    for camera, offset, rate in zip(cameras, offsets, rates):
        times = np.arange(max(0.0, -offset), 6.5, 1 / rate)
        pixels = pixels_of(at(times + offset), camera).swapaxes(0, 1)
        size = np.ptp(pixels, axis=2).max(-1)[:, :, None, None]
        pixels = pixels + noise * size * random.normal(size=pixels.shape)
        confidence = np.where(random.random(pixels.shape[:3]) < 0.1, 0.0, 0.9)[..., None]
        keypoints = np.concatenate([pixels, confidence], -1)[random.permutation(len(pixels))]
        tracks.append(CameraTracks(times, keypoints, joint_set(JOINTS)))
    return tracks


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("people", [1, 2])
def test_offsets_of_three_cameras(calibrated, people):
    points = walkers(crossing_paths(TIMES)[:, :people], 3, step=1)
    cameras, offsets = ring(3, seed=1), [0.0, 0.05, 0.73]
    tracks = filmed(points, cameras, offsets, (30, 30, 25))
    found = find_offsets(tracks, cameras if calibrated else None)
    assert np.abs(found.seconds - offsets).max() < (0.02 if calibrated else 0.06)
    assert found.confidence[0] == 1 and found.confidence.min() > 0.3


def test_offsets_without_noise_are_exact_to_a_fraction_of_a_frame():
    points = walkers(wandering_paths(TIMES, 1, 2), 4, step=1)
    cameras = ring(2, seed=2)
    found = find_offsets(filmed(points, cameras, (0.0, -0.31), (30, 30), noise=0.0), cameras)
    assert abs(found.seconds[1] + 0.31) < 0.01


def test_who_does_not_move_tells_no_offset():
    points = np.repeat(walkers(crossing_paths(TIMES)[:1], 3), len(TIMES), axis=0)
    cameras = ring(2)
    assert find_offsets(filmed(points, cameras, (0.0, 0.4), (30, 30))).confidence[1] < 0.3


def test_motion_that_repeats_tells_no_offset():
    points = np.repeat(walkers(crossing_paths(TIMES)[:1], 3), len(TIMES), axis=0)
    points[..., 1] += 0.2 * np.sin(2 * np.pi * TIMES)[:, None, None]
    assert find_offsets(filmed(points, ring(2), (0.0, 0.4), (30, 30))).confidence[1] < 0.3


def test_cameras_that_share_nothing():
    times = np.arange(0, 3, 0.04)
    nobody = CameraTracks(times, np.zeros((0, len(times), 17, 3)), joint_set(JOINTS))
    found = find_offsets([nobody, nobody])
    assert found.seconds.tolist() == [0, 0] and found.confidence.tolist() == [1, 0]
    with pytest.raises(ValueError, match="1 cameras"):
        find_offsets([nobody, nobody], ring(1))
