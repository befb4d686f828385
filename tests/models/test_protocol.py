"""All networks have one output type and one description; a row of one table and a class make a new architecture."""

import copy
import json
from dataclasses import asdict, dataclass

import numpy as np
import pytest
import torch
from helpers.evaluated import KEYPOINTS, synthetic_people
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from meshrec.benchmarks.models import example_input
from meshrec.errors import InputError
from meshrec.evaluation import evaluate
from meshrec.evaluation.prediction import FromDetections
from meshrec.geometry import nearest_rotation
from meshrec.models.build import ARCHITECTURES, Architecture, build_network, describe_network
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.encoders import Encoder, EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.iterative import upright
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.regress import load_regressor
from meshrec.training import load_config, train

LIFTER = EncoderConfig(("keypoints",), joints="mediapipe33", width=24, blocks=0)
SMALL = {"encoder": {**KEYPOINTS, "inputs": ["keypoints", "silhouette"], "resnet": 18, "resolution": 64}}
SETTINGS = {
    "iterative": SMALL | {"width": 32, "feedback": "residuals"},
    "graph": SMALL | {"width": 32, "channels": 16, "blocks": 1},
    "fully_connected": SMALL | {"width": 32},
}


@dataclass(frozen=True)
class LinearConfig:
    """Settings of the toy network."""

    encoder: EncoderConfig = LIFTER
    num_betas: int = 10
    stages = ("linear",)


class Linear(Network):
    """One linear layer from the encoder's features to a body."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config, self.encoder = config, Encoder(config.encoder)
        self.layer = nn.Linear(self.encoder.features, 24 * 9 + config.num_betas + 3)
        nn.init.xavier_uniform_(self.layer.weight, gain=0.01)
        self.layer.bias.data.copy_(torch.cat([part.flatten() for part in vars(upright(config.num_betas)).values()]))

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        sizes = [24 * 9, self.config.num_betas, 3]
        matrices, betas, camera = self.layer(self.encoder(inputs)).float().split(sizes, dim=1)
        return NetworkOutput([Estimate(nearest_rotation(matrices.unflatten(1, (24, 3, 3))), betas, camera)])


@pytest.fixture
def linear(monkeypatch):
    """The toy network as a row of the table."""
    row = Architecture(LinearConfig, lambda config, body, mesh: Linear(config))
    monkeypatch.setitem(ARCHITECTURES, "linear", row)


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "linear.yaml"
    path.write_text(
        f"network: {{architecture: linear, settings: {{encoder: {json.dumps(asdict(LIFTER))}}}}}\n"
        "synthetic: {}\naccelerator: cpu\nworkers: 0\nseed: 1\nbatch_size: 32\nvalidation: {people: 16}\n"
        f"optimizer: {{rate: 1.0e-2, warmup: 0}}\nema: 0.5\nout: {tmp_path / 'run'}\n"
    )
    return path


def test_a_row_and_a_class_are_all_that_a_network_needs(linear, configuration, body, tmp_path):
    """It is trained, read from its checkpoint, evaluated, a regressor of people in photos, and trained further."""
    errors = []
    for steps in (1, 40):
        config = load_config(configuration, [f"steps={steps}", f"out={tmp_path / str(steps)}"])
        assert config.architecture == LinearConfig()
        path = train(config)
        errors.append(load_checkpoint(path).provenance["metrics_mm"]["synthetic/mpjpe"])
    assert errors[1] < 0.9 * errors[0]

    checkpoint = load_checkpoint(path, body)
    assert checkpoint.architecture == "linear" and checkpoint.network.layer.in_features == 24
    report = evaluate(path, "synthetic", limit=6)
    assert list(report.stages) == ["linear", "mirrored"] and np.isfinite(report.people["pa_mpjpe"]).all()

    regressor, person = load_regressor(path, body), synthetic_people(body)[0]
    initial = regressor(person.picture, [person.detected], person.camera)
    # The regressor's estimate is the one that is evaluated.
    state = initial.state.rotations, initial.state.betas, initial.state.translation
    rotations, betas, translation = (part.float() for part in state)
    vertices = body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices
    evaluated = FromDetections(regressor, body)([person])["mirrored"].vertices
    assert torch.allclose(vertices, evaluated, atol=2e-4)

    again = load_config(configuration, ["steps=1", f"network.init={path}", f"out={tmp_path / 'again'}"])
    warm = load_checkpoint(train(again)).provenance["metrics_mm"]["synthetic/mpjpe"]
    assert warm < 0.9 * errors[0]


def test_messages_name_the_new_row(linear, configuration, body):
    with pytest.raises(InputError, match=r"choose of iterative, .*, camera_hmr, cliff, linear"):
        build_network("vit", {}, body)
    with pytest.raises(InputError, match="should be 'iterative', 'graph', 'fully_connected' or 'linear', not 'vit'"):
        load_config(configuration, ["steps=1", "network.architecture=vit"])
    with pytest.raises(InputError, match=r"no key 'network\.settings\.widht'; did you mean 'encoder'"):
        load_config(configuration, ["steps=1", "network.settings.widht=3"])


def test_networks_made_otherwise_have_no_architecture():
    with pytest.raises(ValueError, match="this Linear was not made by build_network"):
        describe_network(Linear(LinearConfig()))


@pytest.mark.parametrize("architecture", SETTINGS)
def test_every_network_is_used_alike(architecture, body):
    torch.manual_seed(0)
    network = build_network(architecture, SETTINGS[architecture], body).eval()
    inputs = example_input(network, 2)
    with torch.no_grad():
        output = network(inputs)
    assert len(output.estimates) == len(network.config.stages) and output.final is output.estimates[-1]
    assert output.final.rotations.shape == (2, 24, 3, 3)
    assert output.final.betas.shape == (2, network.config.num_betas)
    assert (output.mesh is None) == (network.mesh is None) and output.heatmaps is output.joints is None
    assert network.encoder.config == network.config.encoder == EncoderConfig(**SMALL["encoder"])
    assert network.inputs == ("silhouette", "keypoints")
    assert describe_network(copy.deepcopy(network)) == (architecture, asdict(network.config))
    # No weight has two names: files would hold it twice.
    weights = network.state_dict().values()
    assert len({weight.data_ptr() for weight in weights if weight.numel()}) == len([w for w in weights if w.numel()])


@pytest.mark.parametrize("architecture", SETTINGS)
def test_the_output_can_be_exported_and_mapped(architecture, body):
    torch.manual_seed(0)
    network = build_network(architecture, SETTINGS[architecture] | {"encoder": asdict(LIFTER)}, body).eval()
    inputs = example_input(network, 2)
    with torch.no_grad():
        output = network(inputs)
        exported = torch.export.export(network, (inputs,)).module()(inputs)
    assert type(exported) is NetworkOutput
    for ours, theirs in zip(tree_leaves(output), tree_leaves(exported), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    halves = tree_map(Tensor.bfloat16, output)
    assert all(tensor.dtype == torch.bfloat16 for tensor in tree_leaves(halves))
    assert len(tree_leaves(output)) == 3 * (len(output.estimates) + (output.mesh is not None))
