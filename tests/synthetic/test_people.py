"""Synthetic people: the same in every batch, held by their crops."""

import pytest
import torch

from meshrec.body import BodyModel
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.simulated_detector import observe


@pytest.fixture(scope="module")
def source(body: BodyModel) -> SyntheticPeople:
    return SyntheticPeople(body, seed=1, split="held_out", resolution=48)


def test_a_person_is_the_same_in_every_batch(source, body):
    whole, part = source.draw(range(4, 12)), source.draw([11, 6])
    for name in ("rotations", "betas", "translation", "vertices", "photo", "box", "kind", "covered"):
        assert torch.allclose(getattr(whole, name)[[7, 2]], getattr(part, name), atol=1e-4), name
    one = observe(whole, body, source.streams(whole.indices, "detector"))
    other = observe(part, body, source.streams(part.indices, "detector"))
    assert torch.allclose(one.keypoints[[7, 2]], other.keypoints, atol=1e-4)
    assert (one.silhouette[[7, 2]] != other.silhouette).float().mean() < 1e-3
    again = SyntheticPeople(body, seed=2, split="held_out", resolution=48).draw([11, 6])
    assert not torch.allclose(again.rotations, part.rotations, atol=0.1)


def test_crops_hold_their_person(body):
    people = SyntheticPeople(body, seed=2, resolution=48, views=ViewMix(truncated=0, occluded=0)).draw(range(60))
    pixels = people.camera.project(people.vertices)[..., :2]
    low, high = pixels.amin(1), pixels.amax(1)
    assert torch.allclose(torch.cat([low, high], 1), people.box, atol=0.01)
    assert ((people.photo[:, :2] <= low) & (people.photo[:, 2:] >= high)).all()
    assert (people.vertices[..., 2] > 0.5).all()
    longest = (high - low).amax(1)
    assert (longest > 48 / 1.41).all() and (longest < 48 / 1.07).all()
