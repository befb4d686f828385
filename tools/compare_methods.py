"""Compare methods from 2D joints to 3D joints with one another and with the shipped networks, on the same people.

Each method is a row. A row that is finished is kept in the folder as NAME.json, and is not made again, so that an
interrupted comparison continues where it was. The table is written as comparison.md and comparison.json after each row.

Example:
    python tools/compare_methods.py runs/methods
    python tools/compare_methods.py runs/methods --rows baseline locally_connected --limit 200 --set training.steps=500
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import joint_set, load_body
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.datasets import synthetic_set
from meshrec.evaluation.lifting import (
    Lifter,
    LiftingSet,
    benchmark_to_lift,
    group_means,
    lifting_errors,
    network_errors,
)
from meshrec.evaluation.prediction import FromDetections
from meshrec.files.atomic import write_file
from meshrec.files.tensors import write_tensors
from meshrec.metrics import pa_mpjpe
from meshrec.models.encoders import NetworkInput
from meshrec.models.lifting_baseline import LiftingBaseline
from meshrec.models.locally_connected import LocallyConnected, equal_weights
from meshrec.models.standardised import Standardised
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import load_regressor
from meshrec.synthetic.benchmark import SEED
from meshrec.synthetic.detector_noise import EXACT
from meshrec.training.config_file import load_settings
from meshrec.training.lifting import LiftedPeople, learn_sparse_lifter, people_to_lift, train_lifter
from meshrec.training.lifting_config import LiftingConfig

JOINTS = "h36m17"
GROUPS = ("usual", "hard")
NOISE = (0.0, 0.01, 0.02, 0.04, 0.08)  # standard deviations of the joints' x and y, half crop sides
NOISE_PEOPLE = 500
MEASURES = {"pa_mpjpe": "PA-MPJPE", "mpjpe": "MPJPE", "n_mpjpe": "N-MPJPE", "mpve": "MPVE", "pa_mpve": "PA-MPVE"}


@dataclass(frozen=True)
class Made:
    """A method that is ready.

    Attributes:
        errors: the errors of every person by measure.
        call: the method for one person, to be timed.
        weights: the number of its trained weights.
        minutes: processor time of its training on one core; None where it is not known.
        lifter: the method, if it lifts joints.
    """

    errors: dict[str, np.ndarray]
    call: Callable[[], object]
    weights: int
    minutes: float | None
    lifter: Lifter | None = None


class Bench:
    """What all rows share; people are made when the first row asks for them.

    Args:
        out: Folder of the rows.
        config: Settings of all methods.
        limit: Largest number of people to measure on; None for all.
    """

    def __init__(self, out: Path, config: LiftingConfig, limit: int | None) -> None:
        self.out, self.config, self.limit, self.body = out, config, limit, load_body("neutral")

    @cached_property
    def people(self) -> LiftedPeople:
        """The people to learn from."""
        training = self.config.training
        return people_to_lift(self.body, training.people, training.seed, JOINTS)

    @cached_property
    def measured(self) -> LiftingSet:
        """The people to measure on."""
        return benchmark_to_lift(self.body, JOINTS, self.limit)

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """Rows of the people of each group."""
        data = synthetic_set(self.body)
        return (data if self.limit is None else data.thinned(self.limit)).members()

    def lifted(self, lifter: Lifter, weights: int, seconds: float) -> Made:
        """A method that lifts joints, measured."""
        one = self.measured.keypoints[:1]
        return Made(
            lifting_errors(lifter, self.measured, self.body), lambda: lifter(one), weights, seconds / 60, lifter
        )

    @cached_property
    def exact(self) -> LiftedPeople:
        """People in held-out poses, all of whose joints are seen exactly."""
        people = people_to_lift(self.body, 2 * NOISE_PEOPLE, self.config.training.seed, JOINTS, EXACT, "held_out")
        whole = (people.keypoints[..., 2] > 0).all(1)
        return LiftedPeople(*(values[whole][:NOISE_PEOPLE] for values in vars(people).values()))


@dataclass(frozen=True)
class Row:
    """A method of the table.

    Attributes:
        label: What the table calls it.
        labels: The labels of pictures that its training uses: 3D, 2D, or none but poses without pictures.
        make: Trains it and measures it, given what rows share and the row's name.
    """

    label: str
    labels: str
    make: Callable[[Bench, str], Made]


def mean_pose(bench: Bench, name: str) -> Made:
    """The mean of the training people, whatever is seen."""
    mean = bench.people.joints.mean(0)
    return bench.lifted(lambda keypoints: mean.expand(len(keypoints), -1, -1), mean.numel(), 0.0)


def trained(make: Callable[[LiftingConfig], Standardised]) -> Callable[[Bench, str], Made]:
    """A network that is trained with 3D labels. Its weights are kept as NAME.safetensors, and not trained again."""

    def train(bench: Bench, name: str) -> Made:
        file = bench.out / f"{name}.safetensors"
        network = make(bench.config).eval()
        known = {"training": asdict(bench.config.training), "network": asdict(network.config)}
        if file.exists():
            with safe_open(file, "pt") as stored:
                about = stored.metadata() or {}
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            if not _same(json.loads(about["config"]), known):
                raise InputError(f"{file} was trained with other settings: delete it, or name another folder.")
            network.load_state_dict(tensors)
            seconds = float(about["seconds"])
        else:
            network, seconds = train_lifter(lambda: make(bench.config), bench.people, bench.config.training)
            write_tensors(file, network.state_dict(), {"config": json.dumps(known), "seconds": f"{seconds:.1f}"})
        return bench.lifted(network, network.count_weights(), seconds)

    return train


def baseline(**changes: Any) -> Callable[[Bench, str], Made]:
    """The fully connected network with some settings changed."""
    return trained(lambda config: LiftingBaseline(replace(config.baseline, **changes)))


def sparse(**changes: Any) -> Callable[[Bench, str], Made]:
    """Sparse sums of a dictionary of poses, with some settings changed."""

    def learn(bench: Bench, name: str) -> Made:
        config = replace(bench.config.sparse_pose, **changes)
        lifter, seconds = learn_sparse_lifter(bench.body, config, bench.config.training.seed)
        return bench.lifted(lifter, lifter.dictionary.numel(), seconds)

    return learn


def shipped(regressor_name: str) -> Callable[[Bench, str], Made]:
    """A network that ships, which sees the landmarks that it was trained with."""

    def measure(bench: Bench, name: str) -> Made:
        regressor = load_regressor(regressor_name, body=bench.body)
        assert isinstance(regressor, NetworkRegressor), "shipped networks have crops of our kind"
        encoder, network = regressor.encoder, regressor.network
        errors = network_errors(FromDetections(regressor, bench.body), bench.body, JOINTS, bench.limit)
        inputs = NetworkInput(
            keypoints=torch.rand(1, len(joint_set(encoder.joints)), 3),
            silhouette=torch.rand(1, 1, encoder.resolution, encoder.resolution),
            focal=torch.full((1,), 3.0),
        )
        weights = sum(weight.numel() for weight in network.parameters())
        return Made(errors, lambda: network(inputs), weights, None)

    return measure


ROWS = {
    "mean_pose": Row("the mean pose", "3D", mean_pose),
    "baseline": Row("lifting baseline (Martinez 2017)", "3D", baseline()),
    "baseline_plain": Row("- without residual connections", "3D", baseline(residual=False)),
    "baseline_no_norm": Row("- without batch norm", "3D", baseline(batch_norm=False)),
    "baseline_no_dropout": Row("- without dropout", "3D", baseline(dropout=0.0)),
    "baseline_no_limit": Row("- without the limit of norms", "3D", baseline(max_norm=None)),
    "locally_connected": Row(
        "locally connected (LCN, Ci 2019)", "3D", trained(lambda config: LocallyConnected(config.locally_connected))
    ),
    "fully_connected": Row(
        "- all joints connected, as many weights",
        "3D",
        trained(lambda config: LocallyConnected(equal_weights(config.locally_connected))),
    ),
    "sparse_pose": Row("sparse dictionary (Zhou 2015)", "poses only", sparse()),
    "sparse_pose_no_l1": Row("- without the L1 norm against outliers", "poses only", sparse(beta=100.0)),
    "keypoints": Row("HMR-like network `keypoints`, its own mesh", "3D", shipped("keypoints")),
    "proxy": Row("HMR-like network `proxy`, its own mesh, sees the mask too", "3D", shipped("proxy")),
    "graph": Row("GraphCMR-like network `graph`, its parameters", "3D", shipped("graph")),
}
"""The rows by name, in the order of the table."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the rows and of the table")
    parser.add_argument("--config", default="configs/lifting.yaml", help="settings of all methods")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help=f"rows to make (default: all): {', '.join(ROWS)}")
    parser.add_argument("--limit", type=int, help="largest number of people to measure on, evenly spread")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="changes of the settings")
    options = parser.parse_args()
    names = options.rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise InputError(f"there is no row '{unknown[0]}'; choose of {', '.join(ROWS)}")
    bench = Bench(options.out, load_settings(LiftingConfig, options.config, options.set), options.limit)
    terms = {"config": asdict(bench.config), "limit": options.limit, "seed of the benchmark": SEED}
    for name in names:
        file = options.out / f"{name}.json"
        if file.exists():
            _check_terms(file, terms)
        else:
            write_file(file, json.dumps(finished(name, bench) | {"terms": terms}, indent=1).encode())
        kept = {row: json.loads(path.read_bytes()) for row in ROWS if (path := options.out / f"{row}.json").exists()}
        write_file(options.out / "comparison.json", json.dumps(kept, indent=1).encode())
        write_file(options.out / "comparison.md", markdown(list(kept.values())).encode())
    print((options.out / "comparison.md").read_text())


