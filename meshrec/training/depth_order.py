"""Training of the two networks of :mod:`meshrec.models.depth_order`, each on people of its own."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from meshrec.models.depth_order import DepthOrder, DepthOrderConfig, with_depths
from meshrec.models.standardised import Standardised
from meshrec.training.lifting import LiftedPeople, LiftingTraining, train_lifter, train_network
from meshrec.training.losses import ordinal_depth_loss, ordinal_relations

Loss = Callable[[Standardised, LiftedPeople], Tensor]


def order_loss(tolerance: float) -> Loss:
    """The ranking loss of depths of which nothing but the order is known.

    Args:
        tolerance: Difference up to which depths count as equal, metres.
    """

    def loss(network: Standardised, people: LiftedPeople) -> Tensor:
        relations, known = ordinal_relations(people.joints[..., 2], tolerance=tolerance)
        return ordinal_depth_loss(network(people.keypoints)[..., 2], relations, known, scale=1.0)

    return loss


def depth_loss(network: Standardised, people: LiftedPeople) -> Tensor:
    """() mean squared error of depths, in units of 0.1 m: full supervision, to compare with."""
    return (network(people.keypoints)[..., 2] - people.joints[..., 2] / 0.1).square().mean()


def train_depth_order(
    config: DepthOrderConfig,
    labelled: LiftedPeople,
    captured: LiftedPeople,
    training: LiftingTraining,
    loss: Loss | None = None,
) -> tuple[DepthOrder, float]:
    """Train both networks.

    Args:
        config: Settings of the networks.
        labelled: People with 2D joints and the order of their depths, from whom the first network learns.
        captured: People of motion capture, from whom the second network learns.
        training: How each of the two is trained.
        loss: The loss of the first network; by default that of the order of depths.

    Returns:
        The networks in evaluation mode, and the processor time that they took, seconds.

    Raises:
        TrainingDiverged: A loss is not finite.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        both = DepthOrder(config)
    _, first = train_network(lambda: both.depths, labelled, training, loss or order_loss(config.tolerance))
    generator = torch.Generator().manual_seed(training.seed)
    depths = captured.joints[..., 2]
    spread = depths.std(-1, keepdim=True, correction=0)
    noisy = depths + config.noise * spread * torch.randn(depths.shape, generator=generator)
    seen = replace(captured, keypoints=with_depths(captured.keypoints, noisy))
    _, second = train_lifter(lambda: both.complete, seen, training)
    return both.eval(), first + second


def halves(people: LiftedPeople) -> tuple[LiftedPeople, LiftedPeople]:
    """The first and the second half of people, so that nobody is in both."""
    middle = len(people) // 2
    first = {name: values[:middle] for name, values in vars(people).items()}
    second = {name: values[middle:] for name, values in vars(people).items()}
    return LiftedPeople(**first), LiftedPeople(**second)
