"""Random poses: rotations in the shares asked for, mirrored, recombined, perturbed and laid down."""

import math
from dataclasses import replace

import pytest
import torch

from meshrec.body import joint_index
from meshrec.body.kinematics import mirror_pose
from meshrec.data.streams import Streams
from meshrec.geometry import matrix_to_axis_angle, rotation_angle
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.floor_poses import floor_poses
from meshrec.poses.joint_limits import joint_limits
from meshrec.poses.pose_bank import PoseBank
from meshrec.synthetic.random_poses import KINDS, PoseMix, PoseSources, draw_poses, perturbed

MOTION = PoseMix(authored=0, lying=0, tumbled=0, everyday=0, upright=0, floor=0)
PLAIN = replace(MOTION, mirrored=0, recombined=0, perturbed=0)


def random_bank(count: int, seed: int) -> PoseBank:
    generator = torch.Generator().manual_seed(seed)
    vectors = 0.3 * torch.randn(count, 24, 3, generator=generator)
    return PoseBank(vectors, torch.zeros(count, dtype=torch.long), ("take",), (False,))


@pytest.fixture(scope="module")
def sources() -> PoseSources:
    written = authored_poses(), everyday_poses("train", 300), floor_poses("train", 200)
    return PoseSources(random_bank(50, 3), random_bank(30, 4), *written)


def test_poses_are_rotations_in_the_shares_asked_for(sources):
    mix = PoseMix(authored=0.15, lying=0.1, tumbled=0.2, everyday=0.2, upright=0.12, floor=0.08)
    poses, kind = draw_poses(Streams(0, range(1500), "pose"), sources, mix)
    assert torch.allclose(poses @ poses.mT, torch.eye(3).expand_as(poses), atol=1e-5)
    assert torch.allclose(torch.linalg.det(poses), torch.ones(1500, 24), atol=1e-5)
    shares = torch.bincount(kind, minlength=len(KINDS)) / len(kind)
    assert shares.tolist() == pytest.approx([0.15, 0.15, 0.1, 0.2, 0.2, 0.12, 0.08], abs=0.04)


def test_plain_poses_are_those_of_the_bank(sources):
    poses, _ = draw_poses(Streams(0, range(20), "pose"), sources, PLAIN)
    distance = rotation_angle(poses[:, None], sources.motion.rotations()[None]).amax(-1)
    assert distance.amin(1).max() < 1e-3


def test_mirrored_poses_are_mirror_images(sources):
    plain, _ = draw_poses(Streams(0, range(20), "pose"), sources, PLAIN)
    mirrored, _ = draw_poses(Streams(0, range(20), "pose"), sources, replace(PLAIN, mirrored=1))
    assert torch.allclose(mirrored, mirror_pose(plain))


def test_recombined_poses_take_whole_limbs_from_one_other_frame(sources):
    plain, _ = draw_poses(Streams(0, range(60), "pose"), sources, PLAIN)
    mixed, _ = draw_poses(Streams(0, range(60), "pose"), sources, replace(PLAIN, recombined=1))
    same = rotation_angle(plain, mixed) < 1e-3
    legs = [joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    arms = [joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("shoulder", "elbow")]
    trunk = [joint_index(name, "smpl24") for name in ("pelvis", "spine1", "spine3", "neck", "head")]
    assert same[:, trunk].all()
    assert (same[:, legs].all(1) == same[:, legs].any(1)).all()
    assert (same[:, legs].any(1) & same[:, arms].any(1)).float().mean() < 0.1  # the other frame may be the same one
    taken = rotation_angle(mixed[:, None, legs + arms], sources.motion.rotations()[None][:, :, legs + arms]) < 1e-3
    both = ~same[:, legs].any(1) & ~same[:, arms].any(1)
    assert both.any() and taken[both].all(-1).any(-1).all()


def test_perturbing_never_leaves_the_limits(sources):
    start = torch.eye(3).expand(300, 24, 3, 3)
    moved = matrix_to_axis_angle(perturbed(start, Streams(0, range(300), "pose"))[:, 1:])
    lowest, highest = joint_limits()
    assert (moved >= lowest - 1e-4).all() and (moved <= highest + 1e-4).all()
    assert math.degrees(moved.std(0).mean()) == pytest.approx(5, abs=2)


def test_lying_people_have_their_spine_near_the_ground(sources):
    upright = PoseBank(torch.zeros(5, 24, 3), torch.zeros(5, dtype=torch.long), ("take",), (True,))
    mix = replace(MOTION, lying=1, perturbed=0)
    poses, _ = draw_poses(Streams(0, range(400), "pose"), replace(sources, motion=upright), mix)
    height = poses[:, 0, 1, 1]  # of the spine's direction
    assert height.abs().mean() < 0.25
    front = poses[:, 0, :, 2]
    for share in ((front[:, 1] > 0.8), (front[:, 1] < -0.8), (front[:, 1].abs() < 0.6)):
        assert 0.15 < share.float().mean() < 0.6


def test_mixes_without_a_kind_do_not_depend_on_its_poses(sources):
    fewer = {"everyday": sources.everyday[:7], "upright": random_bank(5, 5), "floor": sources.floor[:7]}
    for kind, others in fewer.items():
        mix = replace(PoseMix(), **{kind: 0})
        with_some, _ = draw_poses(Streams(0, range(20), "pose"), sources, mix)
        with_others, _ = draw_poses(Streams(0, range(20), "pose"), replace(sources, **{kind: others}), mix)
        assert torch.equal(with_some, with_others), kind


def test_upright_and_floor_poses_come_from_their_sources(sources):
    for kind, poses in (("upright", sources.upright.rotations()), ("floor", sources.floor)):
        drawn, kinds = draw_poses(Streams(0, range(20), "pose"), sources, replace(PLAIN, **{kind: 1}))
        assert (kinds == KINDS.index(kind)).all()
        assert rotation_angle(drawn[:, None], poses[None]).amax(-1).amin(1).max() < 1e-3


def test_floor_poses_keep_their_limbs(sources):
    mix = replace(PLAIN, floor=1)
    plain, _ = draw_poses(Streams(0, range(20), "pose"), sources, mix)
    recombined, _ = draw_poses(Streams(0, range(20), "pose"), sources, replace(mix, recombined=1))
    assert torch.equal(recombined, plain)
