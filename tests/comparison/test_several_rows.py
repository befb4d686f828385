"""Rows of methods that give several poses or lift clips, in a few seconds: their tables, and what is kept."""

import json
from functools import partial

import pytest
import torch
from helpers.tools import run_tool

from meshrec.benchmarks import timing
from meshrec.comparison.multimodal_rows import overlaps

SMALL = (
    *("--limit", "12", "--set", "training.steps=3", "training.people=200"),
    *("variational.width=8", "variational.samples=4", "multimodal.width=8", "multimodal.resolution=16"),
    *("multimodal.samples=4", "clips.clips=8", "clips.frames=4", "clips.steps=3", "clips.batch_size=4"),
    *("pose_machine.width=8", "pose_machine.corrections=2"),
)


@pytest.fixture(autouse=True)
def quick_timing(monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))


def tables(text: str) -> dict[str, dict[str, list[str]]]:
    """Cells by the table's title and the line's label."""
    found = {}
    for block in text.strip().split("\n\n"):
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        assert len({len(row) for row in rows}) == 1
        found[rows[0][0]] = {row[0]: row[1:] for row in rows[2:]}
    return found


def test_several_poses_have_tables_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("meshrec.comparison.several_rows.OTHERS", 20)
    done = run_tool("compare_methods.py", tmp_path, "--rows", "variational", *SMALL)
    assert done.code == 0, done.err
    found = tables((tmp_path / "comparison.md").read_text())
    best = found["PA-MPJPE of the best of N poses, usual / hard"]["variational, the best"]
    for group in (0, 1):  # more poses are never worse
        errors = [float(cell.split(" / ")[group]) for cell in best]
        assert len(errors) == 4 and errors == sorted(errors, reverse=True)
    for cells in found["true coordinates inside the 50 % / 90 % interval, %"].values():
        for half, most in (map(float, cell.split(" / ")) for cell in cells):
            assert 0 <= half <= most <= 100


def test_rows_of_one_multimodal_network_share_its_weights(tmp_path):
    rows = ("multimodal", "multimodal_both", "multimodal_product")
    done = run_tool("compare_methods.py", tmp_path, "--rows", *rows, *SMALL)
    assert done.code == 0, done.err
    assert [file.name for file in tmp_path.glob("*.safetensors")] == ["multimodal.safetensors"]
    kept = json.loads((tmp_path / "comparison.json").read_text())
    assert len({row["weights"] for row in kept.values()}) == 1
    assert len({row["errors"]["usual"]["pa_mpjpe"] for row in kept.values()}) == 3
    lines = tables((tmp_path / "comparison.md").read_text())["made from, usual / hard"]
    assert len(lines) == 7 and {len(cells) for cells in lines.values()} == {3}


def test_clips_have_a_table_with_and_without_the_correction(tmp_path, monkeypatch):
    monkeypatch.setattr("meshrec.comparison.sequence_rows.CLIPS", 6)
    done = run_tool("compare_methods.py", tmp_path, "--rows", "pose_machine_frame", "pose_machine", *SMALL)
    assert done.code == 0, done.err
    lines = tables((tmp_path / "comparison.md").read_text())["clips of held-out takes"]
    assert list(lines) == ["each frame by itself", "each frame by itself, corrected", "LSTM", "LSTM, corrected"]


def test_overlaps_count_pixels():
    one, other = torch.zeros(2, 2, 4, 4, dtype=torch.bool)
    one[0, :2], other[0, 1:3] = True, True
    assert overlaps(one, other).tolist() == [pytest.approx(1 / 3), 0.0]
