"""Compare network heads, which turn a picture's feature into a body, as table 1 of Kolotouros et al. 2019 does.

All networks have the encoder, data, number of samples and optimizer of one configuration; they differ in the head that
follows the encoder. Each is trained in a folder of its own, or taken from there if its training is finished, and
measured on the frozen synthetic benchmark. A table is printed, and written as comparison.md.

Example:
    python tools/compare_heads.py runs/comparison
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import joint_set, load_body
from meshrec.errors import run_tool
from meshrec.evaluation import evaluate
from meshrec.files.atomic import write_file
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.synthetic.benchmark import HARD
from meshrec.training import TrainingConfig, load_config, train

HEADINGS = (
    *("", "PA-MPJPE, usual", "hard", "PA-MPVE, usual", "hard", "MPVE, usual", "hard"),
    *("weights, M", "samples/s", "waiting", "ms", "published"),
)


@dataclass(frozen=True)
class Head:
    """The part of a network that follows the encoder.

    Attributes:
        name: Name of the folder of its training.
        architecture: One of :data:`meshrec.models.build.ARCHITECTURES`.
        iterations: Number of corrections, for an iterative network.
        results: For each output, the evaluation's stage, its label in the table, and the published error in mm.
    """

    name: str
    architecture: str
    iterations: int
    results: Sequence[tuple[str, str, float | None]]


HEADS = (
    Head("direct", "iterative", 1, [("feedback 1", "parameters, one shot", 77.6)]),
    Head("iterative", "iterative", 3, [("feedback 3", "parameters, three corrections with feedback", None)]),
    Head("fully_connected", "fully_connected", 0, [("mesh", "mesh by fully connected layers", 105.8)]),
    Head(
        *("graph", "graph", 0),
        [("mesh", "mesh by graph convolutions", 69.0), ("body", "its mesh to parameters", 61.3)],
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the trainings and of comparison.md")
    parser.add_argument("--config", default="configs/graph_keypoints.yaml", help="configuration of the graph network")
    parser.add_argument("--limit", type=int, help="largest number of people to measure on, evenly spread")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the configuration, for all heads")
    options = parser.parse_intermixed_args()
    base = load_config(options.config, options.changes)
    rows = [row for head in HEADS for row in table_rows(head, train(config_of(head, base, options.out)), options.limit)]
    table = markdown(rows)
    write_file(options.out / "comparison.md", table.encode())
    print(table)


def config_of(head: Head, base: TrainingConfig, out: Path) -> TrainingConfig:
    """The configuration with this head after its encoder."""
    network, settings = base.network, base.network.settings
    if head.architecture == "iterative":
        settings = {
            "encoder": settings["encoder"],
            "feedback": "parameters",
            "iterations": head.iterations,
            "width": settings["width"],
            "blocks": 2,
            "dropout": 0.0,
        }
        # This head regresses the camera itself, so that its keypoint loss gets the weight of the mesh's.
        weights = replace(base.weights, vertices=0.0, keypoints_2d=base.weights.mesh_keypoints_2d)
        base = replace(base, weights=weights)
    network = replace(network, architecture=head.architecture, settings=settings)
    return replace(base, network=network, out=out / head.name)


def table_rows(head: Head, path: Path, limit: int | None = None) -> list[list[str]]:
    """The rows of the table for a trained network, one for each of its outputs."""
    report = evaluate(path, "synthetic", mirror=False, limit=limit)
    groups = [report.groups["usual"], [row for name in HARD for row in report.groups[name]]]
    checkpoint = load_checkpoint(path, load_body("neutral"))
    network, known = checkpoint.network, checkpoint.provenance
    weights = sum(weight.numel() for weight in network.parameters()) / 1e6
    inputs = NetworkInput(keypoints=torch.rand(1, len(joint_set(network.encoder.config.joints)), 3))
    with torch.inference_mode():
        timing = time_in_turn({head.name: lambda: network(inputs)})[head.name]
    rows = []
    for stage, label, published in head.results:
        errors = report.stages[stage]
        figures = [f"{errors[name][rows].mean():.1f}" for name in ("pa_mpjpe", "pa_mpve", "mpve") for rows in groups]
        figures += [f"{weights:.1f}", f"{known['samples_per_second']}", f"{100 * known['waiting_for_data']:.1f} %"]
        rows.append([label, *figures, f"{timing.median:.1f}", "-" if published is None else f"{published}"])
    return rows


def markdown(rows: list[list[str]]) -> str:
    """A table as Markdown."""
    lines = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(run_tool(main))
