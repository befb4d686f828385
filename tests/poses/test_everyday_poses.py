"""Everyday poses: upright, within the limits of joints, and different in each split."""

import math

import pytest
import torch

from meshrec.body import joint_index
from meshrec.geometry import matrix_to_axis_angle, rotation_angle
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.joint_limits import joint_limit_residuals

EVERYDAY_POSES = everyday_poses("train", 300)


def test_everyday_poses_are_upright_and_within_the_limits_of_joints():
    beyond = joint_limit_residuals(EVERYDAY_POSES[:, 1:])[0].abs().amax()
    assert math.degrees(beyond) < 15
    assert (EVERYDAY_POSES[:, 0, 1, 1] > math.cos(math.radians(60))).all()
    assert (EVERYDAY_POSES[:, 0, 1, 1] > math.cos(math.radians(15))).float().mean() > 0.7
    knees = [joint_index(f"{side}_knee", "smpl24") for side in ("left", "right")]
    bend = torch.rad2deg(matrix_to_axis_angle(EVERYDAY_POSES[:, knees])[..., 0])
    assert bend.min() > -1 and bend.median() < 25, bend
    assert (bend > 55).all(dim=1).float().mean() > 0.1  # those who sit
    assert bend[:, 0].mean() == pytest.approx(float(bend[:, 1].mean()), rel=0.2)  # half of them are mirrored


def test_everyday_poses_of_the_splits_differ():
    held_out = everyday_poses("held_out", 20)
    assert rotation_angle(EVERYDAY_POSES[:, None], held_out[None]).amax(-1).min() > 0.05
    assert torch.equal(everyday_poses("held_out", 20), held_out)
    with pytest.raises(ValueError, match="unknown split"):
        everyday_poses("test")
