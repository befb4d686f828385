"""Mixtures of multivariate t distributions, fitted by expectation-maximisation.

The algorithm is that of Peel & McLachlan 2000, "Robust mixture modelling using the t distribution", with given degrees
of freedom.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TMixture:
    """K multivariate t distributions in D dimensions.

    Attributes:
        log_weights: (K,) logarithms of the mixture weights.
        means: (K, D).
        scales: (K, D, D) lower Cholesky factors L of the scale matrices L L^T.
        freedom: Degrees of freedom; infinity gives a mixture of Gaussians.
    """

    log_weights: Tensor
    means: Tensor
    scales: Tensor
    freedom: float

    def component_log_densities(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate each component.

        Args:
            x: (N, D) points.

        Returns:
            Log-densities plus logarithms of the weights (N, K), and squared Mahalanobis distances (N, K).
        """
        offsets = (x - self.means[:, None]).transpose(-1, -2)
        distances = torch.linalg.solve_triangular(self.scales, offsets, upper=False).square().sum(-2).T
        size, freedom = x.shape[-1], self.freedom
        if math.isinf(freedom):
            log_density = -distances / 2 - size / 2 * math.log(2 * math.pi)
        else:
            constant = math.lgamma((freedom + size) / 2) - math.lgamma(freedom / 2)
            constant -= size / 2 * math.log(freedom * math.pi)
            log_density = constant - (freedom + size) / 2 * torch.log1p(distances / freedom)
        return log_density - self.scales.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self.log_weights, distances

    def log_density(self, x: Tensor) -> Tensor:
        """Log-density (N,) of the mixture at points (N, D)."""
        return torch.logsumexp(self.component_log_densities(x)[0], dim=-1)


def fit_t_mixture(
    x: Tensor,
    components: int,
    freedom: float,
    generator: torch.Generator,
    mirror: Tensor | None = None,
    pooled_samples: float = 300,
    iterations: int = 50,
) -> TMixture:
    """Maximise the likelihood of samples, with covariances shrunk towards the pooled covariance.

    Args:
        x: (N, D) samples; with ``mirror`` they must contain the mirror image of each sample.
        components: Number K of components before mirroring.
        freedom: Degrees of freedom of all components.
        generator: Random generator of the initial centres.
        mirror: (D, D) reflection P, x -> P x, under which the mixture is made symmetric by a mirror image of each
            component.
        pooled_samples: Strength of the shrinkage: the number of samples with the pooled covariance that are added to
            each component's own samples.
        iterations: Number of EM steps.

    Returns:
        A mixture of K components, or of 2 K with ``mirror``, in which components k and k + K mirror each other.
    """
    means = x[torch.randperm(len(x), generator=generator)[:components]]
    for _ in range(15):  # k-means
        nearest = torch.cdist(x, means).argmin(1)
        means = torch.stack([x[nearest == k].mean(0) if (nearest == k).any() else means[k] for k in range(components)])
    share = torch.nn.functional.one_hot(torch.cdist(x, means).argmin(1), components).to(x)
    weight = share
    for _ in range(iterations):
        mixture = _maximise(x, share, weight, freedom, mirror, pooled_samples)
        log_densities, distances = mixture.component_log_densities(x)
        share = log_densities.softmax(-1)[:, :components] * (1 if mirror is None else 2)
        weight = share
        if not math.isinf(freedom):
            weight = share * ((freedom + x.shape[-1]) / (freedom + distances[:, :components]))
    return mixture


def _maximise(
    x: Tensor, share: Tensor, weight: Tensor, freedom: float, mirror: Tensor | None, pooled_samples: float
) -> TMixture:
    """M-step: the mixture of largest expected likelihood.

    Args:
        x: (N, D) samples.
        share: (N, K) responsibilities of the components.
        weight: (N, K) responsibilities times the weights by which t distributions discount outliers.
        freedom, mirror, pooled_samples: As in :func:`fit_t_mixture`.
    """
    counts = share.sum(0)
    means = (weight.T @ x) / weight.sum(0)[:, None]
    covariances = torch.stack(
        [((x - mean) * w[:, None]).T @ (x - mean) / n for mean, w, n in zip(means, weight.T, counts)]
    )
    proportions = counts / counts.sum()
    common = torch.einsum("k,kij->ij", proportions, covariances)
    if mirror is not None:
        common = (common + mirror @ common @ mirror.T) / 2
    trust = (counts / (counts + pooled_samples))[:, None, None]
    covariances = trust * covariances + (1 - trust) * common
    if mirror is not None:
        proportions = torch.cat([proportions, proportions]) / 2
        means = torch.cat([means, means @ mirror.T])
        covariances = torch.cat([covariances, mirror @ covariances @ mirror.T])
    return TMixture(proportions.log(), means, torch.linalg.cholesky(covariances), freedom)
