"""The locally connected network: distances by SciPy, blocks added up one by one, what sees what."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import shortest_path

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.models.locally_connected import (
    BONES,
    LocallyConnected,
    LocallyConnectedConfig,
    MaskedLinear,
    bones_between,
    equal_weights,
)

NAMES = joint_set("h36m17")


def test_distances_are_those_of_scipy():
    graph = np.zeros((17, 17))
    for one, other in BONES:
        graph[NAMES.index(one), NAMES.index(other)] = 1
    assert np.array_equal(bones_between(NAMES).numpy(), shortest_path(graph, directed=False, unweighted=True))


def test_joints_without_a_way_between_them_are_refused():
    with pytest.raises(ValueError, match="not connected"):
        bones_between(["a", "b", "c"], [("a", "b")])


def test_a_layer_adds_up_the_blocks_of_near_joints():
    torch.manual_seed(0)
    near = bones_between(NAMES) <= 1
    layer = MaskedLinear(near, 2, 3)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(4, 17, 2)
    blocks = layer.weight.detach().unflatten(0, (17, 3)).unflatten(2, (17, 2))
    expected = layer.bias.detach().unflatten(0, (17, 3)).repeat(4, 1, 1)
    for i in range(17):
        for j in range(17):
            if near[i, j]:
                expected[:, i] += x[:, j] @ blocks[i, :, j].T
    assert torch.allclose(layer(x.flatten(1)).unflatten(1, (17, 3)), expected, atol=1e-5)


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_network_sees_only_as_far_as_its_layers_reach(reach):
    torch.manual_seed(0)
    network = LocallyConnected(LocallyConnectedConfig(channels=8, blocks=1, reach=reach)).eval()
    seen = torch.rand(1, 17, 3, requires_grad=True)
    wrist = NAMES.index("left_wrist")
    network(seen)[0, wrist].sum().backward()
    sees = seen.grad[0].abs().sum(1) > 0
    assert torch.equal(sees, bones_between(NAMES)[wrist] <= 4 * reach)  # four layers


def test_masked_weights_stay_zero_in_training():
    torch.manual_seed(0)
    network = LocallyConnected(LocallyConnectedConfig(channels=4, reach=1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(3):
        loss = network(torch.rand(8, 17, 3)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer = network.blocks[0][0][0]
    assert (layer.weight[layer.mask == 0] == 0).all()


def test_weights_are_counted_by_pairs_of_joints():
    config = LocallyConnectedConfig(channels=4, blocks=1, reach=1)
    pairs = 17 + 2 * len(BONES)
    layers = pairs * (3 * 4 + 2 * 4 * 4 + 4 * 3) + 17 * (3 * 4 + 3)
    assert LocallyConnected(config).count_weights() == layers + 3 * 2 * 17 * 4  # batch norm
    other = equal_weights(config)
    counts = [LocallyConnected(c).count_weights() for c in (config, other)]
    assert other.reach is None and abs(counts[0] - counts[1]) < 0.5 * counts[0]


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"channels": 0}, {"dropout": -0.1}, {"reach": -1}, {"blocks": 65}):
        with pytest.raises(InputError):
            LocallyConnectedConfig(**wrong)
