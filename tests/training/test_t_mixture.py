"""Mixtures of t distributions: densities as in SciPy, fits that recover what made the samples, and symmetric fits."""

import math

import numpy as np
import torch
from scipy.stats import multivariate_normal, multivariate_t

from meshrec.training.t_mixture import TMixture, fit_t_mixture


def samples(count: int, freedom: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means = np.array([[-4.0, 0.0], [3.0, 2.0]])
    shapes = np.array([[[1.0, 0.6], [0.6, 1.0]], [[0.5, 0.0], [0.0, 2.0]]])
    draws = [
        multivariate_t(mean, shape, df=freedom, seed=seed + k).rvs(n)
        for k, (mean, shape, n) in enumerate(zip(means, shapes, (count // 4, 3 * count // 4)))
    ]
    return np.concatenate(draws), means, shapes


def test_densities_match_scipy():
    x, means, shapes = samples(20, 5, seed=0)
    scales = torch.from_numpy(np.linalg.cholesky(shapes))
    weights = np.array([0.3, 0.7])
    for freedom in (5.0, math.inf):
        mixture = TMixture(torch.from_numpy(weights).log(), torch.from_numpy(means), scales, freedom)
        expected = sum(
            w * (multivariate_normal(m, s).pdf(x) if math.isinf(freedom) else multivariate_t(m, s, df=freedom).pdf(x))
            for w, m, s in zip(weights, means, shapes)
        )
        np.testing.assert_allclose(mixture.log_density(torch.from_numpy(x)), np.log(expected), rtol=1e-10)


def test_fit_recovers_what_made_the_samples():
    x, means, shapes = samples(20_000, 4, seed=1)
    mixture = fit_t_mixture(torch.from_numpy(x), 2, 4, torch.Generator().manual_seed(0), pooled_samples=1)
    order = mixture.means[:, 0].argsort()
    np.testing.assert_allclose(mixture.log_weights[order].exp(), [0.25, 0.75], atol=0.01)
    np.testing.assert_allclose(mixture.means[order], means, atol=0.05)
    np.testing.assert_allclose((mixture.scales @ mixture.scales.mT)[order], shapes, atol=0.08)


def test_mirrored_fit_is_symmetric():
    x = torch.from_numpy(samples(2000, 6, seed=2)[0])
    mirror = torch.diag(torch.tensor([-1.0, 1.0], dtype=x.dtype))
    both = torch.cat([x, x @ mirror.T])
    mixture = fit_t_mixture(both, 2, 6, torch.Generator().manual_seed(0), mirror)
    torch.testing.assert_close(mixture.log_density(both[: len(x)]), mixture.log_density(both[len(x) :]))
    # It explains the samples as well as a free fit of as many components, which half of them cannot.
    free = fit_t_mixture(both, 4, 6, torch.Generator().manual_seed(0))
    half = fit_t_mixture(both, 1, 6, torch.Generator().manual_seed(0), mirror)
    least, fit, most = (m.log_density(both).mean() for m in (half, mixture, free))
    assert fit > most - 0.1 * (most - least)
