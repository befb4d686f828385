"""Depths from their order: nothing but the order is used, orders are learned, and their completion finds the scale."""

from dataclasses import replace

import pytest
import torch

from meshrec.body import joint_set
from meshrec.body.joints import root_indices
from meshrec.errors import InputError
from meshrec.models.depth_order import DepthOrder, DepthOrderConfig, with_depths
from meshrec.models.lifting_baseline import BaselineConfig
from meshrec.training.depth_order import depth_loss, halves, train_depth_order
from meshrec.training.lifting import LiftedPeople, LiftingTraining

SMALL = DepthOrderConfig(BaselineConfig(width=64, blocks=1, dropout=0.0, max_norm=None), noise=0.1, tolerance=0.0)
TRAINING = LiftingTraining(steps=300, batch_size=64, rate=3e-3, warmup=10)


def linear_people(count: int) -> LiftedPeople:
    """People whose depths are a linear function of where their joints are seen, with roots at zero."""
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(count, 17, 2, generator=generator)
    linear = torch.randn(34, 17, generator=generator) / 34**0.5
    points = torch.cat([0.8 * seen, 0.3 * (seen.flatten(1) @ linear)[..., None]], dim=-1)
    points = points - points[:, root_indices("h36m17")].mean(1, keepdim=True)
    keypoints = torch.cat([seen, torch.ones(count, 17, 1)], dim=-1)
    return LiftedPeople(keypoints, points, torch.ones(count))


@pytest.fixture(scope="module")
def learned() -> tuple[DepthOrder, LiftedPeople]:
    people = linear_people(3000)
    network, seconds = train_depth_order(SMALL, *halves(people), TRAINING)
    assert seconds > 0 and not network.training
    return network, people


@torch.no_grad()
def test_orders_are_learned(learned):
    network, people = learned
    found, true = network.depths(people.keypoints)[..., 2], people.joints[..., 2]
    far = (true[:, :, None] - true[:, None]).abs() > 0.1
    right = (found[:, :, None] - found[:, None]) * (true[:, :, None] - true[:, None]) > 0
    assert right[far].float().mean() > 0.9


@torch.no_grad()
def test_the_completion_finds_the_scale(learned):
    network, people = learned
    error = (network(people.keypoints) - people.joints).square().mean((0, 1)).sqrt()
    spread = people.joints.square().mean((0, 1)).sqrt()
    assert (error < 0.5 * spread).all(), (error, spread)


def test_nothing_but_the_order_of_depths_is_used():
    people = linear_people(200)
    stretched = people.joints.clone()
    stretched[..., 2] = torch.exp(3 * stretched[..., 2])
    few = replace(TRAINING, steps=5)
    captured = linear_people(100)
    true, _ = train_depth_order(SMALL, people, captured, few)
    other, _ = train_depth_order(SMALL, replace(people, joints=stretched), captured, few)
    assert all(torch.equal(one, two) for one, two in zip(true.depths.parameters(), other.depths.parameters()))
    metric, _ = train_depth_order(SMALL, people, captured, few, depth_loss)
    assert not torch.equal(metric.depths.leave.weight, true.depths.leave.weight)


def test_depths_have_no_scale_and_no_origin():
    generator = torch.Generator().manual_seed(1)
    keypoints, depths = torch.randn(4, 17, 3, generator=generator), torch.randn(4, 17, generator=generator)
    seen = with_depths(keypoints, depths)
    torch.testing.assert_close(with_depths(keypoints, 7 * depths + 3), seen)
    assert torch.equal(seen[..., :2], keypoints[..., :2])
    assert seen[..., 2].mean(1).abs().max() < 1e-6
    assert with_depths(keypoints, torch.ones(4, 17)).isfinite().all()


def test_nobody_is_in_both_halves():
    people = linear_people(11)
    first, second = halves(people)
    assert len(first) == 5 and len(second) == 6
    assert torch.equal(torch.cat([first.keypoints, second.keypoints]), people.keypoints)


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="noise"):
        DepthOrderConfig(noise=-1)
    assert DepthOrder().depths.seen_mean.shape == (len(joint_set("h36m17")), 3)
