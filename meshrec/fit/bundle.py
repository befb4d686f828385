"""Bundle adjustment of bodies and cameras: the likeliest poses, shapes, extrinsics and focal length together.

The world is the first camera's space. Unknown are the turns and the place of each body, one shape for each person, the
motion of every other camera, and one factor of the focal lengths that are not known. Bodies share unknowns with each
other and with the cameras only, so that each step eliminates them one by one (Schur complement) and solves for what is
shared.

Pictures do not tell how large a scene is. The prior of shapes does, or a person's stature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.measures import stature
from meshrec.body.state import TRANSLATION, BodyState
from meshrec.fit.free_views import MOTION, UNKNOWNS, FreeView
from meshrec.fit.settings import Balance
from meshrec.fit.solver import LEAST_DAMPING, MOST_DAMPING, Quadratic, Term, total
from meshrec.geometry import Camera

OWN = TRANSLATION.stop
"""Number of unknowns that each body has for itself: turns of the joints, and the translation."""


@dataclass(frozen=True)
class BundleSettings:
    """How bodies and cameras are adjusted together.

    Attributes:
        balance: Weights, and annealing of the landmarks.
        zoom: Standard deviation of the logarithm of a guessed focal length.
        stature: Standard deviation of a stature that is given, metres.
        beta: Standard deviation of each beta.
        alike: Correlation of the landmarks' errors of different bodies: of one person at different instants, and of
            different people. Detectors err at the same joints in the same way, so that more bodies help less than
            independent ones would. It has a part in the uncertainties alone.
    """

    balance: Balance = Balance(evidence=1.0, prior=0.3, annealing=((20.0, 10), (8.0, 8), (3.0, 12)))
    zoom: float = 0.3
    stature: float = 0.005
    beta: float = 1.0
    alike: float = 0.4


@dataclass(frozen=True, eq=False)
class Shapes:
    """What is known of the shapes of people: a Gaussian prior of the betas, and statures.

    Attributes:
        body: The body model, on the CPU.
        heights: (M,) statures of the people, metres; NaN where unknown.
        settings: Standard deviations.
    """

    body: BodyModel
    heights: Tensor
    settings: BundleSettings

    def __call__(self, betas: Tensor) -> Quadratic:
        """The quadratic in the S betas of each of M people (M, S)."""
        eye = torch.eye(betas.shape[1]).to(betas)
        precision = self.settings.beta**-2
        gradient, hessian = betas * precision, (eye * precision).repeat(len(betas), 1, 1)
        energy = betas.square().sum(1) * precision / 2
        known = torch.isfinite(self.heights)
        if known.any():
            height, slope = stature_slopes(self.body, betas)
            missed = torch.where(known, height - self.heights, 0) / self.settings.stature
            slope = slope * known[:, None] / self.settings.stature
            energy = energy + missed.square() / 2
            gradient = gradient + missed[:, None] * slope
            hessian = hessian + slope[:, :, None] * slope[:, None]
        return Quadratic(energy, gradient, hessian)


def stature_slopes(body: BodyModel, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Statures (M,) of shapes (M, S), metres, and their derivatives (M, S) by the betas.

    Args:
        body: The body model, on the CPU.
        betas: Shape coefficients.

    Example:
        >>> import torch
        >>> from meshrec.body import load_body
        >>> from meshrec.fit.bundle import stature_slopes
        >>> height, slope = stature_slopes(load_body("neutral").truncated(10), torch.zeros(1, 10).double())
        >>> round(float(height), 2), tuple(slope.shape)
        (1.69, (1, 10))
    """
    with torch.enable_grad():
        free = betas.detach().to(body.v_template).requires_grad_()
        height = stature(body.rest(free)[0])
        (slope,) = torch.autograd.grad(height.sum(), free)
    return height.detach().to(betas), slope.to(betas)


