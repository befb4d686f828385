"""Recording errors in motion capture: rotations that joints cannot reach are reset, or their frames are dropped."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from meshrec.body.joints import JOINT_SETS
from meshrec.motion.motion import twist_angle

SMPL_JOINTS = JOINT_SETS["smpl24"]

# For each end joint, the largest plausible angle in a frame and the largest plausible median over a take, degrees.
# Beyond the first the joint is wrong in that frame, beyond the second in the whole take. The head's angle is relative
# to the chest.
_END_JOINTS = {"head": (85, 45), "ankle": (60, 45), "foot": (65, 45), "wrist": (75, 50)}

# For each limb joint, the axis of its bone in the T-pose and the largest swing of the bone and twist about it, degrees:
# the ranges of healthy adults (Boone & Azen 1979, "Normal range of motion of joints in male subjects") and 15 to 40
# more, because skeletons with few joints overshoot them.
_LIMB_JOINTS = {"hip": ("y", 150, 80), "knee": ("y", 160, 45), "shoulder": ("x", 150, 150), "elbow": ("x", 160, 80)}

_LARGEST_BEND = 100  # rotation of the chest relative to the pelvis, degrees
_LARGEST_JUMP = 60  # rotation of a limb or the back in a thirtieth of a second, degrees; the fastest kicks reach 59


@dataclass(frozen=True)
class Mended:
    """A take without its recording errors.

    Attributes:
        rotations: (K, 24, 3, 3) local rotations of the frames that were kept.
        frames: (K,) indices of those frames in the take.
        resets: For each end joint, the number of the take's frames in which it was set to rest.
    """

    rotations: ndarray
    frames: ndarray
    resets: dict[str, int]


def mend(rotations: ndarray) -> Mended:
    """Set implausible ankles, feet, wrists and heads to rest and drop frames whose trunk or limbs are implausible.

    Args:
        rotations: (T, 24, 3, 3) local rotations of SMPL's joints, at about 30 frames per second.

    Returns:
        The mended take.
    """
    rotations = rotations.copy()
    index = SMPL_JOINTS.index
    resets: dict[str, int] = {}
    for name in SMPL_JOINTS:
        kind = name.split("_")[-1]
        if kind in _END_JOINTS:
            chain = [index("neck"), index("head")] if kind == "head" else [index(name)]
            angle = _degrees(
                rotations[:, chain[0]] @ rotations[:, chain[1]] if kind == "head" else rotations[:, chain[0]]
            )
            frame_limit, median_limit = _END_JOINTS[kind]
            wrong = (angle > frame_limit) | (np.median(angle) > median_limit)
            rotations[np.ix_(wrong, chain)] = np.eye(3)
            resets[name] = int(wrong.sum())

    limbs = [index(name) for name in SMPL_JOINTS if name.split("_")[-1] in _LIMB_JOINTS]
    bad = np.zeros(len(rotations), bool)
    for joint in limbs:
        axis, swing, twist = _LIMB_JOINTS[SMPL_JOINTS[joint].split("_")[-1]]
        bone = np.eye(3)["xyz".index(axis)]
        local = rotations[:, joint]
        bad |= np.rad2deg(np.arccos((local @ bone @ bone).clip(-1, 1))) > swing
        bad |= np.abs(np.rad2deg(twist_angle(local, bone))) > twist
    spine = [index(name) for name in ("spine1", "spine2", "spine3")]
    bad |= _degrees(rotations[:, spine[0]] @ rotations[:, spine[1]] @ rotations[:, spine[2]]) > _LARGEST_BEND
    moving = rotations[:, limbs + spine]
    jump = (_degrees(moving[:-1].swapaxes(-1, -2) @ moving[1:]) > _LARGEST_JUMP).any(-1)
    bad[:-1] |= jump
    bad[1:] |= jump
    frames = np.flatnonzero(~bad)
    return Mended(rotations[frames], frames, resets)


def off_balance(joints: ndarray) -> ndarray:
    """How far people who stand are from above their feet, as they are where a recording tilts the whole body.

    Args:
        joints: (T, 24, 3) positions of SMPL's joints, metres, with y up.

    Returns:
        (T,) horizontal distance from the middle of the trunk to the line between the balls of the feet, metres.
    """
    index = SMPL_JOINTS.index
    left, right = (joints[:, index(f"{side}_foot")][:, [0, 2]] for side in ("left", "right"))
    trunk = joints[:, [index("pelvis"), index("spine3")]].mean(1)[:, [0, 2]]
    line = right - left
    along = ((trunk - left) * line).sum(-1) / np.maximum((line**2).sum(-1), 1e-6)
    return np.linalg.norm(trunk - left - along.clip(0, 1)[:, None] * line, axis=-1)


def _degrees(rotations: ndarray) -> ndarray:
    """The angles (...) of rotations (..., 3, 3), degrees."""
    return np.rad2deg(np.arccos(((np.trace(rotations, axis1=-2, axis2=-1) - 1) / 2).clip(-1, 1)))
