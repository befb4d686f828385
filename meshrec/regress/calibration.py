"""The covariance of a network's errors, and the calibration of its betas, from people it was not trained on."""

import torch
from torch import Tensor

from meshrec.body.state import TRANSLATION, TURNS
from meshrec.geometry.tangent import turns_between
from meshrec.models.estimate import Estimate
from meshrec.regress.settings import RegressorSettings

LEAST_ERRORS = (0.02, 0.1)  # standard deviations of joint rotations, radians, and betas that are added to measured ones


def error_covariance(estimate: Estimate, rotations: Tensor, betas: Tensor) -> Tensor:
    """Covariance of a network's errors: the mean of their outer products, with a small variance added to each.

    Errors are steps from the estimate to the truth as the fit takes them (:meth:`meshrec.body.state.BodyState.moved`):
    a rotation of each joint in its own frame, then the betas. Translations are not among them; the fit finds those
    from the detections.

    Args:
        estimate: Estimates of N people on whom the network was not trained; many more than 72 + S.
        rotations: (N, 24, 3, 3) true local rotations.
        betas: (N, S) true betas.

    Returns:
        (72 + S, 72 + S) float64, radians and betas.
    """
    turns = turns_between(estimate.rotations.double(), rotations.double()).flatten(1)
    errors = torch.cat([turns, betas.double() - estimate.betas.double()], dim=1)
    least = errors.new_tensor([LEAST_ERRORS[0]] * turns.shape[1] + [LEAST_ERRORS[1]] * betas.shape[1])
    return errors.mT @ errors / len(errors) + torch.diag(least.square())


def shape_calibration(betas: Tensor, true: Tensor) -> Tensor:
    """Fit the best linear estimate of the true betas from those of a network.

    If little tells the shape, as without a mask, a network's betas are too large: half of them may be closer to the
    truth. The fit is by least squares, with a slight ridge penalty for few people.

    Args:
        betas: (N, S) a network's betas of people on whom it was not trained.
        true: (N, S) their true betas.

    Returns:
        (S + 1, S) float64, the matrix C of the estimate ``[betas, 1] @ C``.
    """
    known = _with_one(betas.double())
    normal = known.mT @ known + 1e-3 * len(known) * torch.eye(known.shape[1], dtype=torch.float64)
    return torch.linalg.solve(normal, known.mT @ true.double())


def calibrated(betas: Tensor, calibration: Tensor) -> Tensor:
    """Apply calibrations.

    Args:
        betas: (B, S) a network's betas.
        calibration: (S + 1, S) or (B, S + 1, S), as :func:`shape_calibration` returns it.

    Returns:
        (B, S).
    """
    return (_with_one(betas)[:, None] @ calibration.to(betas)).squeeze(-2)


def whitening(
    covariance: Tensor | None, num_betas: int, knows_shape: bool, settings: RegressorSettings = RegressorSettings()
) -> Tensor:
    """Square roots of the information matrices of a network's estimates; see :class:`meshrec.fit.terms.Closeness`.

    Args:
        covariance: (K, 72 + S, 72 + S) covariances of the errors of K kinds of people. None if they were not measured.
        num_betas: Number S of betas.
        knows_shape: Whether the network was trained with the body that is estimated. If not, its betas mean something
            else there, and their prior is standard normal.
        settings: Uncertainty that is assumed without measured covariances, and for another body.

    Returns:
        (K, M, P) float64 matrices that map a step of the fit to M standard normal numbers. Their columns of the
        translation are zero: a network says nothing about it.
    """
    turns = TURNS.stop
    if covariance is None:
        deviations = [settings.usual_turn] * turns + [settings.usual_beta] * num_betas
        covariance = torch.tensor(deviations).square().diag()[None]
    covariance = covariance.double()
    if not knows_shape:
        other = settings.other_rest**2 * torch.eye(turns, dtype=torch.float64)
        shape = torch.eye(num_betas, dtype=torch.float64)
        covariance = torch.stack([torch.block_diag(own + other, shape) for own in covariance[:, :turns, :turns]])
    rows = torch.linalg.inv(torch.linalg.cholesky(covariance))
    free = rows.new_zeros(*rows.shape[:2], TRANSLATION.stop - TRANSLATION.start)
    return torch.cat([rows[..., :turns], free, rows[..., turns:]], dim=-1)


def _with_one(betas: Tensor) -> Tensor:
    """Append a column of ones to betas (B, S)."""
    return torch.cat([betas, torch.ones_like(betas[:, :1])], dim=1)
