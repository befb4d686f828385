"""Terms of cameras whose extrinsics, and whose focal length if it is not known, are unknowns beside the bodies.

A motion of a camera acts on what it sees as a rigid motion of the bodies in its space. A rotation by w about a point m
and a shift s take a body there, whose root has the rotation R0 and whose pelvis lies at p, to the root rotation
exp(w) R0 and the pelvis m + exp(w) (p - m) + s. To first order this is a step R0^T w of the root in its own frame, and
one of s - (p - m) x w of the translation. The derivatives of every term by the camera follow from those by the body.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import TRANSLATION, BodyState
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.solver import Quadratic
from meshrec.fit.terms import Reprojection
from meshrec.fit.turns import ObservedTurns
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.geometry.rotations import skew

MOTION = 6
"""Unknowns of a camera's motion: a rotation vector in its own axes, radians, then a shift, metres."""
UNKNOWNS = MOTION + 1
"""Unknowns of a camera: its motion, and the logarithm of its focal length."""


@dataclass(frozen=True, eq=False)
class FreeView:
    """What one camera that may move and zoom sees of N bodies in the world.

    Attributes:
        seen: Landmarks, with the camera without extrinsics.
        turns: Observed rotations of heads and wrists.
        space: The camera's space.
        middle: (3,) point of the camera's space about which it turns, metres: among the people, so that a turn hardly
            changes where they are seen.
    """

    seen: Reprojection
    turns: ObservedTurns | None
    space: ViewSpace
    middle: Tensor

    @property
    def camera(self) -> Camera:
        """The camera, with extrinsics."""
        own = self.seen.camera
        return Camera(own.focal, own.center, own.size, self.space.rotation.tolist(), self.space.translation.tolist())

    def __call__(self, state: BodyState) -> Quadratic:
        """The quadratic in P + 7 unknowns: those of N bodies in the world, and :data:`UNKNOWNS` of the camera."""
        local = self.space.from_world(state)
        own, size = self.seen.with_zoom(local), state.unknowns
        gradient, hessian = own.gradient, own.hessian
        energy = own.energy
        if self.turns is not None:
            turns = self.turns(local)
            energy = energy + turns.energy
            gradient, hessian = gradient.clone(), hessian.clone()
            gradient[:, :size] += turns.gradient
            hessian[:, :size, :size] += turns.hessian
        steps = self._steps(local)
        return Quadratic(energy, (gradient[:, None] @ steps).squeeze(1), steps.mT @ (hessian @ steps))

    def moved(self, step: Tensor) -> FreeView:
        """The view after a step (7,) of the camera."""
        turn = axis_angle_to_matrix(step[:3])
        translation = self.middle + turn @ (self.space.translation - self.middle) + step[3:MOTION]
        space = replace(self.space, rotation=turn @ self.space.rotation, translation=translation)
        factor = float(torch.exp(step[MOTION]))
        camera = self.seen.camera
        focal = (np.asarray(camera.focal, np.float64) * factor).tolist()
        return replace(self, seen=replace(self.seen, camera=replace(camera, focal=focal)), space=space)

    def place_by_motion(self) -> Tensor:
        """(3, 6) derivatives of the camera's place in the world by its motion."""
        eye = torch.eye(3).to(self.middle)
        return -self.space.rotation.T @ torch.cat([skew(self.middle), eye], 1)

    def _steps(self, local: BodyState) -> Tensor:
        """(N, P + 1, P + 7) steps of bodies in camera space and of the zoom, by those of bodies and camera."""
        size, like = local.unknowns, local.translation
        steps = like.new_zeros(len(local), size + 1, size + UNKNOWNS)
        steps[:, :size, :size] = torch.eye(size).to(like)
        moving = slice(TRANSLATION.start, size)
        steps[:, moving, moving] = self.space.moves
        pelvis = local.translation + self.space.rest(local)
        steps[:, :3, size : size + 3] = local.rotations[:, 0].mT
        steps[:, TRANSLATION, size : size + 3] = -skew(pelvis - self.middle)
        steps[:, TRANSLATION, size + 3 : size + MOTION] = torch.eye(3).to(like)
        steps[:, size, size + MOTION] = 1
        return steps
