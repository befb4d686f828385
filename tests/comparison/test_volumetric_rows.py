"""Rows of depth orders, volumes and SMPLR from end to end, and the tables of their own that they fill."""

import json
from functools import partial

from helpers.tools import run_tool

from meshrec.benchmarks import timing
from meshrec.comparison import bench, smplr_rows
from meshrec.comparison.smplr_rows import MESH_TITLE
from meshrec.comparison.table import markdown
from meshrec.comparison.volumetric_rows import DEPTHS_TITLE, OBJECTS_TITLE
from meshrec.training import lifting

SMALL = (
    *("--limit", 8, "--set", "pictures.people=16", "seeing.steps=2", "seeing.batch_size=8", "training.steps=2"),
    *("training.people=40", "training.batch_size=8", "volumetric.channels=8", "volumetric.halvings=1"),
    *("depth_order.network.width=8", "smplr.width=8", "smplr.landmarks=4"),
)
ROWS = ("depth_order", "depth_order_flat", "volumes", "integral", "integral_occluders", "smplr", "smplr_unturned")


def test_rows_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))
    monkeypatch.setattr(lifting, "MADE_AT_ONCE", 64)
    monkeypatch.setattr(bench, "NOISE_PEOPLE", 16)
    monkeypatch.setattr(smplr_rows, "NOISE_PEOPLE", 16)
    done = run_tool("compare_methods.py", tmp_path, "--rows", *ROWS, *SMALL)
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "comparison.json").read_text())
    assert set(rows) == set(ROWS)
    for row in rows.values():
        for name in ("pa_mpjpe", "mpjpe", "mpve", "pa_mpve"):
            assert all(0 < row["errors"][group][name] < 5000 for group in ("usual", "hard")), row["label"]
    # A body that is turned as a whole is the same body to Procrustes alignment, and has the same networks.
    turned, other = (rows[name]["errors"]["usual"] for name in ("smplr", "smplr_unturned"))
    assert abs(turned["pa_mpve"] - other["pa_mpve"]) < 0.1 < abs(turned["mpve"] - other["mpve"])
    assert not (tmp_path / "smplr_unturned.safetensors").exists()
    assert len(rows["volumes"]["more"][DEPTHS_TITLE]) == 2 and len(rows["integral"]["more"]) == 2
    table = (tmp_path / "comparison.md").read_text()
    assert DEPTHS_TITLE in table and OBJECTS_TITLE in table and MESH_TITLE in table


def test_several_rows_fill_one_line_of_a_table():
    row = {
        "label": "a", "labels": "3D", "errors": {"usual": {}, "hard": {}}, "weights": 1, "milliseconds": 1.0,
        "minutes": None,
    }  # fmt: skip
    rows = [row | {"more": {"title": {"line": {head: value}}}} for head, value in (("8", "1.0"), ("16", "2.0"))]
    rows.append(row | {"more": {"title": {"other": {"16": "3.0"}}}})
    lines = markdown(rows).split("\n\n")[-1].splitlines()
    assert lines == ["| title | 8 | 16 |", "| --- | ---: | ---: |", "| line | 1.0 | 2.0 |", "| other | - | 3.0 |"]
