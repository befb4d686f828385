"""The shipped configurations: each loads, trains for a few steps, and its network can learn a handful of people."""

from pathlib import Path

import pytest
import torch
from helpers.paths import CONFIGS

from meshrec.errors import InputError
from meshrec.training import load_config, train
from meshrec.training.module import Training
from meshrec.training.objective import Objective
from meshrec.training.run import start_network, training_body
from meshrec.training.sources import needs_of, training_sources

OTHERS = ("tiny", "lifting", "depth")  # overrides, and what has settings of its own
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem not in OTHERS)
SMALL = {"graph": ["network.settings.channels=16", "network.settings.blocks=1"]}
OWN = {
    "iterative_proxy": ["network.settings.encoder.resnet=0"],  # it has none
    "in_the_loop": ["synthetic={}", "datasets=null", "in_the_loop=null"],  # its data is the user's
    "critic": ["weights.realism=0"],  # in a contest no loss only falls
    "silhouette": ["weights.realism=0"],
}
PEOPLE = 3


def _tiny(name: str, *changes: str):
    small = SMALL["graph"] if name.startswith(("graph", "mesh")) else []
    return load_config([CONFIGS / f"{name}.yaml", CONFIGS / "tiny.yaml"], [*small, *OWN.get(name, []), *changes])


def test_there_is_a_configuration_for_each_network():
    assert set(NAMES) == {
        "iterative_keypoints", "iterative_proxy", "iterative_rgb", "iterative_rgb_proxy",
        "graph_keypoints", "mesh_to_params", "in_the_loop",
        "ordinal", "critic", "silhouette",
    }  # fmt: skip
    for name in NAMES:
        assert load_config(CONFIGS / f"{name}.yaml").out == Path("runs") / name


def test_shipped_configurations_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/iterative_rgb.yaml") == load_config(CONFIGS / "iterative_rgb.yaml")
    (tmp_path / "tiny.yaml").write_text("steps: 7")
    assert load_config(["iterative_rgb.yaml", "tiny.yaml"]).steps == 7
    with pytest.raises(InputError, match=r"elsewhere/tiny\.yaml"):
        load_config("elsewhere/tiny.yaml")


def test_networks_get_what_they_see_and_no_more():
    needs = {name: needs_of(load_config(CONFIGS / f"{name}.yaml")) for name in NAMES}
    assert needs["iterative_keypoints"].keypoints_only
    assert not needs["iterative_rgb"].silhouettes and needs["iterative_rgb"].pictures
    assert needs["iterative_proxy"].silhouettes and not needs["iterative_proxy"].pictures


@pytest.mark.parametrize("name", NAMES)
def test_a_handful_of_people_is_learned_by_heart(name):
    config = _tiny(name, "optimizer.rate=1e-3", "optimizer.warmup=0", "network.settings.width=128")
    if "dropout" in config.network.settings:
        config.network.settings["dropout"] = 0.0
    body = training_body(config)
    network = start_network(config, body)
    (share,) = training_sources(config, body)
    training = Training(config, network, Objective(body, config.weights), [share])
    optimizer = training.configure_optimizers()["optimizer"]
    batch, inputs = share.source(range(PEOPLE))
    totals = []
    for _ in range(60 if name.startswith("graph") else 30):
        total = training.total_loss(batch, inputs, number=0)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        totals.append(total.item())
    assert min(totals[-10:]) < 0.5 * totals[0], f"{totals[0]:.2f} -> {totals[-1]:.2f}"


def test_a_tiny_training_runs_from_the_file_to_the_checkpoint(tmp_path):
    path = train(_tiny("iterative_proxy", "steps=2", "validation.every=1", "validation.people=4", f"out={tmp_path}"))
    assert path == tmp_path / "last.safetensors" and path.is_file()
