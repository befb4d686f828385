"""The rows of searched operators from end to end: what is searched once, and what the table of operators tells."""

import json
from functools import partial

from helpers.tools import run_tool

from meshrec.benchmarks import timing
from meshrec.comparison.search_rows import TITLE

SMALL = (
    *("--limit", 8, "--set", "pictures.people=48", "pictures.lifter_steps=2", "seeing.steps=4", "seeing.batch_size=8"),
    *("training.batch_size=8", "baseline.width=8", "part_search.channels=8", "search.first=0"),
)
ROWS = ("searched", "searched_one_cell", "searched_largest", "searched_distilled")
MILLIONS = "multiplications, M"


def test_rows_share_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))
    done = run_tool("compare_methods.py", tmp_path, "--rows", *ROWS, *SMALL)
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "comparison.json").read_text())
    assert set(rows) == set(ROWS)
    for row in rows.values():
        assert all(0 < row["errors"][group]["mpve"] < 3000 for group in ("usual", "hard"))
    told = {name: next(iter(row["more"][TITLE].values())) for name, row in rows.items()}
    price = {name: float(cells.pop(MILLIONS)) for name, cells in told.items()}
    assert price["searched_distilled"] < price["searched"] < price["searched_largest"]
    assert told["searched_distilled"] == told["searched"]
    assert len({told["searched_one_cell"][part] for part in ("trunk", "legs", "arms")}) == 1
    assert set(" ".join(told["searched_largest"].values()).split()) == {"5x3"}
    assert TITLE in (tmp_path / "comparison.md").read_text()
