"""The estimates of regressors: body parameters, each in the camera of its crop."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.geometry.tangent import turned


@dataclass
class Estimate:
    """B bodies in camera space (x right, y down, z forward).

    The camera [s, tx, ty] places the body at (tx, ty, f / s) metres, where f is the focal length in half crop sides.
    For a long focal length that is the weak-perspective camera of Kanazawa et al. 2018, x -> s (x + tx).

    Attributes:
        rotations: (B, 24, 3, 3) rotation of each joint relative to its parent; the first rotates the body into camera
            space.
        betas: (B, S) shape coefficients.
        camera: (B, 3) s, in half crop sides per metre, and tx, ty, metres.
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor

    def project(self, points: Tensor, focal: Tensor | None = None) -> Tensor:
        """Project points of the bodies into their crops.

        The perspective projection f (x + tx) / (z + f / s) is computed as s (x + tx) / (1 + s z / f), which is precise
        for long focal lengths too and has weak perspective as its limit.

        Args:
            points: (B, N, 3) points before translation, metres.
            focal: (B,) focal lengths, in half crop sides. Default: weak perspective.

        Returns:
            (B, N, 2) x and y in the crop, whose edges are at -1 and 1.
        """
        scale, shift = self.camera[:, None, :1], self.camera[:, None, 1:]
        seen = scale * (points[..., :2] + shift)
        if focal is None:
            return seen
        depth = 1 + scale * points[..., 2:] / focal[:, None, None]
        # Early in training the camera may lie inside the body.
        return seen / depth.clamp(min=0.1)

    def project_slopes(self, points: Tensor, focal: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Derivatives of :meth:`project` with respect to the points, and to log s, tx and ty of the camera.

        Args:
            points: (B, N, 3) points before translation, metres.
            focal: (B,) focal lengths, in half crop sides. Default: weak perspective.

        Returns:
            Two tensors (B, N, 2, 3): by the points, and by the camera.
        """
        scale = self.camera[:, None, :1]
        nearness = torch.zeros_like(scale) if focal is None else scale / focal[:, None, None]
        depth = (1 + nearness * points[..., 2:]).clamp(min=0.1)
        seen = scale * (points[..., :2] + self.camera[:, None, 1:]) / depth
        sideways = torch.eye(2).to(points) * (scale / depth)[..., None]
        along = -seen * nearness / depth
        return torch.cat([sideways, along[..., None]], -1), torch.cat([(seen / depth)[..., None], sideways], -1)

    def moved(self, step: Tensor) -> "Estimate":
        """The bodies after a step.

        Args:
            step: (B, 72 + S + 3) rotation vectors of the joints in their own frames, R <- R exp(turn), radians; then
                changes of the betas, and of log s, tx and ty of the camera.
        """
        turns, betas, zoom, shift = step.split([POSE_SIZE, self.betas.shape[1], 1, 2], dim=1)
        rotations = turned(self.rotations, turns.unflatten(1, (NUM_JOINTS, 3)))
        camera = torch.cat([self.camera[:, :1] * zoom.exp(), self.camera[:, 1:] + shift], dim=1)
        return Estimate(rotations, self.betas + betas, camera)

    def translation(self, focal: Tensor) -> Tensor:
        """Translations of the bodies in the cameras of their crops.

        Args:
            focal: (B,) focal lengths, in half crop sides.

        Returns:
            (B, 3) metres.
        """
        return torch.cat([self.camera[:, 1:], (focal / self.camera[:, 0])[:, None]], dim=1)


torch.export.register_dataclass(Estimate)
