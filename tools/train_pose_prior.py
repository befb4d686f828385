"""Train the pose prior that ships with meshrec, and print its log-density of poses that it has not seen.

Example:
    python tools/train_pose_prior.py meshrec/poses/pose_prior.safetensors
"""

import argparse
import sys
from pathlib import Path

from meshrec.errors import run_tool
from meshrec.poses.pose_prior import save_pose_prior
from meshrec.training.pose_prior import PosePriorConfig, train_pose_prior

DEFAULT = PosePriorConfig()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="the .safetensors to write")
    parser.add_argument("--bank", type=Path, default=DEFAULT.bank, help="poses to learn from (default: the shipped)")
    parser.add_argument(
        "--components",
        type=int,
        default=DEFAULT.components,
        help="number of components before mirroring doubles them (default: %(default)s)",
    )
    parser.add_argument(
        "--freedom", type=int, default=DEFAULT.freedom, help="degrees of freedom of the tails (default: %(default)s)"
    )
    parser.add_argument("--every", type=int, default=DEFAULT.every, help="use every n-th frame (default: %(default)s)")
    options = parser.parse_args()
    config = PosePriorConfig(options.bank, options.components, options.freedom, options.every)
    prior, densities = train_pose_prior(config)
    save_pose_prior(options.weights, prior)
    print(f"{len(prior.means)} components, {options.weights.stat().st_size / 1e6:.2f} MB")
    for name, density in densities.items():
        print(f"log-density of noisy poses, {name}: {density:.2f}")


if __name__ == "__main__":
    sys.exit(run_tool(main))
