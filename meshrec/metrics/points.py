"""Errors of 3D joints and vertices. Points are in metres, errors in millimetres."""

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
PCK3D_MM = 150.0  # about half the size of a head (Mehta et al. 2017)
AUC3D_MM = torch.linspace(0, PCK3D_MM, 31, dtype=torch.float64)  # the thresholds of MPI-INF-3DHP's own evaluation
LEAST_POINTS = 3  # a similarity takes any two points exactly onto any other two, whatever the pose


@dataclass(frozen=True)
class PointErrors:
    """A value for every point of every pose, and which of them count.

    Attributes:
        values: (..., K), in millimetres unless the function that returns them says otherwise.
        counts: (..., K) bool: whether the value counts.

    Example:
        >>> import torch
        >>> from meshrec.metrics import PointErrors
        >>> errors = PointErrors(torch.tensor([[30.0, 50.0, 999.0]]), torch.tensor([[True, True, False]]))
        >>> float(errors.mean()), float(errors.below(40.0).mean())
        (40.0, 0.5)
    """

    values: Tensor
    counts: Tensor

    def mean(self) -> Tensor:
        """The mean () of the values that count, all with the same weight; NaN if none does."""
        return self.values.where(self.counts, 0).sum() / self.counts.sum()

    def below(self, threshold: float) -> "PointErrors":
        """1 where the value is below a threshold and 0 elsewhere; the mean is the PCK."""
        return PointErrors((self.values < threshold).to(self.values.dtype), self.counts)

    def area(self, thresholds: Tensor) -> "PointErrors":
        """The share of the ascending thresholds (N,) above each value; the mean is the area under the PCK curve."""
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
        predicted: (..., K, 3) predicted points, metres.
        target: (..., K, 3) true points, metres.
        confidence: (..., K) of the target, or broadcasting to it. Points of confidence 0 are left out, and all others
            have the same weight. Default: all 1.
        joints: Name of the points' joint set. If given, both poses are measured from their own root joints, and a pose
            whose root has a confidence of 0 is left out. Default: points are compared where they are.
        align: How the predicted pose is first aligned to the target. ``"scale"`` scales it about the origin (or root)
            by the factor that brings it nearest to the target. ``"similarity"`` also moves and rotates it, never
            reflects it, and leaves out poses of fewer than three points. Default: not at all.

    Returns:
        Values (..., K) in millimetres.

    Raises:
        ValueError: The shapes do not fit, or ``align`` is none of the above.

    Example:
        >>> import torch
        >>> from meshrec.metrics import point_errors
        >>> target = torch.eye(3)
        >>> point_errors(target + torch.tensor([0.0, 0.003, 0.004]), target).values.round().tolist()
        [5.0, 5.0, 5.0]
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
    """Mean per-joint position error. With ``joints``, poses are measured from their root joints: H36M's protocol 1.

    Arguments are those of :func:`point_errors`.

    Returns:
        () millimetres.

    Example:
        >>> import torch
        >>> from meshrec.metrics import mpjpe
        >>> target = torch.eye(3)
        >>> round(float(mpjpe(target + torch.tensor([0.0, 0.003, 0.004]), target)), 2)
        5.0
    """
    return point_errors(predicted, target, confidence, joints).mean()


def n_mpjpe(predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None) -> Tensor:
    """:func:`mpjpe` after scaling the predicted pose by the best factor (Rhodin et al. 2018, "Learning monocular 3D
    human pose estimation from multi-view images").

    Example:
        >>> import torch
        >>> from meshrec.metrics import n_mpjpe
        >>> round(float(n_mpjpe(2 * torch.eye(3), torch.eye(3))), 2)
        0.0
    """
    return point_errors(predicted, target, confidence, joints, "scale").mean()


def pa_mpjpe(predicted: Array, target: Array, confidence: Array | None = None) -> Tensor:
    """:func:`mpjpe` after Procrustes alignment: the reconstruction error, H36M's protocol 2.

    Example:
        >>> import torch
        >>> from meshrec.metrics import pa_mpjpe
        >>> round(float(pa_mpjpe(2 * torch.eye(3) + 1, torch.eye(3))), 2)
        0.0
    """
    return point_errors(predicted, target, confidence, align="similarity").mean()


def mpve(
    predicted: Array,
    target: Array,
    confidence: Array | None = None,
    roots: tuple[Array, Array] | None = None,
) -> Tensor:
    """Mean per-vertex error, also called PVE or MPVPE.

    Args:
        predicted: (..., V, 3) predicted vertices, metres, of the target's topology.
        target: (..., V, 3) true vertices, metres.
        confidence: (..., V), or (..., 1) with one for each body; 0 leaves a vertex or a body out. Default: all 1.
        roots: The predicted and the true root joint, (..., 3) each, from which bodies are measured. Default: bodies are
            compared where they are.

    Returns:
        () millimetres.

    Example:
        >>> import torch
        >>> from meshrec.metrics import mpve
        >>> target, shift = torch.eye(3), torch.tensor([0.0, 0.003, 0.004])
        >>> round(float(mpve(target + shift, target)), 2)
        5.0
        >>> round(float(mpve(target + shift, target, roots=(shift, torch.zeros(3)))), 2)
        0.0
    """
    return point_errors(*_from_roots(predicted, target, roots), confidence).mean()


