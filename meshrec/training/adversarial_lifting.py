"""Training of :mod:`meshrec.models.adversarial_lifting`: 2D joints of people and nothing else."""

import time

import torch
from torch import Tensor
from torch.nn.functional import softplus

from meshrec.models.adversarial_lifting import (
    AdversarialConfig,
    AdversarialLifter,
    PictureCritic,
    projected,
    random_turns,
    spread_to_one,
)
from meshrec.models.unscaled import centred_at, centred_places, handedness
from meshrec.training.critics import critic_loss
from meshrec.training.lifting import LiftedPeople, LiftingTraining, falling_rate, shuffled, step


def train_adversarial(
    config: AdversarialConfig, people: LiftedPeople, length: float, training: LiftingTraining
) -> tuple[AdversarialLifter, float]:
    """Train a lifter with 2D joints alone.

    Args:
        config: Settings of the networks and their losses.
        people: The people whose 2D joints are seen; their 3D joints are not used.
        length: Sum of the lengths of a usual person's bones, metres.
        training: How to train.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: A loss is not finite.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network, critic = AdversarialLifter(config), PictureCritic(config)
        network.length.fill_(length)
        whole = (people.keypoints[..., 2] > 0).all(1)
        known, _ = centred_places(people.keypoints[whole])
        optimizers = [
            torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.99))
            for model, rate in ((network, training.rate), (critic, config.critic_rate))
        ]
        schedules = [falling_rate(optimizer, training) for optimizer in optimizers]
        start = time.process_time()
        for batch in shuffled(people, training):
            loss, turned = lifter_losses(network, batch.keypoints)
            if config.critic:
                real = known[torch.randint(len(known), (len(turned),))]
                step(optimizers[1], critic_loss(critic, real, turned.detach(), config.penalty))
                loss = loss + config.critic * softplus(-critic(turned)).mean()
            step(optimizers[0], loss)
            for schedule in schedules[: 2 if config.critic else 1]:
                schedule.step()
    return network.eval(), time.process_time() - start


def lifter_losses(network: AdversarialLifter, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted losses of the lifter but for the critic's.

    Args:
        network: The lifter.
        keypoints: (B, K, 3) x and y in the crop, and confidence.

    Returns:
        The sum of the losses (), and projections (B, K, 2) of the turned poses for the critic.
    """
    config = network.config
    places, seen = centred_places(keypoints)
    shown = seen * (torch.rand_like(seen) >= config.hidden)
    shown = torch.where(shown.sum(1, keepdim=True) < 4, seen, shown)
    inputs, _ = centred_places(torch.cat([keypoints[..., :2], shown[..., None]], dim=-1))
    found, points = network.places_and_poses(inputs, shown)
    # Places of hidden joints in the unit of those that are still shown.
    true = _like(places, shown)
    loss = config.completion * (seen[..., None] * (found - true)).square().sum(-1).mean()

    turn = random_turns(len(points), config)
    turned = (points - points.mean(1, keepdim=True)) @ turn.mT
    view, spread = spread_to_one(projected(turned, config.distance))
    if config.picture or config.space:
        _, again = network.places_and_poses(view, torch.ones_like(seen))
        # What was lifted back has the unit of its own picture.
        expected, again = (value - value.mean(1, keepdim=True) for value in (turned / spread, again))
        loss = loss + config.space * (again - expected).square().sum(-1).mean()
        back = centred_at(projected(spread * again @ turn, config.distance), shown)
        loss = loss + config.picture * (back - inputs).square().sum(-1).mean()
    if config.face:
        loss = loss + config.face * (-handedness(points)).clamp(min=0).mean()
    return loss, view


def _like(places: Tensor, shown: Tensor) -> Tensor:
    """Places (B, K, 2), moved and scaled to a mean of zero and a spread of one of the shown joints (B, K)."""
    there = centred_at(places, shown)
    mean = (places * shown[..., None]).sum(1, keepdim=True) / shown.sum(1).clamp(min=1)[:, None, None]
    spread = there.square().sum((1, 2)).div(shown.sum(1).clamp(min=1)).clamp(min=1e-9).sqrt()
    return (places - mean) / spread[:, None, None]
