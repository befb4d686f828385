"""tools/compare_methods.py, in a few seconds: rows are kept, taken up again, and refused under other settings."""

import json
from functools import partial

import pytest
from helpers.tools import run_tool

from meshrec.benchmarks import timing

SMALL = ("--limit", 12, "--set", "training.steps=3", "training.people=200", "baseline.width=8")


@pytest.fixture(autouse=True)
def quick_timing(monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))


def test_rows_are_made_once_and_stand_in_the_table(tmp_path):
    done = run_tool("compare_methods.py", tmp_path, "--rows", "mean_pose", "baseline", *SMALL)
    assert done.code == 0, done.err
    table = (tmp_path / "comparison.md").read_text()
    assert table in done.out
    figures, noise = table.split("\n\n")
    first, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in figures.splitlines()]
    assert len(noise.splitlines()) == 2 + len(rows)
    assert len(rows) == 2 and {len(row) for row in rows} == {len(first)}
    kept = json.loads((tmp_path / "comparison.json").read_text())
    for name in ("pa_mpjpe", "mpjpe", "n_mpjpe", "mpve", "pa_mpve"):
        assert all(0 < row["errors"][group][name] < 3000 for row in kept.values() for group in ("usual", "hard"))
    assert kept["baseline"]["weights"] == 51 * 8 + 8 + 4 * (8 * 8 + 8) + 8 * 51 + 51 + 5 * 16

    # A row that is deleted is measured again from its weights: the same figures without a training.
    before = (tmp_path / "baseline.safetensors").stat().st_mtime_ns
    (tmp_path / "baseline.json").unlink()
    assert run_tool("compare_methods.py", tmp_path, "--rows", "baseline", *SMALL).code == 0
    assert (tmp_path / "baseline.safetensors").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "baseline.json").read_text())["errors"] == kept["baseline"]["errors"]

    # Figures of other settings do not get into the same table.
    other = run_tool("compare_methods.py", tmp_path, "--rows", "baseline", *SMALL, "training.rate=0.1")
    assert other.code and "other settings" in other.err


def test_wrong_rows_and_settings_are_one_sentence(tmp_path):
    for options, words in (
        (("--rows", "nothing"), "there is no row 'nothing'"),
        (("--set", "training.step=3"), "did you mean 'steps'?"),
        (("--set", "training.people=0"), "training"),
    ):
        answer = run_tool("compare_methods.py", tmp_path, *options)
        assert answer.code and words in answer.err and "Traceback" not in answer.err
