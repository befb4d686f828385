"""Gaussians with independent coordinates, as variational networks use them."""

import math

import torch
from torch import Tensor

LOG_TWO_PI = math.log(2 * math.pi)


def kl_from_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Gaussians from the standard normal distribution.

    Source: Kingma and Welling 2014, "Auto-Encoding Variational Bayes", appendix B.

    Args:
        mean: (..., D) means.
        log_variance: (..., D) logarithms of the variances of the independent coordinates.

    Returns:
        (...) divergences, nats.

    Example:
        >>> import torch
        >>> from meshrec.models.gaussians import kl_from_standard
        >>> kl_from_standard(torch.tensor([2.0, 0.0]), torch.zeros(2)).item()
        2.0
    """
    return (log_variance.exp() + mean.square() - 1 - log_variance).sum(-1) / 2


def log_density(values: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Logarithm of the density of each coordinate.

    Args:
        values, mean, log_variance: Tensors that broadcast to one shape.

    Returns:
        Values of that shape, nats.
    """
    return -((values - mean).square() * (-log_variance).exp() + log_variance + LOG_TWO_PI) / 2


def drawn(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One value of each Gaussian, through which gradients flow to mean and variance (the reparametrisation).

    Args:
        mean, log_variance: (..., D).
        generator: Source of the randomness. Default: torch's own.
    """
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + (log_variance / 2).exp() * noise
