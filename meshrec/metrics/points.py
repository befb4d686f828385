"""Errors of 3D joints and vertices. Points come in metres, errors go out in millimetres."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_set, root_indices
from meshrec.geometry import procrustes
from meshrec.metrics.running import PointMeans

if TYPE_CHECKING:
    from meshrec.body import BodyModel

Array = Tensor | np.ndarray

MILLIMETRES = 1e3  # in a metre
PCK3D_MM = 150.0  # about half a head: Mehta et al. 2017
AUC3D_MM = torch.linspace(0, PCK3D_MM, 31, dtype=torch.float64)  # as MPI-INF-3DHP's own evaluation takes them
LEAST_POINTS = 3  # a similarity takes any two points onto any other two, which says nothing about the pose


@dataclass(frozen=True)
class PointErrors:
    """A value for every point of every pose, and which of them count.

    Attributes:
        values: (..., K), in millimetres unless said.
        counts: (..., K) bool.
    """

    values: Tensor
    counts: Tensor

    def mean(self) -> Tensor:
        """() over all that count, each alike; NaN if none does."""
        return self.values.where(self.counts, 0).sum() / self.counts.sum()

    def below(self, threshold: float) -> "PointErrors":
        """1 where the value is below a threshold, else 0: the mean is the PCK."""
        return PointErrors((self.values < threshold).to(self.values.dtype), self.counts)

    def area(self, thresholds: Tensor) -> "PointErrors":
        """The share of the thresholds (N,), rising, that are above each value: the mean is the area under the PCK."""
        thresholds = thresholds.to(self.values)
        not_above = torch.bucketize(self.values.detach().contiguous(), thresholds, right=True)
        return PointErrors(1 - not_above.to(self.values.dtype) / len(thresholds), self.counts)

    def totals(self) -> PointMeans:
        """Sums and counts (K,) over the poses."""
        values, counts = self.values.detach().cpu().double(), self.counts.cpu()
        leading = tuple(range(values.dim() - 1))
        total, count = values.where(counts, 0), counts.double()
        return PointMeans(total.sum(leading), count.sum(leading)) if leading else PointMeans(total, count)


def point_errors(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    joints: str | None = None,
    align: Literal["scale", "similarity"] | None = None,
) -> PointErrors:
    """Distance of each point from the truth.

    Args:
        predicted: (..., K, 3) metres.
        target: (..., K, 3) metres.
        confidence: (..., K) of the target, or broadcasting to it; points of confidence 0 are left out, the others all
            count alike.
        joints: Name of the points' joint set. Both poses are then measured from their own roots, and a pose whose root
            has a confidence of 0 is left out. Without it points are compared where they are.
        align: What is done to the predicted pose before. ``"scale"`` resizes it about the origin (or root) by the
            factor that brings it nearest to the target. ``"similarity"`` moves, turns and resizes it likewise, never
            reflects it, and leaves out poses of fewer than three points.
    """
    predicted, target = as_pair(predicted, target)
    counts = which_count(predicted, confidence)
    if joints is not None:
        if predicted.shape[-2] != len(joint_set(joints)):
            raise ValueError(f"{joints} has {len(joint_set(joints))} joints, not {predicted.shape[-2]}")
        root = root_indices(joints)
        predicted, target = (p - p[..., root, :].mean(-2, keepdim=True) for p in (predicted, target))
        counts = counts & counts[..., root].all(-1, keepdim=True)
    if align is not None:
        predicted, target = (p.where(counts[..., None], 0) for p in (predicted, target))
    if align == "scale":
        along, square = (predicted * target).sum((-1, -2), keepdim=True), predicted.square().sum((-1, -2), keepdim=True)
        predicted = predicted * along / square.clamp(min=torch.finfo(square.dtype).tiny)
    elif align == "similarity":
        counts = counts & (counts.sum(-1, keepdim=True) >= LEAST_POINTS)
        predicted = procrustes(predicted, target, counts.to(predicted.dtype)).apply(predicted)
    elif align is not None:
        raise ValueError(f"align must be 'scale', 'similarity' or None, not {align!r}")
    return PointErrors(MILLIMETRES * (predicted - target).norm(dim=-1), counts)


def mpjpe(predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None) -> Tensor:
    """Mean per-joint position error. With ``joints`` poses are measured from their roots: H36M's protocol 1.

    Arguments are those of :func:`point_errors`.

    Returns:
        () millimetres.
    """
    return point_errors(predicted, target, confidence, joints).mean()


def n_mpjpe(predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None) -> Tensor:
    """:func:`mpjpe` once the predicted pose has its best size (Rhodin et al. 2018, "Learning monocular 3D human pose
    estimation from multi-view images").
    """
    return point_errors(predicted, target, confidence, joints, "scale").mean()


def pa_mpjpe(predicted: Array, target: Array, confidence: Array | None = None) -> Tensor:
    """:func:`mpjpe` after Procrustes alignment: the reconstruction error, H36M's protocol 2."""
    return point_errors(predicted, target, confidence, align="similarity").mean()


def mpve(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    roots: tuple[Array, Array] | None = None,
) -> Tensor:
    """Mean per-vertex error, also called PVE or MPVPE.

    Args:
        predicted: (..., V, 3) metres, of the target's topology.
        target: (..., V, 3) metres.
        confidence: (..., V), or (..., 1) one for each body; 0 leaves out.
        roots: The predicted and the true root joint, (..., 3) each, from which bodies are measured. Without them they
            are compared where they are.

    Returns:
        () millimetres.
    """
    return point_errors(*_from_roots(predicted, target, roots), confidence).mean()


def pa_mpve(predicted: Array, target: Array, confidence: Array | None = None) -> Tensor:
    """:func:`mpve` after Procrustes alignment of the vertices."""
    return point_errors(predicted, target, confidence, align="similarity").mean()


def pve_t(
    body: "BodyModel", predicted_betas: Tensor, target_betas: Tensor, target_body: "BodyModel | None" = None
) -> Tensor:
    """Mean per-vertex error in T-pose: that of the shape alone.

    Args:
        body: Whose betas were predicted.
        predicted_betas: (B, S).
        target_betas: (B, S).
        target_body: Whose betas the true ones are, where it is another body of the same topology.

    Returns:
        () millimetres.
    """
    return mpve(body.rest(predicted_betas)[0], (target_body or body).rest(target_betas)[0])


def pck3d(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    joints: str | None = None,
    threshold_mm: float = PCK3D_MM,
) -> Tensor:
    """Share of joints nearer to the truth than a threshold (Mehta et al. 2017, MPI-INF-3DHP).

    The other arguments are those of :func:`point_errors`.

    Returns:
        () in [0, 1].
    """
    return point_errors(predicted, target, confidence, joints).below(threshold_mm).mean()


def auc3d(predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None) -> Tensor:
    """Mean of :func:`pck3d` over the thresholds 0, 5, ..., 150 mm.

    Nothing is below 0 mm, so that the best there is are 30 / 31.
    """
    return point_errors(predicted, target, confidence, joints).area(AUC3D_MM).mean()


def acceleration_errors(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    joints: str | None = None,
    fps: float | None = None,
) -> PointErrors:
    """Length of the difference between predicted and true accelerations, by second differences (Kanazawa et al. 2019).

    Args:
        predicted: (..., T, K, 3) metres, T at least 3.
        target: (..., T, K, 3) metres.
        confidence: (..., T, K); a joint counts where three frames in a row have it.
        joints: As for :func:`point_errors`.
        fps: Frames a second, for millimetres per second squared.

    Returns:
        Values (..., T - 2, K), in millimetres per frame squared unless ``fps`` is given.
    """
    predicted, target = as_pair(predicted, target)
    if predicted.shape[-3] < 3:
        raise ValueError(f"an acceleration takes three frames, not {predicted.shape[-3]}")
    counts = which_count(predicted, confidence)
    difference = predicted - target
    if joints is not None:
        root = root_indices(joints)
        difference = difference - difference[..., root, :].mean(-2, keepdim=True)
        counts = counts & counts[..., root].all(-1, keepdim=True)
    before, now, after = (slice(i, i - 2 or None) for i in range(3))
    second = difference[..., before, :, :] - 2 * difference[..., now, :, :] + difference[..., after, :, :]
    counts = counts[..., before, :] & counts[..., now, :] & counts[..., after, :]
    return PointErrors(MILLIMETRES * (1 if fps is None else fps * fps) * second.norm(dim=-1), counts)


def acceleration_error(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    joints: str | None = None,
    fps: float | None = None,
) -> Tensor:
    """Mean of :func:`acceleration_errors`."""
    return acceleration_errors(predicted, target, confidence, joints, fps).mean()


def pose_errors(
    predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None
) -> dict[str, PointErrors]:
    """All measures of a batch of poses, by name, for :class:`meshrec.metrics.RunningMeans`.

    Arguments are those of :func:`point_errors`.
    """
    rooted = point_errors(predicted, target, confidence, joints)
    return {
        "mpjpe": rooted,
        "n_mpjpe": point_errors(predicted, target, confidence, joints, "scale"),
        "pa_mpjpe": point_errors(predicted, target, confidence, align="similarity"),
        "pck3d": rooted.below(PCK3D_MM),
        "auc3d": rooted.area(AUC3D_MM),
    }


def mesh_errors(
    predicted: Array, target: Array, confidence: Array | None = None, roots: tuple[Array, Array] | None = None
) -> dict[str, PointErrors]:
    """All measures of a batch of meshes, by name; arguments are those of :func:`mpve`."""
    return {
        "mpve": point_errors(*_from_roots(predicted, target, roots), confidence),
        "pa_mpve": point_errors(predicted, target, confidence, align="similarity"),
    }


def as_pair(predicted: Array, target: Array) -> tuple[Tensor, Tensor]:
    """Both as floating tensors of one type and device.

    Raises:
        ValueError: Their shapes differ.
    """
    predicted = torch.as_tensor(predicted)
    predicted = predicted if predicted.is_floating_point() else predicted.float()
    target = torch.as_tensor(target, dtype=predicted.dtype, device=predicted.device)
    if predicted.shape != target.shape:
        raise ValueError(f"points of shapes {tuple(predicted.shape)} and {tuple(target.shape)} do not compare")
    return predicted, target


def which_count(points: Tensor, confidence: Array | None) -> Tensor:
    """(..., K) bool: which of the points (..., K, D) have a confidence above 0."""
    shape = points.shape[:-1]
    if confidence is None:
        return torch.ones(shape, dtype=torch.bool, device=points.device)
    confidence = torch.as_tensor(confidence, device=points.device)
    try:
        return (confidence > 0).expand(shape)
    except RuntimeError:
        raise ValueError(f"confidence of shape {tuple(confidence.shape)} does not fit points {tuple(shape)}") from None


def _from_roots(predicted: Array, target: Array, roots: tuple[Array, Array] | None) -> tuple[Tensor, Tensor]:
    predicted, target = as_pair(predicted, target)
    if roots is None:
        return predicted, target
    ours, true = as_pair(*roots)
    return predicted - ours[..., None, :], target - true.to(target)[..., None, :]
