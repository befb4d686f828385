"""A step of a body towards its keypoints, as far as the body and each keypoint are to be believed.

What is known of the body's parameters is a normal distribution around the estimate, what is seen are keypoints with
errors of their own; landmarks are linear in small steps of the parameters. The mean that follows is the estimate plus
the Kalman gain times the residual (Kalman 1960), which is a Gauss-Newton step damped by the prior. Its derivatives are
the body's own and not learned, so it also follows poses that no training has seen; a network has only to learn how
certain everything is (compare Choutas et al. 2022, "Learning to Fit Morphable Models").
"""

import torch
from torch import Tensor

from meshrec.body import POSE_SIZE
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.estimate import Estimate

TURN, BETA, CAMERA = 0.15, 0.3, 0.2  # usual standard deviations: of turns, radians, of betas, of the camera
KEYPOINT = 0.03  # likewise of keypoints, halves of the crop
OUTLIER = 0.3  # halves of the crop: the residual at which a keypoint has lost three quarters of its pull
FARTHEST = 3.0  # the logarithms of doubts stay within it
MOST_ZOOM = 2.0  # the logarithm of the camera's scale changes by no more in one step


def keypoint_step(
    landmarks: TorchLandmarks, estimate: Estimate, keypoints: Tensor, focal: Tensor | None, doubts: Tensor
) -> Estimate:
    """The bodies after the step. The derivatives of landmarks are taken for constants when it is differentiated.

    Args:
        landmarks: K of the body.
        estimate: B bodies.
        keypoints: (B, K, 3) x and y in the crop, and confidence; those of confidence 0 have no pull.
        focal: (B,) over half the crop's side.
        doubts: (B, P + K) logarithms of standard deviations over the usual ones, of the P parameters of
            :meth:`Estimate.moved`, then of the keypoints.
    """
    with torch.autocast(doubts.device.type, enabled=False):
        points = landmarks(estimate.rotations, estimate.betas)
        residuals = keypoints[..., :2] - estimate.project(points, focal)
        with torch.no_grad():
            slopes = _slopes(landmarks, estimate, points, focal)
            # The square root of what Geman & McClure's robust error leaves of a residual's weight.
            kept = 1 / (1 + residuals.square().sum(-1) / OUTLIER**2)
        doubts = doubts.clamp(-FARTHEST, FARTHEST).exp()
        of_body, of_keypoints = doubts.split([slopes.shape[-1], doubts.shape[1] - slopes.shape[-1]], dim=1)
        usual = of_body.new_tensor([TURN] * POSE_SIZE + [BETA] * estimate.betas.shape[1] + [CAMERA] * 3)
        deviations = usual * of_body
        # In units of their deviations, parameters and keypoints have unit covariances.
        weights = (keypoints[..., 2] * kept / (KEYPOINT * of_keypoints))[..., None]
        # Where keypoints are trusted far more than the body, single precision would lose the body's part.
        slopes = ((slopes * weights[..., None]).flatten(1, 2) * deviations[:, None]).double()
        covariance = slopes @ slopes.mT + torch.eye(slopes.shape[1]).to(slopes)
        pulled = (residuals * weights).flatten(1)[..., None].double()
        pull = torch.cholesky_solve(pulled, torch.linalg.cholesky(covariance))
        step = deviations * (slopes.mT @ pull).squeeze(-1).to(deviations)
        shape_and_turns, zoom, shift = step.split([step.shape[1] - 3, 1, 2], dim=1)
        return estimate.moved(torch.cat([shape_and_turns, zoom.clamp(-MOST_ZOOM, MOST_ZOOM), shift], dim=1))


def _slopes(landmarks: TorchLandmarks, estimate: Estimate, points: Tensor, focal: Tensor | None) -> Tensor:
    """(B, K, 2, P) derivatives of the landmarks in the crop by a step."""
    by_points, by_camera = estimate.project_slopes(points, focal)
    return torch.cat([by_points @ landmarks.jacobian(estimate.rotations, estimate.betas), by_camera], dim=-1)
