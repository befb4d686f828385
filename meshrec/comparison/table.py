"""The comparison's rows, how one is finished, and the table that they make."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from meshrec.benchmarks.timing import time_in_turn
from meshrec.comparison.bench import GROUPS, NOISE, Bench
from meshrec.comparison.depth_order_rows import DEPTH_ORDER_ROWS
from meshrec.comparison.heatmap_rows import HEATMAP_ROWS
from meshrec.comparison.lifting_rows import LIFTING_ROWS
from meshrec.comparison.multimodal_rows import MULTIMODAL_ROWS
from meshrec.comparison.photos import BODY_MEASURE
from meshrec.comparison.search_rows import SEARCH_ROWS
from meshrec.comparison.sequence_rows import SEQUENCE_ROWS
from meshrec.comparison.several_rows import SEVERAL_ROWS
from meshrec.comparison.shipped_rows import SHIPPED_ROWS
from meshrec.comparison.smplr_rows import SMPLR_ROWS
from meshrec.comparison.unlabelled_rows import UNLABELLED_ROWS
from meshrec.comparison.volumetric_rows import VOLUMETRIC_ROWS
from meshrec.evaluation.lifting import Lifter, group_means
from meshrec.metrics import pa_mpjpe

MEASURES = {"pa_mpjpe": "PA-MPJPE", "mpjpe": "MPJPE", "n_mpjpe": "N-MPJPE", "mpve": "MPVE", "pa_mpve": "PA-MPVE"}
PHOTO_MEASURES = {name: MEASURES[name] for name in ("pa_mpjpe", "mpjpe", "n_mpjpe")} | {
    BODY_MEASURE: "PA-MPJPE of the body"
}
ROWS = (
    (LIFTING_ROWS | DEPTH_ORDER_ROWS | UNLABELLED_ROWS | SEVERAL_ROWS | MULTIMODAL_ROWS | SEQUENCE_ROWS)
    | (HEATMAP_ROWS | SEARCH_ROWS | VOLUMETRIC_ROWS | SMPLR_ROWS)
    | SHIPPED_ROWS
)
"""The rows by name, in the order of the table."""


def finished(name: str, bench: Bench) -> dict[str, Any]:
    """A row's figures."""
    row = ROWS[name]
    made = row.make(bench, name)
    with torch.inference_mode():
        timing = time_in_turn({row.label: made.call})[row.label]
    return {
        "label": row.label,
        "labels": row.labels,
        "errors": {group: group_means(made.errors, bench.groups)[group] for group in GROUPS},
        "by_noise": None if made.lifter is None else by_noise(made.lifter, bench),
        "weights": made.weights,
        "milliseconds": timing.median,
        "minutes": made.minutes,
        "more": made.more,
        "photos": None if made.photos is None else photo_figures(made.photos, bench),
    }


def photo_figures(errors: dict[str, np.ndarray], bench: Bench) -> dict[str, Any]:
    """The mean errors on photos by measure, and PA-MPJPE by camera, millimetres; and the number of people."""
    assert bench.photos is not None, "there are errors of its people"
    return {
        "people": len(bench.photos),
        "errors": {name: float(of.mean()) for name, of in errors.items()},
        "cameras": {name: float(errors["pa_mpjpe"][rows].mean()) for name, rows in bench.photos.groups.items()},
    }


@torch.no_grad()
def by_noise(lifter: Lifter, bench: Bench) -> list[float]:
    """The mean PA-MPJPE for each standard deviation of Gaussian noise in :data:`NOISE`, millimetres."""
    keypoints, errors = bench.exact.keypoints, []
    generator = torch.Generator().manual_seed(bench.config.training.seed)
    for deviation in NOISE:
        places = keypoints[..., :2] + deviation * torch.randn(keypoints[..., :2].shape, generator=generator)
        found = lifter(torch.cat([places, keypoints[..., 2:]], dim=-1))
        errors.append(float(pa_mpjpe(found, bench.exact.joints)))
    return errors


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, one of the errors by noise, one of the errors on photos, and those of single rows.

    Errors are in millimetres, of usual people and of hard ones.
    """
    heads = ["", "labels", *(f"{name}, usual / hard" for name in MEASURES.values())]
    heads += ["weights, k", "ms", "minutes of training"]
    lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
    for row in rows:
        cells = [row["label"], row["labels"]]
        for name in MEASURES:
            values = [row["errors"][group].get(name) for group in GROUPS]
            cells.append("-" if None in values else " / ".join(f"{value:.1f}" for value in values))
        minutes = "-" if row["minutes"] is None else f"{row['minutes']:.1f}"
        lines.append([*cells, f"{row['weights'] / 1e3:.0f}", f"{row['milliseconds']:.2f}", minutes])
    shown = [row for row in rows if row.get("by_noise")]
    noise = [["PA-MPJPE by noise, half crop sides", *map(str, NOISE)], ["---", *["---:"] * len(NOISE)]]
    noise += [[row["label"], *(f"{error:.1f}" for error in row["by_noise"])] for row in shown]
    parts = [_table(lines), *([_table(noise)] if shown else []), *_photo_table(rows), *_more_tables(rows)]
    return "\n".join(parts)


def _photo_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table of errors on photos, if any row has them; measures that a row lacks are a dash."""
    seen = [row for row in rows if row.get("photos")]
    if not seen:
        return []
    cameras = list(seen[0]["photos"]["cameras"])
    heads = [f"on {seen[0]['photos']['people']} photos", *PHOTO_MEASURES.values(), f"PA-MPJPE of {', '.join(cameras)}"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for row in seen:
        means, by_camera = row["photos"]["errors"], row["photos"]["cameras"]
        cells = [f"{means[name]:.1f}" if name in means else "-" for name in PHOTO_MEASURES]
        lines.append([row["label"], *cells, ", ".join(f"{by_camera[name]:.0f}" for name in cameras)])
    return [_table(lines)]


def _more_tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A table for each title that a row has figures for; several rows may have figures of one of its lines."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        for title, lines in row.get("more", {}).items():
            for label, cells in lines.items():
                tables.setdefault(title, {}).setdefault(label, {}).update(cells)
    found = []
    for title, lines in tables.items():
        heads = list(dict.fromkeys(head for cells in lines.values() for head in cells))
        body = [[label, *(cells.get(head, "-") for head in heads)] for label, cells in lines.items()]
        found.append(_table([[title, *heads], ["---", *["---:"] * len(heads)], *body]))
    return found


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
