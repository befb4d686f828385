"""Gaussians of variational networks against torch.distributions."""

import torch
from torch.distributions import Normal, kl_divergence

from meshrec.models.gaussians import drawn, kl_from_standard, log_density


def _gaussian() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    return mean, log_variance


def test_the_divergence_is_that_of_torch():
    mean, log_variance = _gaussian()
    gaussian = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(gaussian, Normal(torch.zeros(4).double(), torch.ones(4).double())).sum(1)
    assert torch.allclose(kl_from_standard(mean, log_variance), expected)
    assert kl_from_standard(torch.zeros(3), torch.zeros(3)) == 0


def test_the_density_is_that_of_torch():
    mean, log_variance = _gaussian()
    values = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = Normal(mean, (log_variance / 2).exp()).log_prob(values)
    assert torch.allclose(log_density(values, mean, log_variance), expected)


def test_drawn_values_have_the_moments_and_pass_gradients():
    mean, log_variance = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 2.0], requires_grad=True)
    values = drawn(mean.expand(40000, 2), log_variance.expand(40000, 2), torch.Generator().manual_seed(0))
    assert torch.allclose(values.mean(0), mean, atol=0.06)
    assert torch.allclose(values.var(0), log_variance.exp(), rtol=0.05)
    values.square().mean().backward()
    assert (log_variance.grad > 0).all()
