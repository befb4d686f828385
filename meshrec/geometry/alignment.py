"""Procrustes alignment: the similarity or rigid motion that takes one point set closest to another."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Similarity:
    """``y = scale * rotation @ x + translation``: scale (...), rotation (..., 3, 3), translation (..., 3)."""

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Transform points (..., N, 3)."""
        turned = points @ self.rotation.transpose(-1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation closest in the Frobenius norm (Kabsch 1976): U diag(1, 1, det(U V^T)) V^T.

    Its gradient is exact wherever the rotation is unique: also at rotations, where those of singular vectors are
    infinite. Where many rotations are equally close, as for a matrix of rank one, it is finite.

    Args:
        matrix: (..., 3, 3) of any kind.

    Returns:
        (..., 3, 3) rotations, never reflections.
    """
    return _NearestRotation.apply(matrix)


class _NearestRotation(torch.autograd.Function):
    """With M = U S V^T and R = U V^T, where U and S hold the sign that keeps R from being a reflection, a change dM
    turns R by dR = U [(U^T dM V - V^T dM^T U)_ij / (s_i + s_j)] V^T: it must keep R^T M symmetric.
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
        rounding = 8 * info.eps * s[..., :1, None]  # sums below it are zero: there any turn is as good as another
        inverse = sums / (sums.square() + rounding.square()).clamp(min=info.tiny)
        return u @ ((turned - turned.mT) * inverse) @ vh


def procrustes(source: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True) -> Similarity:
    """The motion minimising sum_i w_i |s R source_i + t - target_i|^2 (Umeyama 1991, equations 39-43).

    Reflections are never returned. Point sets without extent get the identity scale and rotation.

    Args:
        source: (..., N, 3).
        target: (..., N, 3).
        weights: (..., N), not negative; 0 leaves a point out. Default: all equal.
        with_scale: False for a rigid motion.
    """
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
