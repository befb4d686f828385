"""Robust squares with nuisance parameters: closed forms, and the same estimate by dense least squares."""

import numpy as np
import pytest
import torch

from meshrec.fit.nuisance import ROUNDS, Nuisance, robust_squares
from meshrec.fit.nuisance_kernels import likeliest

BODIES, RESIDUALS, UNKNOWNS, NUISANCES = 3, 12, 5, 4


@pytest.fixture(params=[1, BODIES], ids=["one slope for all", "own slopes"])
def problem(request) -> tuple[torch.Tensor, torch.Tensor, Nuisance]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    root = normal(NUISANCES, NUISANCES)
    nuisance = Nuisance(
        normal(request.param, RESIDUALS, NUISANCES), normal(NUISANCES), root @ root.T + 0.5 * torch.eye(4)
    )
    return normal(BODIES, RESIDUALS) * 3, normal(BODIES, RESIDUALS, UNKNOWNS), nuisance


def test_without_robustness_nuisance_parameters_are_correlated_noise(problem):
    residuals, slopes, nuisance = problem
    weight = 0.7
    found = robust_squares(residuals, slopes, nuisance, cutoff=1e9, group=2, weight=weight)
    own = nuisance.slopes
    covariance = torch.eye(RESIDUALS).double() / weight + own @ torch.linalg.inv(nuisance.information) @ own.mT
    precision = torch.linalg.inv(covariance)
    offset = (residuals + own @ nuisance.mean)[..., None]
    assert torch.allclose(found.energy, (offset.mT @ precision @ offset).flatten() / 2)
    assert torch.allclose(found.gradient, (slopes.mT @ precision @ offset).squeeze(-1))
    assert torch.allclose(found.hessian, slopes.mT @ precision @ slopes)


@pytest.mark.parametrize("group", [1, 2])
def test_reweighting_agrees_with_dense_least_squares(problem, group):
    residuals, _, nuisance = problem
    cutoff, weight = 2.0, 0.7
    prior = np.linalg.cholesky(nuisance.information.numpy()).T
    found = np.empty((BODIES, NUISANCES))
    arrays = [part.numpy() for part in (residuals, nuisance.slopes, nuisance.mean, nuisance.information)]
    likeliest(*arrays, cutoff, group, weight, ROUNDS, found)
    for b in range(BODIES):
        own = nuisance.slopes[b % len(nuisance.slopes)].numpy()
        unknown = mean = nuisance.mean.numpy()
        for _ in range(ROUNDS):
            squared = np.square(residuals[b].numpy() + own @ unknown).reshape(-1, group).sum(1).repeat(group)
            root = weight**0.5 * cutoff**2 / (cutoff**2 + squared)
            matrix = np.concatenate([root[:, None] * own, prior])
            unknown = np.linalg.lstsq(matrix, np.concatenate([-root * residuals[b].numpy(), prior @ mean]), rcond=None)[
                0
            ]
        assert np.allclose(found[b], unknown)


def test_nothing_is_found_behind_the_camera(problem):
    residuals, slopes, nuisance = problem
    residuals[0, 3] = torch.nan
    energy = robust_squares(residuals, slopes, nuisance, cutoff=4.0).energy
    assert energy.isnan().tolist() == [True, False, False]
