"""The body layer beside busy processes."""

import multiprocessing

import pytest

from meshrec.benchmarks import neighbours


def test_neighbours_are_busy_and_end():
    with neighbours.busy_processes(2):
        running = multiprocessing.active_children()
        assert len(running) >= 2
    assert not any(process.is_alive() for process in running)


def test_the_worst_row_is_the_headline():
    rows = [{"loss": 1.05}, {"loss": 1.4}, {"loss": 0.9}]
    assert neighbours.headlines({"rows": rows})[0].value == pytest.approx(1.4)
