"""The error measures of poses: poses per second, in comparison with a loop over the alignment of scipy."""

from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.metrics import mpjpe, pa_mpjpe

BATCHES = (64, 8192)
JOINTS = (14, 17)
LOOPED = 64  # number of poses of each batch that scipy aligns, one by one


def run() -> list[dict]:
    """Measure, print a table and return its rows.

    Returns:
        One dictionary per row: ``joints`` and ``batch``; poses per second of ``mpjpe``, ``pa_mpjpe`` and ``scipy``, and
        the ``ratio`` of the last two.
    """
    rows = []
    for joints in JOINTS:
        for batch in BATCHES:
            generator = torch.Generator().manual_seed(0)
            true = torch.randn(batch, joints, 3, generator=generator) * 0.4
            predicted = true + 0.1 * torch.randn(true.shape, generator=generator)
            rows.append({"joints": joints, "batch": batch} | _rates(predicted, true))
    table = Table(title=f"Poses a second, {torch.get_num_threads()} threads, float32")
    for column in ("joints", "batch", "MPJPE", "PA-MPJPE", "PA-MPJPE by scipy", "ratio"):
        table.add_column(column, justify="right")
    for row in rows:
        rates = (f"{row[name]:,.0f}" for name in ("mpjpe", "pa_mpjpe", "scipy"))
        table.add_row(str(row["joints"]), str(row["batch"]), *rates, f"{row['ratio']:.0f} x")
    Console().print(table)
    return rows


def headlines(rows: list[dict]) -> list[Headline]:
    """PA-MPJPE of the largest batch."""
    row = rows[-1]
    name = f"metrics: PA-MPJPE of {row['joints']} joints, batch {row['batch']}"
    return [Headline(name, row["pa_mpjpe"], "poses/s", "scipy", row["ratio"])]


def _rates(predicted: Tensor, true: Tensor) -> dict[str, float]:
    """Poses per second of each measure on poses (B, K, 3), and the ratio of PA-MPJPE to scipy."""
    poses = {"mpjpe": len(true), "pa_mpjpe": len(true), "scipy": LOOPED}
    work: dict[str, Callable[[], object]] = {
        "mpjpe": lambda: mpjpe(predicted, true),
        "pa_mpjpe": lambda: pa_mpjpe(predicted, true),
        "scipy": lambda: by_scipy(predicted[:LOOPED].numpy(), true[:LOOPED].numpy()),
    }
    times = time_in_turn(work)
    rates = {name: 1e3 * poses[name] / timing.median for name, timing in times.items()}
    return rates | {"ratio": times["scipy"].ratio_to(times["pa_mpjpe"]) * poses["pa_mpjpe"] / poses["scipy"]}


def by_scipy(predicted: np.ndarray, true: np.ndarray) -> float:
    """PA-MPJPE with poses that are aligned one by one by scipy.

    Args:
        predicted: (B, K, 3) predicted joints, metres.
        true: (B, K, 3) true joints, metres.

    Returns:
        The mean over all poses, millimetres.
    """
    from scipy.spatial.transform import Rotation

    errors = []
    for x, y in zip(predicted - predicted.mean(1, keepdims=True), true - true.mean(1, keepdims=True)):
        turned = Rotation.align_vectors(y, x)[0].apply(x)
        scale = (turned * y).sum() / (x * x).sum()
        errors.append(1e3 * np.linalg.norm(scale * turned - y, axis=1).mean())
    return float(np.mean(errors))
