"""Measures of posture: errors along the line of sight, which overlays hide and side views show."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from meshrec.body.joints import joint_set

SIDES = ("left", "right")


def trunk_direction(points: Tensor, joints: str) -> Tensor:
    """Unit vectors (..., 3) from the midpoint of the hips to the midpoint of the shoulders.

    Args:
        points: (..., K, 3) joints, metres.
        joints: Name of their joint set.
    """
    shoulder, hip = (_pair(points, joints, part).mean(-2) for part in ("shoulder", "hip"))
    return normalize(shoulder - hip, dim=-1)


def lean(points: Tensor, joints: str) -> Tensor:
    """Angle (...) by which trunks lean towards the camera, degrees; points (..., K, 3) in camera space."""
    return torch.rad2deg(torch.asin((-trunk_direction(points, joints)[..., 2]).clamp(-1, 1)))


def knee_bends(points: Tensor, joints: str) -> Tensor:
    """Angles (..., 2) by which the left and right knees are bent, degrees, 0 when straight; points (..., K, 3)."""
    hip, knee, ankle = (_pair(points, joints, part) for part in ("hip", "knee", "ankle"))
    return torch.rad2deg(torch.acos(cosine_similarity(knee - hip, ankle - knee, dim=-1).clamp(-1, 1)))


def angle_between(one: Tensor, other: Tensor) -> Tensor:
    """Angle (...) between unit vectors (..., 3), degrees."""
    return torch.rad2deg(torch.acos((one * other).sum(-1).clamp(-1, 1)))


def _pair(points: Tensor, joints: str, part: str) -> Tensor:
    names = joint_set(joints)
    return points[..., [names.index(f"{side}_{part}") for side in SIDES], :]
