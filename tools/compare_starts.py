"""Measure whether the poses of a variational lifter help as starts of the fit, beside a network's estimate.

The lifter is trained first, on MediaPipe's 33 landmarks; its weights are kept in the folder. People are synthetic, in
held-out poses: seen from the side, or with left and right exchanged by the simulated detector.

Example:
    python tools/compare_starts.py runs/starts --people 100
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from meshrec.body import load_body
from meshrec.comparison.bench import JOINTS, kept_training
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.sampled_starts import ambiguous_people, compare_starts
from meshrec.files.atomic import write_file
from meshrec.models.variational_lifting import VariationalLifter
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import load_regressor
from meshrec.training.config_file import load_settings
from meshrec.training.lifting import people_to_lift, train_lifter
from meshrec.training.lifting_config import LiftingConfig

DETECTED = "mediapipe33"
KINDS = ("sideways", "exchanged")
SEED = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the lifter's weights and of the table")
    parser.add_argument("--config", default="configs/lifting.yaml", help="settings of the lifter and its training")
    parser.add_argument("--people", type=int, default=100, help="number of people of each kind (default: 100)")
    parser.add_argument("--samples", type=int, default=5, help="poses of each person (default: 5)")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="changes of the settings")
    options = parser.parse_args()
    if min(options.people, options.samples) < 1:
        raise InputError("--people and --samples must be at least 1.")
    config = load_settings(LiftingConfig, options.config, options.set)
    body, variational = load_body("neutral"), replace(config.variational, seen=DETECTED)
    lifter, _ = kept_training(
        options.out / "lifter.safetensors",
        VariationalLifter(variational),
        {"training": asdict(config.training), "network": asdict(variational)},
        lambda: train_lifter(
            lambda: VariationalLifter(variational),
            people_to_lift(body, config.training.people, config.training.seed, JOINTS, detected=DETECTED),
            config.training,
        ),
    )
    regressor = load_regressor("keypoints", body=body)
    assert isinstance(regressor, NetworkRegressor), "the shipped network has crops of our kind"
    lines, found = [], {}
    for kind in KINDS:
        people = ambiguous_people(body, options.people, kind, SEED)
        found[kind] = compare_starts(body, regressor, lifter, people, options.samples)
        lines += [f"\n| {kind} people | MPJPE | PA-MPJPE | another start, % |\n| --- | ---: | ---: | ---: |"]
        for name, of in found[kind].items():
            lines.append(f"| {name} | {of['mpjpe']:.1f} | {of['pa_mpjpe']:.1f} | {100 * of['chosen']:.0f} |")
        write_file(options.out / "starts.json", json.dumps(found, indent=1).encode())
    table = "\n".join(lines).strip() + "\n"
    write_file(options.out / "starts.md", table.encode())
    print(table)


if __name__ == "__main__":
    sys.exit(run_tool(main))
