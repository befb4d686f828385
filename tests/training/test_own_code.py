"""Configurations that name networks and readers of the user's own; files that name such code have none imported."""

import json
import struct
import sys
import textwrap

import cv2
import numpy as np
import pytest

from meshrec.cli import main
from meshrec.datasets.formats import read_samples
from meshrec.errors import InputError
from meshrec.evaluation import evaluate
from meshrec.models.checkpoints import load_checkpoint
from meshrec.regress import load_regressor
from meshrec.training import load_config, train

NETWORK, READER = "own_code:Linear", "own_code:read_mine"
CODE = """
    from dataclasses import dataclass

    import numpy as np
    import torch
    from torch import nn

    from meshrec.body import joint_set
    from meshrec.data.sample import person_sample
    from meshrec.geometry import nearest_rotation
    from meshrec.models.build import Architecture
    from meshrec.models.encoders import Encoder, EncoderConfig
    from meshrec.models.estimate import Estimate
    from meshrec.models.iterative import upright
    from meshrec.models.network import Network
    from meshrec.models.output import NetworkOutput


    @dataclass(frozen=True)
    class Settings:
        encoder: EncoderConfig = EncoderConfig(("keypoints",), joints="mediapipe33", width=24, blocks=0)
        num_betas: int = 10
        scale: float = 0.01
        stages = ("linear",)


    class Linear(Network):
        config: Settings

        def __init__(self, config):
            super().__init__()
            self.config, self.encoder = config, Encoder(config.encoder)
            self.layer = nn.Linear(self.encoder.features, 24 * 9 + config.num_betas + 3)
            nn.init.xavier_uniform_(self.layer.weight, gain=config.scale)
            start = upright(config.num_betas)
            self.layer.bias.data.copy_(torch.cat([part.flatten() for part in vars(start).values()]))

        def forward(self, inputs):
            parts = self.layer(self.encoder(inputs)).float().split([24 * 9, self.config.num_betas, 3], dim=1)
            matrices, betas, camera = parts
            return NetworkOutput([Estimate(nearest_rotation(matrices.unflatten(1, (24, 3, 3))), betas, camera)])


    ROW = Architecture(Settings, lambda settings, body, mesh: Linear(settings))


    class Bare(Network):
        pass


    class Poor(Network):
        config: EncoderConfig


    def read_mine(path, pictures, bodies):
        picture = np.zeros((50, 50, 3), np.uint8)
        places = np.array(path.read_text().split(), float).reshape(-1, 17, 2)
        joints, crop = joint_set("coco17"), (np.array([25.0, 25.0]), 40.0)
        return [
            person_sample(f"{path} {i}", picture, crop, joints, np.c_[place, np.ones(17)])
            for i, place in enumerate(places)
        ]


    def read_badly(path, pictures, bodies):
        return [1, 2] if pictures is None else open(pictures / "nothing").read()
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A module of the user's own, which can be imported and is not yet."""
    (tmp_path / "own_code.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_code", None)


@pytest.fixture
def configuration(code):
    path = code / "own.yaml"
    path.write_text(
        f"network: {{architecture: '{NETWORK}', settings: {{scale: 0.02}}}}\n"
        f"synthetic: {{}}\naccelerator: cpu\nworkers: 0\nsteps: 2\nbatch_size: 8\nvalidation: {{people: 8}}\n"
        f"out: {code / 'run'}\n"
    )
    return path


def test_a_network_and_a_reader_of_ones_own_are_trained_and_evaluated(code, configuration, body, capsys):
    np.savetxt(code / "people.txt", np.random.default_rng(0).uniform(10, 40, (4, 34)))
    data = [f"datasets.mine.format={READER}", f"datasets.mine.path={code / 'people.txt'}"]
    config = load_config(configuration, data)
    assert config.architecture.scale == 0.02
    path = train(config)
    assert train(config) == path  # the same training is taken up again
    del sys.modules["own_code"]

    checkpoint = load_checkpoint(path, body, NETWORK)
    assert checkpoint.architecture == NETWORK and type(checkpoint.network).__name__ == "Linear"
    assert load_regressor(path, body, network=NETWORK).network.config.scale == 0.02
    report = evaluate(path, "synthetic", limit=2, network=NETWORK)
    assert np.isfinite(report.people["mpjpe"]).all()
    assert main(["evaluate", "--checkpoint", str(path), "--dataset", "synthetic", "--limit", "2",
                 "--network", NETWORK]) == 0  # fmt: skip
    warm = load_config(configuration, [f"network.init={path}", f"out={code / 'warm'}", "steps=1"])
    assert train(warm).is_file()


