"""The result of a fit, and its confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import joint_index
from meshrec.body.state import BETAS, BodyState
from meshrec.detect.people import Detection
from meshrec.fit.solver import Quadratic
from meshrec.fit.terms import Reprojection
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians, landmark_positions

TYPICAL_ERROR = 0.02  # reprojection error, as a share of the box, that lowers a score by the factor 1 / e
TYPICAL_OVERLAP = 0.8  # overlap with the mask that is assumed for people without a mask

UNKNOWN = 1.0  # metres; deviation of joints about whose places the fit knows nothing


@dataclass(frozen=True)
class FitResult:
    """One fitted body in camera space: ``body(betas, rotations[1:], rotations[0], translation)``.

    Attributes:
        rotations: (24, 3, 3) float32 local rotations; the first is the body's orientation to the camera.
        betas: (S,) float32 shape coefficients.
        translation: (3,) float32, metres.
        joint_deviation: (24,) float32 standard deviation of each ``smpl24`` joint relative to the pelvis, metres.
        reprojection_error: Mean distance of detected and reprojected landmarks, as a share of the box's longer side.
        mask_iou: Intersection over union of the body's silhouette and the detector's mask; None without a mask.
        score: Confidence in [0, 1], higher for better fits.
        shape_covariance: (S, S) float32 covariance of the betas' errors.

    Example:
        >>> import numpy as np
        >>> from meshrec.fit import FitResult
        >>> rotations = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
        >>> fit = FitResult(rotations, np.zeros(10), np.array([0, 0, 4]), np.zeros(24), 0.01, mask_iou=None, score=0.6)
        >>> fit.rotations.shape, fit.score
        ((24, 3, 3), 0.6)
    """

    rotations: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    joint_deviation: np.ndarray
    reprojection_error: float
    mask_iou: float | None
    score: float
    shape_covariance: np.ndarray | None = None

    @property
    def pose(self) -> np.ndarray:
        """``rotations`` by SMPL's name."""
        return self.rotations


def joint_deviations(joints: LandmarkMoments, state: BodyState, final: Quadratic) -> Tensor:
    """Standard deviations of the joints' positions relative to the pelvis.

    By Laplace's approximation the posterior is Gaussian, and its covariance is the inverse of the energy's Hessian.

    Args:
        joints: The ``smpl24`` joints as landmarks.
        state: B bodies at the minimum of their energy.
        final: The energy's quadratic there.

    Returns:
        (B, 24) metres, over all three axes; :data:`UNKNOWN` where the Hessian is not positive definite or not finite,
        as at a body that no step improved.
    """
    _, jacobian = landmark_jacobians(joints, state)
    pelvis = joint_index("pelvis", "smpl24")
    relative = jacobian - jacobian[:, pelvis : pelvis + 1]
    factor, failed = torch.linalg.cholesky_ex(final.hessian + 1e-9 * torch.eye(state.unknowns, dtype=relative.dtype))
    spread = torch.linalg.solve_triangular(factor, relative.flatten(1, 2).transpose(1, 2), upper=False)
    deviations = spread.square().sum(1).unflatten(1, (-1, 3)).sum(-1).sqrt()
    return torch.where((failed[:, None] == 0) & deviations.isfinite(), deviations, UNKNOWN)


def shape_covariances(final: Quadratic) -> Tensor:
    """Covariances of the betas by Laplace's approximation, whatever pose and place are.

    Args:
        final: The energy's quadratic at its minimum, for B bodies.

    Returns:
        (B, S, S) blocks of the inverse of the Hessian; the identity, which is the prior of betas, where the Hessian is
        not positive definite or not finite.
    """
    eye = torch.eye(final.hessian.shape[-1], dtype=final.hessian.dtype)
    factor, failed = torch.linalg.cholesky_ex(final.hessian + 1e-9 * eye)
    spread = torch.linalg.solve_triangular(factor, eye[:, BETAS].expand(len(factor), -1, -1), upper=False)
    covariance = spread.mT @ spread
    usable = (failed == 0) & covariance.flatten(1).isfinite().all(1)
    return torch.where(usable[:, None, None], covariance, eye[BETAS, BETAS])


def reprojection_error(seen: Reprojection, state: BodyState, box: np.ndarray) -> float:
    """Mean distance of one person's detected and reprojected landmarks, weighted by precision.

    Args:
        seen: The detected landmarks, a batch of one.
        state: The body, a batch of one.
        box: (4,) x0, y0, x1, y1 of the person in photo pixels.

    Returns:
        The distance as a share of the box's longer side.
    """
    pixels = seen.camera.project(landmark_positions(seen.landmarks, state))[..., :2]
    distance = (pixels - seen.pixels).norm(dim=-1)
    mean = (distance * seen.precision).sum() / seen.precision.sum().clamp(min=1e-12)
    return float(mean / max(float((box[2:] - box[:2]).max()), 1.0))


def confidence_in(detection: Detection, error: float, overlap: float | None) -> float:
    """Score of a fit, which ranks good results above bad ones.

    Args:
        detection: The detection, whose own score is a factor.
        error: The reprojection error, as a share of the box's longer side.
        overlap: Intersection over union of silhouette and mask; None without a mask.

    Returns:
        A number in [0, 1].
    """
    return detection.score * float(np.exp(-error / TYPICAL_ERROR)) * (TYPICAL_OVERLAP if overlap is None else overlap)
