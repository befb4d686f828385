"""Poses of SMPL's skeleton from the CMU Graphics Lab's motion capture, the source of the shipped pose bank."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.joints import JOINT_SETS, SMPL_PARENTS
from meshrec.errors import InputError
from meshrec.geometry import matrix_to_axis_angle
from meshrec.motion.acclaim import read_acclaim
from meshrec.motion.bvh import read_bvh
from meshrec.motion.mending import mend, off_balance
from meshrec.motion.motion import Motion, Skeleton
from meshrec.motion.retargeting import retarget
from meshrec.poses.pose_bank import PoseBank

# One or two takes of most activities that have several. The salsa takes are duets: N and N + 15 are the same dance.
HELD_OUT = {
    "indian_08", "indian_13", "martial_05", "martial_09", "salsa_05", "salsa_20", "salsa_12", "salsa_27",
    "01_05", "01_10", "02_02", "02_08", "03_03",
    "basketball_signal_train_5", "basketball_test_1", "jumping_test_1a", "jumping_test_1b", "running_test_1",
    "soccer_test_1a", "soccer_test_1b", "walking_extra_test_6", "walking_extra_test_14", "walking_extra_test_19",
    "walking_test_1",
}  # fmt: skip

# Metres; in the sharpest turns of the soccer players it is 0.45. Beyond it the recorded tilt of the body is wrong.
MOST_OFF_BALANCE = 0.46


@dataclass(frozen=True)
class CmuPoses:
    """The poses of all takes, and what was mended.

    Attributes:
        bank: All poses.
        dropped: Number of frames that were left out because of recording errors.
        resets: For each end joint, the number of frames in which it was set to rest.
    """

    bank: PoseBank
    dropped: int
    resets: dict[str, int]


def read_cmu(folder: str | Path, rest_joints: ndarray) -> CmuPoses:
    """Read, retarget and mend every take.

    Args:
        folder: A folder with ``bvh/*.bvh``, ``amc/SS.asf`` with ``amc/SS_TT.amc``, and ``everyday/*.bvh``, the takes of
            people who stand and walk.
        rest_joints: (24, 3) joints of the body in its T-pose, metres.

    Returns:
        The poses.

    Raises:
        InputError: There are no takes, or one cannot be read.
    """
    folder = Path(folder)
    files = [file for kind in ("bvh/*.bvh", "amc/*.amc", "everyday/*.bvh") for file in sorted(folder.glob(kind))]
    if not files:
        raise InputError(f"{folder} has neither bvh/*.bvh nor amc/*.amc nor everyday/*.bvh")
    upright = tuple(file.parent.name == "everyday" for file in files)
    poses, take, dropped = [], [], 0
    resets: dict[str, int] = {}
    for number, file in enumerate(files):
        rotations = _retargeted(file, rest_joints)
        mended = mend(rotations)
        kept = mended.rotations
        if upright[number]:
            kept = kept[off_balance(_joints(kept, rest_joints)) < MOST_OFF_BALANCE]
        poses.append(matrix_to_axis_angle(torch.from_numpy(kept)).float())
        take.append(torch.full((len(kept),), number))
        dropped += len(rotations) - len(kept)
        for joint, frames in mended.resets.items():
            resets[joint] = resets.get(joint, 0) + frames
    bank = PoseBank(torch.cat(poses), torch.cat(take), tuple(file.stem for file in files), upright)
    return CmuPoses(bank, dropped, resets)


def _joints(rotations: ndarray, rest_joints: ndarray) -> ndarray:
    """Positions (T, 24, 3) of the joints of a body whose root is at rest."""
    parents = np.array(SMPL_PARENTS)
    offsets = np.where(parents[:, None] < 0, rest_joints, rest_joints - rest_joints[parents])
    skeleton = Skeleton(JOINT_SETS["smpl24"], parents, offsets)
    return Motion(skeleton, rotations, np.zeros((len(rotations), 3)), frame_time=1 / 30).joint_positions()


def _retargeted(file: Path, rest_joints: ndarray) -> ndarray:
    """The local rotations (T, 24, 3, 3) of a take."""
    if file.suffix == ".bvh":
        return retarget(read_bvh(file), rest_joints)[1:]  # the BVH files begin with a T-pose, or near one
    skeleton = file.with_name(file.stem.split("_")[0] + ".asf")
    return retarget(read_acclaim(skeleton, file), rest_joints)
