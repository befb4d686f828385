"""Measure bodies from depth maps on synthetic people in held-out poses, with the noise of a sensor, holes and rooms.

Example:
    python tools/measure_depth.py --count 500
    python tools/measure_depth.py --weights runs/depth/last.safetensors --count 50 --clothed 0
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from meshrec.body import load_body
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.depth import STAGES, DepthErrors, depth_errors
from meshrec.models.voxel_to_voxel import WEIGHTS, load_voxel_network
from meshrec.reconstruct.depth import DepthReconstructor
from meshrec.synthetic.depth_maps import RoomMix, SyntheticDepthMaps
from meshrec.synthetic.random_poses import PoseMix

MEASURES = {"mpjpe": "MPJPE", "pa_mpjpe": "PA-MPJPE", "absolute": "absolute MPJPE", "mpve": "absolute MPVE"}
POSES = PoseMix(everyday=0.35, upright=0.2, tumbled=0.03)  # those of the training, configs/depth.yaml


def table(errors: list[DepthErrors]) -> str:
    """Mean and median of each measure by stage, millimetres, as Markdown."""
    lines = [f"| mean / median, mm | {' | '.join(MEASURES.values())} |", "|---" * (len(MEASURES) + 1) + "|"]
    for stage in STAGES:
        cells = []
        for name in MEASURES:
            values = [getattr(own, name)[stage] for own in errors if stage in getattr(own, name)]
            cells.append(f"{np.mean(values):.1f} / {np.median(values):.1f}" if values else "-")
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the network (default: the shipped one)")
    parser.add_argument("--count", type=int, default=500, help="number of people (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the people (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), help="pixels (default: 320 240)")
    parser.add_argument("--clothed", type=float, default=0.0, help="share of people in clothes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    options = parser.parse_args()
    if options.count < 1:
        raise InputError("--count must be at least 1.")
    torch.set_num_threads(options.threads)
    body = load_body("neutral")
    reconstructor = DepthReconstructor(body, network=load_voxel_network(options.weights))
    rooms = RoomMix(clothed=options.clothed)
    maps = SyntheticDepthMaps(body, options.seed, "held_out", tuple(options.size), rooms, POSES)
    every: list[DepthErrors] = []
    missed = 0
    for number, errors in enumerate(depth_errors(reconstructor, maps, range(options.count)), 1):
        if errors is None:
            missed += 1
        else:
            every.append(errors)
        if number % 50 == 0 or number == options.count:
            last = [own.absolute["depth fit"] for own in every]
            print(f"{number} maps, absolute MPJPE {np.mean(last):.1f} mm", file=sys.stderr, flush=True)
    print(f"nobody found in {missed} of {options.count} maps\n\n{table(every)}")
    whole = [errors for errors in every if errors.whole]
    if whole:
        print(f"\nOf {len(whole)} people who are whole in the map:\n\n{table(whole)}")
    wrong = np.mean([errors.absolute["depth fit"] > 150 for errors in every])
    print(f"\n{100 * wrong:.1f} % of all have an absolute MPJPE above 150 mm")


if __name__ == "__main__":
    sys.exit(run_tool(main))
