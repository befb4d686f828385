"""Compare balances of evidence and prior in the fit beside a regressor, on one data set with stored detections.

Every combination of the given evidences, priors and annealings is fitted to the same people. ``meshrec evaluate
--checkpoint detector --out FOLDER`` stores detections; people who were not found are left out.

Example:
    python tools/compare_balances.py --dataset lspe:../shared/lspe/train.tar --detections out/detections.npz \\
        --evidence 0.8 1.5 --prior 0.1 0.2 --annealing 8-6-4 15-10-8
"""

import argparse
import sys
from itertools import product

import numpy as np

from meshrec.body import NUM_BETAS, load_body
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.balances import compare_balances
from meshrec.evaluation.datasets import open_evaluation_set
from meshrec.evaluation.run import PHOTO_RESOLUTION, RESOLUTION
from meshrec.evaluation.scores import MEASURES
from meshrec.evaluation.subjects import Kept
from meshrec.fit.settings import Balance
from meshrec.regress import load_regressor

STEPS = 4  # with each cutoff


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="as for meshrec evaluate")
    parser.add_argument("--detections", help="a detections.npz (default: those the synthetic benchmark simulates)")
    parser.add_argument("--regressor", default="proxy", help="as for meshrec reconstruct (default: proxy)")
    parser.add_argument("--limit", type=int, help="largest number of people; as when the detections were stored")
    parser.add_argument("--evidence", type=float, nargs="+", default=[0.8], help="weights of the detections")
    parser.add_argument("--prior", type=float, nargs="+", default=[0.2], help="weights of the prior of poses")
    parser.add_argument(
        "--annealing", type=_annealing, nargs="+", default=[_annealing("8-6-4")], help="cutoffs of the rounds, as 8-6-4"
    )
    options = parser.parse_args()
    body = load_body("neutral").truncated(NUM_BETAS)
    # Detections of synthetic people are of larger pictures than simulated ones, as in meshrec evaluate.
    data = open_evaluation_set(options.dataset, body, resolution=PHOTO_RESOLUTION if options.detections else RESOLUTION)
    data = data.thinned(options.limit) if options.limit is not None else data
    source = Kept(options.detections) if options.detections else None
    if source is None and options.dataset != "synthetic":
        raise InputError("give --detections: only the synthetic benchmark simulates its own.")
    balances = {
        f"evidence {evidence:g}, prior {prior:g}, " + "-".join(f"{cutoff:g}" for cutoff, _ in annealing): Balance(
            evidence, prior, annealing
        )
        for evidence, prior, annealing in product(options.evidence, options.prior, options.annealing)
    }
    regressor = load_regressor(options.regressor, body)
    looks = "rgb" in regressor.encoder.inputs
    for name, of in compare_balances(data, body, regressor, source, balances, looks).items():
        means = [f"{MEASURES[m].label} {np.nanmean(v):.4g} {MEASURES[m].unit}".strip() for m, v in of.items()]
        print(f"{name:40} {', '.join(means)}")


def _annealing(text: str) -> tuple[tuple[float, int], ...]:
    return tuple((float(cutoff), STEPS) for cutoff in text.split("-"))


if __name__ == "__main__":
    sys.exit(run_tool(main))
