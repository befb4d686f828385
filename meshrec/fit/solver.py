"""Levenberg-Marquardt over a batch of bodies."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body.state import BodyState, choose

LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e6  # shares of the Hessian's diagonal


@dataclass(frozen=True)
class Quadratic:
    """Quadratic model of an energy near a state: ``energy + gradient . step + step . hessian . step / 2``.

    Attributes:
        energy: (B,) negative log-likelihood of B bodies, up to a constant.
        gradient: (B, P) with respect to the P unknowns of a step.
        hessian: (B, P, P), positive semidefinite.
    """

    energy: Tensor
    gradient: Tensor
    hessian: Tensor

    @classmethod
    def zero(cls, state: BodyState) -> "Quadratic":
        """The quadratic of no term, to which compiled loops add those of terms in its place."""
        size, unknowns = len(state), state.unknowns
        shapes = ((size,), (size, unknowns), (size, unknowns, unknowns))
        return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energy, gradient and Hessian as arrays that share their memory."""
        return self.energy.numpy(), self.gradient.numpy(), self.hessian.numpy()

    def __getitem__(self, index: Tensor | slice) -> "Quadratic":
        return Quadratic(self.energy[index], self.gradient[index], self.hessian[index])

    def __add__(self, other: "Quadratic") -> "Quadratic":
        return Quadratic(self.energy + other.energy, self.gradient + other.gradient, self.hessian + other.hessian)

    def __rmul__(self, factor: float) -> "Quadratic":
        return Quadratic(factor * self.energy, factor * self.gradient, factor * self.hessian)

    def without_last(self, count: int) -> "Quadratic":
        """Minimise over the last ``count`` unknowns: a quadratic of the others, by the Schur complement."""
        kept = self.gradient.shape[1] - count
        pull, mixed = self.gradient[:, kept:, None], self.hessian[:, kept:, :kept]
        solved = torch.linalg.solve(self.hessian[:, kept:, kept:], torch.cat([mixed, pull], dim=-1))
        answer = solved[..., -1]
        return Quadratic(
            self.energy - (pull.squeeze(-1) * answer).sum(-1) / 2,
            self.gradient[:, :kept] - (mixed.mT @ answer[..., None]).squeeze(-1),
            self.hessian[:, :kept, :kept] - mixed.mT @ solved[..., :-1],
        )


def squares(values: Tensor, jacobian: Tensor, within: slice, unknowns: int) -> Quadratic:
    """Half the sum of squared residuals.

    Args:
        values: (B, N) residuals.
        jacobian: (B, N, M) their derivatives with respect to M of the unknowns.
        within: Which of the unknowns these are.
        unknowns: Number P of all unknowns.

    Returns:
        The quadratic in P unknowns (Gauss-Newton: second derivatives of the residuals are left out).
    """
    start, stop, _ = within.indices(unknowns)
    gradient = (values[:, None] @ jacobian).squeeze(1)
    hessian = jacobian.transpose(1, 2) @ jacobian
    before, after = start, unknowns - stop
    return Quadratic(
        values.square().sum(-1) / 2, pad(gradient, (before, after)), pad(hessian, (before, after, before, after))
    )


Term = Callable[[BodyState], Quadratic]


def total(terms: Sequence[Term], state: BodyState) -> Quadratic:
    """Sum of the terms' quadratics at a state."""
    first, *others = (term(state) for term in terms)
    if not others:
        return first
    found = first + others[0]
    for other in others[1:]:  # in place: new Hessians would cost more than the sums
        found.energy.add_(other.energy)
        found.gradient.add_(other.gradient)
        found.hessian.add_(other.hessian)
    return found


class Remembered:
    """The sum of some terms as one, kept for the last two states: many a minimisation begins where another ended.

    Args:
        terms: At least one term.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._terms = tuple(terms)
        self._known: deque[tuple[BodyState, Quadratic]] = deque(maxlen=2)

    def __call__(self, state: BodyState) -> Quadratic:
        """The sum's quadratic in the P unknowns of B bodies."""
        for known, quadratic in self._known:
            if known is state:
                return quadratic
        found = total(self._terms, state)
        self._known.append((state, found))
        return found


def minimize(terms: Sequence[Term], state: BodyState, steps: int, damping: float = 1e-3) -> tuple[BodyState, Quadratic]:
    """Minimise the sum of the terms by damped Gauss-Newton steps, separately for each body (Marquardt 1963).

    Args:
        terms: The terms of the energy, at least one.
        state: The start: B bodies.
        steps: Number of steps to try. A step that would not lower a body's energy is not taken for that body.
        damping: Damping of the first step, as a share of the Hessian's diagonal.

    Returns:
        The last state, and the quadratic there.
    """
    here = total(terms, state)
    dampings = torch.full_like(here.energy, damping)
    for _ in range(steps):
        ahead = state.moved(damped_step(here, dampings))
        there = total(terms, ahead)
        accept = there.energy < here.energy  # false for NaN
        if accept.all():
            state, here = ahead, there
        elif accept.any():
            state = choose(accept, ahead, state)
            here = Quadratic(
                torch.where(accept, there.energy, here.energy),
                torch.where(accept[:, None], there.gradient, here.gradient),
                torch.where(accept[:, None, None], there.hessian, here.hessian),
            )
        dampings = torch.where(accept, dampings * 0.2, dampings * 8).clamp(LEAST_DAMPING, MOST_DAMPING)
    return state, here


def damped_step(here: Quadratic, dampings: Tensor) -> Tensor:
    """Minimise damped quadratics.

    Args:
        here: The quadratics.
        dampings: (B,) factors of the Hessians' diagonals that are added to the Hessians.

    Returns:
        (B, P) steps.
    """
    diagonal = here.hessian.diagonal(dim1=-2, dim2=-1)
    damped = here.hessian + torch.diag_embed(diagonal * dampings[:, None] + 1e-9)
    factor, _ = torch.linalg.cholesky_ex(damped)
    return -torch.cholesky_solve(here.gradient[..., None], factor).squeeze(-1)
