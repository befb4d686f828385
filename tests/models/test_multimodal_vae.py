"""The mixture-of-experts autoencoder: mixtures by torch.distributions, products by integration, and the exact bound."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from meshrec.errors import InputError
from meshrec.models.multimodal_vae import MultimodalConfig, MultimodalVae, Seen, mixture_log_density, product_of


def _vae(**changes) -> MultimodalVae:
    torch.manual_seed(0)
    vae = MultimodalVae(MultimodalConfig(**{"width": 16, "latent": 3, "resolution": 4, "blocks": 1, **changes}))
    return vae.double().eval()


def _seen(vae: MultimodalVae, count: int = 5) -> Seen:
    generator = torch.Generator().manual_seed(1)
    keypoints, joints = torch.randn(2, count, 17, 3, generator=generator).double()
    keypoints[..., 2] = (keypoints[..., 2] > -0.5).double()
    return vae.seen(keypoints, torch.rand(count, 4, 4, generator=generator).double(), joints)


def test_the_mixture_is_that_of_torch():
    means, log_variances = torch.randn(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    parts = Independent(Normal(means.movedim(0, 1), (log_variances.movedim(0, 1) / 2).exp()), 1)
    expected = MixtureSameFamily(Categorical(torch.ones(6, 3)), parts).log_prob(z)
    assert torch.allclose(mixture_log_density(z, list(zip(means, log_variances))), expected, atol=1e-4)


def test_the_product_has_the_moments_of_the_multiplied_densities():
    experts = [(torch.tensor([[0.7]]), torch.tensor([[0.3]])), (torch.tensor([[-1.2]]), torch.tensor([[-0.8]]))]
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    density = Normal(0.0, 1.0).log_prob(x)
    for mean, log_variance in experts:
        density = density + Normal(mean.item(), (log_variance / 2).exp().item()).log_prob(x)
    weight = density.exp() / density.exp().sum()
    mean, log_variance = product_of(experts)
    assert mean.item() == pytest.approx(float((weight * x).sum()), abs=1e-5)
    variance = float((weight * x.square()).sum() - (weight * x).sum() ** 2)
    assert log_variance.exp().item() == pytest.approx(variance, abs=1e-5)


def test_with_one_modality_both_losses_agree():
    """The mixture of one Gaussian: log N(z) - log q(z) has the mean of the divergence's negative."""
    seen = Seen(joints=_seen(_vae()).joints)
    bounds = []
    for mixture in (True, False):
        vae = _vae(mixture=mixture)
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            bounds.append(torch.stack([vae.bound(seen, generator) for _ in range(3000)]).mean(0))
    assert torch.allclose(*bounds, rtol=0.01)


def test_the_bound_is_below_the_exact_density_of_what_is_seen():
    """log p(x) by the mean of p(x | z) over many z of N(0, I)."""
    vae = _vae()
    seen = _seen(vae, 4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for decoder in vae.decoders.values():  # so that the mean over z converges
            decoder.leave.weight.mul_(0.02)
        bound = torch.stack([vae.bound(seen, generator) for _ in range(300)]).mean(0)
        z = torch.randn(4000, 4, 3, generator=generator, dtype=torch.float64)
        exact = torch.stack([vae.log_likelihoods(seen, each) for each in z]).logsumexp(0) - torch.tensor(4000.0).log()
    assert (bound < exact).all() and (bound > exact - 30).all()


def test_likelihoods_are_those_of_torch_and_ignore_missing_joints():
    vae = _vae()
    seen = _seen(vae)
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(4)).double()
    with torch.no_grad():
        for spread in vae.spreads.values():
            spread.normal_(generator=torch.Generator().manual_seed(5))
        deviations = {name: (spread / 2).exp() for name, spread in vae.spreads.items()}
        in_space = Normal(vae.decoders["joints"](z), deviations["joints"]).log_prob(seen.joints.flatten(1))
        places = seen.keypoints[..., :2].flatten(1)
        in_picture = Normal(vae.decoders["keypoints"](z), deviations["keypoints"]).log_prob(places)
        in_picture = in_picture.unflatten(1, (17, 2)) * seen.found[..., None]
        coverage = vae.decoders["mask"](z).sigmoid()
        mask = seen.mask.flatten(1)
        of_mask = mask * coverage.log() + (1 - mask) * (1 - coverage).log()
        expected = 51 * (in_space.mean(1) + in_picture.mean((1, 2)) + of_mask.mean(1))
        assert torch.allclose(vae.log_likelihoods(seen, z), expected)


def test_the_loss_has_the_derivatives_of_finite_differences():
    vae = _vae()
    seen = _seen(vae, 3)
    weight = vae.encoders["mask"].leave.weight

    def bound(mean: torch.Tensor) -> torch.Tensor:
        changed = {"vae.encoders.mask.leave.weight": mean}
        return torch.func.functional_call(_Bound(vae), changed, (seen, torch.Generator().manual_seed(6)))

    assert torch.autograd.gradcheck(bound, weight.detach().clone().requires_grad_())


class _Bound(torch.nn.Module):
    def __init__(self, vae: MultimodalVae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, *arguments):
        return self.vae.bound(*arguments)


def test_modalities_take_turns_or_are_multiplied():
    vae = _vae(samples=6)
    whole = _seen(vae)
    two = Seen(keypoints=whole.keypoints, mask=whole.mask, found=whole.found)
    with torch.no_grad():
        experts = vae.encode(two)
        assert list(experts) == ["keypoints", "mask"]
        z = vae.latents(two, 4000, torch.Generator().manual_seed(7))
        for turn, (mean, _) in enumerate(experts.values()):
            assert torch.allclose(z[:, turn::2].mean(1), mean, atol=0.2)
        z = vae.latents(two, 4000, torch.Generator().manual_seed(8), product=True)
        assert torch.allclose(z.mean(1), product_of(list(experts.values()))[0], atol=0.1)
        assert vae.generated("keypoints", two).shape == (5, 17, 2)
        mask = vae.generated("mask", two)
        assert mask.shape == (5, 4, 4) and ((mask > 0) & (mask < 1)).all()
        assert torch.equal(vae.lifted(two), vae.lifted(two))


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"latent": 0}, {"resolution": 0}, {"blocks": -1}):
        with pytest.raises(InputError):
            MultimodalConfig(**wrong)
