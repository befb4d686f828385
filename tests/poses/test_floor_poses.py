"""Floor poses: the parts that bear the body touch one plane, and the limbs do not go through one another."""

import numpy as np
import pytest
import torch

from meshrec.body import joint_index
from meshrec.body.kinematics import mirror_pose
from meshrec.geometry import rotation_angle
from meshrec.poses.everyday_poses import draw_parts
from meshrec.poses.floor_poses import FLOOR, HELD_OUT, floor_poses
from meshrec.poses.joint_limits import joint_limit_residuals

DRAWS = 6


def drawn(name: str) -> torch.Tensor:
    return torch.from_numpy(draw_parts({name: (1, FLOOR[name].turns)}, DRAWS, np.random.default_rng(0))).float()


@pytest.mark.parametrize("name", FLOOR)
def test_the_parts_that_bear_the_body_touch_the_floor(body, name):
    poses = drawn(name)
    height = body(body_pose=poses[:, 1:], global_orient=poses[:, 0]).vertices[..., 1]
    above = height - height.amin(1, keepdim=True)
    for part in FLOOR[name].parts:
        skin = torch.from_numpy(body.part_labels == joint_index(part, "smpl24"))
        assert above[:, skin].amin(1).max() < 0.02, part


@pytest.mark.parametrize("name", FLOOR)
def test_limbs_do_not_go_through_one_another(body, name):
    """The axes of forearms, shins and feet stay further apart than bones and half of the flesh around them."""
    poses = drawn(name)
    joints = body(body_pose=poses[:, 1:], global_orient=poses[:, 0]).joints
    along = torch.linspace(0, 1, 9)[:, None]

    def axis(start: str, end: str) -> torch.Tensor:
        first, last = (joints[:, joint_index(joint, "smpl24")][:, None] for joint in (start, end))
        return first + along * (last - first)

    limbs = {}
    for side in ("left", "right"):
        limbs[f"{side} forearm"] = axis(f"{side}_elbow", f"{side}_hand")
        limbs[f"{side} thigh"] = axis(f"{side}_hip", f"{side}_knee")[:, 3:]
        limbs[f"{side} shin"] = axis(f"{side}_knee", f"{side}_ankle")
    names = list(limbs)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if one.split()[0] != other.split()[0] or "forearm" in one:
                assert torch.cdist(limbs[one], limbs[other]).min() > 0.045, (one, other)


def test_floor_poses_stay_within_the_limits_of_joints():
    beyond = joint_limit_residuals(floor_poses("all", 300)[:, 1:])[0].abs().amax()
    assert torch.rad2deg(beyond) < 15


def test_half_of_the_poses_are_mirrored_and_the_splits_differ():
    train, held_out = floor_poses("train", 400), floor_poses("held_out", 100)
    assert set(HELD_OUT) < set(FLOOR)
    assert rotation_angle(train[:, None], held_out[None]).amax(-1).min() > 0.1
    assert rotation_angle(mirror_pose(train)[:, None], held_out[None]).amax(-1).min() > 0.1
    assert torch.equal(floor_poses("held_out", 100), held_out)
    with pytest.raises(ValueError, match="unknown split"):
        floor_poses("test")
