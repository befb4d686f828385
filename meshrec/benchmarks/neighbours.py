"""The body layer beside smplx while other processes keep the cores busy."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing.synchronize import Event

import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.body import BATCHES, posing, random_body, smplx_model
from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import BodyModel, load_body
from meshrec.errors import MeshrecError

NEIGHBOURS = 2
PASSES = ("forward", "forward + backward")


def run(neighbours: int = NEIGHBOURS, seconds: float = 4.0) -> dict:
    """Measure alone and beside busy processes, print a table and return the figures.

    Args:
        neighbours: Number of busy processes.
        seconds: Approximate time to spend on each library, body, batch, pass and state.

    Returns:
        ``neighbours``, ``threads`` and ``rows``. In each row are ``alone`` and ``busy``, by how many times smplx takes
        longer, and ``loss``, by how many times more the body layer is slowed down than smplx.

    Raises:
        MeshrecError: smplx is not installed.
    """
    if find_spec("smplx") is None:
        raise MeshrecError("smplx, to compare with, is not installed: pip install 'meshrec[smpl]'.")
    table = Table(title=f"Times smplx, alone and beside {neighbours} busy processes, {torch.get_num_threads()} threads")
    for column in ("body", "batch", "pass", "alone", "busy", "loss"):
        table.add_column(column, justify="left" if column in ("body", "pass") else "right", no_wrap=True)
    rows = []
    for name, data in {"SMPL size, posedirs": random_body(True), "open body": load_body("neutral").data}.items():
        models = {"meshrec": BodyModel(data), "smplx": smplx_model(data)}
        for batch in BATCHES:
            for label in PASSES:
                work = {library: posing(model, batch, label != PASSES[0]) for library, model in models.items()}
                alone = _ratio(work, seconds)
                with busy_processes(neighbours):
                    busy = _ratio(work, seconds)
                row = {"body": name, "batch": batch, "pass": label, "alone": alone, "busy": busy, "loss": alone / busy}
                rows.append(row)
                table.add_row(name, str(batch), label, *(f"{row[key]:.2f}" for key in ("alone", "busy", "loss")))
    Console().print(table)
    return {"neighbours": neighbours, "threads": torch.get_num_threads(), "rows": rows}


def headlines(figures: dict) -> list[Headline]:
    """The largest loss."""
    worst = max(figures["rows"], key=lambda row: row["loss"])
    return [Headline("neighbours: largest loss of the body layer beside smplx", worst["loss"], "x")]


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep a number of other processes busy."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as started:
        for _ in range(count):
            ready = context.Event()
            process = context.Process(target=spin, args=(ready,), daemon=True)
            process.start()
            started.callback(process.join)
            started.callback(process.kill)
            ready.wait()
        yield


def spin(ready: Event) -> None:
    """Set an event and compute until the process is killed."""
    ready.set()
    number = 1
    while True:
        number = number * 5 % 1_000_003


def _ratio(work: dict[str, Callable[[], object]], seconds: float) -> float:
    """By how many times smplx takes longer."""
    times = time_in_turn(work, seconds)
    return times["smplx"].ratio_to(times["meshrec"])
