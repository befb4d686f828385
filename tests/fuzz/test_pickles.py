"""A few hundred random hostile files; ``python tests/fuzz/run.py`` reads as many as there is time for."""

import pytest

from fuzz.run import run


@pytest.mark.parametrize("kind", ["programs", "mutations"])
def test_hostile_files_are_read_or_refused(kind):
    faults, totals = run(kind, count=300, seed=10**9)
    assert not faults, "\n\n".join(faults)
    assert totals["files"] == 300
    # Files that are all refused at once would show nothing.
    assert totals["outcomes"]["value read"] > 100 and totals["outcomes"]["torch read"] > 20
