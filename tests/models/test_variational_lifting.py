"""The variational lifter: a linear Gaussian problem whose solution is known, and what a training changes."""

from functools import cache

import pytest
import torch
from torch.distributions import MultivariateNormal

from meshrec.errors import InputError
from meshrec.models.variational_lifting import ConditionalVae, VariationalConfig, VariationalLifter

SEEN, WANTED, LATENT, NOISE = 2, 3, 1, 0.5


def _problem() -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of y = A c + B z + e, with e of standard deviation NOISE."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(WANTED, SEEN, generator=generator), torch.randn(WANTED, LATENT, generator=generator)


def _drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    by_seen, by_hidden = _problem()
    seen, hidden, noise = (torch.randn(count, n, generator=generator) for n in (SEEN, LATENT, WANTED))
    return seen, seen @ by_seen.T + hidden @ by_hidden.T + NOISE * noise


@cache
def _trained(uneven: bool = False) -> ConditionalVae:
    with torch.enable_grad(), torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        vae = ConditionalVae(SEEN, WANTED, LATENT, width=32, blocks=0, uneven=uneven)
        optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 700)
        seen, wanted = _drawn(20000, seed=1)
        for step in range(700):
            rows = torch.arange(256) + 256 * (step % 78)
            optimizer.zero_grad()
            (-vae.bound(wanted[rows], seen[rows]).mean()).backward()
            optimizer.step()
            schedule.step()
    return vae.eval()


@pytest.mark.parametrize("uneven", [False, True])
@torch.no_grad()
def test_samples_have_the_moments_of_the_true_distribution(uneven):
    """p(y | c) = N(A c, B B' + NOISE^2 I)."""
    by_seen, by_hidden = _problem()
    covariance = by_hidden @ by_hidden.T + NOISE**2 * torch.eye(WANTED)
    seen = torch.tensor([[0.0, 0.0], [1.0, -0.5], [-1.0, 1.0]])
    found = _trained(uneven).samples(seen, 4000, torch.Generator().manual_seed(2), noise=True)
    scale = covariance.diagonal().sqrt()
    assert ((found.mean(1) - seen @ by_seen.T) / scale).abs().max() < 0.15
    for each in found:
        assert torch.linalg.matrix_norm(each.T.cov() - covariance) < 0.2 * torch.linalg.matrix_norm(covariance)


@torch.no_grad()
def test_the_bound_nearly_reaches_the_true_density_and_stays_below():
    by_seen, by_hidden = _problem()
    seen, wanted = _drawn(5000, seed=3)
    covariance = by_hidden @ by_hidden.T + NOISE**2 * torch.eye(WANTED)
    exact = MultivariateNormal(seen @ by_seen.T, covariance).log_prob(wanted).mean()
    bound = _trained().bound(wanted, seen, torch.Generator().manual_seed(4)).mean()
    assert exact - 0.15 < bound < exact


@torch.no_grad()
def test_the_encoder_has_the_true_posterior_of_what_is_hidden():
    """By the decoder, which is nearly linear: the covariance of z given y is (I + B' B / NOISE^2)^-1."""
    vae = _trained()
    seen, wanted = _drawn(200, seed=5)
    found = torch.func.vmap(torch.func.jacrev(lambda z, c: vae.decode(z[None], c[None])[0][0]))(
        torch.zeros(200, LATENT), seen
    ).mean(0)
    precision = torch.eye(LATENT) + found.T @ torch.diag((-vae.log_variance).exp()) @ found
    _, log_variance = vae.encode(wanted, seen)
    # The Gaussian with independent coordinates that is nearest has the inverses of the precision's diagonal.
    assert (log_variance.mean(0) + precision.diagonal().log()).abs().max() < 0.2


@pytest.mark.parametrize("uneven", [False, True])
def test_the_loss_has_the_derivatives_of_finite_differences(uneven):
    torch.manual_seed(0)
    vae = ConditionalVae(2, 3, 2, width=6, blocks=1, uneven=uneven).double().eval()
    for weight in vae.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    wanted, seen = torch.randn(2, 4, 3, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)

    def bound(log_variance: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        changed = {"log_variance": log_variance, "encoder.leave.weight": last}
        arguments = (wanted[0], seen, torch.Generator().manual_seed(1))
        return torch.func.functional_call(_Bound(vae), {f"vae.{k}": v for k, v in changed.items()}, arguments)

    start = (vae.log_variance.detach().clone(), vae.encoder.leave.weight.detach().clone())
    assert torch.autograd.gradcheck(bound, [value.requires_grad_() for value in start])


class _Bound(torch.nn.Module):
    def __init__(self, vae: ConditionalVae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, *arguments):
        return self.vae.bound(*arguments)


def test_a_network_gives_the_same_mean_and_as_many_poses_as_are_asked_for():
    torch.manual_seed(0)
    lifter = VariationalLifter(VariationalConfig(seen="mediapipe33", width=16, latent=3, samples=7)).eval()
    seen = torch.rand(3, 33, 3)
    with torch.no_grad():
        assert torch.equal(lifter(seen), lifter(seen))
        assert lifter(seen).shape == (3, 17, 3)
        poses = lifter.poses(seen, 7, torch.Generator().manual_seed(0))
        assert torch.allclose(poses.mean(1), lifter(seen), atol=1e-5)
        noisy = lifter.poses(seen, 7, torch.Generator().manual_seed(0), noise=True)
    assert poses.shape == noisy.shape == (3, 7, 17, 3) and (poses - noisy).abs().min(0).values.max() > 0
    assert lifter.loss(seen, torch.rand(3, 17, 3)).isfinite()


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"latent": 0}, {"width": 0}, {"samples": 0}, {"blocks": -1}):
        with pytest.raises(InputError):
            VariationalConfig(**wrong)
