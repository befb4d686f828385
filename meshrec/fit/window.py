"""A window of frames of a clip that was fitted, and what it tells of the frames behind it and of its own accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS
from meshrec.body.state import BodyState
from meshrec.fit.banded import banded_cholesky
from meshrec.fit.coupled import BAND, UNKNOWNS, Coupled, Past, TimeTerm, alone
from meshrec.fit.result import UNKNOWN
from meshrec.fit.solver import Term, total
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians


@dataclass(frozen=True, eq=False)
class Window:
    """A window of frames, and the terms that were fitted.

    Attributes:
        skeleton: The ``smpl24`` joints as landmarks.
        frame_terms: Terms of single frames.
        time_terms_of: The terms over time of a part of the window.
        before: What the frames before tell.
        state: The bodies.
        share: Share of independent evidence in a frame.
    """

    skeleton: LandmarkMoments
    frame_terms: list[Term]
    time_terms_of: Callable[[slice], list[TimeTerm]]
    before: Past | None
    state: BodyState
    share: float

    def time_terms(self, part: slice) -> list[TimeTerm]:
        """The terms over time of a part of the window, among them the past where the part is the beginning."""
        return [*self.time_terms_of(part), *([] if self.before is None or part.start else [self.before])]

    def past(self, start: int) -> Past | None:
        """What the frames before ``start`` tell of the two from there on."""
        part = slice(0, start + BAND)
        state = self.state[part]
        quadratic = alone(total(self.frame_terms, self.state))
        quadratic.gradient[start:], quadratic.hessian[start:] = 0, 0
        quadratic = Coupled(quadratic.energy, quadratic.gradient[part], quadratic.hessian[part])
        for term in self.time_terms(part):
            quadratic = quadratic + term(state)
        # A term of two frames that begins at `start` is that of the next window.
        for term in self.time_terms_of(slice(start, start + BAND)):
            later = term(state[start:])
            quadratic.gradient[start:] -= later.gradient
            quadratic.hessian[start:] -= later.hessian
        return Past.of(state, quadratic)

    def deviation(self) -> Tensor:
        """Standard deviations (T, 24) of joints relative to the pelvis, by Laplace's approximation.

        Errors of neighbouring frames are alike. What a frame shows therefore counts only by its share of independent
        evidence; otherwise many frames would seem to be sure of the same error.
        """
        here = alone(self.share * total(self.frame_terms, self.state))
        for term in self.time_terms_of(slice(0, len(self.state))):
            here = here + term(self.state)
        if self.before is not None:
            here = here + (self.share * self.before)(self.state)
        _, jacobian = landmark_jacobians(self.skeleton, self.state)
        relative = (jacobian - jacobian[:, :1])[..., :UNKNOWNS].flatten(1, 2)
        here.hessian[:, 0].diagonal(dim1=1, dim2=2).add_(1e-9)
        factor = banded_cholesky(here.hessian)
        if factor is None:
            return torch.full((len(self.state), NUM_JOINTS), UNKNOWN, dtype=torch.float64)
        variances = ((relative @ factor.variances()) * relative).sum(-1).unflatten(1, (-1, 3)).sum(-1)
        return variances.clamp(min=0).sqrt()
