"""How far 2D keypoints lie from where they are, as a share of the person's size in the picture."""

import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.metrics.points import Array, PointErrors, as_pair, which_count


def torso_size(points: Array, joints: str, confidence: Array | None = None) -> Tensor:
    """Mean length of the diagonals from a shoulder to the opposite hip: by it LSP's PCK is measured.

    Args:
        points: (..., K, 2) pixels, the labels.
        joints: Name of their joint set.
        confidence: (..., K).

    Returns:
        (...) pixels, over the diagonals whose ends have a confidence above 0; 0 where neither has.
    """
    diagonals = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
    return _mean_length(points, joints, diagonals, confidence)


def head_size(points: Array, joints: str, confidence: Array | None = None) -> Tensor:
    """Length from the neck, or the thorax where the set has no neck, to the top of the head: for PCKh.

    Where a data set gives head boxes, MPII's size is 0.6 times the box's diagonal. Arguments and result are those of
    :func:`torso_size`.
    """
    neck = "neck" if "neck" in joint_set(joints) else "thorax"
    return _mean_length(points, joints, ((neck, "head_top"),), confidence)


def keypoint_errors(predicted: Array, target: Array, size: Array, confidence: Array | None = None) -> PointErrors:
    """Distance of each keypoint from its label as a share of the person's size.

    Args:
        predicted: (..., K, 2) pixels.
        target: (..., K, 2) pixels.
        size: (...) pixels: a torso, a head, or the longer side of a box. People of size 0 are left out.
        confidence: (..., K) of the labels; keypoints of confidence 0 are left out.
    """
    predicted, target = as_pair(predicted, target)
    size = torch.as_tensor(size, dtype=predicted.dtype, device=predicted.device)[..., None]
    counts = which_count(predicted, confidence) & (size > 0)
    return PointErrors((predicted - target).norm(dim=-1) / torch.where(size > 0, size, 1), counts)


def pck2d(predicted: Array, target: Array, size: Array, confidence: Array | None = None, share: float = 0.2) -> Tensor:
    """Share of correct keypoints: nearer to their labels than ``share`` of the person's size (Yang & Ramanan 2013).

    PCK@0.2 takes :func:`torso_size` and 0.2, PCKh@0.5 :func:`head_size` and 0.5. The other arguments are those of
    :func:`keypoint_errors`.

    Returns:
        () in [0, 1].
    """
    return keypoint_errors(predicted, target, size, confidence).below(share).mean()


def auc2d(
    predicted: Array, target: Array, size: Array, confidence: Array | None = None, highest: float = 0.5
) -> Tensor:
    """Mean of :func:`pck2d` over 51 shares from 0 to ``highest``."""
    shares = torch.linspace(0, highest, 51, dtype=torch.float64)
    return keypoint_errors(predicted, target, size, confidence).area(shares).mean()


def _mean_length(points: Array, joints: str, bones: tuple[tuple[str, str], ...], confidence: Array | None) -> Tensor:
    points = torch.as_tensor(points)
    counts = which_count(points, confidence)
    names = joint_set(joints)
    start, end = ([names.index(bone[i]) for bone in bones] for i in (0, 1))
    seen = counts[..., start] & counts[..., end]
    lengths = (points[..., start, :] - points[..., end, :]).norm(dim=-1).where(seen, 0)
    return lengths.sum(-1) / seen.sum(-1).clamp(min=1)
