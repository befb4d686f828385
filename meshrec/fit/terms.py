"""The terms of a fit: negative log-likelihoods of detections and negative log-densities of priors, as quadratics.

Each term is a small object that is called with a state. Sums of squares have a factor of one half, as in a Gaussian.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body.joints import joint_index
from meshrec.body.state import BETAS, BODY_TURNS, BodyState
from meshrec.compiled.threads import over_batch
from meshrec.fit.nuisance import Nuisance, robust_squares
from meshrec.fit.solver import Quadratic, squares
from meshrec.geometry import Camera
from meshrec.geometry.tangent import pull_back, right_jacobian_inverse, turns_between
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians
from meshrec.poses.joint_limits import double_limits
from meshrec.poses.pose_prior import PosePrior

NEAREST = 0.1  # least depth of a landmark in front of the camera, metres


def joint_squares(values: Tensor, slopes: Tensor, joints: Tensor, unknowns: int) -> Quadratic:
    """Half the sum of squares of residuals that depend on the rotation of one joint each.

    Args:
        values: (B, J, 3) residuals.
        slopes: (B, J, 3, 3) their derivatives with respect to the step of the joint.
        joints: (J,) indices of the joints in the state.
        unknowns: Number P of unknowns of the fit.

    Returns:
        The quadratic, whose Hessian is block-diagonal.
    """
    from meshrec.fit.term_kernels import add_blocks

    size = len(values)
    found = Quadratic(
        values.new_zeros(size), values.new_zeros(size, unknowns), values.new_zeros(size, unknowns, unknowns)
    )
    add_blocks(values.contiguous().numpy(), slopes.contiguous().numpy(), joints.numpy(), *found.arrays)
    return found


def projected(landmarks: LandmarkMoments, camera: Camera, state: BodyState) -> tuple[Tensor, Tensor]:
    """Project landmarks, with derivatives.

    Args:
        landmarks: K landmarks.
        camera: The camera.
        state: B bodies.

    Returns:
        Pixels (B, K, 2) and their derivatives (B, K, 2, P) with respect to a step. Both are NaN for landmarks behind
        the camera or nearer than :data:`NEAREST`, so that no step goes there.
    """
    from meshrec.fit.term_kernels import project

    points, jacobian = landmark_jacobians(landmarks, state)
    focal, center = (
        torch.as_tensor(part, dtype=points.dtype).expand(2).contiguous() for part in (camera.focal, camera.center)
    )
    pixels = points.new_empty(*points.shape[:2], 2)
    slopes = points.new_empty(*points.shape[:2], 2, state.unknowns)
    batched = [part.numpy() for part in (points, jacobian, pixels, slopes)]
    over_batch(project, batched, [focal.numpy(), center.numpy(), NEAREST])
    return pixels, slopes


@dataclass(frozen=True)
class Reprojection:
    """Reprojection error of detected landmarks, with the robust error of Geman & McClure 1987.

    An error of e standard deviations costs c^2 e^2 / (c^2 + e^2) / 2, where c is the cutoff: e^2 / 2 if it is small and
    c^2 / 2 at most. Errors that landmarks share, such as those of a face, are nuisance parameters.

    Attributes:
        landmarks: The K landmarks.
        camera: The photo's camera.
        pixels: (B, K, 2) detected landmarks, photo pixels.
        precision: (B, K) inverse of their standard deviation, 1 / pixels; 0 for landmarks that were not detected, which
            may lie anywhere, also behind the camera.
        shared: (B, S, K) standard deviation by which each of S shared errors moves each landmark along x and along y,
            pixels.
        cutoff: c, in standard deviations.
    """

    landmarks: LandmarkMoments
    camera: Camera
    pixels: Tensor
    precision: Tensor
    shared: Tensor
    cutoff: float = 4.0

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: slice) -> "Reprojection":
        return replace(self, pixels=self.pixels[index], precision=self.precision[index], shared=self.shared[index])

    def repeated(self, count: int) -> "Reprojection":
        """The term for ``count`` bodies of each person, those of one person next to each other."""
        pixels, precision, shared = (t.repeat_interleave(count, 0) for t in (self.pixels, self.precision, self.shared))
        return replace(self, pixels=pixels, precision=precision, shared=shared)

    def with_cutoff(self, cutoff: float) -> "Reprojection":
        """The same landmarks with another cutoff."""
        return replace(self, cutoff=cutoff)

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        return self.robust(*projected(self.landmarks, self.camera, state))

    def with_zoom(self, state: BodyState) -> Quadratic:
        """The term's quadratic in P + 1 unknowns of B bodies: the last is the logarithm of the focal length."""
        pixels, slopes = projected(self.landmarks, self.camera, state)
        zooming = pixels - torch.as_tensor(self.camera.center, dtype=pixels.dtype)
        return self.robust(pixels, torch.cat([slopes, zooming[..., None]], -1))

    def robust(self, pixels: Tensor, slopes: Tensor) -> Quadratic:
        """The quadratic of projections (B, K, 2) with these derivatives (B, K, 2, U)."""
        from meshrec.fit.term_kernels import weigh

        residuals = pixels.new_empty(len(pixels), 2 * pixels.shape[1])
        steep = pixels.new_empty(*residuals.shape, slopes.shape[-1])
        parts = (pixels, slopes, self.pixels, self.precision, residuals, steep)
        weigh(*(part.contiguous().numpy() for part in parts))
        return robust_squares(residuals, steep, self._shared_errors, self.cutoff, group=2)

    @cached_property
    def _shared_errors(self) -> Nuisance:
        """The shared errors along x and along y, in standard deviations."""
        by_shared = -self.shared.mT * self.precision[..., None]  # (B, K, S)
        eye = torch.eye(2).to(by_shared)
        slopes = torch.einsum("bks,xy->bkxsy", by_shared, eye).flatten(3).flatten(1, 2)
        return Nuisance(slopes, slopes.new_zeros(slopes.shape[-1]), torch.eye(slopes.shape[-1]).to(slopes))


