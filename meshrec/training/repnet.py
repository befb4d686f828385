"""Training of :mod:`meshrec.models.repnet`: 2D joints of people, and poses of other people."""

import time

import torch
from torch import Tensor
from torch.nn.functional import softplus

from meshrec.models.repnet import ChainCritic, RepNet, RepNetConfig, camera_form
from meshrec.training.critics import critic_loss
from meshrec.training.lifting import LiftedPeople, LiftingTraining, falling_rate, shuffled, step


def train_repnet(
    config: RepNetConfig, people: LiftedPeople, poses: Tensor, length: float, training: LiftingTraining
) -> tuple[RepNet, float]:
    """Train a lifter without pairs of 2D and 3D joints.

    Args:
        config: Settings of the networks and their losses.
        people: The people whose 2D joints are seen; their 3D joints are not used.
        poses: (N, K, 3) joints of other people, as :func:`meshrec.training.unpaired_poses.unpaired_poses` gives them.
        length: Sum of the lengths of a usual person's bones, metres.
        training: How to train.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: A loss is not finite.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network, critic = RepNet(config), ChainCritic(config)
        network.length.fill_(length)
        network.standardise(poses)
        optimizers = [
            torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.9))
            for model, rate in ((network, training.rate), (critic, config.critic_rate))
        ]
        schedules = [falling_rate(o, training, first) for o, first in zip(optimizers, (0, config.camera_steps))]
        start = time.process_time()
        for number, batch in enumerate(shuffled(people, training)):
            made, cameras = network.factors(batch.keypoints)
            alone = number < config.camera_steps
            if alone:
                made = network.mean.expand_as(made)
            reprojection = network.reprojection_errors(batch.keypoints, made, cameras).mean()
            loss = config.reprojection * reprojection + config.camera * camera_form(cameras).mean()
            if not alone:
                for _ in range(config.critic_steps):
                    real = poses[torch.randint(len(poses), (len(made),))]
                    step(optimizers[1], critic_loss(critic, real, made.detach(), config.penalty))
                loss = loss + config.critic * softplus(-critic(made)).mean()
            step(optimizers[0], loss)
            for schedule in schedules[: 1 if alone else 2]:
                schedule.step()
    return network.eval(), time.process_time() - start
