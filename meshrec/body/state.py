"""Pose, translation and shape of a batch of bodies, which are the unknowns of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.geometry.rotations import matrix_to_axis_angle
from meshrec.geometry.tangent import right_jacobian_inverse, turned

if TYPE_CHECKING:
    from meshrec.body.model import BodyModel

# Positions of the unknowns in a step: a rotation vector for each joint, the translation, and the betas.
TURNS = slice(0, POSE_SIZE)
BODY_TURNS = slice(3, POSE_SIZE)
TRANSLATION = slice(POSE_SIZE, POSE_SIZE + 3)
BETAS = slice(POSE_SIZE + 3, None)


@dataclass(frozen=True)
class BodyState:
    """B bodies in camera space, float64. A step has P = 75 + S unknowns.

    Attributes:
        rotations: (B, 24, 3, 3) rotation of each joint relative to its parent; the first rotates the body into camera
            space.
        translation: (B, 3) metres.
        betas: (B, S) shape coefficients.
    """

    rotations: Tensor
    translation: Tensor
    betas: Tensor

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, index: Tensor | slice) -> BodyState:
        return BodyState(self.rotations[index], self.translation[index], self.betas[index])

    def repeated(self, count: int) -> BodyState:
        """Each body ``count`` times, one after the other."""
        parts = (self.rotations, self.translation, self.betas)
        return BodyState(*(part.repeat_interleave(count, 0) for part in parts))

    @property
    def parts(self) -> dict[str, Tensor]:
        """The three tensors by their names."""
        return {"rotations": self.rotations, "translation": self.translation, "betas": self.betas}

    @property
    def unknowns(self) -> int:
        """Number P of unknowns of a step."""
        return BETAS.start + self.betas.shape[1]

    @cached_property
    def axis_angles(self) -> tuple[Tensor, Tensor]:
        """Axis-angle vectors of the joints (B, 24, 3), and their derivatives (B, 24, 3, 3) with respect to a step."""
        vectors = matrix_to_axis_angle(self.rotations)
        return vectors, right_jacobian_inverse(vectors)

    @cached_property
    def _posed(self) -> list[tuple[BodyModel, Tensor]]:
        return []

    def posed(self, body: BodyModel) -> Tensor:
        """Vertices (B, V, 3) of a body, metres, of the body's own type; they are kept for the body asked for last."""
        if not self._posed or self._posed[0][0] is not body:
            betas, rotations, translation = (
                part.to(body.v_template) for part in (self.betas, self.rotations, self.translation)
            )
            with torch.no_grad():
                vertices = body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices
            self._posed[:] = [(body, vertices)]
        return self._posed[0][1]

    def moved(self, step: Tensor) -> BodyState:
        """The state after a step.

        Args:
            step: (B, P) rotation vectors of the joints in their own frames, R <- R exp(turn), radians; then changes of
                the translation, metres, and of the betas.
        """
        rotations = turned(self.rotations, step[:, TURNS].unflatten(1, (NUM_JOINTS, 3)))
        return BodyState(rotations, self.translation + step[:, TRANSLATION], self.betas + step[:, BETAS])


def choose(accept: Tensor, new: BodyState, old: BodyState) -> BodyState:
    """Choose between two states for each of B bodies: ``new`` where ``accept`` (B,) is true, else ``old``."""
    return BodyState(
        torch.where(accept[:, None, None, None], new.rotations, old.rotations),
        torch.where(accept[:, None], new.translation, old.translation),
        torch.where(accept[:, None], new.betas, old.betas),
    )
