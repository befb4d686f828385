"""Steps of networks that learn against a critic."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from meshrec.errors import TrainingDiverged
from meshrec.training.lifting import LiftingTraining, rate_at


def critic_loss(critic: nn.Module, real: Tensor, made: Tensor, penalty: float) -> Tensor:
    """A critic's logistic loss with a penalty of its gradients at what is real.

    Goodfellow et al. 2014, "Generative Adversarial Nets", and Mescheder, Geiger and Nowozin 2018, "Which Training
    Methods for GANs do actually Converge?", equation 9.

    Args:
        critic: From (B, ...) to scores (B,), higher for what looks real.
        real, made: (B, ...).
        penalty: Weight of the gradients' mean square norm; half of it counts.

    Returns:
        () the loss.
    """
    real = real.clone().requires_grad_()
    scores = critic(real)
    (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    loss = softplus(-scores).mean() + softplus(critic(made)).mean()
    return loss + penalty / 2 * slope.flatten(1).square().sum(1).mean()


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimizer.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    if not loss.isfinite():
        raise TrainingDiverged("a loss is not finite; try a lower rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def falling_rate(
    optimizer: torch.optim.Optimizer, training: LiftingTraining, first: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of an optimizer whose first step is step ``first`` of the training."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(first + step, training))