def pa_mpve(predicted: Array, target: Array, confidence: Array | None = None) -> Tensor:
    """:func:`mpve` after Procrustes alignment of the vertices.

    Example:
        >>> import torch
        >>> from meshrec.metrics import pa_mpve
        >>> round(float(pa_mpve(2 * torch.eye(3) + 1, torch.eye(3))), 2)
        0.0
    """
    return point_errors(predicted, target, confidence, align="similarity").mean()


def pve_t(
    body: "BodyModel", predicted_betas: Tensor, target_betas: Tensor, target_body: "BodyModel | None" = None
) -> Tensor:
    """Mean per-vertex error in T-pose, which measures the shape alone.

    Args:
        body: The body model that the predicted betas belong to.
        predicted_betas: (B, S) shape coefficients.
        target_betas: (B, S) shape coefficients.
        target_body: The body model of the true betas, of the same topology. Default: ``body``.

    Returns:
        () millimetres.

    Example:
        >>> import torch
        >>> from meshrec.body import load_body
        >>> from meshrec.metrics import pve_t
        >>> round(float(pve_t(load_body("neutral"), torch.zeros(1, 10), torch.zeros(1, 10))), 3)
        0.0
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

    Example:
        >>> import torch
        >>> from meshrec.metrics import pck3d
        >>> float(pck3d(torch.eye(3)[:2], torch.eye(3)[[0, 2]]))
        0.5
    """
    return point_errors(predicted, target, confidence, joints).below(threshold_mm).mean()


def auc3d(predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None) -> Tensor:
    """Area under the PCK curve: the mean of :func:`pck3d` over the thresholds 0, 5, ..., 150 mm.

    No error is below 0 mm, so the best possible value is 30 / 31.

    Example:
        >>> import torch
        >>> from meshrec.metrics import auc3d
        >>> round(float(auc3d(torch.eye(3), torch.eye(3))), 3)
        0.968
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
        predicted: (..., T, K, 3) predicted points, metres, T at least 3.
        target: (..., T, K, 3) true points, metres.
        confidence: (..., T, K); a joint counts where it has a confidence above 0 in three consecutive frames. Default:
            all 1.
        joints: As for :func:`point_errors`.
        fps: Frames per second, if the result is to be in millimetres per second squared.

    Returns:
        Values (..., T - 2, K), in millimetres per frame squared unless ``fps`` is given.

    Raises:
        ValueError: There are fewer than three frames, or the shapes do not fit.

    Example:
        >>> import torch
        >>> from meshrec.metrics import acceleration_errors
        >>> jump = torch.zeros(3, 1, 3)
        >>> jump[2, 0, 0] = 0.001
        >>> acceleration_errors(jump, torch.zeros(3, 1, 3)).values.round().tolist()
        [[1.0]]
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
    """Mean of :func:`acceleration_errors`.

    Example:
        >>> import torch
        >>> from meshrec.metrics import acceleration_error
        >>> steady = torch.arange(5.0)[:, None, None].expand(5, 17, 3)
        >>> float(acceleration_error(steady, torch.zeros(5, 17, 3)))
        0.0
    """
    return acceleration_errors(predicted, target, confidence, joints, fps).mean()


def pose_errors(
    predicted: Array, target: Array, confidence: Array | None = None, joints: str | None = None
) -> dict[str, PointErrors]:
    """All error measures of a batch of poses by name, for :class:`meshrec.metrics.RunningMeans`.

    Arguments are those of :func:`point_errors`.

    Example:
        >>> import torch
        >>> from meshrec.metrics import pose_errors
        >>> list(pose_errors(torch.zeros(2, 17, 3), torch.zeros(2, 17, 3), joints="h36m17"))
        ['mpjpe', 'n_mpjpe', 'pa_mpjpe', 'pck3d', 'auc3d']
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
    """All error measures of a batch of meshes by name; arguments are those of :func:`mpve`.

    Example:
        >>> import torch
        >>> from meshrec.metrics import mesh_errors
        >>> list(mesh_errors(torch.zeros(2, 100, 3), torch.zeros(2, 100, 3)))
        ['mpve', 'pa_mpve']
    """
    return {
        "mpve": point_errors(*_from_roots(predicted, target, roots), confidence),
        "pa_mpve": point_errors(predicted, target, confidence, align="similarity"),
    }


def as_pair(predicted: Array, target: Array) -> tuple[Tensor, Tensor]:
    """Convert both to floating-point tensors of one type and device.

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
    predicted_root, target_root = as_pair(*roots)
    return predicted - predicted_root[..., None, :], target - target_root.to(target)[..., None, :]
