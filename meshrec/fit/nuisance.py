"""Robust sums of squares with nuisance parameters, such as an error that many residuals share.

Nuisance parameters are estimated so that the other unknowns do not absorb their effect, but they are not part of the
result. Their prior is Gaussian, and the Schur complement eliminates them from each quadratic of a fit. What residuals
have in common then counts only as far as that prior allows; differences between residuals keep their full weight.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.fit.solver import Quadratic, squares

# Rounds of reweighted least squares for the nuisance parameters. Three find a clothes' thickness of 2 cm to 0.03 mm and
# one of 4 cm to 3 mm.
ROUNDS = 3


@dataclass(frozen=True)
class Nuisance:
    """M nuisance parameters of N residuals, with a Gaussian prior.

    Attributes:
        slopes: (B, N, M) or (1, N, M) derivatives of the residuals with respect to the parameters.
        mean: (M,) mean of the prior.
        information: (M, M) inverse of the prior's covariance.
    """

    slopes: Tensor
    mean: Tensor
    information: Tensor


def robust_squares(
    residuals: Tensor, slopes: Tensor, nuisance: Nuisance, shrink: Callable[[Tensor], Tensor], weight: float = 1.0
) -> Quadratic:
    """Half the sum of robust squares, minimised over the nuisance parameters.

    Gradient and Hessian take into account that the best nuisance parameters change with the other unknowns.

    Args:
        residuals: (B, N) in standard deviations, with all nuisance parameters zero.
        slopes: (B, N, P) derivatives with respect to the unknowns of the fit.
        nuisance: The nuisance parameters.
        shrink: Function of residuals (B, N) that gives the share (B, N) of their squares that the robust error leaves.
            For the error of Geman & McClure 1987 it is c^2 / (c^2 + e^2); its square is the weight for which weighted
            squares have the same slope.
        weight: Weight of each residual.

    Returns:
        The quadratic in the P unknowns.
    """
    count, kept = len(nuisance.mean), slopes.shape[-1]
    unknown = _likeliest(residuals, nuisance, shrink, weight)
    values = residuals + (nuisance.slopes @ unknown[..., None]).squeeze(-1)
    left = shrink(values)
    root = left * weight**0.5
    jacobian = torch.cat([slopes, nuisance.slopes.expand(len(slopes), -1, -1)], dim=-1)
    seen = squares(values * root, jacobian * root[..., None], slice(None), kept + count)
    seen = replace(seen, energy=weight * (values.square() * left).sum(-1) / 2)
    unusual = unknown - nuisance.mean
    pull = unusual @ nuisance.information
    known = Quadratic((unusual * pull).sum(-1) / 2, pad(pull, (kept, 0)), pad(nuisance.information, (kept, 0, kept, 0)))
    return (seen + known).without_last(count)


def _likeliest(residuals: Tensor, nuisance: Nuisance, shrink: Callable[[Tensor], Tensor], weight: float) -> Tensor:
    """The likeliest nuisance parameters (B, M), by iteratively reweighted least squares."""
    unknown = nuisance.mean.expand(len(residuals), -1)
    for _ in range(ROUNDS):
        values = residuals + (nuisance.slopes @ unknown[..., None]).squeeze(-1)
        weighted = nuisance.slopes.mT * (weight * shrink(values).square())[:, None]
        wanted = nuisance.information @ nuisance.mean[:, None] - weighted @ residuals[..., None]
        unknown = torch.linalg.solve(nuisance.information + weighted @ nuisance.slopes, wanted).squeeze(-1)
    return unknown
