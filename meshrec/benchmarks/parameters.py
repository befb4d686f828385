"""Pose and shape from vertices, in comparison with smplfitter: time and error, for exact and noisy targets."""

import pickle
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import NUM_JOINTS, BodyData, BodyModel, load_body
from meshrec.body.files import POSE_FEATURES, body_from_arrays
from meshrec.body.mesh_fit import FitOptions, ParameterFitter
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT
from meshrec.poses.pose_bank import load_pose_bank

BATCHES = (1, 64)
NOISES = (0.0, 5e-3)  # standard deviation of the targets' coordinates, metres
QUICK = 2  # steps of the quicker of our own fits
PEER_ROUNDS = (1, 3)  # smplfitter's own defaults: of its `fit`, and of the function that it keeps for repeated use
PEER_FILE = "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl"
REACH, DEPTH = 0.08, 0.01  # metres around a joint in which its pose displaces vertices, and by how much


def run() -> list[dict]:
    """Measure, print a table and return its rows.

    Returns:
        One dictionary per row: ``batch`` and ``noise_mm``; for each method ``..._ms``, the median time of the batch in
        milliseconds, and ``..._mm``, the mean distance of vertices from those of the true bodies; ``ratio_...``, how
        many times longer smplfitter takes with that many rounds, and ``quick_ratio_...``, than our fit of
        :data:`QUICK` steps. It is timed with its torch and its numba code, and the faster of the two counts.
    """
    console, body = Console(), BodyModel(body_of_smpl_size())
    peers = _peers(body.data) if find_spec("smplfitter") is not None else {}
    quick = FitOptions(displaced=QUICK)
    own = {"meshrec": ParameterFitter(body), "quick": ParameterFitter(body, options=quick)}
    rows = []
    table = Table(title=f"Pose and shape from {SMPL_VERTEX_COUNT} vertices, {torch.get_num_threads()} threads, float32")
    columns = ["meshrec", f"{QUICK} steps"]
    columns += [f"smplfitter, {rounds} round{'s' * (rounds > 1)}" for rounds in PEER_ROUNDS]
    for column in ("batch", "noise", *columns, "ratios", f"of {QUICK} steps"):
        table.add_column(column, justify="right")
    for batch in BATCHES:
        true = true_vertices(body, batch)
        for noise in NOISES:
            targets = true + noise * torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
            row = {"batch": batch, "noise_mm": 1e3 * noise} | _measure(own, peers, targets, true)
            rows.append(row)
            cells = [_cell(row, name) for name in (*own, *(f"smplfitter_{rounds}" for rounds in PEER_ROUNDS))]
            ratios = [
                ", ".join(f"{row[f'{kind}_{rounds}']:.1f} x" for rounds in PEER_ROUNDS if f"{kind}_{rounds}" in row)
                for kind in ("ratio", "quick_ratio")
            ]
            table.add_row(str(batch), f"{1e3 * noise:.0f} mm", *cells, *(ratio or "-" for ratio in ratios))
    console.print(table)
    if not peers:
        console.print("smplfitter is not installed: pip install smplfitter compares with it")
    return rows


def headlines(rows: list[dict]) -> list[Headline]:
    """Each batch of noisy targets, and smplfitter with as few rounds as it can do."""
    found = []
    for row in rows:
        if row["noise_mm"] > 0:
            name = f"parameters: from the vertices of a batch of {row['batch']}"
            peer = ("smplfitter", row[f"ratio_{PEER_ROUNDS[0]}"]) if f"ratio_{PEER_ROUNDS[0]}" in row else ()
            found.append(Headline(name, row["meshrec_ms"], "ms", *peer))
    return found


