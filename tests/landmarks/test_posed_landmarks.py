"""Landmarks without the mesh against the same landmarks of the posed mesh."""

import numpy as np
import pytest
import torch

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, load_body
from meshrec.body.files import body_from_arrays
from meshrec.geometry import random_rotations
from meshrec.landmarks.posed_landmarks import PosedLandmarks


@pytest.mark.parametrize("joints", ["smpl24", "coco17", "mediapipe33"])
def test_equal_to_the_posed_mesh_of_the_open_body(joints):
    check(load_body("neutral"), joints)


def test_equal_on_a_body_with_pose_displacements():
    body = BodyModel(body_from_arrays(random_arrays(), "random"))
    assert body.has_posedirs
    check(body, "smpl24")


def test_any_points_of_the_mesh():
    body, generator = load_body("neutral"), torch.Generator().manual_seed(0)
    rotations, betas = random_rotations(48, generator).view(2, 24, 3, 3), torch.randn(2, 10, generator=generator)
    rows = np.eye(len(body.data.v_template))[[5, 700, 3000]]
    vertices = body(betas, rotations[:, 1:], rotations[:, :1]).vertices[:, [5, 700, 3000]]
    assert torch.allclose(PosedLandmarks(body, rows)(rotations, betas), vertices, atol=2e-5)


def check(body: BodyModel, joints: str) -> None:
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(5 * 24, generator).view(5, 24, 3, 3).requires_grad_()
    betas = torch.randn(5, 6, generator=generator).requires_grad_()
    landmarks = PosedLandmarks(body, joints, num_betas=6)
    found = landmarks(rotations, betas)
    vertices = body(betas, rotations[:, 1:], rotations[:, :1]).vertices
    expected = torch.tensor(body.joint_regressor(joints), dtype=torch.float32) @ vertices
    assert torch.allclose(found, expected, atol=2e-5)
    directions = torch.randn(found.shape, generator=generator)
    gradients = torch.autograd.grad((found * directions).sum(), (rotations, betas))
    for mine, theirs in zip(gradients, torch.autograd.grad((expected * directions).sum(), (rotations, betas))):
        assert torch.allclose(mine, theirs, atol=1e-4 * theirs.abs().max())
    assert not landmarks.state_dict()
