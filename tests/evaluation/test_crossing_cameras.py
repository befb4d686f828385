"""Rendered people in instants alone and in cameras that are found: the truth has no error, and the real detector."""

from dataclasses import replace

import numpy as np
import pytest

import meshrec
from meshrec.evaluation.crossing_cameras import _similar, evaluate_instants, turn_errors
from meshrec.geometry import axis_angle_to_matrix
from meshrec.synthetic.crossing import CrossingSettings, crossing


def test_cameras_of_another_world_have_no_error():
    import torch

    cameras = [lens.camera for lens in crossing(CrossingSettings(views=3)).calibration.cameras.values()]
    turn = axis_angle_to_matrix(torch.tensor([0.2, -0.5, 1.0], dtype=torch.float64)).numpy()
    moved = [replace(camera, rotation=np.asarray(camera.rotation) @ turn) for camera in cameras]
    assert turn_errors(moved, cameras) < 1e-4
    off = axis_angle_to_matrix(torch.tensor([0.0, np.radians(3.0), 0.0], dtype=torch.float64)).numpy()
    wrong = [moved[0], *(replace(camera, rotation=off @ np.asarray(camera.rotation)) for camera in moved[1:])]
    assert turn_errors(wrong, cameras) == pytest.approx(3.0, abs=1e-3)


def test_a_similarity_of_the_truth_has_no_error():
    scene = crossing(CrossingSettings(views=2, frames=3))
    joints = 1.2 * scene.joints() @ np.diag([-1.0, 1.0, -1.0]) + [1, 2, 3]
    frames = np.arange(3)
    assert _similar([(frames, joints[1]), (frames[1:], joints[0, 1:])], scene) < 0.01
    assert np.isnan(_similar([(frames, joints[0])], scene))


def test_the_detector_finds_both_at_an_instant():
    settings = CrossingSettings(frames=1, frame_rate=4.0, size=(480, 360))
    (report,) = evaluate_instants(meshrec.Reconstructor(), [4], settings)
    assert (report.instants, report.found, report.others) == (1, 1.0, 0) and report.absolute < 30
