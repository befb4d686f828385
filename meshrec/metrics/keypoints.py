"""Errors of 2D keypoints as a share of the person's size in the picture."""

import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.metrics.points import Array, PointErrors, as_pair, which_count


def torso_size(points: Array, joints: str, confidence: Array | None = None) -> Tensor:
    """Mean length of the diagonals from a shoulder to the opposite hip, the unit of LSP's PCK.

    Args:
        points: (..., K, 2) labels, pixels.
        joints: Name of their joint set.
        confidence: (..., K) of the labels. Default: all 1.

    Returns:
        (...) pixels: the mean over the diagonals whose two ends have a confidence above 0; 0 where there is none.

    Example:
        >>> import torch
        >>> from meshrec.body import joint_set
        >>> from meshrec.metrics import torso_size
        >>> points = torch.tensor([(3.0, 4.0) if "hip" in name else (0.0, 0.0) for name in joint_set("coco17")])
        >>> round(float(torso_size(points, "coco17")), 3)
        5.0
    """
    diagonals = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
    return _mean_length(points, joints, diagonals, confidence)


def head_size(points: Array, joints: str, confidence: Array | None = None) -> Tensor:
    """Length from the neck, or the thorax where the set has no neck, to the top of the head: the unit of PCKh.

    Where a data set gives head boxes, MPII's size is 0.6 times the box's diagonal. Arguments and result are those of
    :func:`torso_size`.

    Example:
        >>> import torch
        >>> from meshrec.body import joint_set
        >>> from meshrec.metrics import head_size
        >>> points = torch.tensor([(0.0, 20.0) if name == "head_top" else (0.0, 0.0) for name in joint_set("lsp14")])
        >>> round(float(head_size(points, "lsp14")), 3)
        20.0
    """
    neck = "neck" if "neck" in joint_set(joints) else "thorax"
    return _mean_length(points, joints, ((neck, "head_top"),), confidence)


def keypoint_errors(predicted: Array, target: Array, size: Array, confidence: Array | None = None) -> PointErrors:
    """Distance of each keypoint from its label as a share of the person's size.

    Args:
        predicted: (..., K, 2) predicted keypoints, pixels.
        target: (..., K, 2) labels, pixels.
        size: (...) size of each person, pixels: of the torso, the head, or the longer side of a box. People of size 0
            are left out.
        confidence: (..., K) of the labels; keypoints of confidence 0 are left out. Default: all 1.

    Returns:
        Values (..., K) without unit.

    Example:
        >>> import torch
        >>> from meshrec.metrics import keypoint_errors
        >>> label = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
        >>> errors = keypoint_errors(label + torch.tensor([3.0, 4.0]), label, 50.0)
        >>> round(float(errors.mean()), 3)
        0.1
    """
    predicted, target = as_pair(predicted, target)
    size = torch.as_tensor(size, dtype=predicted.dtype, device=predicted.device)[..., None]
    counts = which_count(predicted, confidence) & (size > 0)
    return PointErrors((predicted - target).norm(dim=-1) / torch.where(size > 0, size, 1), counts)


def pck2d(predicted: Array, target: Array, size: Array, confidence: Array | None = None, share: float = 0.2) -> Tensor:
    """Share of correct keypoints: those nearer to their labels than ``share`` of the person's size (Yang & Ramanan
    2013, "Articulated Human Detection with Flexible Mixtures of Parts").

    PCK@0.2 takes :func:`torso_size` and 0.2, PCKh@0.5 :func:`head_size` and 0.5. The other arguments are those of
    :func:`keypoint_errors`.

    Returns:
        () in [0, 1].

    Example:
        >>> import torch
        >>> from meshrec.metrics import pck2d
        >>> label = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
        >>> round(float(pck2d(torch.tensor([[10.0, 10.0], [20.0, 40.0]]), label, size=50.0)), 3)
        0.5
    """
    return keypoint_errors(predicted, target, size, confidence).below(share).mean()


def auc2d(
    predicted: Array, target: Array, size: Array, confidence: Array | None = None, highest: float = 0.5
) -> Tensor:
    """Area under the PCK curve: the mean of :func:`pck2d` over 51 shares from 0 to ``highest``.

    Example:
        >>> import torch
        >>> from meshrec.metrics import auc2d
        >>> label = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
        >>> round(float(auc2d(label, label, size=50.0)), 3)  # nothing is nearer than 0, so 50 / 51 is the best
        0.98
    """
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
