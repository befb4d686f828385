"""What regressors put out: parameters of bodies in their crops' cameras."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.geometry.tangent import turned


@dataclass
class Estimate:
    """B bodies in camera space (x right, y down, z forward).

    The camera [s, tx, ty] puts the body at (tx, ty, f / s), where f is the focal length over half the crop's side. Seen
    from afar that is the weak perspective of Kanazawa et al. 2018, x -> s (x + tx).

    Attributes:
        rotations: (B, 24, 3, 3) of each joint relative to its parent; the first turns the body into camera space.
        betas: (B, S).
        camera: (B, 3) as s, tx, ty.
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor

    def project(self, points: Tensor, focal: Tensor | None = None) -> Tensor:
        """Where points of the bodies appear in the crops, whose edges are -1 and 1.

        Perspective is f (x + tx) / (z + f / s) = s (x + tx) / (1 + s z / f); it needs no large numbers, and weak
        perspective is its limit for a long focal length.

        Args:
            points: (B, N, 3) before translation, metres.
            focal: (B,) focal length over half the crop's side. Default: infinite, that is weak perspective.

        Returns:
            (B, N, 2).
        """
        scale, shift = self.camera[:, None, :1], self.camera[:, None, 1:]
        seen = scale * (points[..., :2] + shift)
        if focal is None:
            return seen
        depth = 1 + scale * points[..., 2:] / focal[:, None, None]
        # Early in training a camera may lie inside the body.
        return seen / depth.clamp(min=0.1)

    def project_slopes(self, points: Tensor, focal: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Derivatives of :meth:`project` by the points, and by log s, tx and ty of the camera.

        Args:
            points: (B, N, 3) before translation, metres.
            focal: (B,) focal length over half the crop's side. Default: infinite, that is weak perspective.

        Returns:
            Two tensors (B, N, 2, 3).
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
            step: (B, 72 + S + 3) a turn of each joint in its own frame, R <- R exp(turn), radians; then changes of the
                betas, and of log s, tx and ty of the camera.
        """
        turns, betas, zoom, shift = step.split([POSE_SIZE, self.betas.shape[1], 1, 2], dim=1)
        rotations = turned(self.rotations, turns.unflatten(1, (NUM_JOINTS, 3)))
        camera = torch.cat([self.camera[:, :1] * zoom.exp(), self.camera[:, 1:] + shift], dim=1)
        return Estimate(rotations, self.betas + betas, camera)

    def translation(self, focal: Tensor) -> Tensor:
        """Where the bodies stand, (B, 3) metres, in the camera of the crop.

        Args:
            focal: (B,) focal length over half the crop's side.
        """
        return torch.cat([self.camera[:, 1:], (focal / self.camera[:, 0])[:, None]], dim=1)


torch.export.register_dataclass(Estimate)
