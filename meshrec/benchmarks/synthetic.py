"""Synthetic people: samples per second, and the cost of each step."""

import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import load_body
from meshrec.data.streams import Streams
from meshrec.models.encoders import keypoint_heatmaps
from meshrec.synthetic.backgrounds import noise_backgrounds
from meshrec.synthetic.batches import labels, synthetic_batch
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures, photograph
from meshrec.synthetic.simulated_detector import observe
from meshrec.synthetic.textures import TextureLayout, draw_textures

BATCH, SIZE = 32, 224


def run(device: str = "cpu", seconds: float = 2.0) -> dict:
    """Measure, print a table and return the figures.

    Processor time, which is the sum over all threads, shows the cost of a sample on a machine that is shared.

    Args:
        device: "cpu" or "cuda".
        seconds: Approximate time to spend on each step.

    Returns:
        ``threads``, ``batch`` and ``size``; and for each of the ``steps``, ``wall_ms`` and ``processor_ms`` per sample,
        and samples ``per_second`` of elapsed time.
    """
    body = load_body("neutral").to(device)
    source, pictures = SyntheticPeople(body, resolution=SIZE), Pictures(TextureLayout.of_body(body))
    indices = range(BATCH)
    people = source.draw(indices)

    def streams() -> Streams:
        return source.streams(indices, "picture")

    def proxy_samples() -> object:
        return synthetic_batch(source, indices)

    def samples_with_heatmaps() -> object:
        return keypoint_heatmaps(synthetic_batch(source, indices)[1].keypoints, SIZE)

    def rgb_samples() -> object:
        return synthetic_batch(source, indices, pictures=pictures)

    steps: dict[str, Callable[[], object]] = {
        "proxy sample: labels, keypoints, silhouette": proxy_samples,
        "proxy sample with heatmaps made here": samples_with_heatmaps,
        "RGB sample: all this and a picture": rgb_samples,
        "  body, pose, camera": lambda: source.draw(indices),
        "  keypoints and silhouette": lambda: observe(people, body, source.streams(indices, "detector")),
        "  labels": lambda: labels(
            body.joints_from(people.vertices, "union55"),
            *(people.rotations, people.betas, people.camera, body.hash, "union55", ("",) * BATCH),
        ),
        "  picture": lambda: photograph(people, body, pictures, streams()),
        "    textures": lambda: draw_textures(streams(), pictures.layout),
        "    backgrounds": lambda: noise_backgrounds(streams(), SIZE, body.faces.device),
    }
    timings = time_in_turn({name: _finished(step, device) for name, step in steps.items()}, seconds)
    figures = {
        name: {
            "wall_ms": timings[name].median / BATCH,
            "processor_ms": _processor_ms(step) / BATCH,
            "per_second": 1e3 * BATCH / timings[name].median,
        }
        for name, step in steps.items()
    }
    where = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
    table = Table(title=f"Synthetic people, {SIZE} x {SIZE}, batches of {BATCH}, {where}")
    for column in ("", "ms a sample", "processor ms", "samples a second"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in figures.items():
        table.add_row(name, f"{row['wall_ms']:.2f}", f"{row['processor_ms']:.2f}", f"{row['per_second']:.0f}")
    Console().print(table)
    return {"threads": torch.get_num_threads(), "batch": BATCH, "size": SIZE, "steps": figures}


def headlines(figures: dict) -> list[Headline]:
    """Complete samples per second."""
    steps = {name: row for name, row in figures["steps"].items() if not name.startswith(" ")}
    return [Headline(f"synthetic: {name}", row["per_second"], "samples/s") for name, row in steps.items()]


def _finished(step: Callable[[], object], device: str) -> Callable[[], object]:
    """The step with a wait for the GPU at its end, if there is one."""

    def work() -> None:
        step()
        if device != "cpu":
            torch.cuda.synchronize()

    return work


def _processor_ms(step: Callable[[], object], rounds: int = 3) -> float:
    """Least processor time of several calls, summed over all threads of this process, milliseconds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        step()
        taken.append(1e3 * (time.process_time() - start))
    return min(taken)