def finished(name: str, bench: Bench) -> dict[str, Any]:
    """A row's figures."""
    row = ROWS[name]
    made = row.make(bench, name)
    with torch.inference_mode():
        timing = time_in_turn({row.label: made.call})[row.label]
    return {
        "label": row.label,
        "labels": row.labels,
        "errors": {group: group_means(made.errors, bench.groups)[group] for group in GROUPS},
        "by_noise": None if made.lifter is None else by_noise(made.lifter, bench),
        "weights": made.weights,
        "milliseconds": timing.median,
        "minutes": made.minutes,
    }


@torch.no_grad()
def by_noise(lifter: Lifter, bench: Bench) -> list[float]:
    """The mean PA-MPJPE for each standard deviation of Gaussian noise in :data:`NOISE`, millimetres."""
    keypoints, errors = bench.exact.keypoints, []
    generator = torch.Generator().manual_seed(bench.config.training.seed)
    for deviation in NOISE:
        places = keypoints[..., :2] + deviation * torch.randn(keypoints[..., :2].shape, generator=generator)
        found = lifter(torch.cat([places, keypoints[..., 2:]], dim=-1))
        errors.append(float(pa_mpjpe(found, bench.exact.joints)))
    return errors


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, and one of the errors by noise. Errors are in millimetres, of usual people and of hard ones."""
    heads = ["", "labels", *(f"{name}, usual / hard" for name in MEASURES.values())]
    heads += ["weights, k", "ms", "minutes of training"]
    lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
    for row in rows:
        cells = [row["label"], row["labels"]]
        for name in MEASURES:
            values = [row["errors"][group].get(name) for group in GROUPS]
            cells.append("-" if None in values else " / ".join(f"{value:.1f}" for value in values))
        minutes = "-" if row["minutes"] is None else f"{row['minutes']:.1f}"
        lines.append([*cells, f"{row['weights'] / 1e3:.0f}", f"{row['milliseconds']:.2f}", minutes])
    shown = [row for row in rows if row.get("by_noise")]
    noise = [["PA-MPJPE by noise, half crop sides", *map(str, NOISE)], ["---", *["---:"] * len(NOISE)]]
    noise += [[row["label"], *(f"{error:.1f}" for error in row["by_noise"])] for row in shown]
    return _table(lines) + ("\n" + _table(noise) if shown else "")


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _check_terms(file: Path, terms: dict[str, Any]) -> None:
    """Refuse a row that was made with other settings."""
    if not _same(json.loads(file.read_bytes())["terms"], terms):
        raise InputError(f"{file} was made with other settings: delete it, or name another folder.")


def _same(stored: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether all stored settings have the values that they have now; methods may have been added since."""
    both = json.loads(json.dumps(now))
    return all(
        _same(value, both.get(key, {})) if isinstance(value, dict) else both.get(key) == value
        for key, value in stored.items()
    )


if __name__ == "__main__":
    sys.exit(run_tool(main))
