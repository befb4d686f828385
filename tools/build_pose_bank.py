"""Rebuild the pose bank that ships with meshrec from CMU's motion capture.

Example:
    python tools/build_pose_bank.py ../shared/mocap meshrec/poses/pose_bank.npz
"""

import argparse
import sys
from pathlib import Path

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.poses.cmu import HELD_OUT, read_cmu
from meshrec.poses.pose_bank import save_pose_bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mocap", type=Path, help="folder with bvh/*.bvh, amc/SS.asf, amc/SS_TT.amc, everyday/*.bvh")
    parser.add_argument("bank", type=Path, help="the .npz to write")
    options = parser.parse_args()
    _, rest_joints = load_body("neutral").rest()
    poses = read_cmu(options.mocap, rest_joints[0].numpy())
    save_pose_bank(options.bank, poses.bank, HELD_OUT)
    size = options.bank.stat().st_size / 1e6
    print(f"{len(poses.bank)} poses of {len(poses.bank.takes)} takes, {size:.2f} MB")
    resets = ", ".join(f"{joint} {count}" for joint, count in poses.resets.items() if count)
    print(f"dropped {poses.dropped} frames; set to rest: {resets}")


if __name__ == "__main__":
    sys.exit(run_tool(main))
