"""tools/compare_starts.py, in a few seconds: its table, and wrong numbers."""

import json

from helpers.tools import run_tool

SMALL = ("--set", "training.steps=3", "training.people=200", "variational.width=8")


def test_the_table_has_both_kinds_of_people(tmp_path):
    done = run_tool("compare_starts.py", tmp_path, "--people", 1, "--samples", 2, *SMALL)
    assert done.code == 0, done.err
    assert (tmp_path / "starts.md").read_text() in done.out
    found = json.loads((tmp_path / "starts.json").read_text())
    assert list(found) == ["sideways", "exchanged"]
    for of in found.values():
        assert len(of) == 4 and all(0 < values["mpjpe"] < 2000 for values in of.values())


def test_wrong_numbers_are_one_sentence(tmp_path):
    answer = run_tool("compare_starts.py", tmp_path, "--people", 0)
    assert answer.code and "at least 1" in answer.err and "Traceback" not in answer.err
