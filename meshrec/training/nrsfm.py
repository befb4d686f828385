"""Training of :mod:`meshrec.models.nrsfm`: 2D joints of people and nothing else."""

import math
import time

import torch
from torch import Tensor, nn

from meshrec.geometry.rotations import quaternion_to_matrix
from meshrec.models.nrsfm import NRSfM, NRSfMConfig, rigid_shape
from meshrec.models.unscaled import centred_places, handedness
from meshrec.training.lifting import LiftedPeople, LiftingTraining, falling_rate, shuffled, step

RIGID = 8192
"""The largest number of people whose pictures the mean shape is made of."""


def train_nrsfm(
    config: NRSfMConfig, people: LiftedPeople, length: float, training: LiftingTraining
) -> tuple[NRSfM, float]:
    """Train a factorising network with 2D joints alone.

    Args:
        config: Settings of the networks and their losses.
        people: The people whose 2D joints are seen; their 3D joints are not used.
        length: Sum of the lengths of a usual person's bones, metres.
        training: How to train.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network = NRSfM(config)
        network.length.fill_(length)
        network.mean.copy_(mean_shape(people.keypoints))
        for weight in network.factorise.leave.parameters():
            nn.init.zeros_(weight[: config.rank])  # everybody has the mean shape at first
        optimizer = torch.optim.Adam(network.parameters(), lr=training.rate)
        schedule = falling_rate(optimizer, training)
        start = time.process_time()
        for number, batch in enumerate(shuffled(people, training)):
            places, seen = centred_places(batch.keypoints)
            places = rolled(places, math.radians(config.roll) * torch.randn(len(places)))
            shapes, rotations = network.factors(places, seen)
            alone = number < config.rigid_steps
            if alone:
                shapes = network.mean.expand_as(shapes)
            loss = network.reprojection_errors(places, seen, shapes, rotations).mean()
            if config.canonical and not alone:
                any_way = quaternion_to_matrix(torch.randn(len(places), 4))
                loss = loss + config.canonical * network.canonical_errors(shapes, any_way).mean()
            step(optimizer, loss)
            schedule.step()
    return network.eval(), time.process_time() - start


def mean_shape(keypoints: Tensor) -> Tensor:
    """The rigid shape (K, 3) of people (N, K, 3) all of whose joints are seen, which holds itself as people do.

    Raises:
        ValueError: Fewer than three people are seen as a whole.
    """
    whole = keypoints[(keypoints[..., 2] > 0).all(1)][:RIGID]
    if len(whole) < 3:
        raise ValueError("at least three people all of whose joints are seen are needed")
    shape = rigid_shape(centred_places(whole)[0])
    return shape * torch.where(handedness(shape).mean() < 0, -1.0, 1.0)


def rolled(places: Tensor, angles: Tensor) -> Tensor:
    """Places (B, K, 2), turned about the origin by angles (B,) in radians."""
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    x, y = places.unbind(-1)
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1)
