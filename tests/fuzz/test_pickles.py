"""A few hundred random hostile files; ``python tests/fuzz/run.py`` reads as many as there is time for."""

import pytest

from fuzz.repetitions import LARGE, first_seed
from fuzz.run import run


@pytest.mark.parametrize("kind", ["programs", "mutations"])
def test_hostile_files_are_read_or_refused(kind):
    faults, totals = run(kind, count=300, seed=10**9)
    assert not faults, "\n\n".join(faults)
    assert totals["files"] == 300
    # Files that are all refused at once would show nothing.
    assert totals["outcomes"]["value read"] > 100 and totals["outcomes"]["torch read"] > 20


@pytest.mark.parametrize("use", ["called", "ordered", "a selection's shape"])
def test_a_large_part_may_be_referred_to_often(use):
    """Whoever looks at all of it each time needs minutes."""
    faults, totals = run("repetitions", len(LARGE) + 1, first_seed(use))
    assert not faults, "\n\n".join(faults)
    assert totals["files"] == len(LARGE) + 1
