"""The shipped networks as regressors in a photo, from the crop to the body in the photo's camera."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import load_body
from meshrec.detect import Detection
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.regress.crops import person_inputs
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import load_regressor, shipped_regressors
from meshrec.synthetic.benchmark import SyntheticBenchmark

PEOPLE = (1, 8)  # numbers of people in the photo; they are copies of one detection
RESOLUTION = 448  # side of the photo, which one person fills, pixels


def run(regressors: Sequence[str] | None = None, seconds: float = 1.0) -> list[dict]:
    """Measure, print a table and return its rows.

    Args:
        regressors: Names or paths. Default: all shipped networks that are installed.
        seconds: Approximate time to spend on each step.

    Returns:
        One dictionary per row: ``regressor``, ``people`` in the photo, and milliseconds per person: ``total_ms``, which
        consists of ``crop_ms``, ``network_ms`` (for the person and the mirror image) and ``back_ms`` (the
        transformation to the photo's camera).

    Raises:
        InputError: There are no regressors.
    """
    names = shipped_regressors() if regressors is None else regressors
    if not names:
        raise InputError("no regressor is installed.")
    body = load_body("neutral")
    ((sample, detection),) = SyntheticBenchmark(body, RESOLUTION, ("usual",)).observed([0])
    image = sample.read_image()
    rows: list[dict] = []
    for name in names:
        regressor = load_regressor(name, body)
        if not isinstance(regressor, NetworkRegressor):
            raise InputError(f"{name}: only the steps of networks that were trained here are timed.")
        for count in PEOPLE:
            times = _times(regressor, image, [detection] * count, seconds)
            rows.append({"regressor": name, "people": count} | times)
    title = f"Regressors, milliseconds a person, {torch.get_num_threads()} threads, float32"
    table = Table("regressor", title=title)
    for column in ("people", "all", "crop", "network", "back"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = (f"{row[name]:.2f}" for name in ("total_ms", "crop_ms", "network_ms", "back_ms"))
        table.add_row(row["regressor"], str(row["people"]), *cells)
    Console().print(table)
    return rows


def headlines(rows: list[dict]) -> list[Headline]:
    """The total time per person for each network and number of people."""
    return [
        Headline(f"regressors: {row['regressor']}, {row['people']} in a photo, each", row["total_ms"], "ms")
        for row in rows
    ]


def _times(
    regressor: NetworkRegressor, image: np.ndarray, people: Sequence[Detection], seconds: float
) -> dict[str, float]:
    """Median milliseconds per person, in total and of each step."""
    camera = Camera.from_fov((image.shape[1], image.shape[0]))
    inputs, turn = person_inputs(regressor.encoder, image, people, camera)
    assert inputs.focal is not None
    timings = time_in_turn(
        {
            "total_ms": partial(regressor, image, people, camera),
            "crop_ms": partial(person_inputs, regressor.encoder, image, people, camera),
            "network_ms": partial(regressor.estimate, inputs),
            "back_ms": partial(regressor.in_photo, regressor.estimate(inputs), inputs.focal, turn),
        },
        seconds,
    )
    return {name: timing.median / len(people) for name, timing in timings.items()}
