"""The searched network: its multiplications by counting, its draws by their shares, and a search whose end is known."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.init import zeros_

from meshrec.errors import InputError
from meshrec.models.part_search import (
    BACKBONE,
    CELL,
    LAYERS,
    OPERATORS,
    PARTS,
    Choice,
    LayerSize,
    PartNetwork,
    PartSearchConfig,
    allowed,
    layer_sizes,
    random_operators,
    total_multiplications,
)
from meshrec.training.part_search import SearchTraining, search_operators
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import SeeingTraining

CHEAPEST = tuple(4 if 4 in allowed(size) else 0 for size in layer_sizes(8))
PICTURE = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def network(**changes) -> PartNetwork:
    torch.manual_seed(0)
    return PartNetwork(PartSearchConfig(channels=8), **changes)


def test_multiplications_are_those_of_the_convolutions():
    """Counted in a run: cells of the output times channels of the output times the numbers that each one weighs."""
    generator = torch.Generator().manual_seed(3)
    for operators in ((), random_operators(PartSearchConfig(channels=8), generator)):
        config, counted = PartSearchConfig(channels=8, operators=operators), []
        searched = PartNetwork(config).eval()

        def count(layer: nn.Module, _: object, output: torch.Tensor, counted: list[int] = counted) -> None:
            counted.append(output[0].numel() * layer.weight[0].numel())

        for part in (searched.fine, searched.coarse, searched.cells):
            for layer in part.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.register_forward_hook(count)
        searched(PICTURE[:1])
        assert sum(counted) == total_multiplications(config)


@pytest.mark.parametrize("by_part", [True, False])
def test_the_price_is_the_expected_share_of_multiplications(by_part):
    one = network(search=True, by_part=by_part)
    largest = total_multiplications(one.config)
    generator = torch.Generator().manual_seed(1)
    # Where every layer is certain, it is the share of the network that the search would give.
    for logits in one.logits:
        logits.data.copy_(
            60.0 * torch.nn.functional.one_hot(torch.randint(len(logits), (), generator=generator), len(logits))
        )
    chosen = PartSearchConfig(channels=8, operators=one.likeliest())
    assert float(one.price().detach()) == pytest.approx(total_multiplications(chosen) / largest, rel=1e-5)
    # Where one layer is undecided between two operators, it lies in the middle of both.
    ends = []
    for row in (0, 1, (0, 1)):
        one.logits[0].data.fill_(-60.0)[list(row) if isinstance(row, tuple) else row] = 0.0
        ends.append(float(one.price().detach()))
    assert ends[2] == pytest.approx((ends[0] + ends[1]) / 2, rel=1e-5) and ends[0] < ends[1]


def test_a_layer_draws_its_operators_by_their_shares():
    torch.manual_seed(0)
    logits = nn.Parameter(torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0]))
    layer = Choice(LayerSize(4, 4, 1, 8), logits)
    for scale, one in enumerate(layer.operators):
        one.forward = lambda x, scale=scale: scale * x  # every operator tells itself by its output
    drawn = torch.tensor([float(layer(torch.ones(1))) for _ in range(4000)]).long().bincount(minlength=5) / 4000
    torch.testing.assert_close(drawn, logits.detach().softmax(0), atol=0.04, rtol=0)
    assert float(layer.eval()(torch.ones(1))) == 4.0


def test_the_gradient_of_logits_is_that_of_the_soft_weights():
    """Of g = softmax(a + noise), whose noise is drawn again: the derivative of the sum of g_i times the outputs."""
    logits = nn.Parameter(torch.tensor([0.3, -0.2, 0.1, 0.0, 0.4]))
    layer = Choice(LayerSize(4, 4, 1, 8), logits)
    layer.compares = True
    for scale, one in enumerate(layer.operators):
        one.forward = lambda x, scale=scale: (scale + 1) * x
    torch.manual_seed(5)
    found = layer(torch.ones(1))
    found.sum().backward()
    torch.manual_seed(5)
    noise = -torch.empty(5).exponential_().log()
    assert int(found) - 1 == int((logits + noise).argmax())
    share, outputs = (logits.detach() + noise).softmax(0), torch.arange(1.0, 6.0)
    torch.testing.assert_close(logits.grad, share * (outputs - share @ outputs))


def test_maps_come_in_the_order_of_the_joints():
    one = network().eval()
    names = [name for part in PARTS.values() for name in part]
    bias = torch.zeros(len(names))
    bias[one.order] = torch.arange(17.0)
    for head, values in zip(one.maps, bias.split([len(part) for part in PARTS.values()])):
        zeros_(head.weight)
        head.bias.data.copy_(values)
    assert one(PICTURE)[0, :, 0, 0].tolist() == list(range(17))
    assert sorted(names) == sorted(set(names)) and len(names) == 17


def test_what_is_not_searched_is_the_likeliest_network():
    """The network of all operators, and the network of its likeliest ones with the same weights."""
    both = network(search=True).eval()
    generator = torch.Generator().manual_seed(2)
    for logits in both.logits:
        logits.data.normal_(generator=generator)
    one = PartNetwork(PartSearchConfig(channels=8, operators=both.likeliest())).eval()
    layers = [layer for part in (one.fine, one.coarse, *one.cells) for layer in part]
    choices = [layer for part in (both.fine, both.coarse, *both.cells) for layer in part]
    for layer, choice in zip(layers, choices):
        layer.load_state_dict(choice.operators[int(choice.logits.argmax())].state_dict())
    for name in ("stem", "widen", "maps"):
        getattr(one, name).load_state_dict(getattr(both, name).state_dict())
    torch.testing.assert_close(one(PICTURE), both(PICTURE))


def test_parts_share_their_operators_where_they_are_not_searched_by_themselves():
    shared = network(search=True, by_part=False)
    assert len(shared.logits) == len(BACKBONE) + CELL and len(network(search=True).logits) == LAYERS
    shared.logits[-1].data[2] = 1.0
    parts = [shared.likeliest()[start:stop] for start, stop in pairwise(range(len(BACKBONE), LAYERS + 1, CELL))]
    assert parts == [(0, 2)] * len(PARTS)


def test_a_distilled_network_learns_from_both_maps():
    one, other = network().eval(), network().eval()
    other.maps[0].bias.data += 1.0
    places = torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(4)) - 0.5
    torch.testing.assert_close(one.distilled_loss(PICTURE, places, other, 0.0), one.loss(PICTURE, places))
    # Five of the seventeen maps differ, by one.
    assert float(one.distilled_loss(PICTURE, places, other, 1.0).detach()) == pytest.approx(5 / 17, rel=1e-5)


def test_others_of_as_many_multiplications():
    config = PartSearchConfig(channels=16, operators=(2, 0, 1, 4, 3, *CHEAPEST[5:]))
    found = replace(config, operators=random_operators(config, torch.Generator().manual_seed(0)))
    assert found.operators != config.operators
    assert abs(total_multiplications(found) / total_multiplications(config) - 1) < 0.1


def test_a_search_that_pays_for_multiplications_alone_ends_with_the_fewest():
    count, generator = 32, torch.Generator().manual_seed(0)
    people = PicturedPeople(
        torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=generator),
        torch.rand(count, 17, 2, generator=generator) - 0.5, torch.rand(count, 17, 3), torch.ones(count, 3),
        torch.eye(3).expand(count, 24, 3, 3), torch.zeros(count, 10), torch.ones(count),
    )  # fmt: skip
    training = SeeingTraining(steps=40, batch_size=4, rate=1e-3, warmup=2, half=False)
    search = SearchTraining(price=1e4, rate=0.2, first=0, every=1)
    found, _ = search_operators(PartSearchConfig(channels=8), people, training, search)
    assert found.likeliest() == CHEAPEST and not found.training
    assert OPERATORS[CHEAPEST[-1]] == (0, 0)


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"channels": 7}, {"deviation": 0.0}, {"operators": (0,)}, {"operators": (4,) * LAYERS}):
        with pytest.raises(InputError):
            PartSearchConfig(**wrong)
    for wrong in ({"price": -1.0}, {"first": -1}, {"rate": 0.0}, {"every": 0}):
        with pytest.raises(ValueError):
            SearchTraining(**wrong)
