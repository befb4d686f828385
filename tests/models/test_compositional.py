"""The hierarchy of joints, limbs and parts: its true maps by brute force, and what each stage sees."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.init import zeros_

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.models.compositional import PARTS, Compositional, CompositionalConfig, true_maps
from meshrec.models.heatmaps import picture_values
from meshrec.models.hourglass import HourglassConfig, StackedHourglass
from meshrec.models.locally_connected import BONES

NAMES = joint_set("h36m17")


def test_every_limb_belongs_to_one_part():
    limbs = [limb for part in PARTS for limb in pairwise(part)]
    assert sorted(limbs) == sorted(BONES)


def test_parts_are_near_their_limbs():
    """The height of a part's map is that of the nearest of many points on the part's chain of joints."""
    places = 1.6 * torch.rand(17, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.8
    maps = true_maps(places, (12, 16), 1.5)
    y, x = np.mgrid[:12, :16]
    shares = np.linspace(0, 1, 301)[:, None]
    for part, drawn in zip(PARTS, maps["parts"].numpy()):
        ends = [(places[NAMES.index(name)].numpy() + 1) / 2 * (16, 12) - 0.5 for name in part]
        points = np.concatenate([a + shares * (b - a) for a, b in pairwise(ends)])
        nearest = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]).min(-1)
        np.testing.assert_allclose(drawn, np.exp(-(nearest**2) / (2 * 1.5**2)), atol=1e-3)
    assert maps["limbs"].shape == (16, 12, 16) and maps["joints"].shape == (17, 12, 16)


def test_the_way_down_sees_the_way_up():
    torch.manual_seed(0)
    network = Compositional(CompositionalConfig(channels=8)).eval()
    for layer in (*network.from_features, *network.from_maps):
        zeros_(layer.weight), zeros_(layer.bias)
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        joints, limbs, parts, limbs_down, joints_down = network(image)
        x = network.stem(picture_values(image))

        def stage(number: int, seen: torch.Tensor) -> torch.Tensor:
            return network.maps[number](network.features[number](network.hourglasses[number](seen)))

        for number, found in enumerate((joints, limbs, parts)):
            torch.testing.assert_close(found, stage(number, x))
        x = x + network.from_way_up[0](limbs)
        torch.testing.assert_close(limbs_down, stage(3, x))
        torch.testing.assert_close(joints_down, stage(4, x + network.from_way_up[1](joints)))


def test_it_has_as_many_weights_as_five_stacks_of_joints():
    ours, stacks = (
        sum(weight.numel() for weight in network.parameters())
        for network in (Compositional(), StackedHourglass(HourglassConfig(channels=24, stacks=5)))
    )
    assert abs(ours / stacks - 1) < 0.01


def test_a_gradient_reaches_every_weight_and_wrong_settings_are_refused():
    network = Compositional(CompositionalConfig(channels=8))
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    network.loss(image, torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(3)) - 0.5).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
    for wrong in ({"channels": 7}, {"halvings": 9}, {"deviation": 0.0}):
        with pytest.raises(InputError):
            CompositionalConfig(**wrong)
