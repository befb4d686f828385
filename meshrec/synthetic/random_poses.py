"""Random poses: motion capture, and written poses of several kinds; mirrored, recombined, perturbed or turned over."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.body.kinematics import mirror_pose
from meshrec.data.streams import Streams
from meshrec.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from meshrec.geometry.rotations import quaternion_to_matrix
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.floor_poses import floor_poses
from meshrec.poses.joint_limits import joint_limits
from meshrec.poses.pose_bank import PoseBank, load_pose_bank

LEGS = ("hip", "knee", "ankle", "foot")
ARMS = ("collar", "shoulder", "elbow", "wrist", "hand")

# Standard deviations of the random rotations of joints about x, y and z, degrees; small about axes on which a joint
# hardly turns.
SPREAD = {
    "spine": (5, 4, 4), "neck": (7, 10, 6), "head": (5, 6, 4), "hip": (8, 6, 5), "knee": (8, 2, 2),
    "ankle": (8, 4, 4), "foot": (4, 0, 0), "collar": (3, 4, 5), "shoulder": (10, 12, 10), "elbow": (4, 12, 4),
    "wrist": (10, 8, 12), "hand": (4, 4, 10),
}  # fmt: skip

KINDS = ("motion", "authored", "lying", "tumbled", "everyday", "upright", "floor")


@dataclass(frozen=True)
class PoseMix:
    """Shares of the kinds of poses, and of the changes to poses of all kinds.

    The rest is motion capture of dance, martial arts, climbing and exercise as recorded.

    Attributes:
        authored: Poses written by hand: sitting, kneeling, crawling, lying, upside down.
        lying: Motion capture laid on the back, the front or a side.
        tumbled: Motion capture in uniformly random orientations.
        everyday: Standing, walking and sitting on chairs as most people do, put together at random.
        upright: Motion capture of people who stand, walk, run and signal.
        floor: Sitting, kneeling and lying, with contact with the floor or a chair.
        mirrored: Share of poses that are mirrored.
        recombined: Share of poses whose legs, arms or both come from another frame of the bank; none of floor poses.
        perturbed: Share of poses whose joints are turned a little at random.
    """

    authored: float = 0.1
    lying: float = 0.05
    tumbled: float = 0.08
    everyday: float = 0.2
    upright: float = 0.12
    floor: float = 0.1
    mirrored: float = 0.5
    recombined: float = 0.25
    perturbed: float = 0.6


@dataclass(frozen=True)
class PoseSources:
    """What random poses are drawn from.

    Attributes:
        motion: Motion capture of dance, martial arts, climbing and exercise.
        upright: Motion capture of people who stand, walk, run and signal.
        authored: (N, 24, 3, 3) poses of :func:`meshrec.poses.authored_poses.authored_poses`.
        everyday: (M, 24, 3, 3) poses of :func:`meshrec.poses.everyday_poses.everyday_poses`.
        floor: (L, 24, 3, 3) poses of :func:`meshrec.poses.floor_poses.floor_poses`.
    """

    motion: PoseBank
    upright: PoseBank
    authored: Tensor
    everyday: Tensor
    floor: Tensor

    @classmethod
    def load(cls, split: Literal["train", "held_out", "all"]) -> "PoseSources":
        """The shipped poses of a split."""
        motion, upright = (load_pose_bank(split, upright=stands) for stands in (False, True))
        return cls(motion, upright, authored_poses(split), everyday_poses(split), floor_poses(split))


def draw_poses(streams: Streams, sources: PoseSources, mix: PoseMix = PoseMix()) -> tuple[Tensor, Tensor]:
    """Draw a pose for each stream.

    Args:
        streams: One random stream per pose.
        sources: What to draw from.
        mix: Shares of the kinds and changes.

    Returns:
        Local rotations (B, 24, 3, 3), the first from body space to a world with y up, and the kind of each pose (B,),
        an index into :data:`KINDS`.
    """
    shares = (mix.authored, mix.lying, mix.tumbled, mix.everyday, mix.upright, mix.floor)
    kind = streams.pick(shares) + 1
    chosen = streams.whole(len(sources.authored))
    frame, other = streams.whole(len(sources.motion), 2).unbind(1)
    pose = torch.where(_per_pose(kind == 1), sources.authored[chosen], sources.motion.rotations(frame))
    # Draw nothing for kinds without a share: the frozen benchmark was made before there were these.
    if mix.everyday:
        pose = torch.where(_per_pose(kind == 4), sources.everyday[streams.whole(len(sources.everyday))], pose)
    if mix.upright:
        standing = sources.upright.rotations(streams.whole(len(sources.upright)))
        pose = torch.where(_per_pose(kind == 5), standing, pose)
    if mix.floor:
        pose = torch.where(_per_pose(kind == 6), sources.floor[streams.whole(len(sources.floor))], pose)
    own_legs = (kind == 1) | (kind >= 4)
    recombined = _recombine(streams, pose, sources.motion.rotations(other), mix.recombined, own_legs)
    pose = torch.where(_per_pose(kind == 6), pose, recombined)  # with other arms they would not rest on their hands
    pose = torch.where(_per_pose(streams.happens(mix.mirrored)), mirror_pose(pose), pose)
    pose = torch.where(_per_pose(streams.happens(mix.perturbed)), perturbed(pose, streams), pose)
    pose[:, 0] = _turned_over(streams, pose[:, 0], kind)
    return pose, kind


def perturbed(pose: Tensor, streams: Streams) -> Tensor:
    """Turn every joint but the root a little at random, within its limits or as far beyond them as it was.

    Args:
        pose: (B, 24, 3, 3) local rotations.
        streams: One random stream per pose.

    Returns:
        (B, 24, 3, 3) local rotations.
    """
    names = joint_set("smpl24")[1:]
    spread = torch.tensor([next(SPREAD[part] for part in SPREAD if part in name) for name in names])
    strength = streams.uniform(1, 1, high=1.6)
    axis_angle = matrix_to_axis_angle(pose[:, 1:])
    lowest, highest = joint_limits()
    moved = axis_angle + streams.normal(len(names), 3) * strength * spread.deg2rad()
    moved = moved.clamp(torch.minimum(lowest, axis_angle), torch.maximum(highest, axis_angle))
    return torch.cat([pose[:, :1], axis_angle_to_matrix(moved)], dim=1)


@cache
def _members(parts: tuple[str, ...]) -> Tensor:
    """(24,) bool, whether the name of a joint contains one of the parts."""
    return torch.tensor([any(part in name for part in parts) for name in joint_set("smpl24")])


def _recombine(streams: Streams, pose: Tensor, other: Tensor, share: float, own_legs: Tensor) -> Tensor:
    """Take legs, arms or both from other poses.

    It is the legs that make a pose one of standing, sitting or kneeling.

    Args:
        streams: One random stream per pose.
        pose: (B, 24, 3, 3) poses to change.
        other: (B, 24, 3, 3) poses to take limbs from.
        share: Share of poses to change.
        own_legs: (B,) bool, whether a pose keeps its own legs.
    """
    which = streams.pick((share / 3, share / 3, share / 3))
    legs = ((which == 0) | (which == 2)) & ~own_legs
    arms = (which == 1) | (which == 2)
    taken = (legs[:, None] & _members(LEGS)) | (arms[:, None] & _members(ARMS))
    return torch.where(taken[..., None, None], other, pose)


def _turned_over(streams: Streams, orient: Tensor, kind: Tensor) -> Tensor:
    """Root rotations (B, 3, 3), of which those of lying and tumbled poses are turned over."""
    count = len(orient)
    # Rotations that lay an upright body on its back, front, left and right side.
    ways = torch.tensor([[-math.pi / 2, 0, 0], [math.pi / 2, 0, 0], [0, 0, -math.pi / 2], [0, 0, math.pi / 2]])
    tilt = ways[streams.whole(4)] + 0.2 * streams.normal(3)
    # Undo the heading first, so that a rotation about x lays down the front or back, whichever way the body faced.
    front = orient[:, :, 2]
    heading = torch.zeros(count, 3)
    heading[:, 1] = -torch.atan2(front[:, 0], front[:, 2])
    laid = axis_angle_to_matrix(tilt) @ axis_angle_to_matrix(heading) @ orient
    tumbled = quaternion_to_matrix(streams.normal(4)) @ orient
    turned = torch.where((kind == 2)[:, None, None], laid, orient)
    return torch.where((kind == 3)[:, None, None], tumbled, turned)


def _per_pose(flags: Tensor) -> Tensor:
    """(B,) flags as (B, 1, 1, 1), to broadcast against poses."""
    return flags[:, None, None, None]
