"""HRNet against the sizes of the paper, and settings that are read off weights."""

import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.hrnet import HRNet, HRNetConfig, HRNetFeatures, hrnet_config

SMALL = HRNetConfig(width=6, stem=8, stem_blocks=2, modules=(1, 2, 1), blocks=3, head=4, features=20)


def test_w48_has_the_sizes_of_the_authors_network():
    with torch.device("meta"):
        network = HRNetFeatures()
    # The authors' table says 77.5 M for HRNet-W48-C, with a classifier of 2048 x 1000 weights and 1000 biases.
    assert round((sum(p.numel() for p in network.parameters()) + 2_049_000) / 1e6, 1) == 77.5
    assert network.features == 2048


def test_branches_have_a_quarter_to_a_thirty_second_of_the_size():
    with torch.no_grad():
        branches = HRNet(SMALL).eval()(torch.zeros(2, 3, 64, 96))
        features = HRNetFeatures(SMALL).eval()(torch.zeros(2, 3, 64, 96))
    assert [tuple(x.shape) for x in branches] == [(2, 6 * 2**i, 16 // 2**i, 24 // 2**i) for i in range(4)]
    assert features.shape == (2, 20)


@pytest.mark.parametrize("config", [SMALL, HRNetConfig(width=32, blocks=1)])
def test_settings_follow_from_the_weights(config):
    with torch.device("meta"):
        network = HRNetFeatures(config)
    assert hrnet_config(network.state_dict()) == config


@pytest.mark.parametrize("wrong", [{"width": 0}, {"modules": (1, 4)}, {"modules": (1, 4, 10**9)}, {"blocks": 17}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError):
        HRNetConfig(**wrong)
