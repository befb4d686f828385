"""Everyday poses: people who stand, walk or sit upright, with straight knees or on a chair, arms hanging or busy.

Motion capture lacks straight knees: the straighter knee is bent by 38 degrees in the median in the takes of dance,
martial arts and climbing, and by 25 degrees in those of people who stand and walk. Each pose is put
together from legs, arms and a trunk, which are written as in :mod:`meshrec.poses.authored_poses`, but with ranges
instead of angles: ``"x-95..-80"`` is any rotation about x between the two.
"""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.body.kinematics import mirror_pose
from meshrec.motion.motion import euler_to_matrix
from meshrec.poses.authored_poses import Turns, written_turn

Parts = Mapping[str, tuple[float, Turns]]  # from a name to the relative frequency and the rotations

LEGS: Parts = {
    "standing": (4, {"hip": "x-5..4 y0..15 z0..7", "knee": "x0..8", "ankle": "x-4..4"}),
    "standing at ease": (3, {"left_hip": "x-4..4 y0..15 z1..9", "left_knee": "x0..6", "ankle": "x-5..5",
                             "right_hip": "x-25..-5 y5..25 z2..14", "right_knee": "x10..40"}),
    "standing astride": (1, {"hip": "x-8..4 y5..25 z8..24", "knee": "x0..12"}),
    "leaning over": (1, {"pelvis": "x12..30", "hip": "x-40..-15 z0..10", "knee": "x0..20"}),
    "walking, heel down": (1.5, {"left_hip": "x-32..-15 z-2..5", "left_knee": "x2..15", "left_ankle": "x-10..5",
                                 "right_hip": "x0..18 z-2..5", "right_knee": "x8..30", "right_ankle": "x0..20"}),
    "walking, one leg swinging": (1.5, {"left_hip": "x-10..8 z-2..5", "left_knee": "x0..12",
                                        "right_hip": "x-25..5 z-2..6", "right_knee": "x35..68",
                                        "right_ankle": "x0..15"}),
    "running": (1, {"left_hip": "x-65..-25 z-2..6", "left_knee": "x25..100", "right_hip": "x-5..22 z-2..6",
                    "right_knee": "x10..95", "right_ankle": "x0..30"}),
    "climbing a step": (0.5, {"left_hip": "x-70..-35 z0..12", "left_knee": "x40..85", "right_hip": "x-8..6",
                              "right_knee": "x0..15"}),
    "sitting": (2, {"pelvis": "x-15..10", "hip": "x-98..-75 y-5..15 z0..20", "knee": "x65..105",
                    "ankle": "x-10..15"}),
    "sitting, legs stretched": (0.5, {"pelvis": "x-25..0", "hip": "x-85..-60 z0..15", "knee": "x15..60",
                                      "ankle": "x0..20"}),
    "sitting, legs crossed": (0.5, {"pelvis": "x-12..5", "left_hip": "x-100..-85 y-5..10 z-16..-6",
                                    "left_knee": "x65..95", "right_hip": "x-92..-80", "right_knee": "x80..100"}),
}  # fmt: skip

ARMS: Parts = {
    "hanging": (5, {"shoulder": "x-15..15 z-80..-62 x-20..30", "elbow": "y-30..-4"}),
    "swinging": (2, {"left_shoulder": "x-40..-8 z-80..-65", "left_elbow": "y-50..-10",
                     "right_shoulder": "x5..35 z-80..-65", "right_elbow": "y-35..-5"}),
    "running": (0.7, {"left_shoulder": "x-50..-15 z-78..-60", "right_shoulder": "x20..50 z-75..-55",
                      "elbow": "y-110..-65"}),
    "in the pockets": (1, {"shoulder": "x5..25 z-70..-55 x5..35", "elbow": "y-60..-25"}),
    "on the hips": (1, {"shoulder": "x0..20 z-55..-35 x45..80", "elbow": "y-105..-75"}),
    "crossed": (1, {"shoulder": "x-35..-15 z-75..-60 x50..80", "elbow": "y-110..-85"}),
    "hands clasped": (1, {"shoulder": "x-20..0 z-72..-60 x35..65", "elbow": "y-75..-35"}),
    "behind the back": (0.6, {"shoulder": "x15..30 z-72..-60 x55..80", "elbow": "y-70..-35"}),
    "holding something": (1.5, {"shoulder": "x-35..-5 z-75..-55 x0..40", "elbow": "y-115..-60"}),
    "at the face": (1, {"shoulder": "x-65..-25 z-70..-45 x0..40", "elbow": "y-145..-110"}),
    "waving": (0.7, {"collar": "z0..12", "shoulder": "z-10..40 x-95..-50", "elbow": "y-110..-40"}),
    "raised": (0.7, {"collar": "z10..25", "shoulder": "y-20..15 z40..75", "elbow": "y-40..-3"}),
    "reaching": (1, {"shoulder": "y-95..-50 z-40..10", "elbow": "y-45..-4"}),
    "spread": (0.6, {"shoulder": "y-20..15 z-35..10", "elbow": "y-40..-3"}),
    "in the lap": (0.8, {"shoulder": "x-40..-15 z-75..-60 x5..45", "elbow": "y-75..-35"}),
}  # fmt: skip

