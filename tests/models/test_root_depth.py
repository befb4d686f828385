"""Depth from a box: a square that is projected, and a network that learns what the box alone does not tell."""

from dataclasses import replace

import pytest
import torch
from helpers.dots import dots

from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.models.root_depth import RootNet, RootNetConfig, depth_of_box
from meshrec.training.seeing import SeeingTraining, train_to_see


def test_a_square_in_space_is_seen_at_its_depth():
    camera = Camera((900.0, 1100.0), (320.0, 240.0), (640, 480))
    corners = torch.tensor([[-0.9, -0.7, 6.5], [0.9, 0.7, 6.5]])  # 1.8 m x 1.4 m
    seen = camera.project(corners)
    area = (seen[1, :2] - seen[0, :2]).prod()
    assert float(depth_of_box(torch.tensor([900.0, 1100.0]), area, 1.8 * 1.4)) == pytest.approx(6.5, rel=1e-5)


def test_at_first_the_depth_is_that_of_the_box_and_the_root_is_on_its_ray():
    torch.manual_seed(0)
    network = RootNet(RootNetConfig(channels=8, real_area=5.0)).eval()
    people, focal = dots(torch.tensor([[0.2, -0.4], [0.6, 0.1]]), size=64), torch.tensor([2.0, 7.0])
    with torch.no_grad():
        root, (place, factor) = network(people.image, focal), network.place_and_factor(people.image)
    torch.testing.assert_close(factor, torch.ones(2))
    torch.testing.assert_close(root[:, 2], depth_of_box(focal[:, None].expand(2, 2), torch.tensor(4.0), 5.0))
    torch.testing.assert_close(focal[:, None] * root[:, :2] / root[:, 2:], place)


def test_the_loss_is_in_shares_of_the_box_depth():
    network = RootNet(RootNetConfig(channels=8)).eval()
    people, focal = dots(torch.zeros(2, 2), size=64), torch.tensor([2.0, 8.0])
    with torch.no_grad():
        place, _ = network.place_and_factor(people.image)
        depth = torch.tensor([3.0, 4.0])  # k is 2 and 8 metres
        root = torch.cat([(place + 0.25) / focal[:, None] * depth[:, None], depth[:, None]], dim=-1)
        assert float(network.loss(people.image, root, focal)) == pytest.approx(0.25 + 0.5, rel=1e-5)


def test_the_picture_corrects_the_box():
    """People whose depth depends on how bright the picture is, which the box does not tell."""
    generator = torch.Generator().manual_seed(1)
    people = dots(1.2 * torch.rand(128, 2, generator=generator) - 0.6, size=32)
    bright = torch.rand(128, generator=generator) < 0.5
    image = torch.where(bright[:, None, None, None], people.image, people.image // 3)
    depth = torch.where(bright, 4.0, 2.0)
    focal = torch.full((128,), 3.0)
    root = torch.cat([people.places[:, 0] / 3 * depth[:, None], depth[:, None]], dim=-1)
    people = replace(people, image=image, root=root, focal=focal)
    training = SeeingTraining(steps=60, batch_size=16, rate=5e-3, warmup=5, flip=0, shift=0, colour=0, half=False)
    network, _ = train_to_see(
        lambda: RootNet(RootNetConfig(channels=8)), people,
        lambda network, batch: network.loss(batch.image, batch.root, batch.focal), training,
    )  # fmt: skip
    with torch.no_grad():
        error = (network(people.image, focal)[:, 2] - depth).abs().mean()
    assert error < 0.5  # the box alone has an error of 1


def test_wrong_settings_are_refused():
    for wrong in ({"channels": 7}, {"channels": 0}, {"real_area": 0.0}):
        with pytest.raises(InputError):
            RootNetConfig(**wrong)
