"""Random poses: rotations, shares, limits, mirrored and authored ones."""

import math

import numpy as np
import pytest
import torch

from meshrec.body import joint_index
from meshrec.body.kinematics import mirror_pose
from meshrec.data.streams import Streams
from meshrec.geometry import matrix_to_axis_angle, rotation_angle
from meshrec.poses.authored_poses import AUTHORED, HELD_OUT, authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.joint_limits import joint_limit_residuals, joint_limits
from meshrec.poses.pose_bank import PoseBank
from meshrec.synthetic.poses import KINDS, PoseMix, draw_poses, perturbed

AUTHORED_POSES = authored_poses()
EVERYDAY_POSES = everyday_poses("train", 300)
PLAIN = PoseMix(authored=0, lying=0, tumbled=0, everyday=0, mirrored=0, recombined=0, perturbed=0)


@pytest.fixture(scope="module")
def bank() -> PoseBank:
    generator = torch.Generator().manual_seed(3)
    return PoseBank(0.3 * torch.randn(50, 24, 3, generator=generator), torch.zeros(50, dtype=torch.long), ("take",))


def test_streams_do_not_depend_on_the_batch_or_on_each_other():
    whole, part = Streams(5, range(10), "pose"), Streams(5, [7, 3], "pose")
    for draw in (
        lambda s: s.normal(4),
        lambda s: s.uniform(2, 2, low=-1),
        lambda s: s.whole(9),
        lambda s: s.pick([0.5]),
    ):
        assert torch.equal(draw(whole)[[7, 3]], draw(part))
    assert not torch.equal(Streams(5, [3], "shape").normal(4), Streams(5, [3], "pose").normal(4))
    assert not torch.equal(Streams(6, [3], "pose").normal(4), Streams(5, [3], "pose").normal(4))


def test_streams_follow_their_distributions():
    streams = Streams(0, range(4000), "test")
    assert streams.normal(20).std() == pytest.approx(1, abs=0.02)
    shares = torch.bincount(streams.pick((0.2, 0.0, 0.5)) + 1, minlength=4) / 4000
    assert shares.tolist() == pytest.approx([0.3, 0.2, 0, 0.5], abs=0.03)
    assert streams.happens(0.15, 5).float().mean() == pytest.approx(0.15, abs=0.01)


def test_poses_are_rotations_in_the_shares_asked_for(bank):
    mix = PoseMix(authored=0.2, lying=0.1, tumbled=0.3, everyday=0.25)
    poses, kind = draw_poses(Streams(0, range(1500), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES, mix)
    assert torch.allclose(poses @ poses.mT, torch.eye(3).expand_as(poses), atol=1e-5)
    assert torch.allclose(torch.linalg.det(poses), torch.ones(1500, 24), atol=1e-5)
    shares = torch.bincount(kind, minlength=len(KINDS)) / len(kind)
    assert shares.tolist() == pytest.approx([0.15, 0.2, 0.1, 0.3, 0.25], abs=0.04)


def test_plain_poses_are_those_of_the_bank(bank):
    poses, _ = draw_poses(Streams(0, range(20), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES, PLAIN)
    distance = rotation_angle(poses[:, None], bank.rotations()[None]).amax(-1)
    assert distance.amin(1).max() < 1e-3


def test_mirrored_poses_are_mirror_images(bank):
    plain, _ = draw_poses(Streams(0, range(20), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES, PLAIN)
    mirrored, _ = draw_poses(
        Streams(0, range(20), "pose"),
        bank,
        AUTHORED_POSES,
        EVERYDAY_POSES,
        PoseMix(0, 0, 0, 0, mirrored=1, recombined=0, perturbed=0),
    )
    assert torch.allclose(mirrored, mirror_pose(plain))


def test_recombined_poses_take_whole_limbs_from_one_other_frame(bank):
    plain, _ = draw_poses(Streams(0, range(60), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES, PLAIN)
    mixed, _ = draw_poses(
        Streams(0, range(60), "pose"),
        bank,
        AUTHORED_POSES,
        EVERYDAY_POSES,
        PoseMix(0, 0, 0, 0, mirrored=0, recombined=1, perturbed=0),
    )
    same = rotation_angle(plain, mixed) < 1e-3
    legs = [joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    arms = [joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("shoulder", "elbow")]
    trunk = [joint_index(name, "smpl24") for name in ("pelvis", "spine1", "spine3", "neck", "head")]
    assert same[:, trunk].all()
    assert (same[:, legs].all(1) == same[:, legs].any(1)).all()
    assert (same[:, legs].any(1) & same[:, arms].any(1)).float().mean() < 0.1  # the other frame may be the same one
    taken = rotation_angle(mixed[:, None, legs + arms], bank.rotations()[None][:, :, legs + arms]) < 1e-3
    both = ~same[:, legs].any(1) & ~same[:, arms].any(1)
    assert both.any() and taken[both].all(-1).any(-1).all()


def test_perturbing_never_leaves_the_limits(bank):
    start = torch.eye(3).expand(300, 24, 3, 3)
    moved = matrix_to_axis_angle(perturbed(start, Streams(0, range(300), "pose"))[:, 1:])
    lowest, highest = joint_limits()
    assert (moved >= lowest - 1e-4).all() and (moved <= highest + 1e-4).all()
    assert math.degrees(moved.std(0).mean()) == pytest.approx(5, abs=2)


def test_lying_people_have_their_spine_near_the_ground(bank):
    upright = PoseBank(torch.zeros(5, 24, 3), torch.zeros(5, dtype=torch.long), ("take",))
    poses, _ = draw_poses(
        Streams(0, range(400), "pose"),
        upright,
        AUTHORED_POSES,
        EVERYDAY_POSES,
        PoseMix(0, lying=1, tumbled=0, everyday=0, perturbed=0),
    )
    height = poses[:, 0, 1, 1]  # of the spine's direction
    assert height.abs().mean() < 0.25
    front = poses[:, 0, :, 2]
    for share in ((front[:, 1] > 0.8), (front[:, 1] < -0.8), (front[:, 1].abs() < 0.6)):
        assert 0.15 < share.float().mean() < 0.6


def test_authored_poses_stay_within_the_limits_of_joints():
    beyond = joint_limit_residuals(authored_poses()[:, 1:])[0].abs().flatten(1)
    worst = dict(zip(AUTHORED, np.rad2deg(beyond.amax(1).numpy())))
    assert max(worst.values()) < 15, max(worst.items(), key=lambda item: item[1])


def test_authored_poses_written_for_both_sides_are_symmetric():
    poses = dict(zip(AUTHORED, authored_poses()))
    for name in ("cross-legged", "seiza", "happy baby", "wheel"):
        assert torch.allclose(mirror_pose(poses[name]), poses[name], atol=1e-6), name
    assert not torch.allclose(mirror_pose(poses["one knee"]), poses["one knee"], atol=0.1)


def test_authored_poses_are_what_they_are_called(bank):
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


def test_mixes_without_everyday_poses_do_not_depend_on_them(bank):
    mix = PoseMix(everyday=0)
    with_some, _ = draw_poses(Streams(0, range(20), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES, mix)
    with_others, _ = draw_poses(Streams(0, range(20), "pose"), bank, AUTHORED_POSES, EVERYDAY_POSES[:7], mix)
    assert torch.equal(with_some, with_others)
