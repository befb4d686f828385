"""Terms over time: people do not shake.

A term couples the bodies of neighbouring frames; it is called with all frames of a window and gives a quadratic whose
Hessian is a banded matrix (:mod:`meshrec.fit.banded`). The shape is the same in all frames and is not among its
unknowns, which are the rotations and the translation.

**Accelerations.** Joints in the world and the rotations of joints have random accelerations. Their energy is the
integral of |a|^2 / (2 s^2) over time, which does not depend on the number of frames per second: with a time h between
frames, the difference d = x(t - h) - 2 x(t) + x(t + h) is h^2 a, and the sum over frames is sum |d|^2 / (2 s^2 h^3).
The standard deviation of d is s h^1.5. Where times are not even, a is twice the divided difference of second order, and
h the mean of the two steps.

**Jumps and kicks** have accelerations far beyond the usual. The errors have Student's t distribution, for each joint
and frame on its own: an acceleration of many standard deviations costs the logarithm of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.body.state import BodyState
from meshrec.fit.coupled import BAND, UNKNOWNS, Coupled, coupled_sums, nothing, robust_shares
from meshrec.geometry.tangent import right_jacobian_inverse, turns_between
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians


@dataclass(frozen=True)
class Accelerations:
    """Which frames second differences are taken of, and their factors.

    Attributes:
        factors: (T - 2, 3) factors of the three values around each frame but the first and the last, so that the
            weighted sum is the acceleration times the square root of the time that it stands for; m / s^1.5 for
            positions.
    """

    factors: Tensor

    @classmethod
    def of(cls, times: Tensor) -> Accelerations:
        """The accelerations of frames at given times.

        Args:
            times: (T,) seconds, ascending.

        Example:
            >>> import torch
            >>> from meshrec.fit.smoothness import Accelerations
            >>> uneven = torch.tensor([0.0, 1.0, 3.0, 4.0])
            >>> factors = Accelerations.of(uneven).factors
            >>> [round(float((f * uneven[i : i + 3]).sum()), 6) for i, f in enumerate(factors)]  # a constant velocity
            [0.0, 0.0]
        """
        step = times[1:] - times[:-1]
        before, after = step[:-1], step[1:]  # none of fewer than three frames
        mean = (before + after) / 2
        factors = torch.stack([1 / before, -1 / before - 1 / after, 1 / after], -1)
        return cls(factors / mean.sqrt()[:, None])

    def __call__(self, values: Tensor) -> Tensor:
        """Accelerations (T - 2, ...) of values (T, ...)."""
        before, now, after = (values[k : k + len(self.factors)] for k in range(3))
        first, middle, last = self.factors.view(-1, 3, *[1] * (values.dim() - 1)).unbind(1)
        return first * before + middle * now + last * after


@dataclass(frozen=True)
class JointAccelerations:
    """Accelerations of the joints in the world.

    Attributes:
        skeleton: The ``smpl24`` joints as landmarks.
        turns: (T, 3, 3) rotations from the world to the camera space of each frame.
        differences: The accelerations.
        deviation: s, m / s^1.5.
        freedom: Degrees of freedom.
    """

    skeleton: LandmarkMoments
    turns: Tensor
    differences: Accelerations
    deviation: float
    freedom: float

    def __call__(self, state: BodyState) -> Coupled:
        """The term's quadratic in the unknowns of T bodies."""
        points, jacobian = landmark_jacobians(self.skeleton, state)
        back = self.turns.mT[:, None]
        points = (back @ points[..., None]).squeeze(-1)
        slopes = back @ jacobian[..., :UNKNOWNS]  # (T, 24, 3, P)
        values = self.differences(points) / self.deviation
        factors = self.differences.factors[..., None]
        return coupled_sums(values, slopes / self.deviation, factors, self.freedom)


@dataclass(frozen=True)
class TurnAccelerations:
    """Angular accelerations of the joints relative to their parents, and of the root in the world.

    The angular velocity between two frames is the rotation vector u from one to the other; its differences are taken
    in the joint's own frame.

    Attributes:
        turns: (T, 3, 3) rotations from the world to the camera space of each frame.
        times: (T,) seconds.
        deviation: s, rad / s^1.5.
        freedom: Degrees of freedom.
    """

    turns: Tensor
    times: Tensor
    deviation: float
    freedom: float

    def __call__(self, state: BodyState) -> Coupled:
        """The term's quadratic in the unknowns of T bodies."""
        count = len(state)
        if count < 3:
            return nothing(state)
        root = self.turns.mT @ state.rotations[:, 0]
        rotations = torch.cat([root[:, None], state.rotations[:, 1:]], 1)
        moves = turns_between(rotations[:-1], rotations[1:])  # (T - 1, 24, 3)
        ahead = right_jacobian_inverse(moves)  # by the step of the later frame
        behind = -ahead.mT  # by that of the earlier one, minus the left Jacobian's inverse
        step = self.times[1:] - self.times[:-1]
        scale = 1 / (((step[:-1] + step[1:]) / 2).sqrt() * self.deviation)
        first, last = (scale / part for part in (step[:-1], step[1:]))
        first, last = first[:, None, None], last[:, None, None]
        values = last * moves[1:] - first * moves[:-1]
        slopes = torch.stack(
            [
                -first[..., None] * behind[:-1],
                last[..., None] * behind[1:] - first[..., None] * ahead[:-1],
                last[..., None] * ahead[1:],
            ]
        )  # (3, T - 2, 24, 3, 3)
        energy, share = robust_shares(values.square().sum(-1), self.freedom)
        gradient = state.rotations.new_zeros(count, NUM_JOINTS, 3)
        hessian = state.rotations.new_zeros(count, BAND + 1, NUM_JOINTS, 3, 3)
        pull = share[..., None] * values
        for k in range(3):
            gradient[k : count - 2 + k] += (slopes[k].mT @ pull[..., None]).squeeze(-1)
            for m in range(k + 1):
                hessian[m : count - 2 + m, k - m] += (share[..., None, None] * slopes[k].mT) @ slopes[m]
        return _block_diagonal(energy.sum(), gradient, hessian)


def _block_diagonal(energy: Tensor, gradient: Tensor, hessian: Tensor) -> Coupled:
    """A quadratic whose blocks couple each joint with itself.

    Args:
        energy: ().
        gradient: (T, 24, 3).
        hessian: (T, 3, 24, 3, 3).
    """
    count = len(gradient)
    whole = gradient.new_zeros(count, UNKNOWNS)
    whole[:, :POSE_SIZE] = gradient.flatten(1)
    blocks = gradient.new_zeros(count, BAND + 1, UNKNOWNS, UNKNOWNS)
    columns = 3 * torch.arange(NUM_JOINTS)[:, None] + torch.arange(3)
    blocks[:, :, columns[:, :, None], columns[:, None, :]] = hessian
    return Coupled(energy, whole, blocks)
