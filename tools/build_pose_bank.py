"""Rebuild the pose bank that ships with meshrec from CMU's motion capture.

Example:
    python tools/build_pose_bank.py ../shared/mocap meshrec/data/pose_bank.npz
"""

import argparse
import sys
from pathlib import Path

import torch

from meshrec.body import load_body
from meshrec.data.acclaim import read_acclaim
from meshrec.data.bvh import read_bvh
from meshrec.data.mending import mend
from meshrec.data.mocap import retarget
from meshrec.data.pose_bank import PoseBank, save_pose_bank
from meshrec.errors import InputError, run_tool
from meshrec.geometry import matrix_to_axis_angle

# One or two takes of every activity that has several. The salsa takes are duets, N and N + 15 the same dance.
HELD_OUT = {
    "indian_08", "indian_13", "martial_05", "martial_09", "salsa_05", "salsa_20", "salsa_12", "salsa_27",
    "01_05", "01_10", "02_02", "02_08", "03_03",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mocap", type=Path, help="folder with bvh/*.bvh and amc/SS.asf, amc/SS_TT.amc")
    parser.add_argument("bank", type=Path, help="the .npz to write")
    arguments = parser.parse_args()

    _, rest_joints = load_body("neutral").rest()
    poses, take, names, resets, dropped = [], [], [], {}, 0
    files = sorted(arguments.mocap.glob("bvh/*.bvh")) + sorted(arguments.mocap.glob("amc/*.amc"))
    if not files:
        raise InputError(f"{arguments.mocap} has neither bvh/*.bvh nor amc/*.amc")
    for file in files:
        if file.suffix == ".bvh":
            rotations = retarget(read_bvh(file), rest_joints[0].numpy())[1:]  # CMU's BVH files begin with a T-pose
        else:
            skeleton = file.with_name(file.stem.split("_")[0] + ".asf")
            rotations = retarget(read_acclaim(skeleton, file), rest_joints[0].numpy())
        mended = mend(rotations)
        poses.append(matrix_to_axis_angle(torch.from_numpy(mended.rotations)).float())
        take.append(torch.full((len(mended.frames),), len(names)))
        names.append(file.stem)
        dropped += len(rotations) - len(mended.frames)
        for joint, frames in mended.resets.items():
            resets[joint] = resets.get(joint, 0) + frames
    bank = PoseBank(torch.cat(poses), torch.cat(take), tuple(names))
    save_pose_bank(arguments.bank, bank, HELD_OUT)
    print(f"{len(bank)} poses of {len(names)} takes, {arguments.bank.stat().st_size / 1e6:.2f} MB")
    print(f"dropped {dropped} frames; set to rest: " + ", ".join(f"{joint} {n}" for joint, n in resets.items() if n))


if __name__ == "__main__":
    sys.exit(run_tool(main))
