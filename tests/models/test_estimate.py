"""Estimates: the derivatives of their projection against finite differences, and their steps."""

import pytest
import torch

from meshrec.body import NUM_JOINTS, POSE_SIZE
from meshrec.body.state import BETAS, TURNS, BodyState
from meshrec.geometry import random_rotations
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.estimate import Estimate

STEP = 1e-5


def people(count: int, betas: int = 10) -> Estimate:
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(NUM_JOINTS * count, generator, torch.float64).view(count, NUM_JOINTS, 3, 3)
    camera = torch.tensor([0.9, 0.1, -0.2]) + 0.1 * torch.randn(count, 3, generator=generator)
    return Estimate(rotations, torch.randn(count, betas, generator=generator).double(), camera.double())


@pytest.mark.parametrize("focal", [None, 3.0])
def test_derivatives_of_projections(body, focal):
    landmarks, estimate = TorchLandmarks(LandmarkMoments.of_body(body, "coco17"), torch.float64), people(3)
    focal = None if focal is None else torch.full((3,), focal, dtype=torch.float64)

    def project(moved: Estimate) -> torch.Tensor:
        return moved.project(landmarks(moved.rotations, moved.betas), focal)

    points = landmarks(estimate.rotations, estimate.betas)
    by_points, by_camera = estimate.project_slopes(points, focal)
    found = torch.cat([by_points @ landmarks.jacobian(estimate.rotations, estimate.betas), by_camera], dim=-1)
    steps = STEP * torch.eye(found.shape[-1], dtype=torch.float64)[:, None].expand(-1, 3, -1)
    columns = [(project(estimate.moved(step)) - project(estimate.moved(-step))) / (2 * STEP) for step in steps]
    assert torch.allclose(found, torch.stack(columns, dim=-1), atol=1e-7)


def test_a_step_is_the_fits():
    """A turn in the joint's own frame, as the network's error covariance is measured."""
    estimate, step = people(2), 0.3 * torch.randn(2, POSE_SIZE + 10 + 3, dtype=torch.float64)
    ours = estimate.moved(step)
    state = BodyState(estimate.rotations, torch.zeros(2, 3, dtype=torch.float64), estimate.betas)
    same = torch.zeros(2, state.unknowns, dtype=torch.float64)
    same[:, TURNS], same[:, BETAS] = step[:, :POSE_SIZE], step[:, POSE_SIZE:-3]
    theirs = state.moved(same)
    assert torch.equal(ours.rotations, theirs.rotations) and torch.equal(ours.betas, theirs.betas)
