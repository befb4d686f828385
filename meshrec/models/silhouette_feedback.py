"""Corrections of a body by its silhouette: what it is like where the estimated body's skin would appear in it.

Where the estimate is too thin, its skin lies inside the silhouette; where it is too wide, or a limb is elsewhere, it
lies outside. Evidence that is aligned with the body's surface needs no deep network to read (PyMAF: Zhang et al. 2021,
"3D Human Pose and Shape Regression with Pyramidal Mesh Alignment Feedback Loop").
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

POINTS = 256  # of the skin
LEVELS = 4  # of the pyramid: the silhouette, and at a half, a quarter and an eighth of its resolution


class SilhouetteFeedback(nn.Module):
    """What a silhouette says of an estimate: a correction of its state, above all.

    Args:
        body: Whose skin is looked for.
        said: Length of what is said; all of it is zero before anything is learned.
        seen: Length of what is known besides the silhouette, the state among it.
        width: Of the layers.
        num_betas: Of the estimates.
        hidden: Share of people whose silhouettes are hidden in training, so that it learns to do without. If there are
            none, it says nothing of a person whose silhouette is empty.
    """

    def __init__(self, body: BodyModel, said: int, seen: int, width: int, num_betas: int, hidden: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        vertices = body.data.v_template
        rows = np.eye(len(vertices), dtype=np.float32)[spread_points(vertices, POINTS)]
        self.skin = TorchLandmarks(LandmarkMoments.of_body(body, rows, num_betas=num_betas))
        first, block = nn.Linear(POINTS * LEVELS + seen, width), ResidualBlock(width, 0.0)
        last = nn.Linear(width, said)
        self.layers = nn.Sequential(first, nn.ReLU(), block, last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, levels: list[Tensor], estimate: Estimate, seen: Tensor, focal: Tensor | None) -> Tensor:
        """(B, said).

        Args:
            levels: The silhouettes as :meth:`pyramid` makes them.
            estimate: B bodies.
            seen: (B, seen).
            focal: (B,) over half the crop's side.
        """
        said = self.layers(torch.cat([self.probe(levels, estimate, focal), seen], dim=1))
        return said if self.hidden else said * (levels[-1] > 0).flatten(1).any(1, keepdim=True)

    def pyramid(self, silhouette: Tensor) -> list[Tensor]:
        """(B, 1, H, W) coverage in [0, 1], then at a half, a quarter and so on; in training some are hidden."""
        if self.training and self.hidden:
            silhouette = silhouette * (torch.rand(len(silhouette), 1, 1, 1).to(silhouette) >= self.hidden)
        levels = [silhouette]
        while len(levels) < LEVELS:
            levels.append(avg_pool2d(levels[-1], 2))
        return levels

    @torch.no_grad()
    def probe(self, levels: list[Tensor], estimate: Estimate, focal: Tensor | None) -> Tensor:
        """(B, POINTS * LEVELS) 1 where the skin is inside the silhouette, -1 outside, on each level."""
        places = estimate.project(self.skin(estimate.rotations, estimate.betas), focal)[:, :, None]
        found = [grid_sample(level, places, align_corners=False).flatten(1) for level in levels]
        return 2 * torch.cat(found, dim=1) - 1


def spread_points(points: np.ndarray, count: int) -> np.ndarray:
    """(count,) which of points (N, 3) to take to have them well apart: each is the farthest from those before it."""
    chosen = [int(points[:, 1].argmax())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
