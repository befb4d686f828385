"""Procrustes alignment: the similarity or rigid motion that brings one point set closest to another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

POLAR_STEPS = 10  # of Newton's iteration, which doubles the number of correct digits with each


@dataclass(frozen=True)
class Similarity:
    """``y = scale * rotation @ x + translation``: scale (...), rotation (..., 3, 3), translation (..., 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import Similarity
        >>> double = Similarity(torch.tensor(2.0), torch.eye(3), torch.tensor([0.0, 0.0, 1.0]))
        >>> double.apply(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[2.0, 4.0, 7.0]]
    """

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Transform points (..., N, 3), which have the unit of the translation."""
        turned = points @ self.rotation.transpose(-1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation closest in the Frobenius norm (Kabsch 1976): U diag(1, 1, det(U V^T)) V^T.

    The gradient is exact wherever that rotation is unique, also where the matrix is a rotation already and the
    derivatives of its singular vectors are infinite. Where several rotations are equally close, as for a matrix of rank
    one, the gradient is finite.

    Args:
        matrix: (..., 3, 3) any matrices.

    Returns:
        (..., 3, 3) rotations, never reflections.

    Example:
        >>> import torch
        >>> from meshrec.geometry import nearest_rotation
        >>> nearest_rotation(torch.diag(torch.tensor([2.0, 3.0, 0.5]))).round().int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    return _NearestRotation.apply(matrix)


def polar_rotation(matrix: Tensor) -> Tensor:
    """:func:`nearest_rotation` of matrices of positive determinant, in elementary operations alone.

    It is for exported programs, since ONNX has no singular value decomposition. Newton's iteration for the orthogonal
    polar factor, X <- (g X + (g X)^-T) / 2, with the factor g by Frobenius norms (Higham 1986, "Computing the polar
    decomposition - with applications").

    Args:
        matrix: (..., 3, 3) matrices of positive determinant.

    Returns:
        (..., 3, 3) rotations.
    """
    for _ in range(POLAR_STEPS):
        a, b, c = matrix.unbind(-1)
        cofactors = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=-1)
        inverse = cofactors / (a * cofactors[..., 0]).sum(-1)[..., None, None]  # transposed
        size, other = (part.square().sum((-1, -2), keepdim=True) for part in (matrix, inverse))
        scale = (other / size) ** 0.25
        matrix = (scale * matrix + inverse / scale) / 2
    return matrix


class _NearestRotation(torch.autograd.Function):
    """R = U V^T for a matrix M = U S V^T, with a derivative in closed form.

    The last column of U and the last entry of S carry the sign that keeps R from being a reflection. R^T M is symmetric
    and stays so under a change dM, from which dR = U [(U^T dM V - V^T dM^T U)_ij / (s_i + s_j)] V^T follows.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(matrix)
        sign = torch.ones_like(s)
        sign[..., 2] = torch.linalg.det(u @ vh).sign()
        u, s = u * sign[..., None, :], s * sign
        ctx.save_for_backward(u, s, vh)
        return u @ vh

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        u, s, vh = ctx.saved_tensors
        turned = u.mT @ grad @ vh.mT
        sums = s[..., :, None] + s[..., None, :]
        info = torch.finfo(s.dtype)
        rounding = 8 * info.eps * s[..., :1, None]  # a smaller sum is zero but for rounding: R is not unique there
        inverse = sums / (sums.square() + rounding.square()).clamp(min=info.tiny)
        return u @ ((turned - turned.mT) * inverse) @ vh


def procrustes(source: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True) -> Similarity:
    """The similarity that minimises sum_i w_i |s R source_i + t - target_i|^2 (Umeyama 1991, equations 39-43).

    Reflections are never returned. Point sets without extent get a scale of 1 and the identity rotation.

    Args:
        source: (..., N, 3) points to move.
        target: (..., N, 3) the points that they correspond to.
        weights: (..., N), not negative; 0 leaves a point out. Default: all equal.
        with_scale: False for a rigid motion, whose scale is 1.

    Returns:
        The similarity from source to target, one for each of the leading dimensions.

    Raises:
        TypeError: An argument is no tensor of floating numbers.
        ValueError: The shapes are not these, or their leading dimensions do not broadcast.

    Example:
        >>> import torch
        >>> from meshrec.geometry import procrustes
        >>> corners = torch.eye(3)
        >>> found = procrustes(corners, 2 * corners + 1)
        >>> round(float(found.scale), 3), found.translation.round(decimals=3).tolist()
        (2.0, [1.0, 1.0, 1.0])
    """
    _check_points(source, target, weights)
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    share = (weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny))[..., None]
    source_mean, target_mean = (share * source).sum(-2), (share * target).sum(-2)
    x, y = source - source_mean[..., None, :], target - target_mean[..., None, :]
    covariance = (share * y).transpose(-1, -2) @ x
    rotation = nearest_rotation(covariance)
    variance = (share * x * x).sum((-1, -2))
    trace = (rotation * covariance).sum((-1, -2))
    flat = variance <= torch.finfo(variance.dtype).tiny
    scale = torch.where(flat, torch.ones_like(variance), trace / variance.masked_fill(flat, 1.0))
    if not with_scale:
        scale = torch.ones_like(scale)
    translation = target_mean - scale[..., None] * (rotation @ source_mean[..., None]).squeeze(-1)
    return Similarity(scale, rotation, translation)


def _check_points(source: Tensor, target: Tensor, weights: Tensor | None) -> None:
    """Refuse arguments of :func:`procrustes` that have a wrong type or shape."""
    given = {"source": source, "target": target} | ({} if weights is None else {"weights": weights})
    for name, value in given.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name} must be a tensor of floating numbers, not {kind}")
    for name, value in (("source", source), ("target", target)):
        if value.dim() < 2 or value.shape[-1] != 3:
            raise ValueError(f"{name} must be (..., N, 3), not {tuple(value.shape)}")
    count = source.shape[-2]
    if target.shape[-2] != count:
        raise ValueError(f"target has {target.shape[-2]} points, but source {count}")
    if weights is not None and (weights.dim() == 0 or weights.shape[-1] != count):
        raise ValueError(f"weights must be (..., {count}), one for each point, not {tuple(weights.shape)}")
    leading = [source.shape[:-2], target.shape[:-2], *([] if weights is None else [weights.shape[:-1]])]
    try:
        np.broadcast_shapes(*leading)  # that of torch imports sympy, which takes half a second
    except ValueError:
        shapes = " and ".join(str(tuple(value.shape)) for value in given.values())
        raise ValueError(f"{', '.join(given)} of shapes {shapes} do not correspond") from None
