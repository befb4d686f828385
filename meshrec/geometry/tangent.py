"""Steps of rotations in their tangent space, and derivatives of axis-angle coordinates with respect to such a step.

A tangent step of a rotation R is a small rotation t in its own frame: R exp(skew(t)).
"""

import torch
from torch import Tensor

from meshrec.geometry.rotations import axis_angle_to_matrix, by_kernel, matrix_to_axis_angle, skew


def turned(rotations: Tensor, turns: Tensor) -> Tensor:
    """Rotations after a step, R exp(skew(t)).

    Args:
        rotations: (..., 3, 3).
        turns: (..., 3) turn of each in its own frame, radians.

    Returns:
        (..., 3, 3).
    """
    return rotations @ axis_angle_to_matrix(turns)


def turns_between(start: Tensor, end: Tensor) -> Tensor:
    """The steps from some rotations to others, the inverse of :func:`turned`.

    Args:
        start, end: (..., 3, 3).

    Returns:
        (..., 3) the smallest turns with ``turned(start, turns) == end``, radians.
    """
    return matrix_to_axis_angle(start.mT @ end)


def right_jacobian_inverse(axis_angle: Tensor) -> Tensor:
    """d log(R exp(t)) / d t at t = 0, where R = exp(axis_angle).

    I + K/2 + (1/a^2 - (1 + cos a) / (2 a sin a)) K^2 with K = skew(axis_angle) and a its angle (Sola et al. 2018, "A
    micro Lie theory for state estimation in robotics", equation 144). Infinite at an angle of 2 pi, finite up to there.

    Args:
        axis_angle: (..., 3) radians.

    Returns:
        (..., 3, 3).
    """
    if by_kernel(axis_angle):
        from meshrec.geometry.kernels import right_jacobian_inverses

        slopes = axis_angle.new_empty(*axis_angle.shape, 3)
        vectors = axis_angle.detach().reshape(-1, 3).contiguous().numpy()
        right_jacobian_inverses(vectors, slopes.view(-1, 3, 3).numpy())
        return slopes
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    small = squared < 1e-4
    half = torch.where(small, torch.ones_like(squared), squared).sqrt() / 2
    # (1 + cos a) / sin a = cot(a / 2), which is zero and not 0 / 0 at a half turn.
    curvature = torch.where(small, 1 / 12 + squared / 720, (1 - half * half.cos() / half.sin()) / (4 * half * half))
    k = skew(axis_angle)
    return torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device) + k / 2 + curvature * (k @ k)


def pull_back(slopes: Tensor, matrix: Tensor) -> Tensor:
    """D^T M, where D is block-diagonal: J blocks of 3 x 3 first, the identity after them.

    Args:
        slopes: (B, J, 3, 3) the blocks of D, such as those of :func:`right_jacobian_inverse`.
        matrix: M, (B or 1, 3 J + R, Q).

    Returns:
        (B, 3 J + R, Q).
    """
    batch, joints = slopes.shape[:2]
    if by_kernel(slopes) and by_kernel(matrix):
        from meshrec.geometry import kernels

        product = matrix.new_empty(batch, *matrix.shape[1:])
        parts = (slopes.detach().contiguous(), matrix.detach().contiguous(), product)
        kernels.pull_back(*(part.numpy() for part in parts))
        return product
    first = slopes.mT @ matrix[:, : 3 * joints].unflatten(1, (joints, 3))
    return torch.cat([first.flatten(1, 2), matrix[:, 3 * joints :].expand(batch, -1, -1)], dim=1)
