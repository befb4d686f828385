"""Training of :mod:`meshrec.models.deep_nrsfm`: 2D joints of people and nothing else."""

import time

import torch

from meshrec.models.deep_nrsfm import DeepNRSfM, DeepNRSfMConfig
from meshrec.models.unscaled import centred_places, handedness
from meshrec.training.lifting import LiftedPeople, LiftingTraining, falling_rate, shuffled, step

JUDGED = 8192
"""The largest number of people who decide which reflection is theirs."""


def train_deep_nrsfm(
    config: DeepNRSfMConfig, people: LiftedPeople, length: float, training: LiftingTraining
) -> tuple[DeepNRSfM, float]:
    """Train a hierarchy of dictionaries with 2D joints alone.

    Args:
        config: Settings of the network.
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
        network = DeepNRSfM(config)
        network.length.fill_(length)
        optimizer = torch.optim.Adam(network.parameters(), lr=training.rate)
        schedule = falling_rate(optimizer, training)
        start = time.process_time()
        for batch in shuffled(people, training):
            places, seen = centred_places(batch.keypoints)
            shapes, cameras = network.factors(places, seen)
            step(optimizer, network.reprojection_errors(places, seen, shapes, cameras).mean())
            schedule.step()
        seconds = time.process_time() - start
    with torch.no_grad():
        held = handedness(network.shape(people.keypoints[:JUDGED])).mean()
    network.side.mul_(torch.where(held < 0, -1.0, 1.0))
    return network.eval(), seconds
