"""The volumetric network: cameras by projection, both losses at their minimum, volumes of a known place."""

from dataclasses import replace

import pytest
import torch

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.models.heatmaps import argmax_places, soft_argmax
from meshrec.models.volumetric import Volumetric, VolumetricConfig, cell_chances, in_space

SMALL = VolumetricConfig(channels=8, halvings=1, depths=(2, 8))


def people(count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places, joints, roots and focal lengths of people before a pinhole camera."""
    generator = torch.Generator().manual_seed(0)
    joints = 0.5 * torch.randn(count, 17, 3, generator=generator).clamp(-1.5, 1.5)
    joints = joints - joints[:, :1]
    assert joint_set("h36m17")[0] == "mid_hip"
    root = torch.tensor([[0.3, -0.2, 4.0]]) + torch.rand(count, 3, generator=generator)
    focal = 3 + torch.rand(count, generator=generator)
    seen = joints + root[:, None]
    return focal[:, None, None] * seen[..., :2] / seen[..., 2:], joints, root, focal


def test_places_and_depths_give_positions_in_space():
    places, joints, root, focal = people()
    view = torch.stack([(root[:, 2] / focal).log(), 1 / root[:, 2]], dim=1)
    # The origin of depths does not matter: the root's own is taken off.
    found = in_space(torch.cat([places, joints[..., 2:] / 0.8 + 0.1], dim=-1), view, reach=0.8)
    torch.testing.assert_close(found, joints, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(8, 16, 16), (32, 16, 16), (1, 4, 8)])
def test_target_volumes_have_the_place_as_mean_and_highest_cell(sizes):
    places = torch.tensor([[0.3, -0.2, 0.1], [-0.4, 0.52, -0.3]])
    chances = cell_chances(places, sizes, 1.0)
    assert chances.shape == (2, *sizes)
    torch.testing.assert_close(chances.sum((1, 2, 3)), torch.ones(2))
    cells = torch.tensor(sizes[::-1])
    highest = argmax_places(chances, 3)
    expected = (2 * ((places + 1) * cells / 2).floor() + 1) / cells - 1
    torch.testing.assert_close(highest, expected)
    if min(sizes) >= 8:
        torch.testing.assert_close(soft_argmax(chances.clamp(min=1e-30).log(), 3), places, atol=0.01, rtol=0)


def test_a_place_outside_the_volume_has_a_distribution_too():
    assert cell_chances(torch.tensor([1.0, -1.0, 1.0]), (8, 16, 16), 1.0).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("integral", [True, False])
def test_the_loss_is_that_of_the_formula(integral):
    torch.manual_seed(0)
    network = Volumetric(replace(SMALL, integral=integral)).eval()
    image = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    places, joints, root, focal = people()
    with torch.no_grad():
        volumes, view = network(image)
        found = network.loss(image, places, joints, root, focal)
    assert [tuple(volume.shape) for volume in volumes] == [(3, 17, 2, 16, 16), (3, 17, 8, 16, 16)]
    true = torch.stack([(root[:, 2] / focal).log(), 1 / root[:, 2]], dim=1)
    total = (view - true).abs().mean()
    target = torch.cat([places, joints[..., 2:]], dim=-1).clamp(-1, 1)
    for volume in volumes:
        if integral:
            total = total + (soft_argmax(volume, 3) - target).abs().mean()
            continue
        chances = cell_chances(target, volume.shape[2:], 1.0)
        for person in range(3):
            for joint in range(17):
                logits = volume[person, joint]
                total = total - (chances[person, joint] * (logits - logits.logsumexp((0, 1, 2)))).sum() / (3 * 17)
    assert float(found) == pytest.approx(float(total), rel=1e-4)


def test_one_picture_is_learned_by_heart():
    torch.manual_seed(0)
    network = Volumetric(replace(SMALL, depths=(8,)))
    image = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    places, joints, root, focal = people()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = network.loss(image, places, joints, root, focal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_both_ways_of_reading_and_the_number_of_weights():
    network = Volumetric(replace(SMALL, depths=(8,), soft=False)).eval()
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network.points(image), network.points(image, soft=False))
        assert not torch.equal(network.points(image), network.points(image, soft=True))
    assert network.count_weights() == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("wrong", [{"channels": 7}, {"depths": ()}, {"depths": (0,)}, {"reach": 0.0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(InputError):
        replace(SMALL, **wrong)