@dataclass(frozen=True)
class PoseTerm:
    """Negative log-density of the learned prior of body poses.

    Attributes:
        prior: The prior.
        weight: Weight of the term.
    """

    prior: PosePrior
    weight: float = 1.0

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        log_density, gradient, hessian = self.prior.quadratic(state.rotations[:, 1:])
        around = (BODY_TURNS.start, state.unknowns - BODY_TURNS.stop)
        quadratic = Quadratic(-log_density, pad(gradient, around), pad(hessian, 2 * around))
        return self.weight * quadratic


@dataclass(frozen=True)
class LimitTerm:
    """Gaussian penalty of rotations beyond the joint limits.

    Attributes:
        deviation: Standard deviation, radians beyond the limit.
    """

    deviation: float = 0.1

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        from meshrec.fit.term_kernels import add_limits

        found = Quadratic.zero(state)
        parts = [part.numpy() for part in (*state.axis_angles, *double_limits())]
        add_limits(*parts, float(self.deviation), *found.arrays)
        return found


@dataclass(frozen=True)
class ShapeTerm:
    """Gaussian prior of the betas.

    Attributes:
        deviation: Standard deviation of each beta. Shape spaces are scaled so that it is 1.
    """

    deviation: float = 1.0

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        eye = torch.eye(state.betas.shape[1], dtype=state.betas.dtype) / self.deviation
        return squares(state.betas / self.deviation, eye.expand(len(state), -1, -1), BETAS, state.unknowns)


