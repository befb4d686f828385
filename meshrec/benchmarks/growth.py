"""How time and memory grow with the batch, the vertices, the people in a photo, its pixels and a clip's frames."""

import io
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, cycle, islice, pairwise

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.memory import can_measure_memory, peak_megabytes
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import POSE_SIZE, BodyModel
from meshrec.body.files import body_from_arrays
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT
from meshrec.errors import MeshrecError
from meshrec.reconstruct import Reconstructor
from meshrec.synthetic.example_photo import draw_example_clip, draw_example_photo

BATCH = 16  # of bodies whose number of vertices grows
CELL = (360, 450)  # width and height of each person's part of a photo of many, pixels
COLUMNS = 6  # of such parts
DRAWN = 24  # frames of the clip that are drawn; longer clips go through them forwards and backwards
SECONDS = 2.0  # of repeated calls for each median
CALLS = 25  # at most


@dataclass(frozen=True)
class Series:
    """One kind of work at growing sizes.

    Attributes:
        name: What is done.
        unit: What grows.
        sizes: The sizes, ascending.
        prepare: Returns the work at a size.
    """

    name: str
    unit: str
    sizes: tuple[float, ...]
    prepare: Callable[[float], Callable[[], object]]


@dataclass(frozen=True)
class Cost:
    """The cost of one call.

    Attributes:
        size: The size of the work.
        wall_ms: Median of the elapsed time, milliseconds.
        processor_ms: Median of the processor time of all threads, milliseconds.
        peak_mb: Peak memory of a call beyond what was there before, megabytes; NaN where it cannot be measured.
    """

    size: float
    wall_ms: float
    processor_ms: float
    peak_mb: float


def run(series: Sequence[Series] | None = None) -> dict:
    """Measure, print a table for each kind of work and return the figures.

    Args:
        series: Kinds of work. Default: :func:`all_series`.

    Returns:
        For each name, ``unit`` and ``costs``, the fields of :class:`Cost` in the order of the sizes.
    """
    found = {}
    for kind in series or all_series():
        costs = [measure(kind, size) for size in kind.sizes]
        _print(kind, costs)
        found[kind.name] = {"unit": kind.unit, "costs": [asdict(cost) for cost in costs]}
    return found


def headlines(figures: dict) -> list[Headline]:
    """For each kind of work, the exponent with which processor time grows between the two largest sizes."""
    found = []
    for name, kind in figures.items():
        first, last = (Cost(**cost) for cost in kind["costs"][-2:])
        found.append(Headline(f"growth: {name}, power of {kind['unit']}", exponent(first, last), ""))
    return found


def exponent(first: Cost, last: Cost) -> float:
    """The power of the size with which processor time grows from one size to another: 1 is in proportion."""
    return math.log(last.processor_ms / first.processor_ms) / math.log(last.size / first.size)


def all_series() -> tuple[Series, ...]:
    """The kinds of work that ``meshrec benchmark growth`` measures."""
    return (
        Series("body, forward", "bodies", (1, 4, 16, 64, 256, 1024), bodies),
        Series(f"body, forward, {BATCH} bodies", "vertices", (1700, SMPL_VERTEX_COUNT, 20_000, 49_000), vertices),
        Series("photo, people found and fitted", "people", (1, 2, 5, 10, 20, 30), people),
        Series("photo of one person, from JPEG", "megapixels", (0.3, 1, 3, 10, 30, 100), megapixels),
        Series("clip of one person", "frames", (12, 24, 48, 96, 192), frames),
    )


