"""Landmarks and their derivatives on the CPU by compiled loops in double precision, for the fit."""

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.compiled.threads import over_batch
from meshrec.landmarks.moments import LandmarkMoments


def landmark_positions(landmarks: LandmarkMoments, state: BodyState) -> Tensor:
    """Positions of landmarks.

    Args:
        landmarks: The K landmarks of a body.
        state: B bodies with the landmarks' number of betas.

    Returns:
        (B, K, 3) metres, camera space.
    """
    return _evaluate(landmarks, state, 0)[0]


def landmark_jacobians(landmarks: LandmarkMoments, state: BodyState) -> tuple[Tensor, Tensor]:
    """Positions of landmarks and their derivatives with respect to a step of the state.

    Args:
        landmarks: The K landmarks of a body.
        state: B bodies with the landmarks' number of betas.

    Returns:
        Positions (B, K, 3), metres, camera space, and derivatives (B, K, 3, P) with respect to the unknowns of
        :meth:`meshrec.body.state.BodyState.moved`. The derivative of SMPL's pose displacements is left out.
    """
    return _evaluate(landmarks, state, state.unknowns)


def _evaluate(landmarks: LandmarkMoments, state: BodyState, unknowns: int) -> tuple[Tensor, Tensor]:
    """Positions and derivatives of landmarks. ``unknowns`` is that of the state, or 0 for no derivatives."""
    from meshrec.body.kernels import chain
    from meshrec.landmarks.kernels import accumulate

    parents, batch = np.array(landmarks.tree.parents), len(state)
    rotations, translation, betas = (
        np.ascontiguousarray(part.numpy()) for part in (state.rotations, state.translation, state.betas)
    )
    rest_joints = landmarks.rest_joints + _combined(betas, landmarks.joint_shapes)
    moments = landmarks.moments + _combined(betas, landmarks.moment_shapes)
    if landmarks.moment_poses.shape[-1]:
        features = (rotations[:, 1:] - np.eye(3)).reshape(batch, -1)
        moments = moments + _combined(features, landmarks.moment_poses)
    motions = np.empty((*rotations.shape[:3], 4))
    chain(rotations, rest_joints, translation, parents, motions)
    points = np.empty((batch, len(landmarks), 3))
    jacobian = np.zeros((batch, len(landmarks), 3, unknowns))
    parts = (landmarks.starts, landmarks.joints, landmarks.masses, landmarks.moment_shapes, landmarks.joint_shapes)
    over_batch(accumulate, [motions, rest_joints, moments, points, jacobian], [*parts, parents])
    return torch.from_numpy(points), torch.from_numpy(jacobian)


def _combined(coefficients: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Sums (B, N, 3) of directions (N, 3, S) with coefficients (B, S)."""
    count, axes, size = directions.shape
    return (coefficients @ directions.reshape(-1, size).T).reshape(-1, count, axes)
