"""What a fit found, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import joint_index
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.solver import Quadratic
from meshrec.fit.terms import Reprojection
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians, landmark_positions

TYPICAL_ERROR = 0.02  # reprojection error, share of the box, that costs a score two thirds
TYPICAL_OVERLAP = 0.8  # of masks, for people without one


@dataclass(frozen=True)
class FitResult:
    """One fitted body in camera space: ``body(betas, pose[1:], pose[0], translation)``.

    Attributes:
        pose: (24, 3, 3) float32 local rotations; the first is the body's orientation to the camera.
        betas: (S,) float32.
        translation: (3,) float32 metres.
        joint_deviation: (24,) float32 metres: standard deviation of each ``smpl24`` joint relative to the pelvis.
        reprojection_error: Mean distance of detected and reprojected landmarks, as a share of the box's longer side.
        mask_iou: Overlap of the body's silhouette and the detector's mask, or None without a mask.
        score: In [0, 1], higher for better fits.
    """

    pose: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    joint_deviation: np.ndarray
    reprojection_error: float
    mask_iou: float | None
    score: float


def joint_deviations(joints: LandmarkMoments, state: BodyState, final: Quadratic) -> Tensor:
    """Standard deviations (B, 24) of the joints' distance from the pelvis' place, metres.

    The normal distribution around the energy's minimum has the inverse Hessian as its covariance (Laplace).
    """
    _, jacobian = landmark_jacobians(joints, state)
    pelvis = joint_index("pelvis", "smpl24")
    relative = jacobian - jacobian[:, pelvis : pelvis + 1]
    factor, _ = torch.linalg.cholesky_ex(final.hessian + 1e-9 * torch.eye(state.unknowns, dtype=relative.dtype))
    spread = torch.linalg.solve_triangular(factor, relative.flatten(1, 2).transpose(1, 2), upper=False)
    return spread.square().sum(1).unflatten(1, (-1, 3)).sum(-1).sqrt()


def reprojection_error(seen: Reprojection, state: BodyState, box: np.ndarray) -> float:
    """Distance of one person's detected and reprojected landmarks, mean by certainty, as a share of the box."""
    pixels = seen.camera.project(landmark_positions(seen.landmarks, state))[..., :2]
    distance = (pixels - seen.pixels).norm(dim=-1)
    mean = (distance * seen.precision).sum() / seen.precision.sum().clamp(min=1e-12)
    return float(mean / max(float((box[2:] - box[:2]).max()), 1.0))


def confidence_in(detection: Detection, error: float, overlap: float | None) -> float:
    """A score in [0, 1] that ranks good results above bad ones, from what was detected and how well it is explained."""
    return detection.score * float(np.exp(-error / TYPICAL_ERROR)) * (TYPICAL_OVERLAP if overlap is None else overlap)