def measure(series: Series, size: float) -> Cost:
    """The cost of work at one size. Memory is measured in a process of its own."""
    work = series.prepare(size)
    work()  # compiles and fills caches
    walls: list[float] = []
    processors: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(walls) < 3 or (time.perf_counter() < end and len(walls) < CALLS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(1e3 * (time.perf_counter() - wall))
        processors.append(1e3 * (time.process_time() - processor))
    peak = peak_megabytes(prepare_warm, series, size) if can_measure_memory() else math.nan
    return Cost(size, statistics.median(walls), statistics.median(processors), peak)


def prepare_warm(series: Series, size: float) -> Callable[[], object]:
    """The work at one size, after that of the smallest size has loaded what is needed."""
    series.prepare(series.sizes[0])()
    return series.prepare(size)


def bodies(size: float) -> Callable[[], object]:
    """Pose a number of random bodies of SMPL's size, with pose correctives."""
    return _posing(SMPL_VERTEX_COUNT, int(size))


def vertices(size: float) -> Callable[[], object]:
    """Pose bodies of a number of vertices."""
    return _posing(int(size), BATCH)


def people(size: float) -> Callable[[], object]:
    """Reconstruct a photo of a number of people, each in an equal part of it."""
    one = cv2.resize(draw_example_photo(), CELL, interpolation=cv2.INTER_AREA)
    count = int(size)
    columns = min(count, COLUMNS)
    rows = [[one if row * columns + i < count else one[:, :1].repeat(CELL[0], 1) for i in range(columns)]
            for row in range(math.ceil(count / columns))]  # fmt: skip
    photo = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    reconstructor = Reconstructor()

    def work() -> None:
        found = len(reconstructor(photo))
        if not 0.8 * count <= found <= count:  # else this is the time of something else
            raise MeshrecError(f"{found} of {count} people were found in the photo of the benchmark.")

    return work


def megapixels(size: float) -> Callable[[], object]:
    """Reconstruct the example photo, resized to a number of megapixels, from the bytes of a JPEG file."""
    photo = draw_example_photo()
    scale = math.sqrt(1e6 * size / (photo.shape[0] * photo.shape[1]))
    resized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", resized[..., ::-1])[1].tobytes()
    reconstructor = Reconstructor()
    return lambda: reconstructor(data)


def frames(size: float) -> Callable[[], object]:
    """Reconstruct a clip of a number of frames."""
    drawn = list(draw_example_clip(DRAWN))
    there_and_back = cycle(chain(drawn, drawn[-2:0:-1]))
    clip = list(islice(there_and_back, int(size)))
    reconstructor = Reconstructor()
    return lambda: reconstructor.clip(clip, fps=15)


def plot(figures: dict) -> bytes:
    """Time and memory over the size, for each kind of work, on logarithmic axes.

    Args:
        figures: What :func:`run` returned.

    Returns:
        The bytes of a PNG file. Dotted lines are in proportion to the size.

    Raises:
        ImportError: There is no matplotlib.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(3.1 * len(figures), 5.2), layout="constrained")
    grid = figure.subplots(2, len(figures), squeeze=False)
    for column, (name, kind) in enumerate(figures.items()):
        costs = [Cost(**cost) for cost in kind["costs"]]
        sizes = [cost.size for cost in costs]
        pairs = (
            (grid[0, column], "processor_ms", "processor time, ms"),
            (grid[1, column], "peak_mb", "peak memory, MB"),
        )
        for axes, field, label in pairs:
            values = [getattr(cost, field) for cost in costs]
            axes.loglog(sizes, values, "o-", color="black", linewidth=1.4, markersize=4)
            axes.loglog(sizes, [values[-1] * size / sizes[-1] for size in sizes], ":", color="gray")
            axes.set(xlabel=kind["unit"], ylabel=label if column == 0 else "")
            axes.grid(alpha=0.3)
            for axis in (axes.xaxis, axes.yaxis):  # their labels would overlap
                axis.set_minor_formatter(NullFormatter())
        grid[0, column].set_title(name, fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()


def _posing(vertices: int, batch: int) -> Callable[[], object]:
    data = body_from_arrays(random_arrays(vertices), f"random body of {vertices} vertices")
    body = BodyModel(data)
    generator = torch.Generator().manual_seed(0)
    sizes = {"betas": body.num_betas, "body_pose": POSE_SIZE - 3, "global_orient": 3, "transl": 3}
    inputs = {name: 0.5 * torch.randn(batch, width, generator=generator) for name, width in sizes.items()}
    return torch.no_grad()(lambda: body(**inputs))


def _print(series: Series, costs: Sequence[Cost]) -> None:
    table = Table(title=f"{series.name}, {torch.get_num_threads()} threads")
    for column in (series.unit, "ms", "processor ms", f"processor ms / {series.unit}", "power", "peak MB"):
        table.add_column(column, justify="right")
    powers = ["", *(f"{exponent(a, b):.2f}" for a, b in pairwise(costs))]
    for cost, power in zip(costs, powers):
        each = cost.processor_ms / cost.size
        table.add_row(f"{cost.size:,g}", f"{cost.wall_ms:,.3g}", f"{cost.processor_ms:,.3g}", f"{each:.3g}", power,
                      f"{cost.peak_mb:,.0f}")  # fmt: skip
    Console().print(table)
