"""Methods that give several poses for the same joints, and how often true joints lie where they say."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.body import joint_set
from meshrec.body.joints import root_indices
from meshrec.comparison.bench import GROUPS, JOINTS, Bench, Made, Row, Tables, kept_training
from meshrec.evaluation.hypotheses import best_of, coverage
from meshrec.models.variational_lifting import VariationalLifter
from meshrec.training.lifting import people_to_lift, train_lifter

COUNTS = (1, 5, 10, 50)
DRAWN = 200  # poses of each person, for the intervals
SHARES = (0.5, 0.9)
OTHER_SEED = 1000  # of people in poses for training whom no training has seen
OTHERS = 1000
BEST = "PA-MPJPE of the best of N poses, usual / hard"
INSIDE = "true coordinates inside the 50 % / 90 % interval, %"


def variational(label: str, **changes: Any) -> Callable[[Bench, str], Made]:
    """The conditional variational autoencoder with some settings changed.

    Its weights are kept as NAME.safetensors, and not trained again.

    Args:
        label: What the tables of several poses call it.
        **changes: The settings.
    """

    def train(bench: Bench, name: str) -> Made:
        config, training = replace(bench.config.variational, **changes), bench.config.training
        network, seconds = kept_training(
            bench.out / f"{name}.safetensors",
            VariationalLifter(config),
            {"training": asdict(training), "network": asdict(config)},
            lambda: train_lifter(lambda: VariationalLifter(config), bench.people, training),
        )
        made = bench.lifted(network, network.count_weights(), seconds)
        made.more.update(_best(label, network, bench) | _inside(label, network, bench))
        return made

    return train


@torch.no_grad()
def _best(label: str, network: VariationalLifter, bench: Bench) -> Tables:
    """The best of N poses, by the truth, and for comparison the mean of N."""
    generator = torch.Generator().manual_seed(bench.config.training.seed)
    poses = network.poses(bench.measured.keypoints, max(COUNTS), generator)
    means = torch.stack([poses[:, :count].mean(1) for count in COUNTS], dim=1)
    lines = {
        f"{label}, the best": best_of(poses, bench.measured, COUNTS),
        f"{label}, the mean": {n: best_of(means[:, i : i + 1], bench.measured, (1,))[1] for i, n in enumerate(COUNTS)},
    }
    return {
        BEST: {label: {str(n): _by_group(of, bench) for n, of in errors.items()} for label, errors in lines.items()}
    }


@torch.no_grad()
def _inside(label: str, network: VariationalLifter, bench: Bench) -> Tables:
    """How often true coordinates lie in the intervals, of the benchmark and of other people in poses for training."""
    training = bench.config.training
    others = people_to_lift(bench.body, OTHERS, training.seed + OTHER_SEED, JOINTS)
    sets = {
        f"{label}, poses of the training, other people": (
            others.keypoints,
            torch.cat([others.joints, torch.ones_like(others.joints[..., :1])], dim=-1),
        )
    }
    measured = bench.measured
    for group in GROUPS:
        rows = bench.groups[group]
        sets[f"{label}, {group} people"] = (measured.keypoints[rows], measured.true[rows])
    generator = torch.Generator().manual_seed(training.seed)
    lines = {}
    for line, (seen, true) in sets.items():
        parts = seen.split(100)
        poses = torch.cat([network.poses(part, DRAWN, generator, noise=True) for part in parts])
        found = [_by_joint(coverage(poses, true, share)) for share in SHARES]
        lines[line] = {head: " / ".join(f"{100 * of[head]:.0f}" for of in found) for head in found[0]}
    return {INSIDE: lines}


def _by_joint(values: Tensor) -> dict[str, float]:
    """Means over left and right of (K,) values of joints, without the root."""
    found: dict[str, list[float]] = {}
    root = set(root_indices(JOINTS))
    for row, name in enumerate(joint_set(JOINTS)):
        if row not in root:
            short = name.removeprefix("left_").removeprefix("right_").removesuffix("_h36m").replace("_", " ")
            found.setdefault(short, []).append(float(values[row]))
    return {name: sum(of) / len(of) for name, of in found.items()}


def _by_group(errors: np.ndarray, bench: Bench) -> str:
    return " / ".join(f"{errors[bench.groups[group]].mean():.1f}" for group in GROUPS)


SEVERAL_ROWS = {
    "variational": Row("variational (Sharma 2019), the mean of 50 poses", "3D", variational("variational")),
    "variational_uneven": Row(
        "- with variances that depend on what is seen", "3D", variational("- with such variances", uneven=True)
    ),
}
