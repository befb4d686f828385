"""Authored poses: within the limits of joints, symmetric where both sides are written, and what they are called."""

import numpy as np
import pytest
import torch

from meshrec.body.kinematics import mirror_pose
from meshrec.geometry import rotation_angle
from meshrec.poses.authored_poses import AUTHORED, HELD_OUT, authored_poses
from meshrec.poses.joint_limits import joint_limit_residuals


def test_authored_poses_stay_within_the_limits_of_joints():
    beyond = joint_limit_residuals(authored_poses()[:, 1:])[0].abs().flatten(1)
    worst = dict(zip(AUTHORED, np.rad2deg(beyond.amax(1).numpy())))
    assert max(worst.values()) < 15, max(worst.items(), key=lambda item: item[1])


def test_authored_poses_written_for_both_sides_are_symmetric():
    poses = dict(zip(AUTHORED, authored_poses()))
    for name in ("cross-legged", "seiza", "happy baby", "wheel"):
        assert torch.allclose(mirror_pose(poses[name]), poses[name], atol=1e-6), name
    assert not torch.allclose(mirror_pose(poses["one knee"]), poses["one knee"], atol=0.1)


def test_authored_poses_are_what_they_are_called():
    poses = dict(zip(AUTHORED, authored_poses()))
    assert poses["on the back"][0, 1, 2] > 0.9  # the front looks up
    assert poses["on the front"][0, 1, 2] < -0.9
    assert poses["handstand"][0, 1, 1] < -0.9  # the head is down
    assert poses["curled up on the side"][0, 1, 0] < -0.9  # the left is down


def test_some_authored_poses_are_kept_from_training():
    train, held_out = authored_poses("train"), authored_poses("held_out")
    assert len(held_out) == len(HELD_OUT) and len(train) + len(held_out) == len(AUTHORED)
    assert rotation_angle(train[:, None], held_out[None]).amax(-1).min() > 0.3
    with pytest.raises(ValueError, match="unknown split"):
        authored_poses("test")
