"""Training of networks that see pictures: changes of pictures that keep labels true, and a place that is learned."""

import numpy as np
import torch
from helpers.dots import dots
from torch import nn

from meshrec import load_body
from meshrec.models.heatmaps import picture_values, soft_argmax
from meshrec.training.pictured import PicturedPeople, people_to_see
from meshrec.training.seeing import SeeingTraining, changed_at_random, mirrored, shifted, train_to_see


def projected(people: PicturedPeople) -> torch.Tensor:
    points = people.joints + people.root[:, None]
    return people.focal[:, None, None] * points[..., :2] / points[..., 2:]


def test_mirrored_people_are_seen_where_they_are():
    body = load_body("neutral")
    people = people_to_see(body, 4, seed=3, size=32)
    chosen = torch.tensor([True, False, True, False])
    other = mirrored(people, chosen)
    torch.testing.assert_close(projected(other), other.places, atol=1e-4, rtol=1e-4)
    for name, values in vars(people).items():
        torch.testing.assert_close(getattr(other, name)[~chosen], values[~chosen])
        torch.testing.assert_close(getattr(mirrored(other, chosen), name), values)
    # Pose and joints agree as well as a body's two sides do.
    vertices = body(other.betas, other.pose[:, 1:], other.pose[:, :1]).vertices
    joints = body.joints_from(vertices, "h36m17")
    assert (joints - joints[:, :1] - other.joints + other.joints[:, :1]).norm(dim=-1).max() < 0.01


def test_shifted_pictures_show_their_joints():
    generator = torch.Generator().manual_seed(0)
    people = dots(torch.rand(6, 2, generator=generator) - 0.5)
    moved = shifted(people, 3, -2)
    for image, place in zip(moved.image, moved.places[:, 0]):
        y, x = np.nonzero(image.min(0).values.numpy() > 100)
        centre = (2 * np.array([x.mean(), y.mean()]) + 1) / 32 - 1
        np.testing.assert_allclose(centre, place, atol=0.03)
    assert not moved.image[..., :3].any() and not moved.image[..., -2:, :].any()
    people = people_to_see(load_body("neutral"), 3, size=32)
    shift = projected(shifted(people, 3, -2)) - shifted(people, 3, -2).places
    assert shift[:, 0].abs().max() < 1e-3  # the root


def test_changes_depend_on_the_generator_alone():
    people = dots(torch.zeros(8, 2))
    first, again, other = (
        changed_at_random(people, SeeingTraining(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first.image, again.image) and not torch.equal(first.image, other.image)
    same = changed_at_random(people, SeeingTraining(flip=0, shift=0, colour=0), torch.Generator())
    assert torch.equal(same.image, people.image) and torch.equal(same.places, people.places)


def test_the_place_of_a_dot_is_learned():
    generator = torch.Generator().manual_seed(1)
    people = dots(1.6 * torch.rand(256, 2, generator=generator) - 0.8)
    training = SeeingTraining(steps=40, rate=1e-2, warmup=5)

    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    def loss(network: nn.Module, batch: PicturedPeople) -> torch.Tensor:
        maps = network(picture_values(batch.image)).float()
        return (soft_argmax(maps)[:, 0] - batch.places[:, 0]).square().mean()

    network, seconds = train_to_see(make, people, loss, training)
    again, _ = train_to_see(make, people, loss, training)
    assert seconds > 0 and not network.training
    for one, two in zip(network.parameters(), again.parameters()):
        torch.testing.assert_close(one, two)
    with torch.no_grad():
        found = soft_argmax(network(picture_values(people.image)))[:, 0]
    assert (found - people.places[:, 0]).norm(dim=-1).mean() < 0.2  # half a side is 1, the spread 0.65
