"""Authored poses that motion capture rarely holds: on the floor, sitting, lying, crawling, upside down.

A joint's rotation is written with the outermost axis first: ``"y35 x-80"`` is R_y(35 degrees) R_x(-80 degrees). All
rotations are written for the left side. ``hip`` bends both hips, the right one mirrored. ``right_hip`` takes precedence
over it and is also written as if it were a left hip.

From the T-pose, a hip bends forward with x-, opens with z+ and turns the toes out with y+; a knee bends with x+, an
ankle points the toes with x+; an arm sinks with z-, swings forward with y-, and once lowered swings forward with x-; an
elbow bends with y-. ``pelvis`` rotates the whole body: with x-90 it lies on the back, with x90 on the front, with z-90
on the left side.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.motion.motion import euler_to_matrix

Turns = Mapping[str, str]  # from a joint, of both sides ("hip") or one ("left_hip"), to its rotation

AUTHORED: dict[str, Turns] = {
    # Sitting on the floor or on a chair.
    "cross-legged": {"hip": "y35 x-75 y50", "knee": "x125", "ankle": "x20", "spine1": "x15", "spine2": "x8",
                     "shoulder": "x-25 z-68", "elbow": "y-35"},
    "cross-legged, arms raised": {"hip": "y35 x-75 y50", "knee": "x125", "ankle": "x20", "spine1": "x8",
                                  "collar": "z20", "shoulder": "z60", "elbow": "y-20"},
    "long sitting, hands behind": {"pelvis": "x-20", "hip": "x-75 z6", "knee": "x5", "ankle": "x15", "spine2": "x8",
                                   "shoulder": "x40 z-70", "elbow": "y-5", "wrist": "z50"},
    "long sitting, reaching": {"pelvis": "x15", "hip": "x-100 z4", "knee": "x5", "spine1": "x25", "spine2": "x15",
                               "spine3": "x10", "shoulder": "y-80 z-20", "elbow": "y-5"},
    "hugging the knees": {"pelvis": "x-10", "hip": "x-120", "knee": "x135", "ankle": "x15", "spine1": "x20",
                          "spine2": "x12", "neck": "x15", "shoulder": "y-60 z-45", "elbow": "y-65"},
    "side sitting": {"pelvis": "z-12", "left_hip": "x-85 y50 z20", "left_knee": "x110", "right_hip": "x-70 y-45",
                     "right_knee": "x120", "spine1": "z8", "spine2": "z8", "left_shoulder": "z-60",
                     "right_shoulder": "x-30 z-70", "right_elbow": "y-40"},
    "straddle": {"hip": "y40 x-88", "knee": "x4", "ankle": "x15", "spine1": "x20", "spine2": "x10",
                 "shoulder": "y-60 z-40", "elbow": "y-15"},
    "chair": {"hip": "x-90 z5", "knee": "x90", "shoulder": "x-25 z-68", "elbow": "y-55"},
    "chair, leaning back": {"pelvis": "x-25", "hip": "x-70 z10", "knee": "x65", "spine2": "x12",
                            "collar": "z15", "shoulder": "z45 y20", "elbow": "y-140"},
    "chair, legs crossed": {"left_hip": "x-95 z-12", "left_knee": "x80", "right_hip": "x-88", "right_knee": "x90",
                            "spine1": "x8", "shoulder": "x-30 z-65", "elbow": "y-75"},
    "chair, head in hands": {"pelvis": "x15", "hip": "x-105 z12", "knee": "x95", "spine1": "x25", "spine2": "x15",
                             "neck": "x20", "shoulder": "y-55 z-45", "elbow": "y-135"},
    # Kneeling and squatting.
    "kneeling": {"knee": "x92", "ankle": "x40", "shoulder": "z-72", "elbow": "y-15"},
    "seiza": {"hip": "x-70 z6", "knee": "x150", "ankle": "x45", "shoulder": "x-20 z-70", "elbow": "y-45"},
    "one knee": {"left_hip": "x-92", "left_knee": "x92", "right_knee": "x92", "right_ankle": "x-10",
                 "spine1": "x10", "shoulder": "x-30 z-65", "elbow": "y-60"},
    "deep squat": {"pelvis": "x15", "hip": "x-125 y-10 z22", "knee": "x140", "ankle": "x-28", "spine1": "x12",
                   "shoulder": "y-70 z-35", "elbow": "y-40"},
    "tying a shoe": {"pelvis": "x30", "left_hip": "x-125", "left_knee": "x110", "right_hip": "x-20",
                     "right_knee": "x105", "spine1": "x25", "spine2": "x15", "shoulder": "y-70 z-35", "elbow": "y-20"},
    "picking up": {"pelvis": "x60", "hip": "x-95 z8", "knee": "x60", "ankle": "x-22", "spine1": "x25",
                   "spine2": "x12", "shoulder": "y-80 z-15", "elbow": "y-10"},
    "forward fold": {"pelvis": "x75", "hip": "x-75 z4", "spine1": "x30", "spine2": "x15", "neck": "x15",
                     "collar": "z10", "shoulder": "y-75 z15"},
    # Hands and knees.
    "crawling": {"pelvis": "x85", "left_hip": "x-70", "right_hip": "x-100", "knee": "x90", "ankle": "x35",
                 "neck": "x-25", "left_shoulder": "y-95 z12", "right_shoulder": "y-80 z-10", "wrist": "z60"},
    "on hands and knees": {"pelvis": "x88", "hip": "x-90 z6", "knee": "x90", "ankle": "x40", "neck": "x-15",
                           "shoulder": "y-86", "wrist": "z70"},
    "on elbows and knees": {"pelvis": "x105", "hip": "x-95 z6", "knee": "x85", "ankle": "x40", "shoulder": "y-80 z10",
                            "elbow": "x-60 y-95"},
    "bear crawl": {"pelvis": "x95", "left_hip": "x-80", "left_knee": "x30", "right_hip": "x-125", "right_knee": "x75",
                   "ankle": "x-20", "shoulder": "y-88 z18", "wrist": "z55", "neck": "x-25"},
    "child's pose": {"pelvis": "x80", "hip": "x-135 z15", "knee": "x150", "ankle": "x45", "spine1": "x20",
                     "spine2": "x12", "collar": "z15", "shoulder": "y-35 z65"},
    "push-up": {"pelvis": "x75", "hip": "z3", "ankle": "x-35", "shoulder": "y-75", "wrist": "z60"},
    "push-up, low": {"pelvis": "x86", "ankle": "x-38", "shoulder": "y-30 z-55 x40", "elbow": "y-110", "neck": "x-15"},
    "downward dog": {"pelvis": "x130", "hip": "x-92 z4", "ankle": "x-18", "spine1": "x-5", "collar": "z15",
                     "shoulder": "y-25 z65", "wrist": "z40"},
    "side plank": {"pelvis": "z-68", "left_shoulder": "z-18", "left_wrist": "z60", "right_shoulder": "z10"},
    # Lying.
    "on the back": {"pelvis": "x-90", "hip": "z8 y15", "ankle": "x25", "shoulder": "z-60"},
    "on the back, star": {"pelvis": "x-90", "hip": "z30 y15", "knee": "x8", "ankle": "x25", "shoulder": "z15"},
    "on the back, knees up": {"pelvis": "x-90", "hip": "x-55 z5", "knee": "x105", "shoulder": "y20 z-70",
                              "elbow": "y-95"},
    "on the back, arms under the head": {"pelvis": "x-90", "left_hip": "x-50", "left_knee": "x100",
                                         "right_hip": "x-50 y50", "right_knee": "x80", "collar": "z15",
                                         "shoulder": "z45 x-15", "elbow": "y-140"},
    "legs up": {"pelvis": "x-90", "hip": "x-88 z6", "knee": "x6", "shoulder": "z-40"},
    "happy baby": {"pelvis": "x-95", "hip": "x-125 z25", "knee": "x80", "shoulder": "y-70 z-20", "elbow": "y-15"},
    "sit-up": {"pelvis": "x-60", "hip": "x-75", "knee": "x105", "spine1": "x25", "spine2": "x15", "neck": "x15",
               "collar": "z10", "shoulder": "z40 y10", "elbow": "y-140"},
    "on the front": {"pelvis": "x90", "hip": "z6", "ankle": "x40", "neck": "y50", "shoulder": "z-55"},
    "on the front, arms ahead": {"pelvis": "x90", "hip": "z10", "ankle": "x40", "neck": "x-20", "collar": "z15",
                                 "shoulder": "z60", "elbow": "y-25"},
    "on the front, one knee drawn up": {"pelvis": "x90 y10", "left_hip": "x-12 z60 y80", "left_knee": "x85",
                                        "ankle": "x40", "neck": "y45", "left_shoulder": "z40", "left_elbow": "y-60",
                                        "right_shoulder": "z-60"},
    "on the elbows": {"pelvis": "x85", "spine1": "x-18", "spine2": "x-12", "neck": "x-15", "ankle": "x40",
                      "shoulder": "y-65 z-15", "elbow": "x-60 y-90"},
    "cobra": {"pelvis": "x82", "hip": "x8", "spine1": "x-25", "spine2": "x-15", "spine3": "x-8", "neck": "x-15",
              "ankle": "x40", "shoulder": "x-25 z-55", "wrist": "z60"},
    "superman": {"pelvis": "x90", "hip": "x18 z6", "spine1": "x-15", "spine2": "x-8", "neck": "x-20",
                 "ankle": "x40", "collar": "z20", "shoulder": "y-10 z65"},
    "curled up on the side": {"pelvis": "z-90", "hip": "x-95", "knee": "x110", "ankle": "x20", "spine1": "x20",
                              "spine2": "x12", "neck": "x15", "shoulder": "y-70 z-30", "elbow": "y-100"},
    "on the side": {"pelvis": "z-90", "left_hip": "x-10", "left_knee": "x15", "right_hip": "x-35", "right_knee": "x40",
                    "left_shoulder": "y-70 z40", "left_elbow": "y-60", "right_shoulder": "z-75"},
    "on the side, propped up": {"pelvis": "z-70", "left_hip": "x-20", "left_knee": "x40", "right_hip": "x-30",
                                "right_knee": "x50", "spine1": "z18", "spine2": "z12", "neck": "z15",
                                "left_shoulder": "y-30 z-20", "left_elbow": "y-110", "right_shoulder": "z-70"},
    # Arched and upside down.
    "bridge": {"pelvis": "x-115", "hip": "x10 z4", "knee": "x90", "neck": "x25", "shoulder": "z-60"},
    "wheel": {"pelvis": "x-100", "hip": "x30 z6", "knee": "x75", "spine1": "x-30", "spine2": "x-20", "spine3": "x-12",
              "neck": "x-25", "collar": "z25", "shoulder": "y10 z72", "wrist": "z-50"},
    "handstand": {"pelvis": "x176", "ankle": "x30", "neck": "x-20", "collar": "z25", "shoulder": "z65",
                  "wrist": "z50"},
    "handstand, split": {"pelvis": "x170", "left_hip": "x-60", "right_hip": "x35", "right_knee": "x20", "ankle": "x30",
                         "neck": "x-20", "collar": "z25", "shoulder": "z65", "wrist": "z50"},
    "headstand": {"pelvis": "x178", "hip": "z4", "ankle": "x25", "shoulder": "y-40 z40", "elbow": "y-100"},
    "headstand, knees bent": {"pelvis": "x178", "hip": "x-60 z10", "knee": "x110", "ankle": "x25",
                              "shoulder": "y-40 z40", "elbow": "y-100"},
    "cartwheel": {"pelvis": "z125", "hip": "z45 y20", "ankle": "x20", "collar": "z15", "shoulder": "z40"},
    "shoulder stand": {"pelvis": "x-165", "hip": "x-10", "ankle": "x25", "spine1": "x5", "neck": "x40", "head": "x35",
                       "shoulder": "x25 z-50", "elbow": "y-110"},
    "plough": {"pelvis": "x-160", "hip": "x-115", "spine1": "x20", "spine2": "x15", "neck": "x40", "head": "x35",
               "ankle": "x-20", "shoulder": "x30 z-60"},
    "hanging upside down": {"pelvis": "z180", "hip": "x-80", "knee": "x100", "collar": "z15", "shoulder": "z65"},
}  # fmt: skip

# Not used in training, like the held-out takes of motion capture.
HELD_OUT = (
    "side sitting", "chair, legs crossed", "tying a shoe", "crawling", "on elbows and knees", "push-up, low",
    "on the back, knees up", "on the front, arms ahead", "on the side", "wheel", "handstand, split",
)  # fmt: skip


def authored_poses(split: Literal["train", "held_out", "all"] = "all") -> Tensor:
    """The poses of :data:`AUTHORED` in its order.

    Args:
        split: The poses for training, those of :data:`HELD_OUT`, or all.

    Returns:
        (N, 24, 3, 3) local rotations; the first is the orientation of the body in the world.

    Raises:
        ValueError: There is no such split.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f"unknown split {split!r}; there are train, held_out and all")
    wanted = [name for name in AUTHORED if split == "all" or (name in HELD_OUT) == (split == "held_out")]
    return torch.stack([_pose(AUTHORED[name]) for name in wanted])


