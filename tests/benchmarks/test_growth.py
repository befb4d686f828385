"""Growth of time and memory: what is measured of work whose cost is known."""

from collections.abc import Callable

import numpy as np
import pytest

from meshrec.benchmarks import growth
from meshrec.benchmarks.growth import Cost, Series, exponent, measure
from meshrec.benchmarks.memory import can_measure_memory

MEGABYTES = (1.0, 40.0)


def filled(size: float) -> Callable[[], object]:
    """Fill some megabytes of memory."""
    return lambda: np.ones(int(size * 2**20), np.uint8)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_a_power_law(power):
    costs = [Cost(size, 0.0, 3.0 * size**power, 0.0) for size in (7.0, 42.0)]
    assert exponent(*costs) == pytest.approx(power)


@pytest.mark.skipif(not can_measure_memory(), reason="needs linux: the peak memory of a process")
def test_memory_is_what_the_work_fills():
    cost = measure(Series("filling", "megabytes", MEGABYTES, filled), MEGABYTES[1])
    assert cost.size == MEGABYTES[1] and cost.wall_ms > 0
    assert cost.peak_mb == pytest.approx(MEGABYTES[1], abs=6)


def test_bodies_are_posed_in_the_sizes_asked_for():
    assert growth.bodies(3)().vertices.shape == (3, 6890, 3)
    assert growth.vertices(1700)().vertices.shape == (growth.BATCH, 1700, 3)


def test_the_plot_is_a_picture_of_all_kinds():
    costs = [vars(Cost(size, 1.0, size, 2 * size)) for size in (1.0, 10.0)]
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'meshrec[evaluate]'")
    data = growth.plot({"a": {"unit": "people", "costs": costs}, "b": {"unit": "frames", "costs": costs}})
    assert data.startswith(b"\x89PNG")
    assert growth.headlines({"a": {"unit": "people", "costs": costs}})[0].value == pytest.approx(1.0)
