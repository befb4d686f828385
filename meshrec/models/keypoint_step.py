"""One Gauss-Newton step of a body towards its keypoints, weighted by the uncertainty of both.

The body's parameters have a Gaussian prior around the estimate, keypoints have Gaussian errors, and landmarks are
linear in small steps of the parameters. The posterior mean is then the estimate plus the Kalman gain times the
residuals (Kalman 1960), which is a Gauss-Newton step damped by the prior. The derivatives are those of the body and not
learned, so that the step also works for poses that no training has seen. A network learns only the standard deviations
(compare Choutas et al. 2022, "Learning to Fit Morphable Models").
"""

import torch
from torch import Tensor

from meshrec.body import POSE_SIZE
from meshrec.compiled.operators import is_exporting
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.estimate import Estimate

# Usual standard deviations: of a joint's rotation, radians; of a beta; of log s, tx and ty of the camera.
TURN, BETA, CAMERA = 0.15, 0.3, 0.2
KEYPOINT = 0.03  # usual standard deviation of a keypoint, half crop sides
OUTLIER = 0.3  # half crop sides: the residual at which a keypoint keeps a quarter of its weight
LARGEST_LOG = 3.0  # largest absolute logarithm of a standard deviation over the usual one
INVERSE_STEPS = 36  # of an exported program's inverse: enough for condition numbers up to 1e9
MOST_ZOOM = 2.0  # largest change of the logarithm of the camera's scale in one step


def keypoint_step(
    landmarks: TorchLandmarks, estimate: Estimate, keypoints: Tensor, focal: Tensor | None, log_deviations: Tensor
) -> Estimate:
    """Move bodies towards their keypoints.

    The result is differentiable, with the derivatives of the landmarks held constant.

    Args:
        landmarks: the K landmarks of the body.
        estimate: B bodies.
        keypoints: (B, K, 3) x and y in the crop, and confidence; those of confidence 0 have no effect.
        focal: (B,) focal lengths, in half crop sides. None for weak perspective.
        log_deviations: (B, P + K) logarithms of standard deviations divided by the usual ones: of the P parameters of
            :meth:`meshrec.models.estimate.Estimate.moved`, then of the keypoints.

    Returns:
        The bodies after the step.
    """
    with torch.autocast(log_deviations.device.type, enabled=False):
        points = landmarks(estimate.rotations, estimate.betas)
        residuals = keypoints[..., :2] - estimate.project(points, focal)
        with torch.no_grad():
            slopes = _slopes(landmarks, estimate, points, focal)
            # Square root of the weight that the robust error of Geman & McClure gives to a residual.
            kept = 1 / (1 + residuals.square().sum(-1) / OUTLIER**2)
        factors = log_deviations.clamp(-LARGEST_LOG, LARGEST_LOG).exp()
        of_body, of_keypoints = factors.split([slopes.shape[-1], factors.shape[1] - slopes.shape[-1]], dim=1)
        usual = of_body.new_tensor([TURN] * POSE_SIZE + [BETA] * estimate.betas.shape[1] + [CAMERA] * 3)
        deviations = usual * of_body
        # In units of their standard deviations, parameters and keypoints have unit covariances.
        weights = (keypoints[..., 2] * kept / (KEYPOINT * of_keypoints))[..., None]
        # If keypoints are far more certain than the body, single precision would lose the identity in the sum below.
        slopes = ((slopes * weights[..., None]).flatten(1, 2) * deviations[:, None]).double()
        covariance = slopes @ slopes.mT + torch.eye(slopes.shape[1]).to(slopes)
        pulled = (residuals * weights).flatten(1)[..., None].double()
        pull = _solved(covariance, pulled)
        step = deviations * (slopes.mT @ pull).squeeze(-1).to(deviations)
        shape_and_turns, zoom, shift = step.split([step.shape[1] - 3, 1, 2], dim=1)
        return estimate.moved(torch.cat([shape_and_turns, zoom.clamp(-MOST_ZOOM, MOST_ZOOM), shift], dim=1))


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """The solution (B, N, 1) of equations with right sides (B, N, 1) and matrices (B, N, N).

    Matrices are positive definite, with eigenvalues of at least one.
    """
    if not is_exporting():
        return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))
    # ONNX has no decompositions. The iteration of Newton and Schulz for the inverse, X <- X (2 I - M X), is two of its
    # products a step. It starts at I / |M|, from where the error is squared in each step.
    twice = 2 * torch.eye(matrix.shape[1]).to(matrix)
    inverse = (twice / 2) / matrix.abs().sum(2).amax(1)[:, None, None]
    for _ in range(INVERSE_STEPS):
        inverse = inverse @ (twice - matrix @ inverse)
    return inverse @ right


def _slopes(landmarks: TorchLandmarks, estimate: Estimate, points: Tensor, focal: Tensor | None) -> Tensor:
    """Derivatives (B, K, 2, P) of the projected landmarks with respect to a step."""
    by_points, by_camera = estimate.project_slopes(points, focal)
    return torch.cat([by_points @ landmarks.jacobian(estimate.rotations, estimate.betas), by_camera], dim=-1)