@dataclass(frozen=True)
class UprightTerm:
    """Prior of the pelvis' tilt, a Student t distribution: people in photos are mostly upright.

    Attributes:
        deviation: Scale of the distribution, radians.
        freedom: Degrees of freedom.
        up: Unit vector in camera space, by default that of a level camera; or (B, 3) one for each body.
    """

    deviation: float = 0.2
    freedom: float = 4.0
    up: tuple[float, float, float] | Tensor = (0.0, -1.0, 0.0)

    def __getitem__(self, index: slice) -> "UprightTerm":
        return replace(self, up=self.up[index]) if isinstance(self.up, Tensor) else self

    def repeated(self, count: int) -> "UprightTerm":
        """The term for ``count`` bodies of each person, those of one person next to each other."""
        return replace(self, up=self.up.repeat_interleave(count, 0)) if isinstance(self.up, Tensor) else self

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        from meshrec.fit.term_kernels import add_upright

        found = Quadratic.zero(state)
        up = torch.as_tensor(self.up, dtype=torch.float64).reshape(-1, 3).contiguous()
        roots = state.rotations[:, 0].contiguous()
        add_upright(roots.numpy(), up.numpy(), float(self.deviation), float(self.freedom), *found.arrays)
        return found


@dataclass(frozen=True)
class RestTerm:
    """Prior of joints near their rest pose: the angle of each has a Student t distribution.

    Attributes:
        joints: Names of the joints, of ``smpl24``.
        deviation: Scale of the distribution, radians.
        freedom: Degrees of freedom. With 1 a joint far from rest is hardly pulled back; with many the prior comes
            close to a Gaussian.
    """

    joints: tuple[str, ...]
    deviation: float
    freedom: float

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        from meshrec.fit.term_kernels import add_rest

        found = Quadratic.zero(state)
        vectors, slopes = (part.numpy() for part in state.axis_angles)
        add_rest(vectors, slopes, self._index, float(self.deviation), float(self.freedom), *found.arrays)
        return found

    @cached_property
    def _index(self) -> np.ndarray:
        return np.array([joint_index(name, "smpl24") for name in self.joints])


@dataclass(frozen=True)
class Closeness:
    """Gaussian around a given state, such as a regressor's estimate.

    Attributes:
        reference: The mean: B states, or one for all.
        whiten: (B or 1, N, P) square root of the information matrix: it maps the step from the mean to a state (joint
            rotations, translation, betas; see :class:`meshrec.body.state.BodyState`) to N standard normal numbers.
    """

    reference: BodyState
    whiten: Tensor

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        turns = turns_between(self.reference.rotations, state.rotations)
        offset = torch.cat(
            [
                turns.flatten(1),
                state.translation - self.reference.translation,
                state.betas - self.reference.betas,
            ],
            dim=1,
        )
        slopes, pull = right_jacobian_inverse(turns), self._information @ offset[..., None]
        energy = (offset[:, None] @ pull).flatten() / 2
        hessian = pull_back(slopes, pull_back(slopes, self._information).mT)
        return Quadratic(energy, pull_back(slopes, pull).squeeze(-1), hessian)

    @cached_property
    def _information(self) -> Tensor:
        return self.whiten.mT @ self.whiten


@dataclass(frozen=True)
class Linearised:
    """A term's quadratic at one state, in place of the term: residuals change with a step as their slopes say there.

    Attributes:
        reference: B bodies.
        quadratic: The quadratic there.
    """

    reference: BodyState
    quadratic: Quadratic

    def __call__(self, state: BodyState) -> Quadratic:
        """The quadratic in the P unknowns of B bodies."""
        turns = turns_between(self.reference.rotations, state.rotations)
        moves = (state.translation - self.reference.translation, state.betas - self.reference.betas)
        offset = torch.cat([turns.flatten(1), *moves], dim=1)[..., None]
        slopes, gradient = right_jacobian_inverse(turns), self.quadratic.gradient[..., None]
        pull = self.quadratic.hessian @ offset
        energy = self.quadratic.energy + (offset.mT @ (gradient + pull / 2)).flatten()
        hessian = pull_back(slopes, pull_back(slopes, self.quadratic.hessian).mT)
        return Quadratic(energy, pull_back(slopes, gradient + pull).squeeze(-1), hessian)
