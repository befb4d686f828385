"""Terms of cameras for bodies in the world: the terms of one photo hold for each of several cameras as they are.

A camera takes a world point X to R X + T in its own space. A body there has the root rotation R R0 for R0 in the world,
and since it turns about its pelvis, which lies at J0 at rest, its translation t becomes R (J0 + t) + T - J0. A step of
the root's rotation is one in its own frame and stays the same; the translation's step changes by R, and a step of the
betas, which move J0, changes the translation by (R - I) dJ0/dbeta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from meshrec.body.state import TRANSLATION, BodyState
from meshrec.fit.initial import Initial
from meshrec.fit.solver import Quadratic, Term, total
from meshrec.fit.terms import NEAREST, Reprojection
from meshrec.geometry import Camera, nearest_rotation
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians

DETECTED = ("pixels", "precision", "shared")  # what a Reprojection has for each body


@dataclass(frozen=True, eq=False)
class ViewSpace:
    """The space of one camera, into which bodies are taken from the world.

    Attributes:
        rotation: (3, 3) from world to camera axes, float64.
        translation: (3,) metres.
        pelvis: (3,) place J0 of the pelvis at rest for the mean shape, metres.
        pelvis_shapes: (3, S) change of J0 per unit of each beta, metres.
    """

    rotation: Tensor
    translation: Tensor
    pelvis: Tensor
    pelvis_shapes: Tensor

    @classmethod
    def of(cls, camera: Camera, skeleton: LandmarkMoments) -> ViewSpace:
        """The space of a camera with extrinsics.

        Args:
            camera: The camera. Its rotation, which files round, is made exact.
            skeleton: Any landmarks of the body.
        """
        rotation = nearest_rotation(torch.as_tensor(camera.rotation, dtype=torch.float64))
        translation = torch.as_tensor(camera.translation, dtype=torch.float64)
        rest, shapes = skeleton.rest_joints[0], skeleton.joint_shapes[0]
        return cls(rotation, translation, torch.from_numpy(rest), torch.from_numpy(shapes))

    def from_world(self, state: BodyState) -> BodyState:
        """Bodies of the world in camera space."""
        rotations, rest = state.rotations.clone(), self.rest(state)
        rotations[:, 0] = self.rotation @ rotations[:, 0]
        place = (rest + state.translation) @ self.rotation.T + self.translation
        return BodyState(rotations, place - rest, state.betas)

    def to_world(self, state: BodyState) -> BodyState:
        """The inverse of :meth:`from_world`."""
        rotations, rest = state.rotations.clone(), self.rest(state)
        rotations[:, 0] = self.rotation.T @ rotations[:, 0]
        place = (rest + state.translation - self.translation) @ self.rotation
        return BodyState(rotations, place - rest, state.betas)

    def estimates_in_world(self, initial: Initial) -> Initial:
        """A regressor's estimates of people in camera space, and their uncertainty, as those of people in the world."""
        start = TRANSLATION.start
        whiten = torch.cat([initial.whiten[..., :start], initial.whiten[..., start:] @ self.moves], -1)
        return Initial(self.to_world(initial.state), whiten)

    def pulled_back(self, quadratic: Quadratic) -> Quadratic:
        """A quadratic in the unknowns of bodies in camera space as one in those of the same bodies in the world."""
        start, moves = TRANSLATION.start, self.moves
        gradient, hessian = quadratic.gradient, quadratic.hessian
        hessian = torch.cat([hessian[..., :start], hessian[..., start:] @ moves], -1)
        hessian = torch.cat([hessian[:, :start], moves.T @ hessian[:, start:]], 1)
        return Quadratic(quadratic.energy, torch.cat([gradient[:, :start], gradient[:, start:] @ moves], 1), hessian)

    def rest(self, state: BodyState) -> Tensor:
        """(B, 3) places of the pelvis at rest."""
        return self.pelvis + state.betas @ self.pelvis_shapes.T

    @cached_property
    def moves(self) -> Tensor:
        """(3 + S, 3 + S) steps of translation and betas in camera space, by those in the world."""
        moves = torch.eye(3 + self.pelvis_shapes.shape[1]).to(self.rotation)
        moves[:3, :3] = self.rotation
        moves[:3, 3:] = (self.rotation - torch.eye(3).to(self.rotation)) @ self.pelvis_shapes
        return moves


