"""Derivatives of landmarks and of their projections against finite differences in double precision."""

import pytest
import torch

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, load_body
from meshrec.body.files import body_from_arrays
from meshrec.geometry import random_rotations
from meshrec.landmarks.landmark_slopes import LandmarkSlopes
from meshrec.models.estimate import Estimate

STEP = 1e-5


def people(count: int, betas: int = 10) -> Estimate:
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(24 * count, generator, torch.float64).view(count, 24, 3, 3)
    camera = torch.tensor([0.9, 0.1, -0.2]) + 0.1 * torch.randn(count, 3, generator=generator)
    return Estimate(rotations, torch.randn(count, betas, generator=generator).double(), camera.double())


def differences(function, estimate: Estimate) -> torch.Tensor:
    """(B, ..., P) of what a function makes of an estimate, by each entry of a step."""
    count = 72 + estimate.betas.shape[1] + 3
    columns = []
    for entry in torch.eye(count, dtype=torch.float64):
        step = (STEP * entry).expand(len(estimate.betas), -1)
        columns.append((function(estimate.moved(step)) - function(estimate.moved(-step))) / (2 * STEP))
    return torch.stack(columns, dim=-1)


@pytest.mark.parametrize("joints", ["smpl24", "coco17", "mediapipe33"])
def test_slopes_of_landmarks(joints):
    landmarks, estimate = LandmarkSlopes(load_body("neutral"), joints).double(), people(3)
    slopes = landmarks.slopes(estimate.rotations, estimate.betas)
    expected = differences(lambda moved: landmarks(moved.rotations, moved.betas), estimate)[..., :-3]
    assert expected.abs().max() > 0.5
    assert torch.allclose(slopes, expected, atol=1e-7)


def test_pose_displacements_alone_are_left_out():
    body = BodyModel(body_from_arrays(random_arrays(), "random"))
    assert body.has_posedirs
    betas = 6
    landmarks, estimate = LandmarkSlopes(body, "smpl24", betas).double(), people(2, betas)
    slopes = landmarks.slopes(estimate.rotations, estimate.betas)
    expected = differences(lambda moved: landmarks(moved.rotations, moved.betas), estimate)[..., :-3]
    assert torch.allclose(slopes[..., 72:], expected[..., 72:], atol=1e-7)
    assert torch.allclose(slopes[..., :3], expected[..., :3], atol=1e-7)  # the root has no pose feature


@pytest.mark.parametrize("focal", [None, 3.0])
def test_slopes_of_projections(focal):
    landmarks, estimate = LandmarkSlopes(load_body("neutral"), "coco17").double(), people(3)
    focal = None if focal is None else torch.full((3,), focal, dtype=torch.float64)
    points = landmarks(estimate.rotations, estimate.betas)
    by_points, by_camera = estimate.project_slopes(points, focal)
    slopes = torch.cat([by_points @ landmarks.slopes(estimate.rotations, estimate.betas), by_camera], dim=-1)
    expected = differences(lambda e: e.project(landmarks(e.rotations, e.betas), focal), estimate)
    assert torch.allclose(slopes, expected, atol=1e-7)


def test_a_step_is_the_fits():
    """A turn in the joint's own frame, as the network's error covariance is measured."""
    from meshrec.body.state import BodyState

    estimate, step = people(2), 0.3 * torch.randn(2, 85, dtype=torch.float64)
    ours = estimate.moved(step)
    theirs = BodyState(estimate.rotations, torch.zeros(2, 3, dtype=torch.float64), estimate.betas).moved(
        torch.cat([step[:, :72], torch.zeros(2, 3, dtype=torch.float64), step[:, 72:82]], dim=1)
    )
    assert torch.allclose(ours.rotations, theirs.rotations) and torch.allclose(ours.betas, theirs.betas)
