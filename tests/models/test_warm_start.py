"""Starting a network from one that sees less."""

from dataclasses import asdict

import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.build import build_network
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.iterative import IterativeConfig, IterativeRegressor
from meshrec.models.mesh_to_params import MeshRecovery
from meshrec.models.warm_start import take_encoder, warm_start


def regressor(body, *inputs: str, width: int = 64) -> IterativeRegressor:
    encoder = EncoderConfig(inputs=inputs, resnet=18, joints="coco17", resolution=64, width=width, blocks=1, dropout=0)
    return IterativeRegressor(IterativeConfig(encoder, feedback="residuals", width=width, dropout=0), body).eval()


def seen() -> NetworkInput:
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(3, 17, 3, generator=generator)
    return NetworkInput(silhouette=torch.rand(3, 1, 64, 64, generator=generator), keypoints=keypoints)


def test_the_larger_network_begins_where_the_smaller_one_ended(body):
    torch.manual_seed(1)
    small, large = regressor(body, "keypoints"), regressor(body, "keypoints", "silhouette")
    with torch.no_grad():
        small.update.weight.normal_(std=0.02)
    warm_start(large, small)
    ours, theirs = large(seen()).final, small(seen()).final
    for name in ("rotations", "betas", "camera"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5), name


def test_the_new_inputs_are_learned(body):
    large = regressor(body, "keypoints", "silhouette")
    warm_start(large, regressor(body, "keypoints"))
    large(seen()).final.betas.square().sum().backward()
    new = large.embed.weight.grad[:, : large.encoder.backbone.features]
    assert new.abs().max() > 0


def test_other_networks_are_refused(body):
    with pytest.raises(InputError, match=r"whose 'encoder.lifter"):
        warm_start(regressor(body, "keypoints"), regressor(body, "keypoints", width=32))
    with pytest.raises(InputError, match=r"without 'encoder.lifter"):
        warm_start(regressor(body, "keypoints", "silhouette"), regressor(body, "silhouette"))


def test_another_kind_of_network_takes_the_encoder_alone(body):
    source = regressor(body, "keypoints", "silhouette")
    settings = {"encoder": asdict(source.config.encoder), "width": 32}
    network = build_network("fully_connected", settings, body).regressor.eval()
    fresh = [weight.clone() for weight in network.layers.parameters()]
    assert not torch.equal(network.encoder(seen()), source.encoder(seen()))
    take_encoder(MeshRecovery(network), source)
    assert torch.equal(network.encoder(seen()), source.encoder(seen()))
    assert all(map(torch.equal, network.layers.parameters(), fresh))
    with pytest.raises(InputError, match="encoder is another one"):
        take_encoder(network, regressor(body, "keypoints"))
