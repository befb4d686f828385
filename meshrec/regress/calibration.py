"""How far a network's estimates are off on people it has not seen: error covariances and calibrated shapes."""

import torch
from torch import Tensor

from meshrec.body.state import TRANSLATION, TURNS
from meshrec.geometry.tangent import turns_between
from meshrec.models.estimate import Estimate

# What is taken for the errors of a network whose own are not known: radians and betas, standard deviations.
USUAL_ERRORS = (0.3, 1.0)
LEAST_ERRORS = (0.02, 0.1)  # no estimate is more certain than that
OTHER_REST = 0.1  # radians by which the limbs of two bodies at rest point elsewhere


def error_covariance(estimate: Estimate, rotations: Tensor, betas: Tensor) -> Tensor:
    """How far a network's estimates are off: the mean outer product of the errors, with a floor under each.

    Errors are the steps from estimate to truth as the fit takes them (:meth:`meshrec.fit.BodyState.moved`): a turn of
    each joint in its own frame, then the betas. Where bodies stand is left to what is seen of them.

    Args:
        estimate: N bodies that the network has not seen in training; many more than 72 + S.
        rotations: (N, 24, 3, 3) and betas: (N, S), the true ones.

    Returns:
        (72 + S, 72 + S).
    """
    turns = turns_between(estimate.rotations.double(), rotations.double()).flatten(1)
    errors = torch.cat([turns, betas.double() - estimate.betas.double()], dim=1)
    least = errors.new_tensor([LEAST_ERRORS[0]] * turns.shape[1] + [LEAST_ERRORS[1]] * betas.shape[1])
    return errors.mT @ errors / len(errors) + torch.diag(least.square())


def shape_calibration(betas: Tensor, true: Tensor) -> Tensor:
    """(S + 1, S) the matrix C with which ``[betas, 1] @ C`` is the best linear guess of the true betas.

    Where there is little to tell a shape by, as without a mask, networks say more than they know; half of what they say
    may be the better guess. By least squares, with a trace of ridge for few people.

    Args:
        betas: (N, S) of a network, of people whom it has not seen in training.
        true: (N, S).
    """
    known = _with_one(betas.double())
    normal = known.mT @ known + 1e-3 * len(known) * torch.eye(known.shape[1], dtype=torch.float64)
    return torch.linalg.solve(normal, known.mT @ true.double())


def calibrated(betas: Tensor, calibration: Tensor) -> Tensor:
    """Betas (B, S) as calibrations (S + 1, S), or (B, S + 1, S), say they are."""
    return (_with_one(betas)[:, None] @ calibration.to(betas)).squeeze(-2)


def whitening(covariance: Tensor | None, num_betas: int, knows_shape: bool) -> Tensor:
    """(K, M, P) rows that turn a step of the fit into M standard normal numbers; translations are free.

    Of the shape of another body than the trained nothing is known but that betas are standard normal.
    """
    turns = TURNS.stop
    if covariance is None:
        deviations = [USUAL_ERRORS[0]] * turns + [USUAL_ERRORS[1]] * num_betas
        covariance = torch.tensor(deviations).square().diag()[None]
    covariance = covariance.double()
    if not knows_shape:
        other = OTHER_REST**2 * torch.eye(turns, dtype=torch.float64)
        shape = torch.eye(num_betas, dtype=torch.float64)
        covariance = torch.stack([torch.block_diag(own + other, shape) for own in covariance[:, :turns, :turns]])
    rows = torch.linalg.inv(torch.linalg.cholesky(covariance))
    free = rows.new_zeros(*rows.shape[:2], TRANSLATION.stop - TRANSLATION.start)
    return torch.cat([rows[..., :turns], free, rows[..., turns:]], dim=-1)


def _with_one(betas: Tensor) -> Tensor:
    return torch.cat([betas, torch.ones_like(betas[:, :1])], dim=1)
