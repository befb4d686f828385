"""The figures that ``meshrec models --latency`` and ``meshrec benchmark models`` print."""

from functools import partial

import numpy as np
import pytest
import torch

from meshrec.benchmarks import models
from meshrec.benchmarks.memory import can_measure_memory, peak_megabytes
from meshrec.cli import main
from meshrec.models.build import ARCHITECTURES, Architecture
from meshrec.models.encoders import EncoderConfig
from meshrec.models.iterative import IterativeConfig, IterativeRegressor


def test_table_of_networks(monkeypatch, capsys):
    encoder = {"resnet": 18, "resolution": 64}
    chosen = {
        "lifting": models.NETWORKS["lifting, residual feedback"],
        "graph": ("graph", {"encoder": encoder, "channels": 16, "blocks": 1}),
    }
    small = IterativeConfig(EncoderConfig(("keypoints", "silhouette"), resnet=18, resolution=32), width=16)
    row = Architecture(IterativeConfig, lambda config, body, mesh: IterativeRegressor(small))
    monkeypatch.setattr(models, "NETWORKS", chosen)
    monkeypatch.setitem(ARCHITECTURES, "fully_connected", row)
    monkeypatch.setattr(models, "summarize_models", partial(models.summarize_models, seconds=0))
    figures = {row.name: row for row in models.summarize_models()}
    # What is left out of the chosen ones is measured too.
    assert set(figures) == {"lifting", "graph", "fully_connected", "mesh to parameters", "critic"}
    assert figures["lifting"].input == "keypoints 17" and figures["graph"].input == "rgb 64²"
    assert figures["fully_connected"].input == "silhouette 32², keypoints 17"
    # Its linear layers: one before the residual blocks, four in them, one after; a weight is a product and a sum.
    nodes = 1700
    products = 6 * nodes * 1024 + 4 * 1024**2 + 1024 * 226
    row = figures["mesh to parameters"]
    assert row.gflops == pytest.approx(2e-9 * products, rel=1e-3)
    assert row.parameters == pytest.approx(1e-6 * (products + 1024 * 5 + 226 + 5 * 2 * 1024))
    assert all(row.milliseconds > 0 for row in figures.values())
    assert main(["models", "--latency", "--threads", "0"]) == 1
    assert main(["models", "--latency", "--threads", str(torch.get_num_threads())]) == 0
    printed = capsys.readouterr()
    assert "at least 1" in printed.err and printed.out.count("mesh to parameters") == 2


def prepare_allocation(megabytes: int):
    np.ones(megabytes * 2**17)  # held before, and so not counted
    return lambda: float(np.ones(2 * megabytes * 2**17).sum())


@pytest.mark.skipif(not can_measure_memory(), reason="needs /proc")
def test_peak_memory_is_the_works_own():
    assert peak_megabytes(prepare_allocation, 100) == pytest.approx(200, abs=10)