@dataclass(frozen=True, eq=False)
class ViewTerm:
    """A term of bodies in the space of one camera, as a term of bodies in the world.

    Attributes:
        term: The term.
        space: The camera's space.
    """

    term: Any
    space: ViewSpace

    def __getitem__(self, index: slice) -> ViewTerm:
        return replace(self, term=self.term[index])

    def repeated(self, count: int) -> ViewTerm:
        """The term for ``count`` bodies of each person, those of one person next to each other."""
        return replace(self, term=self.term.repeated(count))

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies in the world."""
        return self.space.pulled_back(self.term(self.space.from_world(state)))


def in_view(term: Term, camera: Camera, skeleton: LandmarkMoments) -> ViewTerm:
    """A term of one camera for bodies in the world.

    Args:
        term: A term of bodies in the camera's space, such as a :class:`meshrec.fit.terms.Reprojection`.
        camera: The camera, with extrinsics.
        skeleton: Any landmarks of the body.

    Example:
        >>> import torch
        >>> import meshrec
        >>> from meshrec.body.state import BodyState
        >>> from meshrec.fit.in_view import in_view
        >>> from meshrec.fit.terms import UprightTerm
        >>> from meshrec.landmarks.moments import LandmarkMoments
        >>> skeleton = LandmarkMoments.of_body(meshrec.load_body("neutral"), "smpl24")
        >>> overhead = meshrec.Camera(500.0, rotation=[[1, 0, 0], [0, 0, 1], [0, -1, 0]], translation=[0, 0, 3])
        >>> term = in_view(UprightTerm(up=(0.0, 0.0, 1.0)), overhead, skeleton)  # what is up for that camera
        >>> turned = torch.eye(3).double().repeat(1, 24, 1, 1)
        >>> turned[0, 0] = torch.tensor([[1, 0, 0], [0, -1, 0], [0, 0, -1]])
        >>> float(term(BodyState(turned, torch.zeros(1, 3).double(), torch.zeros(1, 10).double())).energy)
        0.0
    """
    return ViewTerm(term, ViewSpace.of(camera, skeleton))


@dataclass(frozen=True, eq=False)
class ViewTerms:
    """The sum of one term over the cameras that see the same people.

    Attributes:
        views: The term of each camera, for the same N people.
    """

    views: Sequence[ViewTerm]

    def __getitem__(self, index: slice) -> ViewTerms:
        return ViewTerms([view[index] for view in self.views])

    def repeated(self, count: int) -> ViewTerms:
        """The terms for ``count`` bodies of each person, those of one person next to each other."""
        return replace(self, views=[view.repeated(count) for view in self.views])

    def __call__(self, state: BodyState) -> Quadratic:
        """The sum's quadratic in the P unknowns of B bodies in the world."""
        return total(self.views, state)


@dataclass(frozen=True, eq=False)
class SeenInViews(ViewTerms):
    """The landmarks that several cameras see of the same people: one :class:`meshrec.fit.terms.Reprojection` each.

    Every camera sees the same landmarks, which are posed once in the world and then taken to all cameras together.
    """

    def __len__(self) -> int:
        return len(self.views[0].term)

    def __getitem__(self, index: slice) -> SeenInViews:
        return replace(self, views=[view[index] for view in self.views])

    def repeated(self, count: int) -> SeenInViews:
        """The landmarks for ``count`` bodies of each person, those of one person next to each other."""
        return replace(self, views=[view.repeated(count) for view in self.views])

    def with_cutoff(self, cutoff: float) -> SeenInViews:
        """The same landmarks with another cutoff of their robust error."""
        return SeenInViews([replace(view, term=replace(view.term, cutoff=cutoff)) for view in self.views])

    def __call__(self, state: BodyState) -> Quadratic:
        """The sum's quadratic in the P unknowns of B bodies in the world."""
        points, jacobian = landmark_jacobians(self.views[0].term.landmarks, state)
        rotation, translation, focal, center = self._cameras
        local = points @ rotation.mT + translation  # (V, B, K, 3)
        depth = torch.where(local[..., 2:] < NEAREST, torch.nan, local[..., 2:])
        ratio, scale = local[..., :2] / depth, focal / depth
        # d (x / z) = (dx - x / z dz) / z, where a step in the world moves a landmark by R times what it does there
        axes = rotation[:, None]
        rows = scale[..., None] * (axes[..., :2, :] - ratio[..., None] * axes[..., 2:, :])
        pixels, slopes = ratio * focal + center, rows @ jacobian
        each = self._stacked.robust(pixels.flatten(0, 1), slopes.flatten(0, 1))
        parts = (part.unflatten(0, (len(self.views), -1)).sum(0) for part in (each.energy, each.gradient, each.hessian))
        return Quadratic(*parts)

    @cached_property
    def _stacked(self) -> Reprojection:
        """The landmarks of all views as those of V * B bodies, view after view; its camera is that of the first."""
        terms = [view.term for view in self.views]
        pixels, precision, shared = (torch.cat([getattr(term, name) for term in terms]) for name in DETECTED)
        return replace(terms[0], pixels=pixels, precision=precision, shared=shared)

    @cached_property
    def _cameras(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rotations (V, 1, 3, 3), translations (V, 1, 1, 3), focal lengths and centres (V, 1, 1, 2)."""
        spaces, cameras = [view.space for view in self.views], [view.term.camera for view in self.views]
        rotation = torch.stack([space.rotation for space in spaces])[:, None]
        translation = torch.stack([space.translation for space in spaces])[:, None, None]
        focal, center = (
            torch.stack([torch.as_tensor(getattr(camera, name), dtype=torch.float64) for camera in cameras])
            for name in ("focal", "center")
        )
        return rotation, translation, focal[:, None, None], center[:, None, None]
