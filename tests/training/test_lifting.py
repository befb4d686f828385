"""People to lift and their training: cameras by least squares, a map that is known, equal batches."""

import pytest
import torch
from helpers.projections import best_projections

from meshrec.body import joint_set
from meshrec.models.lifting_baseline import BaselineConfig, LiftingBaseline
from meshrec.synthetic.detector_noise import EXACT
from meshrec.training.lifting import (
    LiftedPeople,
    LiftingTraining,
    people_to_lift,
    rate_at,
    shuffled,
    train_lifter,
)


def test_people_project_to_their_keypoints(body):
    people = people_to_lift(body, 50, seed=3, noise=EXACT)
    hip = joint_set("h36m17").index("mid_hip")
    assert people.joints[:, hip].abs().max() < 1e-6
    seen = people.keypoints[..., 2] > 0
    assert (people.keypoints[~seen] == 0).all()
    whole = seen.all(1)  # nobody is fitted to joints outside the photo
    places = people.keypoints[whole, :, :2]
    error = best_projections(people.joints[whole], places, people.focal[whole]) - places
    assert whole.sum() > 10 and error.abs().max() < 1e-3


def test_batches_take_everybody_once_before_anybody_again():
    people = LiftedPeople(*(torch.arange(10.0)[:, None, None].expand(10, 17, 3) for _ in range(2)), torch.arange(10.0))
    batches = list(shuffled(people, LiftingTraining(steps=6, batch_size=3, people=10)))
    seen = [batch.focal.tolist() for batch in batches]
    for epoch in (seen[:3], seen[3:]):
        assert len({person for batch in epoch for person in batch}) == 9
    assert seen == [batch.focal.tolist() for batch in shuffled(people, LiftingTraining(steps=6, batch_size=3))]


def test_a_linear_map_is_learned():
    """Joints that are a linear function of what is seen; the error of the mean is the standard deviation."""
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(2000, 17, 3, generator=generator)
    linear = torch.randn(51, 51, generator=generator) / 51**0.5
    people = LiftedPeople(seen, (seen.flatten(1) @ linear).unflatten(1, (17, 3)), torch.ones(2000))
    config = BaselineConfig(width=64, blocks=1, dropout=0.0, max_norm=None)
    training = LiftingTraining(steps=400, batch_size=64, rate=3e-3)
    network, seconds = train_lifter(lambda: LiftingBaseline(config), people, training)
    with torch.no_grad():
        error = (network(seen) - people.joints).square().mean().sqrt()
    assert error < 0.7 * people.joints.std() and seconds > 0
    again, _ = train_lifter(lambda: LiftingBaseline(config), people, training)
    assert torch.equal(again.leave.weight, network.leave.weight)


def test_the_rate_rises_and_falls():
    training = LiftingTraining(steps=110, warmup=10)
    rates = [rate_at(step, training) for step in range(111)]
    assert rates[9] == rates[10] == 1 and rates[60] == pytest.approx(0.5) and rates[110] == pytest.approx(0)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