@dataclass(frozen=True, eq=False)
class Bundle:
    """Bodies in the world, and the views of all cameras.

    Attributes:
        state: N bodies; those of one person have the same betas.
        views: What each of V cameras sees of all N bodies.
        owner: (N,) number of the person that each body is, from 0.
        known: Terms of the bodies in the world, such as the prior of poses.
        shapes: What is known of the people's shapes.
        free: (V,) bool, the cameras whose focal length is not known. They share one factor.
        zoom: Logarithm of this factor.
    """

    state: BodyState
    views: tuple[FreeView, ...]
    owner: Tensor
    known: Sequence[Term]
    shapes: Shapes
    free: tuple[bool, ...]
    zoom: float = 0.0

    @property
    def cameras(self) -> list[Camera]:
        """The V cameras, with extrinsics."""
        return [view.camera for view in self.views]

    @property
    def people(self) -> int:
        """Number M of people."""
        return len(self.shapes.heights)

    @property
    def shared(self) -> int:
        """Number G of shared unknowns: betas of M people, motions of all cameras but the first, and the zoom."""
        return self.people * self.state.betas.shape[1] + MOTION * (len(self.views) - 1) + 1

    def with_cutoff(self, cutoff: float) -> Bundle:
        """The same bundle with another cutoff of the landmarks' robust error."""
        views = (replace(view, seen=view.seen.with_cutoff(cutoff)) for view in self.views)
        return replace(self, views=tuple(views))

    def quadratic(self) -> Quadratic:
        """The quadratic of each body (N) in 75 + G unknowns; the first body has what is known of shapes and zoom."""
        count, betas, size = len(self.state), self.state.betas.shape[1], OWN + self.shared
        like = self.state.translation
        result = Quadratic(like.new_zeros(count), like.new_zeros(count, size), like.new_zeros(count, size, size))
        world = total(self.known, self.state)
        seen = [view(self.state) for view in self.views]
        firsts = torch.stack([torch.nonzero(self.owner == p)[0, 0] for p in range(self.people)])
        priors = self.shapes(self.state.betas[firsts])
        for person in range(self.people):
            rows = torch.nonzero(self.owner == person).flatten()
            shape = torch.arange(betas) + OWN + person * betas
            body = torch.cat([torch.arange(OWN), shape])
            _add(result, world[rows], rows, body, torch.arange(len(body)))
            for number, quadratic in enumerate(seen):
                own = [torch.arange(len(body))]
                columns = [body]
                if number:  # the first camera stays where it is
                    begin = OWN + self.people * betas + MOTION * (number - 1)
                    own.append(torch.arange(MOTION) + len(body))
                    columns.append(torch.arange(MOTION) + begin)
                if self.free[number]:
                    own.append(torch.tensor([len(body) + UNKNOWNS - 1]))
                    columns.append(torch.tensor([size - 1]))
                _add(result, quadratic[rows], rows, torch.cat(columns), torch.cat(own))
            _add(result, priors[person : person + 1], firsts[person : person + 1], shape, torch.arange(betas))
        precision = self.shapes.settings.zoom**-2
        result.energy[0] += precision * self.zoom**2 / 2
        result.gradient[0, -1] += precision * self.zoom
        result.hessian[0, -1, -1] += precision
        return result

    def moved(self, own: Tensor, shared: Tensor) -> Bundle:
        """The bundle after a step.

        Args:
            own: (N, 75) steps of the bodies.
            shared: (G,) step of what is shared.
        """
        count = self.state.betas.shape[1]
        betas = shared[: self.people * count].view(self.people, count)
        state = self.state.moved(torch.cat([own, betas[self.owner]], 1))
        motions = shared[self.people * count : -1].view(-1, MOTION)
        views = []
        for number, view in enumerate(self.views):
            motion = motions[number - 1] if number else torch.zeros(MOTION).to(shared)
            zoom = shared[-1:] if self.free[number] else torch.zeros(1).to(shared)
            views.append(view.moved(torch.cat([motion, zoom])))
        return replace(self, state=state, views=tuple(views), zoom=self.zoom + float(shared[-1]))


def _add(result: Quadratic, part: Quadratic, rows: Tensor, columns: Tensor, own: Tensor) -> None:
    """Add unknowns ``own`` of quadratics to rows and columns of others."""
    result.energy[rows] += part.energy
    result.gradient[rows[:, None], columns] += part.gradient[:, own]
    result.hessian[rows[:, None, None], columns[:, None], columns] += part.hessian[:, own[:, None], own]


