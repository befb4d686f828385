"""Floor poses: people who sit, kneel, crawl or lie, with the floor touched by the parts of the body that bear them.

They are written as in :mod:`meshrec.poses.authored_poses`, with ranges in joints that bear nothing, as in
:mod:`meshrec.poses.everyday_poses`. The angles of the others were fitted to the open body, so that all parts in
contact touch one horizontal plane, and so that its limbs do not go through one another. Where the body changes,
``tools/settle_floor_poses.py`` fits them anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.body.kinematics import mirror_pose
from meshrec.poses.authored_poses import Turns
from meshrec.poses.everyday_poses import draw_parts


@dataclass(frozen=True)
class FloorPose:
    """A pose and its contact with the floor.

    Attributes:
        touching: Joints of the parts whose skin touches the floor, separated by spaces: "knee" is both shins, "wrist"
            both palms, "ankle" both feet without their toes.
        turns: The rotations of the joints.
    """

    touching: str
    turns: Turns

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the SMPL joints whose parts touch the floor."""
        words = self.touching.split()
        names = [[word] if word in joint_set("smpl24") else [f"left_{word}", f"right_{word}"] for word in words]
        return tuple(name for pair in names for name in pair)


FLOOR: Mapping[str, FloorPose] = {
    # Sitting on the floor.
    "long sitting, leaning back on the hands": FloorPose("pelvis ankle wrist", {
        "pelvis": "x-31", "hip": "x-61 z6", "knee": "x6", "ankle": "x18", "spine2": "x1", "neck": "x-5..25 y-30..30",
        "shoulder": "x47 z-68", "elbow": "y-6", "wrist": "z56"}),
    "long sitting, ankles crossed, hands in the lap": FloorPose("pelvis left_ankle right_ankle", {
        "pelvis": "x-10", "left_hip": "x-82 z-5", "left_knee": "x6", "right_hip": "x-82 z-4", "right_knee": "x6",
        "ankle": "x21", "spine1": "x14", "spine2": "x8", "neck": "x0..25 y-25..25",
        "shoulder": "x-34..-26 z-68..-62 x24..32", "elbow": "y-48..-36"}),
    "one knee up, leaning back on the hands": FloorPose("pelvis left_ankle right_ankle wrist", {
        "pelvis": "x-39", "left_hip": "x-55 z6", "left_knee": "x9", "left_ankle": "x17", "right_hip": "x-100 z5",
        "right_knee": "x91", "right_ankle": "x8", "spine2": "x7", "neck": "x-5..25 y-30..30", "shoulder": "x49 z-62",
        "elbow": "y-6", "wrist": "z57"}),
    "one knee up, an arm around it": FloorPose("pelvis left_ankle right_ankle", {
        "pelvis": "x-25", "left_hip": "x-72 z9 y21", "left_knee": "x16", "left_ankle": "x13", "right_hip": "x-122 z1",
        "right_knee": "x107", "right_ankle": "x8", "spine1": "x13", "spine2": "x8", "neck": "x-5..20 y-25..25",
        "right_shoulder": "y-51 z-36", "right_elbow": "y-63", "left_shoulder": "x-34..-22 z-66..-56 x10..20",
        "left_elbow": "y-50..-30"}),
    "knees up, leaning back on the hands": FloorPose("pelvis ankle wrist", {"pelvis": "x-42", "hip": "x-95 z2",
        "knee": "x86", "ankle": "x10", "spine2": "x9", "neck": "x-5..25 y-30..30", "shoulder": "x51 z-59",
        "elbow": "y-5", "wrist": "z59"}),
    "knees up, forearms on the knees": FloorPose("pelvis ankle", {"pelvis": "x-26", "hip": "x-115 z11", "knee": "x90",
        "ankle": "x4", "spine1": "x18", "spine2": "x10", "spine3": "x5", "neck": "x-10..20 y-30..30",
        "shoulder": "y-72 z-5", "elbow": "y-25"}),
    "knees hugged": FloorPose("pelvis ankle", {"pelvis": "x-28", "hip": "x-120 z-3", "knee": "x103", "ankle": "x10",
        "spine1": "x16", "spine2": "x15", "spine3": "x13", "neck": "x-5..25 y-25..25", "shoulder": "y-65 z-43",
        "elbow": "y-61"}),
    "cross-legged, hands on the knees": FloorPose("pelvis ankle", {"pelvis": "x-17", "left_hip": "y34 x-115 y73",
        "left_knee": "x136", "right_hip": "y24 x-97 y65", "right_knee": "x95", "left_ankle": "x21",
        "right_ankle": "x18", "spine1": "x10", "spine2": "x6", "neck": "x-10..20 y-30..30", "shoulder": "x-28 z-58",
        "elbow": "y-21"}),
    "cross-legged, hands busy": FloorPose("pelvis ankle", {"pelvis": "x-17", "left_hip": "y33 x-114 y74",
        "left_knee": "x137", "right_hip": "y29 x-99 y62", "right_knee": "x94", "left_ankle": "x19",
        "right_ankle": "x20", "spine1": "x8", "spine2": "x1", "neck": "x0..30 y-20..20",
        "shoulder": "x-38..-24 z-68..-58 x12..20", "elbow": "y-82..-66"}),
    "cross-legged, leaning back on the hands": FloorPose("pelvis ankle wrist", {
        "pelvis": "x-36", "left_hip": "y23 x-94 y62", "left_knee": "x127", "right_hip": "y20 x-83 y59",
        "right_knee": "x103", "ankle": "x16", "spine2": "x6", "neck": "x-5..25 y-30..30", "shoulder": "x53 z-64",
        "elbow": "y-3", "wrist": "z60"}),
    "cross-legged, bent forward": FloorPose("pelvis ankle", {"pelvis": "x-26", "left_hip": "y33 x-107 y64",
        "left_knee": "x131", "right_hip": "y30 x-94 y58", "right_knee": "x101", "ankle": "x19", "spine1": "x32",
        "spine2": "x15", "spine3": "x7", "neck": "x-15..15 y-20..20", "shoulder": "y-84 z-7", "elbow": "y-20"}),
    "one leg folded, one stretched": FloorPose("pelvis left_ankle right_ankle", {
        "pelvis": "x-19", "left_hip": "x-74 z16 y20", "left_knee": "x9", "left_ankle": "x8",
        "right_hip": "y33 x-104 y62", "right_knee": "x117", "right_ankle": "x22", "spine1": "x14", "spine2": "x8",
        "neck": "x-5..25 y-25..25", "shoulder": "y-55 z-20", "elbow": "y-30"}),
    "straddle, hands on the floor ahead": FloorPose("pelvis ankle wrist", {"pelvis": "x3", "hip": "y32 x-93 z9",
        "knee": "x4", "ankle": "x10", "spine1": "x21", "spine2": "x10", "spine3": "x5", "neck": "x-20..10 y-20..20",
        "shoulder": "y-71 z-25", "elbow": "y1", "wrist": "z41"}),
    # Kneeling and squatting.
    "kneeling upright": FloorPose("knee foot", {"hip": "x-2 z6", "knee": "x93", "ankle": "x44", "spine1": "x4",
        "neck": "x-10..20 y-30..30", "shoulder": "x-30..10 z-78..-60", "elbow": "y-80..-10"}),
    "kneeling, toes tucked": FloorPose("knee foot", {"pelvis": "x12", "hip": "x-12 z9", "knee": "x106", "ankle": "x-37",
        "foot": "x-45", "spine1": "x8", "neck": "x-10..20 y-30..30", "shoulder": "x-40..0 z-75..-60",
        "elbow": "y-90..-30"}),
    "on the heels, hands on the thighs": FloorPose("knee foot", {"pelvis": "x6", "hip": "x-68 z4", "knee": "x152",
        "ankle": "x51", "spine1": "x8", "spine2": "x5", "neck": "x-10..25 y-25..25", "shoulder": "x-22 z-68",
        "elbow": "y-42"}),
    "on the heels, bent over work": FloorPose("knee foot", {"pelvis": "x25", "hip": "x-86 z12", "knee": "x151",
        "ankle": "x57", "spine1": "x21", "spine2": "x10", "spine3": "x2", "neck": "x-10..15 y-15..15",
        "shoulder": "y-90 z8", "elbow": "y-17"}),
    "one knee, forearm on the other": FloorPose("left_ankle left_foot right_knee right_foot", {
        "pelvis": "x10", "left_hip": "x-112 z6", "left_knee": "x104", "right_hip": "x1", "right_knee": "x94",
        "right_ankle": "x-25", "right_foot": "x-43", "spine1": "x16", "spine2": "x8", "neck": "x-10..20 y-25..25",
        "left_shoulder": "x-45 z-55", "left_elbow": "y-55", "right_shoulder": "x-25..5 z-75..-60",
        "right_elbow": "y-60..-10"}),
    "one knee, a hand on the floor": FloorPose("left_ankle left_foot right_knee right_foot right_hand", {
        "pelvis": "x34 y27", "left_hip": "x-105 z30", "left_knee": "x100", "left_ankle": "x-13",
        "right_hip": "x-27 z10", "right_knee": "x93", "right_ankle": "x24", "spine1": "x29", "spine2": "x14",
        "spine3": "x7", "neck": "x-25..0 y-20..20", "right_collar": "z-8", "right_shoulder": "y-79 z-26",
        "right_elbow": "y-4", "right_wrist": "z12", "left_shoulder": "y-83 z-9", "left_elbow": "y-40"}),
    "squat, heels down": FloorPose("ankle foot", {"pelvis": "x22", "hip": "x-125 y-6 z21", "knee": "x134",
        "ankle": "x-30", "spine1": "x15", "spine2": "x8", "neck": "x-20..10 y-25..25", "shoulder": "y-84..-78 z-12..-4",
        "elbow": "y-35..-8"}),
    "squat, hands on the floor": FloorPose("foot hand", {"pelvis": "x53", "hip": "x-129 y-3 z33", "knee": "x131",
        "ankle": "x-8", "foot": "x-29", "spine1": "x29", "spine2": "x19", "spine3": "x10", "neck": "x-25..0 y-20..20",
        "shoulder": "y-93 z-25", "elbow": "y-9", "wrist": "z28"}),
    # On hands or forearms and knees.
    "all fours": FloorPose("knee foot wrist", {"pelvis": "x81", "hip": "x-83 z4", "knee": "x93", "ankle": "x44",
        "neck": "x-30..10 y-20..20", "shoulder": "y-88 z12", "elbow": "y-6", "wrist": "z75"}),
    "all fours, a hand reaching": FloorPose("knee foot left_wrist", {"pelvis": "x78", "hip": "x-81 z4", "knee": "x95",
        "ankle": "x44", "neck": "x-35..0 y-20..20", "left_shoulder": "y-88 z3", "left_elbow": "y-6",
        "left_wrist": "z75", "right_shoulder": "y-95..-70 z30..60", "right_elbow": "y-30..-5"}),
    "all fours, a leg stretched back": FloorPose("left_knee left_foot wrist", {
        "pelvis": "x78", "left_hip": "x-82 z4", "left_knee": "x95", "right_hip": "x-5..10", "right_knee": "x4..25",
        "ankle": "x44", "neck": "x-30..0 y-20..20", "shoulder": "y-88 z5", "elbow": "y-6", "wrist": "z75"}),
    "crawling, one knee ahead": FloorPose("knee foot wrist", {"pelvis": "x80", "left_hip": "x-71 z11",
        "left_knee": "x81", "right_hip": "x-90", "right_knee": "x101", "ankle": "x44", "neck": "x-35..0 y-25..25",
        "left_shoulder": "y-92 z13", "right_shoulder": "y-60 z1", "elbow": "y2", "wrist": "z67"}),
    "crawling on the forearms": FloorPose("knee foot elbow", {"pelvis": "x106", "left_hip": "x-90 z9",
        "left_knee": "x77", "right_hip": "x-108 z13", "right_knee": "x96", "ankle": "x36", "neck": "x-40..-10 y-20..20",
        "shoulder": "y-83 z28", "elbow": "x-70 y-86"}),
    "bent down with the forehead on the floor": FloorPose("knee foot head wrist", {
        "pelvis": "x74", "hip": "x-129 z25", "knee": "x150", "ankle": "x46", "spine1": "x19", "spine2": "x8",
        "neck": "x20", "collar": "z8", "shoulder": "y-13 z67", "elbow": "y4", "wrist": "z11"}),
    # Lying on the front.
    "on the front, arms at the sides": FloorPose("head pelvis foot wrist", {"pelvis": "x83", "hip": "x-2 z10",
        "knee": "x5", "ankle": "x53", "spine1": "x12", "neck": "y18", "head": "y16", "shoulder": "x-3 z-61",
        "elbow": "y-16"}),
    "on the front, hands beside the head": FloorPose("pelvis foot wrist", {"pelvis": "x88", "hip": "x-4 z6",
        "knee": "x2", "ankle": "x49", "spine1": "x-4", "spine2": "x5", "neck": "x-10 y25", "head": "y20",
        "collar": "z14", "shoulder": "y-24 z16 x69", "elbow": "y-125"}),
    "on the front, on the elbows": FloorPose("pelvis foot elbow", {"pelvis": "x88", "hip": "x-4 z6", "knee": "x1",
        "ankle": "x48", "spine1": "x-13", "spine2": "x-9", "spine3": "x-4", "neck": "x-20..5 y-30..30",
        "shoulder": "y-92 z-16", "elbow": "x-73 y-80"}),
    "on the front, on the elbows, heels up": FloorPose("hip elbow", {"pelvis": "x87", "hip": "x-6 z3",
        "knee": "x60..105", "ankle": "x10..40", "spine1": "x-14", "spine2": "x-9", "spine3": "x-3",
        "neck": "x-20..5 y-30..30", "shoulder": "y-92 z-17", "elbow": "x-71 y-80"}),
    "cobra, arms straight": FloorPose("hip knee foot wrist", {"pelvis": "x71", "hip": "x1 z-5", "knee": "x15",
        "ankle": "x55", "spine1": "x-25", "spine2": "x-15", "spine3": "x-6", "neck": "x-25..5 y-20..20",
        "shoulder": "y-47 z-50 x-13", "elbow": "y-3", "wrist": "z60"}),
    "plank on the forearms": FloorPose("foot elbow", {"pelvis": "x83", "hip": "x4 z3", "ankle": "x-27", "foot": "x-36",
        "neck": "x-20..5 y-15..15", "shoulder": "y-74 z3", "elbow": "x-62 y-94"}),
    # Lying on the back.
    "on the back, arms beside": FloorPose("head spine3 pelvis ankle elbow", {"pelvis": "x-91", "hip": "z8 y11",
        "knee": "x3", "ankle": "x22", "neck": "x-10 y-15..15", "shoulder": "x18 z-74", "elbow": "y-21"}),
    "on the back, hands on the belly": FloorPose("head spine3 pelvis ankle", {"pelvis": "x-90", "hip": "z6 y11",
        "knee": "x1", "ankle": "x26", "neck": "x-13 y-15..15", "shoulder": "x-7 z-64 x52", "elbow": "y-75"}),
    "on the back, arms above the head": FloorPose("head spine3 pelvis ankle elbow", {
        "pelvis": "x-90", "hip": "z9 y11", "knee": "x1", "ankle": "x28", "neck": "x-13 y-15..15", "collar": "z13",
        "shoulder": "y22 z36", "elbow": "y-35"}),
    "on the back, a knee up": FloorPose("head spine3 pelvis left_ankle right_ankle elbow", {
        "pelvis": "x-90", "left_hip": "z8 y9", "left_knee": "x2", "left_ankle": "x18", "right_hip": "x-53 z4",
        "right_knee": "x99", "right_ankle": "x10", "neck": "x-13 y-15..15", "shoulder": "x21 z-57", "elbow": "y-21"}),
    "on the back, soles on the floor": FloorPose("head spine3 pelvis ankle foot", {
        "pelvis": "x-89", "hip": "x-57 z11", "knee": "x103", "ankle": "x42", "neck": "x-14 y-15..15",
        "shoulder": "x-6 z-62 x49", "elbow": "y-72"}),
    "on the back, an ankle on the knee": FloorPose("head spine3 pelvis left_ankle", {
        "pelvis": "x-89", "left_hip": "x-57 z4", "left_knee": "x102", "left_ankle": "x10", "right_hip": "x-72 z21 y61",
        "right_knee": "x88", "neck": "x-15 y-10..10", "shoulder": "x-8 z-62 x48", "elbow": "y-72"}),
    "on the back, on the elbows": FloorPose("pelvis ankle elbow", {"pelvis": "x-70", "hip": "x-25 z7", "knee": "x10",
        "ankle": "x27", "spine1": "x-5", "spine2": "x-3", "neck": "x0..30 y-30..30", "shoulder": "x56 z-58 x11",
        "elbow": "x-19 y-79"}),
    "on the back, on the elbows, knees up": FloorPose("pelvis ankle elbow", {"pelvis": "x-76", "hip": "x-66 z6",
        "knee": "x95", "ankle": "x8", "spine1": "x2", "spine2": "x1", "neck": "x0..30 y-30..30",
        "shoulder": "x53 z-55 x10", "elbow": "x-20 y-80"}),
    "hips raised": FloorPose("head spine3 ankle foot", {"pelvis": "x-119", "hip": "x3 z3", "knee": "x104",
        "ankle": "x12", "neck": "x28", "head": "x12", "shoulder": "x14 z-50", "elbow": "y-5"}),
    # Lying on a side.
    "on the side, legs stretched": FloorPose("left_shoulder left_elbow left_wrist left_hip left_ankle head", {
        "pelvis": "z-90", "left_hip": "x-11", "left_knee": "x12", "right_hip": "x-6 z-4", "right_knee": "x10",
        "ankle": "x20", "neck": "z-31", "head": "z-31", "left_collar": "y-31", "left_shoulder": "y-65 z50 x-103",
        "left_elbow": "y-42", "right_shoulder": "x-10..15 z-80..-70", "right_elbow": "y-30..-5"}),
    "on the side, knees bent": FloorPose("left_shoulder left_elbow left_hip left_knee head", {
        "pelvis": "z-90", "left_hip": "x-53", "left_knee": "x80", "right_hip": "x-62 z-8", "right_knee": "x75",
        "ankle": "x19", "spine1": "x9", "spine2": "x5", "neck": "z-31", "head": "z-28", "left_collar": "y-36",
        "left_shoulder": "y-55 z20 x-94", "left_elbow": "y-96", "right_shoulder": "y-60 z-50",
        "right_elbow": "y-50..-20"}),
    "on the side, upper knee on the floor": FloorPose("left_shoulder left_elbow left_hip left_ankle right_knee head", {
        "pelvis": "z-90 y7", "left_hip": "x-10", "left_knee": "x16", "right_hip": "x-73 z-32", "right_knee": "x87",
        "ankle": "x27", "spine1": "y-17", "neck": "z-36", "head": "z-33", "left_collar": "y-25",
        "left_shoulder": "y-52 z45 x-74", "left_elbow": "y-51", "right_shoulder": "y-70 z-30", "right_elbow": "y-50"}),
    "on the side, on the elbow": FloorPose("left_elbow left_hip left_ankle", {"pelvis": "z-90", "left_hip": "x-22",
        "left_knee": "x35", "right_hip": "x-30 z-8", "right_knee": "x45", "ankle": "x20", "spine1": "z24",
        "spine2": "z18", "neck": "z5 x-5..15 y-20..20", "left_shoulder": "y-21 z-20", "left_elbow": "y-96",
        "right_shoulder": "x-6..4 z-58..-50", "right_elbow": "y-20..-8"}),
    "on the side, a hand before the chest": FloorPose("left_elbow left_hip left_knee right_wrist", {
        "pelvis": "z-90", "left_hip": "x-20", "left_knee": "x25", "right_hip": "x-70 z-6", "right_knee": "x95",
        "ankle": "x13", "spine1": "z22", "spine2": "z17", "neck": "z5 x-5..15 y-20..20", "left_shoulder": "y-30 z-16",
        "left_elbow": "y-95", "right_collar": "y-26", "right_shoulder": "y-102 z-22", "right_elbow": "y-21",
        "right_wrist": "z36"}),
    # On a chair, whose seat is level with the thighs.
    "chair, hands in the lap": FloorPose("ankle foot", {"pelvis": "x-6", "hip": "x-86 z7", "knee": "x92", "ankle": "x2",
        "spine1": "x8", "spine2": "x5", "neck": "x-10..25 y-35..35", "shoulder": "x-30..-20 z-70..-62 x10..20",
        "elbow": "y-62..-46"}),
    "chair, elbows on the knees": FloorPose("ankle foot", {"pelvis": "x22", "hip": "x-109 z6", "knee": "x88",
        "ankle": "x-0", "spine1": "x22", "spine2": "x14", "spine3": "x5", "neck": "x-25..5 y-20..20",
        "shoulder": "y-55 z-37 x-43", "elbow": "y-68"}),
    "chair, legs stretched": FloorPose("ankle", {"pelvis": "x-26", "hip": "x-52 z8", "knee": "x22", "ankle": "x6",
        "spine1": "x8", "spine2": "x8", "neck": "x5..25 y-30..30", "shoulder": "x-32..-22 z-66..-58 x10..20",
        "elbow": "y-55..-35"}),
    "chair, an ankle on the knee": FloorPose("left_ankle left_foot", {"pelvis": "x-12", "left_hip": "x-78 z6",
        "left_knee": "x88", "left_ankle": "x2", "right_hip": "x-89 z19 y65", "right_knee": "x91", "right_ankle": "x5",
        "spine1": "x8", "spine2": "x5", "neck": "x-5..20 y-35..35", "shoulder": "x-30..-18 z-66..-56 x5..15",
        "elbow": "y-60..-40"}),
    "chair, one foot drawn back": FloorPose("left_ankle left_foot right_foot", {
        "pelvis": "x4", "left_hip": "x-87 z8", "left_knee": "x83", "left_ankle": "x1", "right_hip": "x-87 z8",
        "right_knee": "x114", "right_ankle": "x6", "right_foot": "x-26", "spine1": "x14", "spine2": "x8",
        "neck": "x-10..25 y-25..25", "shoulder": "y-72..-60 z-32..-20", "elbow": "y-45..-20"}),
}  # fmt: skip