TRUNK: Parts = {
    "upright": (4, {"spine1": "x-6..6 y-8..8 z-4..4", "spine2": "x-4..6 y-6..6 z-3..3", "spine3": "x-4..4 y-4..4",
                    "neck": "x-15..30 y-20..20 z-6..6", "head": "x-15..25 y-20..20 z-6..6"}),
    "bent": (1, {"spine1": "x5..20 y-15..15 z-10..10", "spine2": "x3..12 y-10..10 z-8..8", "spine3": "x0..10",
                 "neck": "x-30..20 y-25..25", "head": "x-25..15 y-25..25"}),
}  # fmt: skip

OWN_ARMS = 0.5  # share of poses in which left and right arm are drawn separately
LEAN = 4.0  # degrees, standard deviation of the whole body's lean forwards and sideways


@cache
def everyday_poses(split: Literal["train", "held_out", "all"] = "all", count: int = 5000) -> Tensor:
    """Draw random everyday poses. They are the same in each call and cached, so the result must not be changed.

    Args:
        split: Poses for training, others to hold out, or both.
        count: Number of poses in each split.

    Returns:
        (count, 24, 3, 3) local rotations, or (2 count, 24, 3, 3) for "all". The first is the orientation of the body in
        a world whose y axis is up, facing z.

    Raises:
        ValueError: There is no such split.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f"unknown split {split!r}; there are train, held_out and all")
    if split == "all":
        return torch.cat([everyday_poses("train", count), everyday_poses("held_out", count)])
    generator = np.random.default_rng(["train", "held_out"].index(split))
    arms, own = draw_parts(ARMS, count, generator), draw_parts(ARMS, count, generator)
    left = np.array([name.startswith("left_") for name in joint_set("smpl24")])
    differ = generator.random(count) < OWN_ARMS
    arms = np.where((differ[:, None] & left)[..., None, None], own, arms)
    # The three rotate different joints, and so their product holds the rotations of all.
    pose = draw_parts(LEGS, count, generator) @ draw_parts(TRUNK, count, generator) @ arms
    pose[:, 0] = euler_to_matrix(np.radians(LEAN) * generator.standard_normal((count, 2)), "xz") @ pose[:, 0]
    rotations = torch.from_numpy(pose).float()
    mirrored = torch.from_numpy(generator.random(count) < 0.5)
    return torch.where(mirrored[:, None, None, None], mirror_pose(rotations), rotations)


def draw_parts(parts: Parts, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw random parts of poses; joints that a part does not mention stay at rest.

    Args:
        parts: Relative frequencies and rotations.
        count: Number of draws.
        generator: Source of randomness.

    Returns:
        (count, 24, 3, 3) local rotations.
    """
    shares, turns = zip(*parts.values())
    chosen = generator.choice(len(turns), count, p=np.array(shares) / sum(shares))
    pose = np.tile(np.eye(3), (count, len(joint_set("smpl24")), 1, 1))
    for part, turn in enumerate(turns):
        rows = np.flatnonzero(chosen == part)
        for joint, name in enumerate(joint_set("smpl24")):
            axes, low, high = written_turn(name, turn)
            pose[rows, joint] = euler_to_matrix(generator.uniform(low, high, (len(rows), len(low))), axes)
    return pose
