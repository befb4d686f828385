"""Robust sums of squares beside unknowns that nobody asks for, such as errors that many residuals share.

A nuisance must not be read as something else. Its prior is a normal distribution, so that it can be left out of the
unknowns of a fit: what residuals say together is then worth no more than what is known of what they share, and what
they say against each other is worth as much as before.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.fit.solver import Quadratic, squares

ROUNDS = 3  # of finding the likeliest nuisance: thicknesses of 2 cm are then found to 0.03 mm, of 4 cm to 3 mm


@dataclass(frozen=True)
class Nuisance:
    """M unknowns that are left out.

    Attributes:
        slopes: (B, N, M) or (1, N, M), how N residuals change with them.
        mean: (M,) of their prior.
        information: (M, M), the inverse of its covariance.
    """

    slopes: Tensor
    mean: Tensor
    information: Tensor


def robust_squares(
    residuals: Tensor, slopes: Tensor, nuisance: Nuisance, shrink: Callable[[Tensor], Tensor], weight: float = 1.0
) -> Quadratic:
    """Half the sum of robust squares, for the likeliest nuisance, which gradient and Hessian know to follow the others.

    Args:
        residuals: (B, N) in standard deviations, without the nuisance.
        slopes: (B, N, P) how they change with the unknowns that are kept.
        nuisance: What else they change with.
        shrink: From residuals (B, N) the shares (B, N) that the robust error leaves of their squares. That of Geman &
            McClure 1987 is c^2 / (c^2 + e^2), whose square is the weight with which squares have the same slope.
        weight: Of each residual.
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
    """(B, M), by least squares that are weighted anew in each round."""
    unknown = nuisance.mean.expand(len(residuals), -1)
    for _ in range(ROUNDS):
        values = residuals + (nuisance.slopes @ unknown[..., None]).squeeze(-1)
        weighted = nuisance.slopes.mT * (weight * shrink(values).square())[:, None]
        wanted = nuisance.information @ nuisance.mean[:, None] - weighted @ residuals[..., None]
        unknown = torch.linalg.solve(nuisance.information + weighted @ nuisance.slopes, wanted).squeeze(-1)
    return unknown
