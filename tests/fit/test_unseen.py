"""People whose legs the photo does not show."""

import numpy as np
import pytest
import torch
from helpers.standing import CAMERA, rather_sure, standing

from meshrec.body import joint_index
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, keypoint_box
from meshrec.fit import Fitter, Initial
from meshrec.fit.unseen import LEGS, UnseenLegs, UnseenSettings, less_sure, unseen_legs
from meshrec.geometry import axis_angle_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.metrics.posture import knee_bends, lean
from meshrec.poses.everyday_poses import everyday_poses


def keypoints_with(knees: float, ankles: float, y: float = 50.0) -> torch.Tensor:
    """A person, all of whose MediaPipe landmarks are seen but for the legs'."""
    rows = torch.ones(1, 33, 3, dtype=torch.float64)
    rows[..., :2] = torch.tensor([50.0, y])
    for side in ("left", "right"):
        rows[0, joint_index(f"{side}_knee", "mediapipe33"), 2] = knees
        rows[0, joint_index(f"{side}_ankle", "mediapipe33"), 2] = ankles
    return rows


def turned(state: BodyState, joint: int, turn: tuple[float, float, float]) -> BodyState:
    rotations = state.rotations.clone()
    rotations[:, joint] = rotations[:, joint] @ axis_angle_to_matrix(torch.tensor(turn, dtype=torch.float64))
    return BodyState(rotations, state.translation, state.betas)


def test_legs_are_unseen_where_neither_knee_nor_ankle_is_seen():
    size = (100, 100)
    assert unseen_legs("mediapipe33", keypoints_with(0.1, 0.2), size) == 1
    assert unseen_legs("mediapipe33", keypoints_with(0.1, 0.9), size) == 0
    assert unseen_legs("mediapipe33", keypoints_with(0.45, 0.1), size) == pytest.approx(0.5)
    assert unseen_legs("mediapipe33", keypoints_with(0.9, 0.9, y=150.0), size) == 1  # beyond the photo's edge


def test_additional_variance_adds_to_the_covariance():
    generator = torch.Generator().manual_seed(0)
    whiten = torch.randn(2, 85, 85, generator=generator, dtype=torch.float64) + 9 * torch.eye(85)
    settings = UnseenSettings(root=0.3, spine=0.2, legs=0.7)
    covariance = torch.linalg.inv(whiten.mT @ whiten)
    added = torch.zeros(85, dtype=torch.float64)
    added[:3] = 0.09
    for joint in (3, 6, 9):
        added[3 * joint : 3 * joint + 3] = 0.04
    for joint in (1, 2, 4, 5, 7, 8):
        added[3 * joint : 3 * joint + 3] = 0.49
    found = less_sure(whiten, torch.tensor([0.0, 0.5]).double(), settings)
    assert torch.allclose(torch.linalg.inv(found[0].mT @ found[0]), covariance[0])
    assert torch.allclose(torch.linalg.inv(found[1].mT @ found[1]), covariance[1] + 0.5 * added.diag())


def test_the_gradient_is_that_of_the_energy(body):
    term = UnseenLegs(LandmarkMoments.of_body(body, "smpl24"), torch.tensor([0.7]).double())
    state = turned(turned(standing(), 0, (0.4, 0.2, 0.1)), LEGS[0], (-0.6, 0.1, 0.2))
    here = term(state)
    for unknown in range(state.unknowns):
        step = torch.zeros(1, state.unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-6
        slope = (term(state.moved(step)).energy - term(state.moved(-step)).energy) / 2e-6
        assert torch.allclose(slope, here.gradient[:, unknown], rtol=1e-3, atol=1e-4)


def test_legs_that_stand_or_sit_are_likelier_than_those_in_between(body):
    poses = everyday_poses("held_out", 200).double()
    bends = axis_angle_to_matrix(torch.tensor([-0.7, 0.0, 0.0], dtype=torch.float64))
    between = poses[:1].clone()
    between[:, LEGS[:2]] = bends
    poses[:, 0] = standing().rotations[0, 0]  # legs alone count
    both = torch.cat([poses, between])
    state = BodyState(both, torch.zeros(len(both), 3).double(), torch.zeros(len(both), 10).double())
    energy = UnseenLegs(LandmarkMoments.of_body(body, "smpl24"), torch.ones(len(both)).double())(state).energy
    assert (energy[:-1] < energy[-1]).float().mean() > 0.7


def test_a_person_without_legs_neither_leans_nor_crouches(body):
    fitter, truth = Fitter(body), standing()
    points = CAMERA.project(landmark_positions(fitter.landmarks("mediapipe33"), truth))[0, :, :2].numpy()
    keypoints = np.concatenate([points, np.ones((33, 1))], 1).astype(np.float32)
    box = keypoint_box(keypoints, CAMERA.size)
    keypoints[[joint_index(f"{s}_{p}", "mediapipe33") for s in ("left", "right") for p in ("knee", "ankle")], 2] = 0.1
    for name in ("heel", "foot_index"):
        keypoints[[joint_index(f"{side}_{name}", "mediapipe33") for side in ("left", "right")], 2] = 0
    wrong = turned(truth, 0, (0.6, 0.0, 0.0))  # the estimate leans by 34 degrees, on half bent legs
    for leg, turn in zip(LEGS, (-0.6, -0.6, 0.8, 0.8)):
        wrong = turned(wrong, leg, (turn, 0.0, 0.0))
    initial = Initial(wrong, rather_sure(0.5))
    (fit,) = fitter([Detection(box, keypoints, "mediapipe33", 0.9)], CAMERA, initial)
    found = BodyState(*(torch.tensor(part)[None].double() for part in (fit.rotations, fit.translation, fit.betas)))
    joints = landmark_positions(LandmarkMoments.of_body(body, "limb12"), found)
    assert abs(float(lean(joints, "limb12"))) < 8
    assert knee_bends(joints, "limb12").max() < 35