# Not used in training.
HELD_OUT = (
    "one knee up, an arm around it",
    "cross-legged, bent forward",
    "kneeling, toes tucked",
    "one knee, a hand on the floor",
    "all fours, a hand reaching",
    "crawling on the forearms",
    "on the front, on the elbows, heels up",
    "on the back, a knee up",
    "on the back, on the elbows, knees up",
    "on the side, knees bent",
    "chair, an ankle on the knee",
)


@cache
def floor_poses(split: Literal["train", "held_out", "all"] = "all", count: int = 1500) -> Tensor:
    """Draw random floor poses, half of them mirrored.

    They are the same in each call and cached, so the result must not be changed.

    Args:
        split: Poses for training, those of :data:`HELD_OUT`, or both.
        count: Number of poses in each split.

    Returns:
        (count, 24, 3, 3) local rotations, or (2 count, 24, 3, 3) for "all". The first is the orientation of the body in
        a world whose y axis is up.

    Raises:
        ValueError: There is no such split.
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f"unknown split {split!r}; there are train, held_out and all")
    if split == "all":
        return torch.cat([floor_poses("train", count), floor_poses("held_out", count)])
    generator = np.random.default_rng(["train", "held_out"].index(split))
    wanted = {name: (1.0, pose.turns) for name, pose in FLOOR.items() if (name in HELD_OUT) == (split == "held_out")}
    rotations = torch.from_numpy(draw_parts(wanted, count, generator)).float()
    mirrored = torch.from_numpy(generator.random(count) < 0.5)
    return torch.where(mirrored[:, None, None, None], mirror_pose(rotations), rotations)
