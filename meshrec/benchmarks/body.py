"""The body layer in comparison with smplx: time, memory, and distance from the machine's limits."""

import contextlib
import io
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.memory import can_measure_memory, peak_megabytes
from meshrec.benchmarks.random_body import random_arrays
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import NUM_BETAS, NUM_JOINTS, POSE_SIZE, BodyData, BodyModel, load_body
from meshrec.body.blending import blend
from meshrec.body.files import body_from_arrays
from meshrec.body.skinning import linear_blend_skinning
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT

BATCHES = (1, 64)


def run() -> dict:
    """Measure, print a table and return the figures.

    Returns:
        ``threads``; ``rows`` of the table, with medians in milliseconds; ``peak_mb``, megabytes of peak memory by
        library; and ``limits``, the achieved and attainable rates.
    """
    console = Console()
    has_smplx = find_spec("smplx") is not None
    table = Table(title=f"Body layer, {torch.get_num_threads()} threads, float32, milliseconds")
    for column in ("body", "batch", "pass", "meshrec", "smplx", "ratio"):
        table.add_column(column, justify="left" if column in ("body", "pass") else "right", no_wrap=True)
    rows = []
    # A body of SMPL's size with and without pose correctives, and the shipped body, which has none.
    bodies = {"SMPL size, posedirs": random_body(True), "SMPL size": random_body(False)}
    bodies["open body"] = load_body("neutral").data
    for name_of_body, data in bodies.items():
        models: dict[str, nn.Module] = {"meshrec": BodyModel(data)}
        if has_smplx:
            models["smplx"] = smplx_model(data)
        for batch in BATCHES:
            for label in ("forward", "forward + backward"):
                work = {name: posing(model, batch, label != "forward") for name, model in models.items()}
                times = time_in_turn(work)
                row = {"body": name_of_body, "batch": batch, "pass": label}
                row |= {f"{name}_ms": timing.median for name, timing in times.items()}
                if has_smplx:
                    row["ratio"] = times["smplx"].ratio_to(times["meshrec"])
                rows.append(row)
                table.add_row(
                    name_of_body, str(batch), label,
                    *_cells(row, "meshrec_ms", "smplx_ms"), f"{row['ratio']:.1f} x" if has_smplx else "-",
                )  # fmt: skip
    console.print(table)
    memory = _memory(has_smplx)
    for name, megabytes in memory.items():
        console.print(f"peak memory of forward + backward at batch {BATCHES[-1]}, {name}: {megabytes:.0f} MB")
    limits = _limits()
    console.print(
        f"blend product: {limits['blend_gflops']:.0f} GFLOP/s; torch's own 1024 x 1024 product on this machine: "
        f"{limits['peak_gflops']:.0f}\nskinning kernel: {limits['skin_gbs']:.1f} GB/s; copying memory: "
        f"{limits['copy_gbs']:.1f}"
    )
    if not has_smplx:
        console.print("smplx is not installed: pip install 'meshrec[smpl]' compares with it")
    return {"threads": torch.get_num_threads(), "rows": rows, "peak_mb": memory, "limits": limits}


def headlines(figures: dict) -> list[Headline]:
    """The times of the largest batch for each body, and the peak memory."""
    found = []
    for row in figures["rows"]:
        if row["batch"] == BATCHES[-1]:
            name = f"body, {row['body']}, batch {row['batch']}: {row['pass']}"
            found.append(Headline(name, row["meshrec_ms"], "ms", *(("smplx", row["ratio"]) if "ratio" in row else ())))
    if memory := figures["peak_mb"]:
        peer = ("smplx", memory["smplx"] / memory["meshrec"]) if "smplx" in memory else ()
        found.append(Headline("body: peak memory of the largest batch", memory["meshrec"], "MB", *peer))
    return found


def random_body(correctives: bool) -> BodyData:
    """A random body of SMPL's size, so that the comparison needs no licence.

    Args:
        correctives: Whether the body has pose correctives.
    """
    return body_from_arrays(random_arrays(SMPL_VERTEX_COUNT, NUM_BETAS, posedirs=correctives), "random body")


def smplx_model(data: BodyData) -> nn.Module:
    """The same body as an ``smplx.SMPL``."""
    import smplx
    from smplx.utils import Struct

    arrays = {
        "v_template": data.v_template, "shapedirs": data.shapedirs, "posedirs": data.posedirs,
        "J_regressor": data.joint_regressor, "weights": data.weights,
        "kintree_table": np.stack([data.parents, np.arange(NUM_JOINTS)]), "f": data.faces,
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        return smplx.SMPL("", data_struct=Struct(**arrays))


def posing(model: nn.Module, batch: int, backward: bool) -> Callable[[], object]:
    """A function that runs one pass of random shapes and poses."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"betas": NUM_BETAS, "body_pose": POSE_SIZE - 3, "global_orient": 3, "transl": 3}
    inputs = {
        name: (torch.randn(batch, size, generator=generator) * 0.5).requires_grad_(backward)
        for name, size in sizes.items()
    }
    if backward:
        return lambda: torch.autograd.grad(model(**inputs).vertices.sum(), list(inputs.values()))
    return torch.no_grad()(lambda: model(**inputs))


def _cells(row: dict, *keys: str) -> list[str]:
    return [f"{row[key]:.2f}" if key in row else "-" for key in keys]


def _memory(has_smplx: bool) -> dict[str, float]:
    """Peak memory of one pass of each library in a fresh process, megabytes; empty if it cannot be measured here."""
    names = ["meshrec", "smplx"] if has_smplx else ["meshrec"]
    return {name: peak_megabytes(prepare_pass, name) for name in names if can_measure_memory()}


def prepare_pass(name: str) -> Callable[[], object]:
    """A function that runs a forward and backward pass of the largest batch.

    Args:
        name: The library, ``meshrec`` or ``smplx``.
    """
    data = random_body(True)
    model = BodyModel(data) if name == "meshrec" else smplx_model(data)
    posing(model, 1, True)()  # loads and compiles what is needed, so that it does not count as memory of the pass
    return posing(model, BATCHES[-1], True)


def _limits() -> dict[str, float]:
    """Achieved rates of the two most expensive parts, and the rates that the machine can attain.

    Returns:
        Thousand million floating-point operations (``gflops``) or bytes (``gbs``) per second.
    """
    batch, model = BATCHES[-1], BodyModel(random_body(True))
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(batch, len(model._basis), generator=generator)
    template, square = model.v_template.flatten(), torch.randn(1024, 1024, generator=generator)
    vertices = torch.randn(batch, SMPL_VERTEX_COUNT, 3, generator=generator)
    motions = torch.randn(batch, NUM_JOINTS, 3, 4, generator=generator)
    source = torch.zeros(16 * 2**20)
    target = torch.empty_like(source)
    influences = (model._influence_joints, model._influence_weights)
    times = time_in_turn(
        {
            "blend": lambda: blend(template, coefficients, model._basis),
            "square": lambda: square @ square,
            "skin": lambda: linear_blend_skinning(vertices, motions, model.weights, influences),
            "copy": lambda: target.copy_(source),
        }
    )
    rate = {name: 1e-6 / timing.median for name, timing in times.items()}  # thousand million calls per second
    return {
        "blend_gflops": 2 * coefficients.numel() * 3 * SMPL_VERTEX_COUNT * rate["blend"],
        "peak_gflops": 2 * 1024**3 * rate["square"],
        "skin_gbs": 2 * vertices.numel() * 4 * rate["skin"],
        "copy_gbs": 2 * source.numel() * 4 * rate["copy"],
    }
