"""The renderer in comparison with PyTorch3D, on the open body."""

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import load_body
from meshrec.geometry import camera_to_y_up
from meshrec.geometry.cameras import Camera
from meshrec.render import backends, shaded, silhouette
from meshrec.render.overlay import overlay

SIZE = 224
SOFT = 1e-5  # sigma with which PyTorch3D draws the sharpest silhouette that it can still differentiate at this size


def run(device: str = "cpu", seconds: float = 2.0, pytorch3d: bool = True) -> list[dict]:
    """Measure, print a table and return its rows.

    Args:
        device: "cpu" or "cuda".
        seconds: Approximate time to spend on each picture. PyTorch3D takes seconds per call on a CPU, so that it is
            called only once there.
        pytorch3d: Whether to measure PyTorch3D too, if it is installed.

    Returns:
        One dictionary per row: ``task``, ``backend``, ``batch``, ``forward_ms`` and ``both_ms`` (forward and backward).
        Rows that were also measured with PyTorch3D have ``pytorch3d_forward_ms``, ``pytorch3d_both_ms``,
        ``forward_ratio`` and ``both_ratio``.
    """
    body, faces = _open_body(device)
    camera = Camera.from_fov((SIZE, SIZE))
    with_theirs = pytorch3d and backends()["pytorch3d"]
    natives = ("numba", "torch") if device == "cpu" else ("torch",)
    rows: list[dict[str, Any]] = []

    def add(task: str, batch: int, draw: Callable[..., Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
        vertices = body.expand(batch, -1, -1).clone()
        for backend in natives:
            rows.append({"task": task, "backend": backend, "batch": batch})
            rows[-1] |= _time(partial(draw, backend=backend), vertices, seconds)
        if with_theirs and batch == 1:
            slow = _time(theirs, vertices, seconds, once=device == "cpu")
            slow = {f"pytorch3d_{key}": value for key, value in slow.items()}
            for row in rows[-len(natives) :]:
                row |= slow
                row |= {f"{key}_ratio": slow[f"pytorch3d_{key}_ms"] / row[f"{key}_ms"] for key in ("forward", "both")}

    for batch in (1, 8):
        add(
            "silhouette",
            batch,
            lambda v, backend: silhouette(v, faces, camera, backend=backend),
            lambda v: silhouette(v, faces, camera, soft=SOFT, backend="pytorch3d"),
        )
    add(
        "shaded",
        1,
        lambda v, backend: shaded(v, faces, camera, backend=backend),
        lambda v: shaded(v, faces, camera, backend="pytorch3d"),
    )
    _print(rows, len(body[0]), device)
    if device == "cpu":
        rows += _overlay(body[0], faces, seconds) + _compilation()
    return rows


def headlines(rows: list[dict]) -> list[Headline]:
    """Times of the default backend: forward and backward, or forward alone for the overlay, which has no gradients."""
    return [
        Headline(
            f"render: {row['task']}, batch {row['batch']}",
            *(row["both_ms"] if "both_ms" in row else row["forward_ms"], "ms"),
            *(("PyTorch3D", row["both_ratio"]) if "both_ratio" in row else ()),
        )
        for row in rows
        if row["backend"] == rows[0]["backend"]
    ]


def _open_body(device: str) -> tuple[Tensor, Tensor]:
    """The open body at rest, upright and filling most of the picture: vertices (1, V, 3), metres, and faces (F, 3)."""
    body = load_body("neutral")
    vertices = body.v_template - body.v_template.mean(0)
    vertices = camera_to_y_up(vertices) + torch.tensor([0.0, 0.0, 2.6])
    return vertices[None].to(device), body.faces.to(device)


def _time(draw: Callable[[Tensor], Tensor], vertices: Tensor, seconds: float, once: bool = False) -> dict[str, float]:
    """Median milliseconds of a forward pass, and of forward and backward together."""
    leaf = vertices.clone().requires_grad_()

    def forward() -> None:
        draw(leaf)
        _finish(vertices)

    def both() -> None:
        torch.autograd.grad(draw(leaf).sum(), leaf)
        _finish(vertices)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the backend warns that PyTorch3D is slow on the CPU
        if once:
            return {"forward_ms": _milliseconds(forward), "both_ms": _milliseconds(both)}
        times = time_in_turn({"forward_ms": forward, "both_ms": both}, seconds)
    return {name: timing.median for name, timing in times.items()}


def _finish(vertices: Tensor) -> None:
    """Wait for the GPU, if the vertices are on one."""
    if vertices.is_cuda:
        torch.cuda.synchronize()


def _milliseconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def _overlay(vertices: Tensor, faces: Tensor, seconds: float) -> list[dict]:
    """Measure the overlay of one person on a photo."""
    photo, camera = np.zeros((512, 512, 3), np.uint8), Camera.from_fov((512, 512))
    draw = {"forward_ms": lambda: overlay(photo, [vertices], faces, camera)}
    timing = time_in_turn(draw, seconds)["forward_ms"]
    Console().print(
        f"overlay of one person on 512 x 512, smoothed edges: {timing.median:.0f} ms (best {timing.low:.0f})"
    )
    return [{"task": "overlay 512", "backend": "numba", "batch": 1, "forward_ms": timing.median}]


def _compilation() -> list[dict]:
    """Measure the first silhouette in a new process, before and after its kernels are cached on disk."""
    code = (
        "import time, torch, meshrec.render as r; from meshrec.geometry.cameras import Camera\n"
        "v = torch.tensor([[-1., 0, 5], [1, 0, 5], [0, 1, 5]], requires_grad=True); f = torch.tensor([[0, 1, 2]])\n"
        "start = time.perf_counter(); r.silhouette(v, f, Camera(200.)).sum().backward()\n"
        "print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        first, later = (
            float(subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout)
            for _ in range(2)
        )
    Console().print(f"first silhouette in a process: {first:.1f} s with compilation, {later:.2f} s from the disk cache")
    names = ("first silhouette, compiling", "first silhouette, cached")
    return [
        {"task": task, "backend": "numba", "batch": 1, "both_ms": 1e3 * taken}
        for task, taken in zip(names, (first, later))
    ]


def _print(rows: list[dict], vertices: int, device: str) -> None:
    threads = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
    table = Table(title=f"Renderer, {vertices} vertices, {SIZE} x {SIZE}, {threads}, milliseconds")
    for column in ("", "batch", "backend", "forward", "+ backward", "PyTorch3D", "ratio"):
        table.add_column(column, justify="left" if column in ("", "backend") else "right")
    for row in rows:
        cells = [row["task"], str(row["batch"]), row["backend"], f"{row['forward_ms']:.2f}", f"{row['both_ms']:.2f}"]
        if "both_ratio" in row:
            cells += [f"{row['pytorch3d_both_ms']:.0f}", f"{row['both_ratio']:,.0f} x"]
        table.add_row(*cells)
    Console().print(table)
    if any("both_ratio" in row for row in rows):
        Console().print("PyTorch3D and ratio: forward and backward; its silhouette is soft, with 50 faces per pixel")