def minimize_bundle(bundle: Bundle, steps: int, damping: float = 1e-3) -> tuple[Bundle, float]:
    """Damped Gauss-Newton steps of all bodies and cameras at once.

    Args:
        bundle: The start.
        steps: Number of steps to try. A step that would not lower the energy is not taken.
        damping: Damping of the first step, as a share of the Hessian's diagonal.

    Returns:
        The last bundle, and its energy.
    """
    here = bundle.quadratic()
    energy = float(here.energy.sum())
    for _ in range(steps):
        ahead = bundle.moved(*_damped_step(here, damping))
        there = ahead.quadratic()
        better = float(there.energy.sum()) < energy  # false for NaN
        if better:
            bundle, here, energy = ahead, there, float(there.energy.sum())
        damping = min(max(damping * (0.2 if better else 8), LEAST_DAMPING), MOST_DAMPING)
    return bundle, energy


def _damped_step(here: Quadratic, damping: float) -> tuple[Tensor, Tensor]:
    """Steps (N, 75) of the bodies and (G,) of what is shared that minimise a damped quadratic."""
    own, mixed, reduced, pull = _reduced(here, damping)
    shared = _solved(reduced, -pull[:, None])[:, 0]
    right = -here.gradient[:, :OWN] - mixed.mT @ shared
    return _solved(own, right[..., None]).squeeze(-1), shared


def _reduced(here: Quadratic, damping: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Eliminate the bodies' own unknowns.

    Returns:
        Damped Hessians (N, 75, 75) of the bodies, (N, G, 75) how what is shared is coupled with them, and the Hessian
        (G, G) and gradient (G,) that are left for what is shared.
    """
    own, mixed = here.hessian[:, :OWN, :OWN], here.hessian[:, OWN:, :OWN]
    own = own + torch.diag_embed(own.diagonal(dim1=1, dim2=2) * damping + 1e-9)
    rest = here.hessian[:, OWN:, OWN:].sum(0)
    rest = rest + torch.diag(rest.diagonal() * damping + 1e-9)
    solved = _solved(own, torch.cat([mixed.mT, here.gradient[:, :OWN, None]], -1))
    left = mixed @ solved
    return own, mixed, rest - left[..., :-1].sum(0), here.gradient[:, OWN:].sum(0) - left[..., -1].sum(0)


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    factor, _ = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_solve(right, factor)


@dataclass(frozen=True, eq=False)
class CameraDeviations:
    """How uncertain cameras are, by the Gauss-Newton Hessian, in the space of the first one.

    Attributes:
        turn: (V,) standard deviation of the angle by which a rotation is off, radians; 0 of the first camera.
        place: (V,) standard deviation of the distance by which a camera's place is off, metres; 0 of the first.
        focal: (V,) standard deviations of focal lengths as shares of them; 0 where they are known.
    """

    turn: np.ndarray
    place: np.ndarray
    focal: np.ndarray


def camera_deviations(bundle: Bundle) -> CameraDeviations:
    """The uncertainty of the cameras of an adjusted bundle.

    What cameras and bodies leave open together counts: the covariance is that of the cameras alone, over all bodies,
    shapes and focal lengths.
    """
    covariance = torch.linalg.pinv(_reduced(bundle.quadratic(), 0.0)[2], hermitian=True)
    covariance = covariance * (1 + (len(bundle.state) - 1) * bundle.shapes.settings.alike)
    begin = bundle.people * bundle.state.betas.shape[1]
    turns, places = [0.0], [0.0]
    for number, view in enumerate(bundle.views[1:]):
        part = slice(begin + MOTION * number, begin + MOTION * (number + 1))
        own, lever = covariance[part, part], view.place_by_motion()
        turns.append(float(own[:3, :3].trace().clamp(min=0).sqrt()))
        places.append(float((lever @ own @ lever.T).trace().clamp(min=0).sqrt()))
    zoom = float(covariance[-1, -1].clamp(min=0).sqrt())
    return CameraDeviations(np.array(turns), np.array(places), np.where(bundle.free, zoom, 0.0))
