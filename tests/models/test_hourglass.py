"""Stacked hourglasses: their sums written out, their losses, and a dot that is found."""

import numpy as np
import pytest
import torch
from helpers.dots import dots
from torch.nn.functional import max_pool2d

from meshrec.errors import InputError
from meshrec.models.heatmaps import gaussian_maps, picture_values
from meshrec.models.hourglass import Hourglass, HourglassConfig, Residual, StackedHourglass
from meshrec.training.seeing import SeeingTraining, train_to_see


def small(**changes) -> StackedHourglass:
    torch.manual_seed(0)
    return StackedHourglass(HourglassConfig(**{"channels": 8, **changes})).eval()


def test_an_hourglass_adds_what_it_had_at_each_size():
    hourglass = Hourglass(4, 2)
    for module in hourglass.modules():
        if isinstance(module, Residual):  # which then hands on its input
            torch.nn.init.zeros_(module.change[-1].weight)
            torch.nn.init.zeros_(module.change[-1].bias)
    x = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    half = max_pool2d(x, 2)
    quarter = max_pool2d(half, 2)
    doubled = [np.kron(values.numpy(), np.ones((factor, factor))) for values, factor in ((half, 2), (quarter, 4))]
    np.testing.assert_allclose(hourglass(x).detach().numpy(), x.numpy() + sum(doubled), atol=1e-6)


def test_a_stack_sees_what_the_one_before_saw_and_found():
    network = small()
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    x = network.stem(picture_values(image))
    y = network.features[0](network.hourglasses[0](x))
    maps = network.maps[0](y)
    x = x + network.from_features[0](y) + network.from_maps[0](maps)
    last = network.maps[1](network.features[1](network.hourglasses[1](x)))
    for found, expected in zip(network(image), (maps, last)):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("intermediate", [True, False])
def test_every_supervised_stack_has_a_squared_distance(intermediate):
    network = small(intermediate=intermediate, deviation=1.3)
    people = dots(torch.tensor([[0.2, -0.4], [0.6, 0.1]]), size=64)
    true = gaussian_maps(people.places, (16, 16), 1.3)
    each = [((maps - true).square().mean().item()) for maps in network(people.image)]
    loss = network.loss(people.image, people.places).item()
    assert loss == pytest.approx(sum(each) if intermediate else each[-1], rel=1e-5)


def test_a_dot_is_found():
    generator = torch.Generator().manual_seed(2)
    people = dots(1.6 * torch.rand(128, 2, generator=generator) - 0.8)
    training = SeeingTraining(steps=80, batch_size=16, rate=1e-2, warmup=5, half=False)
    network, _ = train_to_see(
        lambda: StackedHourglass(HourglassConfig(channels=8, halvings=1)), people,
        lambda network, batch: network.loss(batch.image, batch.places), training,
    )  # fmt: skip
    with torch.no_grad():
        for found in network.stages(people.image):
            assert (found[..., :2] - people.places).norm(dim=-1).median() < 0.25  # a cell; by chance it is 0.7
            assert ((found[..., 2] >= 0) & (found[..., 2] <= 1)).all()


def test_wrong_settings_are_refused():
    for wrong in ({"channels": 7}, {"stacks": 0}, {"halvings": 9}, {"deviation": 0.0}):
        with pytest.raises(InputError, match="needed"):
            HourglassConfig(**wrong)
