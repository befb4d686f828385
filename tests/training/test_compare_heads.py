"""tools/compare_heads.py, in a few seconds: all heads are trained alike, and each gets its rows."""

from functools import partial

import pytest
from helpers.tools import run_tool

pytest.importorskip("lightning", reason="training needs lightning")

from meshrec.benchmarks import timing
from meshrec.models.checkpoints import read_header

TINY = (
    *("network.encoder=null", "network.settings.encoder.width=16", "network.settings.width=16"),
    *("network.settings.nodes=100", "network.settings.channels=16", "network.settings.blocks=0", "renders=null"),
    *("steps=2", "batch_size=4", "workers=0", "precision=32", "validation.people=4"),
)


def test_all_heads_are_trained_alike_and_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))
    done = run_tool("compare_heads.py", tmp_path, "--limit", 12, *TINY)
    assert done.code == 0, done.err
    table = (tmp_path / "comparison.md").read_text()
    assert done.out.endswith(f"{table}\n")
    first, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[-1] for row in rows] == ["77.6", "-", "105.8", "69.0", "61.3"]
    assert {len(row) for row in rows} == {len(first)}
    assert all(0 < float(cell) < 3000 for row in rows for cell in row[1:7])
    headers = [read_header(path) for path in sorted(tmp_path.glob("*/last.safetensors"))]
    assert [header["architecture"] for header in headers] == ["iterative", "fully_connected", "graph", "iterative"]
    one, *others = [header["provenance"]["config"] for header in headers]
    for other in others:
        for key in ("synthetic", "optimizer", "steps", "batch_size", "seed"):
            assert other[key] == one[key]
        assert other["network"]["settings"]["encoder"] == one["network"]["settings"]["encoder"]
