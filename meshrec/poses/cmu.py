"""Poses of SMPL's skeleton from the CMU Graphics Lab's motion capture, the source of the shipped pose bank."""

from dataclasses import dataclass
from pathlib import Path

import torch
from numpy import ndarray

from meshrec.errors import InputError
from meshrec.geometry import matrix_to_axis_angle
from meshrec.motion.acclaim import read_acclaim
from meshrec.motion.bvh import read_bvh
from meshrec.motion.mending import mend
from meshrec.motion.retargeting import retarget
from meshrec.poses.pose_bank import PoseBank

# One or two takes of every activity that has several. The salsa takes are duets: N and N + 15 are the same dance.
HELD_OUT = {
    "indian_08", "indian_13", "martial_05", "martial_09", "salsa_05", "salsa_20", "salsa_12", "salsa_27",
    "01_05", "01_10", "02_02", "02_08", "03_03",
}  # fmt: skip


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
        folder: A folder with ``bvh/*.bvh``, and ``amc/SS.asf`` with ``amc/SS_TT.amc``.
        rest_joints: (24, 3) joints of the body in its T-pose, metres.

    Returns:
        The poses.

    Raises:
        InputError: There are no takes, or one cannot be read.
    """
    folder = Path(folder)
    files = sorted(folder.glob("bvh/*.bvh")) + sorted(folder.glob("amc/*.amc"))
    if not files:
        raise InputError(f"{folder} has neither bvh/*.bvh nor amc/*.amc")
    poses, take, dropped = [], [], 0
    resets: dict[str, int] = {}
    for number, file in enumerate(files):
        rotations = _retargeted(file, rest_joints)
        mended = mend(rotations)
        poses.append(matrix_to_axis_angle(torch.from_numpy(mended.rotations)).float())
        take.append(torch.full((len(mended.frames),), number))
        dropped += len(rotations) - len(mended.frames)
        for joint, frames in mended.resets.items():
            resets[joint] = resets.get(joint, 0) + frames
    bank = PoseBank(torch.cat(poses), torch.cat(take), tuple(file.stem for file in files))
    return CmuPoses(bank, dropped, resets)


def _retargeted(file: Path, rest_joints: ndarray) -> ndarray:
    """The local rotations (T, 24, 3, 3) of a take."""
    if file.suffix == ".bvh":
        return retarget(read_bvh(file), rest_joints)[1:]  # CMU's BVH files begin with a T-pose
    skeleton = file.with_name(file.stem.split("_")[0] + ".asf")
    return retarget(read_acclaim(skeleton, file), rest_joints)