def written_turn(joint: str, turns: Turns) -> tuple[str, np.ndarray, np.ndarray]:
    """Read the rotation of a joint. ``"x-95..-80"`` is any rotation about x between the two angles.

    Args:
        joint: Name of one of SMPL's joints.
        turns: The written rotations of a pose. A joint that they do not mention is not rotated.

    Returns:
        The axes, outermost first, and the lowest and highest angle (n,) about each, radians: equal bounds where a
        single angle is written.
    """
    text = turns.get(joint, turns.get(joint.removeprefix("left_").removeprefix("right_"), ""))
    steps = text.split()
    axes = "".join(step[0] for step in steps)
    bounds = [step[1:].split("..") for step in steps]
    angles = np.radians([[float(bound[0]), float(bound[-1])] for bound in bounds]).reshape(-1, 2)
    if joint.startswith("right_"):
        angles *= np.array([1.0 if axis == "x" else -1.0 for axis in axes])[:, None]
    return axes, angles.min(1), angles.max(1)


def _pose(turns: Turns) -> Tensor:
    names = joint_set("smpl24")
    unknown = [n for n in turns if n not in names and f"left_{n}" not in names]
    if unknown:
        raise KeyError(f"there is no joint {unknown[0]!r}")
    matrices = []
    for joint in names:
        axes, angles, _ = written_turn(joint, turns)
        matrices.append(euler_to_matrix(angles, axes))
    return torch.tensor(np.stack(matrices), dtype=torch.float32)
