"""Rotation representations and the conversions between them.

Inside meshrec a rotation is a 3x3 matrix acting on column vectors. Axis-angle is what SMPL files and arguments use;
6D is what networks put out: the first two *columns* of the matrix, one after the other (Zhou et al. 2019, "On the
Continuity of Rotation Representations in Neural Networks", section B). Quaternions are (w, x, y, z).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from meshrec.compiled.operators import has_kernels, needs_operator


def by_kernel(tensor: Tensor) -> bool:
    """Whether a compiled loop computes a function of rotations: in double precision, without derivatives."""
    return tensor.dtype == torch.float64 and has_kernels(tensor) and not needs_operator(tensor)


def skew(v: Tensor) -> Tensor:
    """Cross-product matrix: ``skew(v) @ u == cross(v, u)``.

    Args:
        v: (..., 3).

    Returns:
        (..., 3, 3).
    """
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, R = I + sin(t)/t K + (1 - cos(t))/t^2 K^2, smooth (with gradients) at zero.

    Args:
        axis_angle: (..., 3) axis times angle, radians.

    Returns:
        (..., 3, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import axis_angle_to_matrix
        >>> axis_angle_to_matrix(torch.tensor([0.0, 0.0, torch.pi / 2])).round().int().tolist()
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    # The clamp gives the root a gradient at zero; there the factors' own gradients are multiplied by K = 0 anyway.
    angle = squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()
    half = torch.sinc(angle / (2 * math.pi))  # sin(t/2) / (t/2): precise where 1 - cos(t) cancels
    k = skew(axis_angle)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + torch.sinc(angle / math.pi) * k + (half * half / 2) * (k @ k)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """The axis-angle vector of a rotation, its angle in [0, pi]; accurate at 0 and at pi.

    Args:
        matrix: (..., 3, 3) rotations.

    Returns:
        (..., 3) radians.

    Example:
        >>> import torch
        >>> from meshrec.geometry import matrix_to_axis_angle
        >>> quarter_turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> matrix_to_axis_angle(quarter_turn).rad2deg().round().int().tolist()
        [0, 0, 90]
    """
    if by_kernel(matrix):
        from meshrec.geometry.kernels import axis_angles

        vectors = matrix.new_empty(matrix.shape[:-1])
        axis_angles(matrix.detach().reshape(-1, 3, 3).contiguous().numpy(), vectors.view(-1, 3).numpy())
        return vectors
    quaternion = matrix_to_quaternion(matrix)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < 1e-12
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    angle = 2 * torch.atan2(sine, w)
    return xyz * torch.where(small, 2 / w.clamp(min=0.5), angle / sine)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrix of a quaternion of any length but zero.

    Args:
        quaternion: (..., 4) as (w, x, y, z).

    Returns:
        (..., 3, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import quaternion_to_matrix
        >>> quaternion_to_matrix(torch.tensor([0.0, 1.0, 0.0, 0.0])).round().int().tolist()
        [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    """
    w, x, y, z = normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Unit quaternion with w >= 0 of a rotation.

    Four formulas exist, each exact but ill-conditioned where its own component is near zero; the one with the largest
    component is taken (Shepperd 1978, "Quaternion from Rotation Matrix").

    Args:
        matrix: (..., 3, 3) rotations.

    Returns:
        (..., 4) as (w, x, y, z).

    Example:
        >>> import torch
        >>> from meshrec.geometry import matrix_to_quaternion
        >>> matrix_to_quaternion(torch.eye(3)).tolist()
        [1.0, 0.0, 0.0, 0.0]
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrix.flatten(-2).unbind(-1)
    wx, wy, wz, xy, xz, yz = m21 - m12, m02 - m20, m10 - m01, m10 + m01, m02 + m20, m12 + m21
    more, less, rest = 1 + m00, 1 - m00, m11 - m22
    both = m11 + m22
    # Row i is the quaternion times four times its own component i.
    rows = [more + both, wx, wy, wz, wx, more - both, xy, xz, wy, xy, less + rest, yz, wz, xz, yz, less - rest]
    candidates = torch.stack(rows, dim=-1).unflatten(-1, (4, 4))
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*candidates.shape[:-2], 1, 4)
    quaternion = normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_6d_to_matrix(six: Tensor) -> Tensor:
    """Gram-Schmidt on the two columns of a 6D representation (Zhou et al. 2019, equation 14).

    Args:
        six: (..., 6) as ``[c1, c2]``, columns one after the other.

    Returns:
        (..., 3, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import rotation_6d_to_matrix
        >>> rotation_6d_to_matrix(torch.tensor([2.0, 0.0, 0.0, 1.0, 3.0, 0.0])).round().int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    first = normalize(six[..., :3], dim=-1)
    second = six[..., 3:]
    second = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def matrix_to_rotation_6d(matrix: Tensor) -> Tensor:
    """The first two columns of a rotation, one after the other.

    Args:
        matrix: (..., 3, 3).

    Returns:
        (..., 6).

    Example:
        >>> import torch
        >>> from meshrec.geometry import matrix_to_rotation_6d
        >>> matrix_to_rotation_6d(torch.eye(3)).tolist()
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    return matrix[..., :2].transpose(-1, -2).flatten(-2)


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Geodesic distance between rotations: the angle of ``a^T b``.

    Computed as 2 asin(|a - b| / sqrt(8)), which unlike the arc cosine of the trace is accurate at small angles.

    Args:
        a, b: (..., 3, 3).

    Returns:
        (...) radians in [0, pi].

    Example:
        >>> import torch
        >>> from meshrec.geometry import axis_angle_to_matrix, rotation_angle
        >>> round(float(rotation_angle(torch.eye(3), axis_angle_to_matrix(torch.tensor([0.0, 0.3, 0.4])))), 3)
        0.5
    """
    chord = (a - b).flatten(-2).norm(dim=-1)
    return 2 * (chord / 8**0.5).clamp(max=1.0).asin()


def random_rotations(count: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    """Rotations drawn uniformly from SO(3).

    A normalised Gaussian 4-vector is a uniform unit quaternion (Marsaglia 1972).

    Args:
        count: How many to draw.
        generator: Source of randomness.
        dtype: Floating-point type of the result.

    Returns:
        (count, 3, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import random_rotations
        >>> random_rotations(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 3, 3])
    """
    return quaternion_to_matrix(torch.randn(count, 4, generator=generator, dtype=dtype))
