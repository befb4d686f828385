"""Two rendered people who cross in front of cameras: the truth that is compared with, and the real detector."""

import numpy as np
import pytest
import torch

import meshrec
from meshrec.evaluation.crossing import compared, evaluate_crossings
from meshrec.geometry import camera_to_y_up
from meshrec.reconstruct.track import Track
from meshrec.synthetic.crossing import CrossingSettings, crossing


@pytest.fixture(scope="module")
def scene():
    return crossing(CrossingSettings(views=4, frames=12, frame_rate=7.5))


def true_tracks(scene) -> list[Track]:
    tracks = []
    for person in scene.people:
        parts = (person.betas, person.world_rotations, person.world_translation)
        tracks.append(Track(person.body, *parts, np.arange(12), np.arange(12) / 7.5, frame_rate=7.5))
    return tracks


def test_they_walk_past_each_other_and_hide_each_other(scene):
    joints = scene.joints()
    pelvises = joints[:, :, 0]
    assert (np.sign(pelvises[0, [0, -1], 0]) == [-1, 1]).all() and (np.sign(pelvises[1, [0, -1], 0]) == [1, -1]).all()
    assert np.linalg.norm(pelvises[0] - pelvises[1], axis=-1).min() > 0.5
    feet = camera_to_y_up(torch.from_numpy(joints[:, :, [10, 11]])).numpy()[..., 1]
    assert feet.min() > -1.41 and feet.min(-1).max() < -1.2  # the floor is 1.4 m below the origin
    hidden = 0
    for lens in scene.calibration.cameras.values():
        pixels = lens.camera.project(lens.camera.world_to_camera(torch.from_numpy(joints).double())).numpy()
        assert (pixels[..., :2] >= 0).all() and (pixels[..., :2] < lens.camera.size).all()
        hidden += int((np.abs(pixels[0, :, :, 0].mean(-1) - pixels[1, :, :, 0].mean(-1)) < 30).any())
    assert hidden >= 2


def test_the_truth_has_no_error_and_an_exchange_is_counted(scene):
    tracks = true_tracks(scene)
    report = compared(tracks[::-1], scene)
    assert (report.tracks, report.followed, report.exchanged) == (2, 1.0, 0) and report.absolute < 0.01
    swapped = [
        np.where(np.arange(12)[:, None] < 7, *pair)
        for pair in ((tracks[i].translation, tracks[1 - i].translation) for i in (0, 1))
    ]
    wrong = [
        Track(one.body, one.betas, one.rotations, place, one.frames, one.times) for one, place in zip(tracks, swapped)
    ]
    assert compared(wrong, scene).exchanged == 10
    assert compared([], scene).followed == 0


def test_the_detector_follows_both_in_four_cameras():
    settings = CrossingSettings(frames=6, frame_rate=4.0, size=(480, 360))
    (report,) = evaluate_crossings(meshrec.Reconstructor(), [4], settings)
    assert (report.tracks, report.followed, report.exchanged) == (2, 1.0, 0)
    assert report.absolute < 25
