"""The loss of critics that tell what is real from what a network made."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


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
