"""Levenberg-Marquardt over the bodies of a window of frames, which terms over time couple.

The shape is the same in all frames and not among the unknowns: the P = 75 unknowns of a frame are a turn of each joint
and the translation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body.state import TRANSLATION, BodyState
from meshrec.fit.banded import banded_cholesky
from meshrec.fit.solver import LEAST_DAMPING, MOST_DAMPING, Quadratic, Term, total
from meshrec.geometry.tangent import pull_back, right_jacobian_inverse, turns_between

UNKNOWNS = TRANSLATION.stop
"""Number of unknowns of a frame: a turn of each joint, and the translation."""
BAND = 2
"""Number of later frames that a term may couple a frame with."""


@dataclass(frozen=True)
class Coupled:
    """Quadratic model of an energy of T bodies in a row.

    Attributes:
        energy: () sum over all.
        gradient: (T, P) with respect to the P = 75 unknowns of each.
        hessian: (T, 3, P, P), of which ``hessian[t, k]`` couples the step of frame t + k with that of frame t.
    """

    energy: Tensor
    gradient: Tensor
    hessian: Tensor

    def __add__(self, other: Coupled) -> Coupled:
        return Coupled(self.energy + other.energy, self.gradient + other.gradient, self.hessian + other.hessian)


TimeTerm = Callable[[BodyState], Coupled]


def robust_shares(squared: Tensor, freedom: float) -> tuple[Tensor, Tensor]:
    """Student's t distribution, scaled so that small errors cost what they cost under a Gaussian.

    Args:
        squared: Squared lengths of errors in standard deviations.
        freedom: Degrees of freedom f.

    Returns:
        Energies f / 2 log(1 + e^2 / f), and the weights 1 / (1 + e^2 / f) of reweighted least squares.
    """
    ratio = squared / freedom
    return freedom / 2 * torch.log1p(ratio), 1 / (1 + ratio)


def nothing(state: BodyState) -> Coupled:
    """The quadratic of no term."""
    like, count = state.rotations, len(state)
    zeros = like.new_zeros(count, BAND + 1, UNKNOWNS, UNKNOWNS)
    return Coupled(like.new_zeros(()), like.new_zeros(count, UNKNOWNS), zeros)


def coupled_sums(values: Tensor, slopes: Tensor, factors: Tensor, freedom: float) -> Coupled:
    """Robust squares of weighted sums over N frames in a row.

    Args:
        values: (T - N + 1, K, 3) the sums for K points, in standard deviations.
        slopes: (T, K, 3, P) derivatives of each frame's points with respect to its step.
        factors: (T - N + 1, N, K or 1) factors of the N frames' points in each sum.
        freedom: Degrees of freedom of the errors of each point.

    Returns:
        The quadratic.
    """
    count, unknowns = len(slopes), slopes.shape[-1]
    sums, frames = factors.shape[:2]
    energy, share = robust_shares(values.square().sum(-1), freedom)
    pulls = values.new_zeros(count, *values.shape[1:])
    weights = slopes.new_zeros(count, BAND + 1, values.shape[1])
    for k in range(frames):
        pulls[k : k + sums] += (factors[:, k] * share)[..., None] * values
        for m in range(k + 1):
            weights[m : m + sums, k - m] += factors[:, k] * factors[:, m] * share
    flat = slopes.flatten(1, 2)  # (T, 3 K, P)
    gradient = (flat.mT @ pulls.flatten(1)[..., None]).squeeze(-1)
    hessian = slopes.new_zeros(count, BAND + 1, unknowns, unknowns)
    for k in range(frames):
        left, right = flat[k:], flat[: max(count - k, 0)]
        weight = weights[: len(right), k].repeat_interleave(3, 1)[..., None]
        hessian[: len(right), k] = left.mT @ (weight * right)
    return Coupled(energy.sum(), gradient, hessian)


def alone(quadratic: Quadratic) -> Coupled:
    """The quadratic of terms that do not couple frames, without its slopes by the betas."""
    hessian = quadratic.hessian[:, None, :UNKNOWNS, :UNKNOWNS]
    hessian = pad(hessian, (0, 0, 0, 0, 0, BAND))
    return Coupled(quadratic.energy.sum(), quadratic.gradient[:, :UNKNOWNS], hessian)


def minimize_coupled(
    frame_terms: Sequence[Term],
    time_terms: Sequence[TimeTerm],
    state: BodyState,
    steps: int,
    fixed: int = 0,
    damping: float = 1e-3,
) -> tuple[BodyState, Coupled]:
    """Minimise the sum of terms by damped Gauss-Newton steps of all frames at once.

    Args:
        frame_terms: Terms of each frame.
        time_terms: Terms that couple frames.
        state: The start: T bodies in a row.
        steps: Number of steps to try. A step that would not lower the energy is not taken.
        fixed: Number of frames at the end that stay as they are.
        damping: Damping of the first step, as a share of the Hessian's diagonal.

    Returns:
        The last state, and the quadratic there, of all frames.
    """

    def quadratic(at: BodyState) -> Coupled:
        return sum((term(at) for term in time_terms), alone(total(frame_terms, at)))

    here, free = quadratic(state), len(state) - fixed
    for _ in range(steps):
        step = torch.zeros(len(state), state.unknowns, dtype=here.gradient.dtype)
        step[:free, :UNKNOWNS] = damped_steps(here, free, damping)
        ahead = state.moved(step)
        there = quadratic(ahead)
        better = bool(there.energy < here.energy)  # false for NaN
        if better:
            state, here = ahead, there
        damping = min(max(damping * (0.2 if better else 8), LEAST_DAMPING), MOST_DAMPING)
    return state, here


def damped_steps(here: Coupled, free: int, damping: float) -> Tensor:
    """Steps (free, P) of the first ``free`` frames that minimise a damped quadratic; the other frames stay."""
    hessian = here.hessian[:free].clone()
    diagonal = hessian[:, 0].diagonal(dim1=-2, dim2=-1)
    diagonal += diagonal * damping + 1e-9
    factor = banded_cholesky(hessian)
    if factor is None:
        return torch.full_like(here.gradient[:free], torch.nan)
    return -factor.solve(here.gradient[:free])


@dataclass(frozen=True)
class Past:
    """What is known of two frames by all frames before them: a quadratic, to which the others were eliminated.

    Attributes:
        reference: The two bodies at which the terms were linearised.
        gradient: (2 P,).
        hessian: (2 P, 2 P).
    """

    reference: BodyState
    gradient: Tensor
    hessian: Tensor

    @classmethod
    def of(cls, state: BodyState, quadratic: Coupled) -> Past | None:
        """Minimise a quadratic over all frames but the last two (Schur complement).

        Args:
            state: T bodies, at least three.
            quadratic: The quadratic of all terms that depend on one of the first T - 2 of them, at their state.

        Returns:
            What is left for the last two; None if the quadratic is not positive definite.
        """
        hessian = quadratic.hessian.clone()
        hessian[:, 0].diagonal(dim1=-2, dim2=-1).add_(1e-9)
        before = len(state) - BAND
        factor = banded_cholesky(hessian[:before])
        if factor is None:
            return None
        size = hessian.shape[-1]
        # Only the last two of the others are coupled with the two that stay.
        mixed = hessian.new_zeros(before, size, BAND * size)
        for t in range(max(before - BAND, 0), before):
            for k in range(1, BAND + 1):
                if t + k >= before:
                    mixed[t, :, (t + k - before) * size : (t + k - before + 1) * size] = hessian[t, k].T
        solved = factor.solve(torch.cat([mixed, quadratic.gradient[:before, :, None]], -1))
        flat = mixed.flatten(0, 1).T
        own = hessian.new_zeros(BAND * size, BAND * size)
        own[:size, :size], own[size:, size:] = hessian[before, 0], hessian[before + 1, 0]
        own[size:, :size], own[:size, size:] = hessian[before, 1], hessian[before, 1].T
        left = flat @ solved.flatten(0, 1)
        gradient = quadratic.gradient[before:].flatten() - left[:, -1]
        return cls(state[before:], gradient, own - left[:, :-1])

    def __rmul__(self, factor: float) -> Past:
        return Past(self.reference, factor * self.gradient, factor * self.hessian)

    def __call__(self, state: BodyState) -> Coupled:
        """The term's quadratic in the unknowns of T bodies, of which the first two are these."""
        own = state[:BAND]
        turns = turns_between(self.reference.rotations, own.rotations)
        offset = torch.cat([turns.flatten(1), own.translation - self.reference.translation], 1).flatten()
        pull = self.hessian @ offset
        slopes = right_jacobian_inverse(turns)
        blocks = self.hessian.unflatten(0, (BAND, -1)).unflatten(2, (BAND, -1)).transpose(1, 2)  # (2, 2, P, P)
        result = nothing(state)
        result.gradient[:BAND] = pull_back(slopes, (self.gradient + pull).view(BAND, -1, 1)).squeeze(-1)
        for t in range(BAND):
            for k in range(BAND - t):
                rows = pull_back(slopes[t + k, None], blocks[t + k, t, None])
                result.hessian[t, k] = pull_back(slopes[t, None], rows.mT)[0].T
        return replace(result, energy=offset @ (self.gradient + pull / 2))