def test_a_row_names_what_needs_more_than_settings(configuration):
    config = load_config(configuration, ["network.architecture=own_code:ROW"])
    assert type(config.architecture).__name__ == "Settings"


def test_a_checkpoint_has_nothing_imported(code, configuration, body, capsys):
    """Not by its header, and not where another network is named than it holds."""
    path = train(load_config(configuration))
    del sys.modules["own_code"]
    for network in ("", "own_code:ROW", "json:loads"):
        for load in (load_checkpoint, load_regressor):
            with pytest.raises(InputError, match=r"last\.safetensors: .*'own_code:Linear'.* cannot have code imported"):
                load(path, body, network=network)
    assert main(["evaluate", "--checkpoint", str(path), "--dataset", "synthetic"]) == 1
    assert "cannot have code imported; if you trust it" in capsys.readouterr().err
    shipped = load_config("configs/iterative_keypoints.yaml", [f"network.init={path}", "renders=null"])
    with pytest.raises(InputError, match="cannot have code imported"):
        train(shipped)
    assert "own_code" not in sys.modules

    # Names that are no import paths, or no names, build nothing either.
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for name in ("own_code", "own_code.Linear", ["own_code:Linear"], {"own_code": "Linear"}, "\x1b[2J:\n"):
        own = json.loads(header["__metadata__"]["meshrec"]) | {"architecture": name}
        header["__metadata__"]["meshrec"] = json.dumps(own)
        changed = json.dumps(header).encode()
        (code / "hostile.safetensors").write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + size :])
        with pytest.raises(InputError) as caught:
            load_checkpoint(code / "hostile.safetensors", body, "own_code:Linear")
        assert "\x1b" not in str(caught.value) and "own_code" not in sys.modules


def test_the_configuration_in_a_folder_has_nothing_imported(code):
    """A folder with somebody's interrupted training is resumed only as the user's own configuration says."""
    small = ["renders=null", "steps=1", "batch_size=4", "validation.people=4", "workers=0", "accelerator=cpu"]
    config = load_config("configs/iterative_keypoints.yaml", [*small, f"out={code / 'run'}"])
    stored = train(config).parent / "config.yaml"
    ours = stored.read_text()
    for hostile in (
        ours.replace("architecture: iterative", "architecture: own_code:Linear"),
        ours.replace("datasets: null", "datasets: {x: {format: 'own_code:read_mine', path: x}}", 1),
    ):
        assert hostile != ours
        stored.write_text(hostile)
        with pytest.raises(InputError, match=r"config\.yaml would have 'own_code:\w+' imported, which is not what you"):
            train(config)
    assert "own_code" not in sys.modules


@pytest.mark.parametrize(
    "change, message",
    [
        ("network.architecture=nowhere:Net", "'network.architecture': there is no module 'nowhere'"),
        ("network.architecture=own_code:Nothing", "the module 'own_code' has no 'Nothing'"),
        ("network.architecture=own_code:read_mine", "neither a class derived from .*Network nor an Architecture"),
        ("network.architecture=own_code:Settings", "neither a class derived from"),
        ("network.architecture=own_code:Bare", "'own_code:Bare' must annotate its settings"),
        ("network.architecture=own_code:Poor", "the settings of 'own_code:Poor' lack encoder and num_betas"),
        ("network.architecture=own_code.Linear", "should be 'iterative', 'graph'"),
        ("network.settings.sclae=1", r"no key 'network\.settings\.sclae'; did you mean 'scale'"),
        (
            "datasets.a.format=own_code:read_nobody",
            r"'datasets\.a\.format': the module 'own_code' has no 'read_nobody'",
        ),
        ("datasets.a.format=own_code", r"'datasets\.a\.format' should be 'spin', 'coco'"),
    ],
)
def test_mistakes_in_a_configuration_are_told_in_a_sentence(configuration, change, message):
    with pytest.raises(InputError, match=message):
        load_config(configuration, ["datasets.a.path=x", "datasets.a.format=coco", change])


def test_mistakes_of_a_reader_are_told_in_a_sentence(code):
    (code / "people.txt").write_text("")
    cv2.imwrite(str(code / "a.png"), np.zeros((2, 2, 3), np.uint8))
    for reader, pictures, message in (
        ("own_code:read_badly", None, "must return meshrec.data.sample.Sample objects, not int"),
        ("own_code:read_badly", code, "'own_code:read_badly' cannot read .*people.txt: FileNotFoundError"),
        ("own_code:read_mine", None, "people.txt: 'own_code:read_mine' finds nobody in it"),
        ("own_code:np", None, "'own_code:np' is no function"),
    ):
        with pytest.raises(InputError, match=message):
            read_samples(reader, code / "people.txt", pictures)
