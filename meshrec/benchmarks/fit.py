"""Time of the fit, alone and from a regressor's estimate, on detections of known bodies."""

from collections.abc import Mapping
from time import perf_counter

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.body import load_body
from meshrec.evaluation.methods import reconstructors
from meshrec.evaluation.subjects import known_camera
from meshrec.evaluation.truth import labelled_joints
from meshrec.metrics import pa_mpjpe
from meshrec.reconstruct import Reconstructor
from meshrec.synthetic.benchmark import SyntheticBenchmark

PEOPLE = 16
RESOLUTION = 448  # side of the pictures, pixels
JOINTS = "lsp14"


def run(people: int = PEOPLE, regressor: str | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table and return the figures.

    Args:
        people: Number of people, the first of the synthetic test set.
        regressor: Name or path of the regressor. Default: the one that :class:`meshrec.Reconstructor` uses.

    Returns:
        For each method (a regressor, the fit from its estimate, the fit alone) medians over people: ``milliseconds``,
        and ``pa_mpjpe_mm`` over LSP's joints, which shows that the fit worked. Accuracy is measured by
        ``meshrec evaluate``.
    """
    body = load_body("neutral")
    figures = measure(reconstructors(body, regressor), SyntheticBenchmark(body, RESOLUTION, ("usual",)), people)
    table = Table("method", title=f"Fit, medians of {people} synthetic people, {torch.get_num_threads()} threads")
    for column in ("ms", "PA-MPJPE, mm"):
        table.add_column(column, justify="right")
    for name, row in figures.items():
        table.add_row(name, f"{row['milliseconds']:.1f}", f"{row['pa_mpjpe_mm']:.1f}")
    Console().print(table)
    return figures


def headlines(figures: dict[str, dict[str, float]]) -> list[Headline]:
    """Times and errors of all methods."""
    return [
        Headline(f"fit, {method}: {label}", row[key], unit)
        for method, row in figures.items()
        for label, key, unit in (("a person", "milliseconds", "ms"), ("PA-MPJPE", "pa_mpjpe_mm", "mm"))
    ]


def measure(methods: Mapping[str, Reconstructor], data: SyntheticBenchmark, people: int) -> dict[str, dict[str, float]]:
    """Measure methods on the first people of a test set. All methods take each person in turn.

    Args:
        methods: The methods by name.
        data: The test set.
        people: Number of people.

    Returns:
        For each method, medians over people: ``milliseconds`` and ``pa_mpjpe_mm``.
    """
    taken: dict[str, list[float]] = {name: [] for name in methods}
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for number, (sample, detection) in enumerate(data.observed(range(people))):
        image = sample.read_image()
        camera = known_camera(sample, (image.shape[1], image.shape[0]))
        true = labelled_joints(sample, JOINTS)[:, :3]
        for name, method in methods.items():
            if number == 0:
                method.embody(image, [detection], camera)  # loads and compiles what is used for the first time
            started = perf_counter()
            (person,) = method.embody(image, [detection], camera)
            taken[name].append(1e3 * (perf_counter() - started))
            errors[name].append(float(pa_mpjpe(person.joints(JOINTS), true)))
    return {
        name: {"milliseconds": float(np.median(taken[name])), "pa_mpjpe_mm": float(np.median(errors[name]))}
        for name in methods
    }
