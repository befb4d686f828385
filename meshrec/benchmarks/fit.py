"""The fit, alone and from a regressor's estimate, on detections of known bodies: its time, and how near it comes."""

from collections.abc import Mapping

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.methods import Method, methods_of
from meshrec.body import load_body
from meshrec.body.joints import convert_joints
from meshrec.evaluation.subjects import known_camera
from meshrec.metrics import pa_mpjpe
from meshrec.synthetic.benchmark import SyntheticBenchmark

PEOPLE = 16
RESOLUTION = 448  # side of their pictures in pixels
JOINTS = "lsp14"


def run(people: int = PEOPLE, regressor: str | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table and return the figures.

    Args:
        people: How many of the synthetic test set; ``meshrec evaluate`` takes all, and says more of the errors.
        regressor: By name or path; default: the one that photos get.

    Returns:
        By method (a regressor, the fit from its estimate, the fit alone) medians over people: ``milliseconds``, and
        ``pa_mpjpe_mm`` over LSP's joints, which shows that the fit worked and no more.
    """
    body = load_body("neutral")
    figures = measure(methods_of(body, regressor), SyntheticBenchmark(body, RESOLUTION, ("usual",)), people)
    table = Table("method", title=f"Fit, medians of {people} synthetic people, {torch.get_num_threads()} threads")
    for column in ("ms", "PA-MPJPE, mm"):
        table.add_column(column, justify="right")
    for name, row in figures.items():
        table.add_row(name, f"{row['milliseconds']:.1f}", f"{row['pa_mpjpe_mm']:.1f}")
    Console().print(table)
    return figures


def headlines(figures: dict[str, dict[str, float]]) -> list[Headline]:
    """All of them."""
    return [
        Headline(f"fit, {method}: {label}", row[key], unit)
        for method, row in figures.items()
        for label, key, unit in (("a person", "milliseconds", "ms"), ("PA-MPJPE", "pa_mpjpe_mm", "mm"))
    ]


def measure(methods: Mapping[str, Method], data: SyntheticBenchmark, people: int) -> dict[str, dict[str, float]]:
    """Time and error of each method on the first people of a test set, whom all methods meet in turn."""
    taken: dict[str, list[float]] = {name: [] for name in methods}
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for number, (sample, detection) in enumerate(data.observed(range(people))):
        image = sample.read_image()
        camera = known_camera(sample, (image.shape[1], image.shape[0]))
        true = torch.from_numpy(convert_joints(sample.joints_3d, sample.joints, JOINTS)[0])[:, :3]
        for name, method in methods.items():
            if number == 0:
                method(image, detection, camera)  # what is loaded or compiled on first use is not the method's own
            result = method(image, detection, camera)
            taken[name].append(1e3 * result.seconds)
            errors[name].append(float(pa_mpjpe(result.joints(method.fitter.body, JOINTS), true)))
    return {
        name: {"milliseconds": float(np.median(taken[name])), "pa_mpjpe_mm": float(np.median(errors[name]))}
        for name in methods
    }
