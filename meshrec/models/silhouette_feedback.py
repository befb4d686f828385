"""Corrections of a body by a silhouette, which is sampled at the projected points of the body's skin.

Where the estimate is too thin, its skin lies inside the silhouette; where it is too wide, or a limb is misplaced, the
skin lies outside. A small network can use such evidence, since it is aligned with the body's surface (PyMAF: Zhang et
al. 2021, "3D Human Pose and Shape Regression with Pyramidal Mesh Alignment Feedback Loop").
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample

from meshrec.body import BodyModel
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.encoders import ResidualBlock
from meshrec.models.estimate import Estimate

POINTS = 256  # number of points of the skin
LEVELS = 4  # levels of the pyramid: the silhouette at its full resolution, a half, a quarter and an eighth of it


class SilhouetteFeedback(nn.Module):
    """A network that corrects an estimate by a silhouette.

    Args:
        body: the body whose skin is projected.
        outputs: number of outputs, such as the size of a state. All are zero before training.
        known: number of inputs besides the silhouette, such as the state and the residuals of keypoints.
        width: units in each layer.
        num_betas: number of shape components of the estimates.
        hidden: share of people whose silhouettes are hidden in training, so that the network learns to do without. With
            0 it never learns that, and its outputs are zero for a person whose silhouette is empty.
    """

    def __init__(
        self, body: BodyModel, outputs: int, known: int, width: int, num_betas: int, hidden: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden = hidden
        vertices = body.data.v_template
        rows = np.eye(len(vertices), dtype=np.float32)[spread_points(vertices, POINTS)]
        self.skin = TorchLandmarks(LandmarkMoments.of_body(body, rows, num_betas=num_betas))
        first, block = nn.Linear(POINTS * LEVELS + known, width), ResidualBlock(width, 0.0)
        last = nn.Linear(width, outputs)
        self.layers = nn.Sequential(first, nn.ReLU(), block, last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, levels: list[Tensor], estimate: Estimate, known: Tensor, focal: Tensor | None) -> Tensor:
        """Correct the estimates of B people.

        Args:
            levels: the silhouettes, from :meth:`pyramid`.
            estimate: B bodies.
            known: (B, known) inputs besides the silhouette.
            focal: (B,) focal lengths, in half crop sides. None for weak perspective.

        Returns:
            (B, outputs).
        """
        outputs = self.layers(torch.cat([self.probe(levels, estimate, focal), known], dim=1))
        return outputs if self.hidden else outputs * (levels[-1] > 0).flatten(1).any(1, keepdim=True)

    def pyramid(self, silhouette: Tensor) -> list[Tensor]:
        """Average silhouettes over ever larger blocks. In training, the share ``hidden`` of them is set to zero.

        Args:
            silhouette: (B, 1, H, W) coverage in [0, 1].

        Returns:
            The silhouettes at their full resolution, a half, a quarter and an eighth of it.
        """
        if self.training and self.hidden:
            silhouette = silhouette * (torch.rand(len(silhouette), 1, 1, 1).to(silhouette) >= self.hidden)
        levels = [silhouette]
        while len(levels) < LEVELS:
            levels.append(avg_pool2d(levels[-1], 2))
        return levels

    @torch.no_grad()
    def probe(self, levels: list[Tensor], estimate: Estimate, focal: Tensor | None) -> Tensor:
        """Sample silhouettes at the projected points of the skin.

        Args:
            levels: the silhouettes, from :meth:`pyramid`.
            estimate: B bodies.
            focal: (B,) focal lengths, in half crop sides. None for weak perspective.

        Returns:
            (B, POINTS * LEVELS) in [-1, 1], for each level in turn: 1 for points inside the silhouette, -1 outside.
        """
        places = estimate.project(self.skin(estimate.rotations, estimate.betas), focal)[:, :, None]
        samples = [grid_sample(level, places, align_corners=False).flatten(1) for level in levels]
        return 2 * torch.cat(samples, dim=1) - 1


def spread_points(points: np.ndarray, count: int) -> np.ndarray:
    """Choose points that are far apart, by farthest point sampling from the highest point.

    Args:
        points: (N, 3) points, y up.
        count: number of points to choose, at most N.

    Returns:
        (count,) indices of the chosen points.
    """
    chosen = [int(points[:, 1].argmax())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
