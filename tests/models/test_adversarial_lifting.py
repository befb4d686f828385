"""Adversarial lifting: rays and pictures undo one another, turns keep the vertical."""

import math

import pytest
import torch

from meshrec.errors import InputError
from meshrec.geometry import CAMERA_TO_Y_UP
from meshrec.models.adversarial_lifting import (
    AdversarialConfig,
    AdversarialLifter,
    PictureCritic,
    on_rays,
    projected,
    random_turns,
    spread_to_one,
    turns,
)


def test_lifted_points_project_to_where_they_were_seen():
    generator = torch.Generator().manual_seed(0)
    places, offsets = torch.randn(3, 17, 2, generator=generator), torch.randn(3, 17, generator=generator)
    points = on_rays(places, offsets, 8.0)
    assert torch.allclose(projected(points, 8.0), places, atol=1e-5)
    assert torch.equal(points[..., 2], offsets)
    # A camera of the focal length 8 at z = -8, written out.
    expected = 8 * points[..., :2] / (points[..., 2:] + 8)
    assert torch.allclose(projected(points, 8.0), expected, atol=1e-5)
    assert on_rays(places, offsets - 100, 8.0)[..., 2].min() == -7


def test_turns_keep_the_vertical_of_a_camera_that_looks_down():
    """As the synthetic cameras have it: a heading in the world, then the elevation."""
    elevation, headings = math.radians(20), torch.tensor([0.3, 1.0, 3.0])
    cosine, sine = math.cos(elevation), math.sin(elevation)
    down = torch.tensor([[1.0, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    up = down @ CAMERA_TO_Y_UP @ torch.tensor([0.0, 1, 0])
    found = turns(headings, elevation)
    assert torch.allclose(found @ up, up.expand(3, -1), atol=1e-6)
    assert torch.allclose(found.diagonal(dim1=1, dim2=2).sum(1), 1 + 2 * headings.cos(), atol=1e-5)
    assert torch.allclose(found @ found.mT, torch.eye(3).expand(3, 3, 3), atol=1e-6)


def test_random_turns_look_from_everywhere_around():
    torch.manual_seed(0)
    front = random_turns(4000, AdversarialConfig(elevation=0.0))[:, :, 2]
    assert front[:, 1].abs().max() < 1e-6 and front.mean(0).abs().max() < 0.05
    tilted = random_turns(4000, AdversarialConfig(elevation=0.0, tilt=10.0))[:, :, 1]
    angle = tilted[:, 1].clamp(-1, 1).acos().square().mean().sqrt().rad2deg()
    assert angle == pytest.approx(10 * math.sqrt(2), rel=0.1)  # about two axes


def test_spread_is_taken_off_with_the_mean():
    places = torch.randn(4, 17, 2, generator=torch.Generator().manual_seed(0)) * 3 + 2
    standard, spread = spread_to_one(places)
    assert torch.allclose(standard * spread + places.mean(1, keepdim=True), places, atol=1e-5)
    assert torch.allclose(standard.square().sum((1, 2)) / 17, torch.ones(4), atol=1e-5)


def test_seen_joints_stay_where_they_are_seen():
    torch.manual_seed(0)
    network = AdversarialLifter(AdversarialConfig(width=16)).eval()
    keypoints = torch.cat([torch.rand(3, 17, 2), (torch.rand(3, 17, 1) > 0.3).float()], dim=-1)
    places = projected(network.shape(keypoints), network.config.distance)
    for person in range(3):
        seen = keypoints[person, :, 2] > 0
        one, other = places[person, seen], keypoints[person, seen, :2]
        one, other = one - one.mean(0), other - other.mean(0)
        assert torch.allclose(one / one.norm(), other / other.norm(), atol=1e-5)


def test_a_critic_scores_each_person():
    critic = PictureCritic(AdversarialConfig(critic_width=8))
    places = torch.rand(4, 17, 2)
    assert critic(places).shape == (4,)
    assert torch.allclose(critic(places[:1]), critic(places)[:1], atol=1e-6)


def test_settings_that_make_no_network_are_refused():
    for wrong in (
        {"width": 0},
        {"hidden": 1.0},
        {"distance": 1.0},
        {"critic": -1.0},
        {"critic_rate": 0.0},
        {"steps": 0},
    ):
        with pytest.raises(InputError):
            AdversarialConfig(**wrong)
