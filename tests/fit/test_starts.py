"""Starts of a fit: bodies that reach behind the camera are moved in front of it, and fitted."""

import numpy as np
import pytest
import torch
from helpers.standing import standing

from meshrec.body import joint_index
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, keypoint_box
from meshrec.fit import Fitter, Initial
from meshrec.fit.result import UNKNOWN
from meshrec.fit.starts import in_front
from meshrec.fit.terms import NEAREST, Reprojection
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.landmarks.numba_backend import landmark_positions

WIDE = Camera(300.0, size=(900, 900))
LEFT_HEEL, RIGHT_HEEL = (joint_index(f"{side}_heel", "mediapipe33") for side in ("left", "right"))


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body)


def with_a_leg_raised(depth: float) -> BodyState:
    """A person whose right leg points at the camera."""
    state = standing()
    rotations = state.rotations.clone()
    raised = torch.tensor([-1.5, 0.0, 0.0], dtype=torch.float64)
    rotations[:, joint_index("right_hip", "smpl24")] = axis_angle_to_matrix(raised)
    return BodyState(rotations, torch.tensor([[0.05, -0.1, depth]], dtype=torch.float64), state.betas)


def detected(fitter: Fitter, state: BodyState) -> Detection:
    pixels = WIDE.project(landmark_positions(fitter.landmarks("mediapipe33"), state))[0, :, :2].numpy()
    keypoints = np.concatenate([pixels, np.ones((33, 1))], 1).astype(np.float32)
    return Detection(keypoint_box(keypoints, WIDE.size), keypoints, "mediapipe33", 0.9)


def test_a_body_that_reaches_behind_the_camera_is_moved_along_the_line_of_sight(fitter):
    landmarks = fitter.landmarks("mediapipe33")
    near = with_a_leg_raised(0.7)
    before = landmark_positions(landmarks, near)
    assert before[0, RIGHT_HEEL, 2] < 0
    precision = torch.ones(1, 33, dtype=torch.float64)
    moved = in_front(near, landmarks, precision)
    after = landmark_positions(landmarks, moved)
    assert after[..., 2].min().item() == pytest.approx(2 * NEAREST)
    middles = WIDE.project(torch.stack([before.mean(1), after.mean(1)]))[..., :2]
    assert torch.allclose(middles[0], middles[1])
    assert torch.equal(moved.rotations, near.rotations)

    # Only detected landmarks count, and bodies in front of the camera stay where they are.
    behind = before[0, :, 2] < NEAREST
    assert torch.equal(in_front(near, landmarks, precision * ~behind).translation, near.translation)
    far = with_a_leg_raised(2.0)
    assert torch.equal(in_front(far, landmarks, precision).translation, far.translation)
    assert torch.equal(in_front(near, landmarks, 0 * precision).translation, near.translation)


def test_a_body_behind_the_camera_is_moved_straight_ahead(fitter):
    behind = with_a_leg_raised(-2.0)
    moved = in_front(behind, fitter.landmarks("mediapipe33"), torch.ones(1, 33, dtype=torch.float64))
    assert torch.equal(moved.translation[:, :2], behind.translation[:, :2])
    assert landmark_positions(fitter.landmarks("mediapipe33"), moved)[..., 2].min().item() == pytest.approx(2 * NEAREST)


def test_landmarks_that_were_not_detected_may_lie_behind_the_camera(fitter):
    landmarks, state = fitter.landmarks("mediapipe33"), with_a_leg_raised(0.7)
    points = landmark_positions(landmarks, state)[0]
    kept = points[:, 2] >= NEAREST
    pixels = WIDE.project(points)[None, :, :2] + 3.0
    precision = kept.double()[None] / 5
    shared = torch.full((1, 2, 33), 2.0, dtype=torch.float64)
    found = Reprojection(landmarks, WIDE, pixels, precision, shared)(state)
    farther = BodyState(state.rotations, state.translation + torch.tensor([0.0, 0.0, 2.0]), state.betas)
    assert 0 < found.energy < 33 * 9
    assert found.gradient.isfinite().all() and found.hessian.isfinite().all()

    # They weigh nothing, wherever they were detected, and those that were detected may not go there.
    elsewhere = torch.where(kept[:, None], pixels, 0.0)
    assert torch.equal(Reprojection(landmarks, WIDE, elsewhere, precision, shared)(state).energy, found.energy)
    everything = Reprojection(landmarks, WIDE, pixels, torch.ones(1, 33).double(), shared)
    assert everything(state).energy.isnan()
    assert everything(farther).energy.isfinite()


def test_a_fit_starts_from_an_estimate_with_a_foot_behind_the_camera(fitter):
    """The other foot was not detected and is estimated behind the camera as well."""
    true = with_a_leg_raised(1.2)
    person = detected(fitter, true)
    start = with_a_leg_raised(0.7)
    leg = axis_angle_to_matrix(torch.tensor([-1.5, 0.0, 0.0], dtype=torch.float64))
    start.rotations[:, joint_index("left_hip", "smpl24")] = leg
    person.keypoints[LEFT_HEEL, 2] = 0
    estimate = Initial.from_deviations(start, turn=0.3)
    depths = landmark_positions(fitter.landmarks("mediapipe33"), start)[0, :, 2]
    assert depths[LEFT_HEEL] < 0 and depths[RIGHT_HEEL] < 0
    (result,) = fitter([person], WIDE, estimate)
    assert result.reprojection_error < 0.02
    assert result.joint_deviation.max() < UNKNOWN / 2
    assert abs(result.translation[2] - 1.2) < 0.3