def body_of_smpl_size(seed: int = 0) -> BodyData:
    """The shipped body with SMPL's number of vertices and random pose displacements near its joints, without licence.

    Args:
        seed: Seed of the displacements.
    """
    data, rng = load_body("neutral").data, np.random.default_rng(seed)
    kept = np.flatnonzero((data.joint_regressor != 0).any(0))  # so that the regressor stays what it is
    others = np.setdiff1d(np.arange(len(data.v_template)), kept)
    kept = np.sort(np.concatenate([kept, rng.permutation(others)[: SMPL_VERTEX_COUNT - len(kept)]]))
    template, joints = data.v_template[kept], data.joint_maps[0]
    nearness = np.exp(-((template[:, None] - joints[1:]) ** 2).sum(2) / (2 * REACH**2))
    directions = DEPTH * rng.normal(size=(1, 3, NUM_JOINTS - 1, POSE_FEATURES // (NUM_JOINTS - 1)))
    arrays = {
        "v_template": template,
        "shapedirs": data.shapedirs[kept],
        "posedirs": (nearness[:, None, :, None] * directions).reshape(len(kept), 3, POSE_FEATURES),
        "J_regressor": data.joint_regressor[:, kept],
        "weights": data.weights[kept],
        "kintree_table": np.stack([data.parents, np.arange(NUM_JOINTS)]),
        "f": np.stack([np.roll(np.arange(len(kept)), shift) for shift in range(3)], 1).astype(np.uint32),
    }
    return body_from_arrays(arrays, "body of SMPL's size")


def true_vertices(body: BodyModel, batch: int) -> Tensor:
    """Vertices (B, V, 3) of random shapes in poses of motion capture, somewhere within metres of the origin."""
    bank, generator = load_pose_bank("held_out"), torch.Generator().manual_seed(0)
    rotations = bank.rotations(torch.arange(batch) * (len(bank) // batch))
    betas, transl = torch.randn(batch, 10, generator=generator), torch.randn(batch, 3, generator=generator)
    return body(betas, rotations[:, 1:], rotations[:, :1], transl).vertices


def _measure(
    own: dict[str, ParameterFitter], peers: dict[str, Callable], targets: Tensor, true: Tensor
) -> dict[str, float]:
    """Times and errors of all methods on one batch of targets."""
    body = own["meshrec"].body
    work: dict[str, Callable[[], object]] = {name: partial(fitter, targets) for name, fitter in own.items()}
    for name, peer in peers.items():
        for rounds in PEER_ROUNDS:
            work[f"{name} {rounds}"] = partial(peer, targets, rounds)
    times = time_in_turn(work)
    row = {f"{name}_ms": times[name].median for name in own}
    row |= {f"{name}_mm": _distance(fitter(targets).vertices(body), true) for name, fitter in own.items()}
    for rounds in PEER_ROUNDS if peers else ():
        name = min(peers, key=lambda own: times[f"{own} {rounds}"].median)
        row[f"smplfitter_{rounds}_ms"] = times[f"{name} {rounds}"].median
        row[f"smplfitter_{rounds}_mm"] = _distance(_posed(body, peers[name](targets, rounds)), true)
        row[f"ratio_{rounds}"] = times[f"{name} {rounds}"].ratio_to(times["meshrec"])
        row[f"quick_ratio_{rounds}"] = times[f"{name} {rounds}"].ratio_to(times["quick"])
    return row


def _peers(data: BodyData) -> dict[str, Callable]:
    """smplfitter's torch and numba code: functions of targets (B, V, 3) and a number of rounds."""
    import numba
    import smplfitter.nb
    import smplfitter.pt

    threads = torch.get_num_threads()
    numba.set_num_threads(threads)
    arrays = {
        "v_template": data.v_template, "shapedirs": data.shapedirs, "posedirs": data.posedirs,
        "J_regressor": data.joint_regressor, "weights": data.weights, "f": data.faces,
        "kintree_table": np.stack([data.parents, np.arange(NUM_JOINTS)]),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, PEER_FILE).write_bytes(pickle.dumps(arrays))
        np.save(Path(folder, "kid_template.npy"), np.zeros_like(data.v_template))
        fitters = {
            name: code.BodyFitter(code.BodyModel("smpl", "neutral", model_root=folder))
            for name, code in [("torch", smplfitter.pt), ("numba", smplfitter.nb)]
        }
    torch.set_num_threads(threads)  # numba's own threads may have changed it
    keys = ["pose_rotvecs", "shape_betas", "trans"]
    # Its regulariser is for unusual bodies; on these, it only adds to the error.
    options = {"beta_regularizer": 0.0, "requested_keys": keys}
    return {
        "torch": lambda targets, rounds: fitters["torch"].fit(targets, num_iter=rounds, **options),
        "numba": lambda targets, rounds: fitters["numba"].fit(targets.numpy(), num_iter=rounds, **options),
    }


def _posed(body: BodyModel, found: dict) -> Tensor:
    """The vertices of smplfitter's parameters."""
    pose, betas, transl = (torch.as_tensor(found[key]) for key in ("pose_rotvecs", "shape_betas", "trans"))
    return body(betas, pose[:, 3:], pose[:, :3], transl).vertices


def _distance(vertices: Tensor, true: Tensor) -> float:
    """Mean distance of vertices (B, V, 3) in metres, as millimetres."""
    return 1e3 * float((vertices - true).norm(dim=-1).mean())


def _cell(row: dict, name: str) -> str:
    return f"{row[f'{name}_ms']:.1f} ms, {row[f'{name}_mm']:.2f} mm" if f"{name}_ms" in row else "-"
