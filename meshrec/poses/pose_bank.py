"""The pose bank: motion capture retargeted to SMPL's joints, split into takes for training and held-out takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import JOINT_SETS
from meshrec.errors import InputError
from meshrec.files.npz import read_npz
from meshrec.geometry import axis_angle_to_matrix

POSE_BANK = Path(__file__).with_name("pose_bank.npz")
MOST_BYTES = 512 << 20  # unpacked; the shipped bank has 7 MB


@dataclass(frozen=True)
class PoseBank:
    """N poses of one or more takes; consecutive frames of a take are about a thirtieth of a second apart.

    Attributes:
        axis_angle: (N, 24, 3) radians, joints as in ``smpl24``; the first is the orientation of the body in the world
            (y up), and hands are at rest.
        take: (N,) int64 index in ``takes`` of the take that each pose comes from.
        takes: Names of the takes.
        upright: For each take, whether it is one of people who stand, walk, run and signal. The others are of dance,
            martial arts, climbing and exercise.
    """

    axis_angle: Tensor
    take: Tensor
    takes: tuple[str, ...]
    upright: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.axis_angle)

    def rotations(self, index: Tensor | slice = slice(None)) -> Tensor:
        """The local rotations (n, 24, 3, 3) of the chosen poses."""
        return axis_angle_to_matrix(self.axis_angle[index])


def load_pose_bank(
    split: Literal["train", "held_out", "all"] = "train", path: str | Path = POSE_BANK, upright: bool | None = None
) -> PoseBank:
    """Load the shipped poses, or another bank written by :func:`save_pose_bank`.

    Whole takes are held out, and both dancers of a duet together, so that the two splits share no motion.

    Args:
        split: The takes for training, those held out, or all.
        path: The bank.
        upright: Whether to load the takes of people who stand and walk, or the others. Default: both.

    Returns:
        The poses of the split.

    Raises:
        InputError: The file is missing or not a pose bank.
        ValueError: There is no such split.

    Example:
        >>> from meshrec.poses.pose_bank import load_pose_bank
        >>> bank = load_pose_bank("held_out")
        >>> bank.rotations(slice(0, 5)).shape
        torch.Size([5, 24, 3, 3])
    """
    if split not in ("train", "held_out", "all"):
        raise ValueError(f"unknown split {split!r}; there are train, held_out and all")
    try:
        arrays = read_npz(path, most_bytes=MOST_BYTES)
        stored, take, takes = (arrays[name] for name in ("axis_angle", "take", "takes"))
        held_out, stands = arrays["held_out"], arrays["upright"]
        _check(stored, take, takes, held_out, stands)
    except (InputError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a pose bank ({error}); tools/build_pose_bank.py writes one") from error
    wanted = np.ones(len(takes), bool) if split == "all" else held_out == (split == "held_out")
    if upright is not None:
        wanted &= stands == upright
    take = take.astype(np.int64)
    chosen = wanted[take]
    axis_angle = np.zeros((int(chosen.sum()), len(JOINT_SETS["smpl24"]), 3), np.float32)
    axis_angle[:, : stored.shape[1]] = stored[chosen]
    renumbered = np.cumsum(wanted) - 1
    names = tuple(str(name) for name in takes[wanted])
    poses, numbers = torch.from_numpy(axis_angle), torch.from_numpy(renumbered[take[chosen]])
    return PoseBank(poses, numbers, names, tuple(stands[wanted].tolist()))


def _check(stored: np.ndarray, take: np.ndarray, takes: np.ndarray, *flags: np.ndarray) -> None:
    """Raise a ValueError unless the arrays of a bank fit one another."""
    most = len(JOINT_SETS["smpl24"])
    if stored.ndim != 3 or stored.shape[1] > most or stored.shape[2] != 3 or stored.dtype.kind != "f":
        raise ValueError(f"axis_angle must hold numbers of shape (N, up to {most}, 3), not {stored.shape}")
    if take.shape != stored.shape[:1] or takes.ndim != 1 or any(flag.shape != takes.shape for flag in flags):
        raise ValueError("its poses and takes are not equally many in all arrays")
    if takes.dtype.kind != "U" or any(flag.dtype.kind != "b" for flag in flags) or take.dtype.kind not in "iu":
        raise ValueError("its takes are not names, truth values and whole numbers")
    if len(take) and not 0 <= take.min() <= take.max() < len(takes):
        raise ValueError("a pose is of a take that is not there")
    if not np.isfinite(stored).all():
        raise ValueError("axis_angle holds values that are not finite")


def save_pose_bank(path: str | Path, bank: PoseBank, held_out: set[str]) -> None:
    """Write a bank as float16 axis-angle vectors, without the hands, which no take moves.

    Args:
        path: The ``.npz`` file.
        bank: All poses.
        held_out: Names of the takes that are not for training.

    Raises:
        ValueError: ``held_out`` names a take that the bank does not have.
    """
    if unknown := held_out.difference(bank.takes):
        raise ValueError(f"held-out takes that the bank lacks: {', '.join(sorted(unknown))}")
    np.savez_compressed(
        path,
        axis_angle=bank.axis_angle[:, : JOINT_SETS["smpl24"].index("left_hand")].numpy().astype(np.float16),
        take=bank.take.numpy().astype(np.uint8 if len(bank.takes) < 256 else np.int32),
        takes=np.array(bank.takes),
        held_out=np.array([name in held_out for name in bank.takes]),
        upright=np.array(bank.upright),
    )
