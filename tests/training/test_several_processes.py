"""Trainings on several nodes: shards are read without repeats or gaps, and weights are those of one process."""

import os
import socket
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from helpers.paths import CONFIGS, ROOT
from safetensors.torch import load_file

from meshrec.body import joint_set
from meshrec.data.sample import person_sample
from meshrec.datasets.shards import write_shards
from meshrec.geometry import axis_angle_to_matrix
from meshrec.training import load_config, train
from meshrec.training.batches import Loader, Mixture
from meshrec.training.run import start_network, training_body
from meshrec.training.sources import training_sources

COUNT = 22  # people; neither their number nor that of a shard is a multiple of the batch's


@pytest.fixture(scope="module")
def shards(tmp_path_factory, body):
    """People with all labels in shards of five."""
    generator = torch.Generator().manual_seed(0)
    pose = axis_angle_to_matrix(0.3 * torch.randn(COUNT, 24, 3, generator=generator))
    betas = torch.randn(COUNT, 10, generator=generator)
    place = torch.tensor([0.0, 0.0, 5.0])
    posed = body(betas, pose[:, 1:], pose[:, :1], place.expand(COUNT, 3))
    joints = body.joints_from(posed.vertices, "coco17").numpy()
    people = []
    for i, points in enumerate(joints):
        flat = 32 + 60 * points[:, :2] / points[:, 2:]
        people.append(
            person_sample(
                f"person {i}", np.full((64, 64, 3), 10 * i, np.uint8), (np.array([31.5, 31.5]), 48.0),
                joint_set("coco17"), np.c_[flat, np.ones(17)], np.c_[points, np.ones(17)], pose[i].numpy(),
                betas[i].numpy(), body.hash,
            )
        )  # fmt: skip
    folder = tmp_path_factory.mktemp("shards")
    assert len(write_shards(people, folder, per_shard=5)) == 5
    return folder


def _changes(shards) -> list[str]:
    data = ["synthetic=null", "datasets.mine.format=shards", f"datasets.mine.path={shards}"]
    return [*data, "network.settings.dropout=0"]


def test_two_nodes_with_two_workers_see_everybody_once_in_each_epoch(shards, body):
    files = [CONFIGS / "iterative_keypoints.yaml", CONFIGS / "tiny.yaml"]
    (share,) = training_sources(load_config(files, _changes(shards)), body)
    epochs, batch = 3, 2
    batches = -(-epochs * COUNT // (2 * batch))
    by_place = {}
    for rank in range(2):
        mixture = Mixture([share.source], [1.0], batch, rank=rank, ranks=2)
        for number, (piece,) in enumerate(Loader(mixture, 0, batches, workers=2, pin_memory=False)):
            for i, name in enumerate(piece[0].names):
                by_place[(number * 2 + rank) * batch + i] = name
    order = [by_place[place] for place in range(epochs * COUNT)]
    rounds = [order[epoch * COUNT : (epoch + 1) * COUNT] for epoch in range(epochs)]
    everybody = Counter(f"person {i}" for i in range(COUNT))
    assert all(Counter(names) == everybody for names in rounds)
    assert len({tuple(names) for names in rounds}) == epochs  # each in an order of its own


def test_two_nodes_have_the_weights_of_one_process_after_twenty_steps(shards, tmp_path):
    files = [CONFIGS / "iterative_keypoints.yaml", CONFIGS / "tiny.yaml"]
    small = ["network.settings.width=16", "network.settings.encoder.width=16", "network.settings.blocks=1"]
    changes = [*_changes(shards), *small, "steps=20", "validation.every=20", "validation.people=4"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    several = [*changes, f"out={tmp_path / 'two'}", "nodes=2", "batch_size=4"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    nodes = [
        subprocess.Popen(
            [
                sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
                f"--node-rank={number}", "--master-addr=127.0.0.1", f"--master-port={port}",
                "-m", "meshrec.cli", "train", *(f"--config={file}" for file in files), *several,
            ],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    try:
        said = [node.communicate(timeout=200)[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert all(node.returncode == 0 for node in nodes), said
    config = load_config(files, [*changes, f"out={tmp_path / 'one'}", "batch_size=8"])
    start = start_network(config, training_body(config)).state_dict()
    train(config)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert max(float((one[name] - start[name]).abs().max()) for name in start) > 1e-3  # it has learned
    for name in start:
        assert torch.allclose(one[name], two[name], rtol=0, atol=1e-5), name
