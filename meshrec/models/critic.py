"""The adversarial prior of HMR (Kanazawa et al. 2018, section 3.4): a critic that tells real bodies from estimates.

The prior is factorised: one small critic judges the rotation of each joint, one judges all joints together, and one the
shape. Each has little to learn, so that few real bodies suffice. These need no pictures, and motion capture provides
them, so that pictures with 2D labels alone can train a regressor. The losses of the regressor and of the critic are in
:mod:`meshrec.training.losses`.
"""

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS
from meshrec.body.joints import BODY_JOINTS

JOINTS = len(BODY_JOINTS)


class Critic(nn.Module):
    """Scores bodies: near 1 for those that look real, near 0 for others.

    Args:
        num_betas: number of shape components.
        width: units in each layer of the critic that judges all joints together.
    """

    def __init__(self, num_betas: int = NUM_BETAS, width: int = 1024) -> None:
        super().__init__()
        # All joints share the layers that describe a rotation; each joint has weights of its own to judge it.
        self.describe = nn.Sequential(nn.Conv1d(9, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1), nn.ReLU())
        self.joint = nn.Conv1d(32 * JOINTS, JOINTS, 1, groups=JOINTS)
        self.pose = nn.Sequential(
            *(nn.Linear(32 * JOINTS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        )
        self.shape = nn.Sequential(nn.Linear(num_betas, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))

    def forward(self, body_pose: Tensor, betas: Tensor) -> Tensor:
        """Score bodies.

        Args:
            body_pose: (B, 23, 3, 3) local rotations. The root's is left out, since every orientation is equally real.
            betas: (B, num_betas) shape coefficients.

        Returns:
            (B, 25) scores: one for each joint, one for the pose and one for the shape.
        """
        descriptions = self.describe(body_pose.flatten(2).mT)
        together = descriptions.mT.flatten(1)
        return torch.cat([self.joint(together[..., None]).squeeze(2), self.pose(together), self.shape(betas)], dim=1)
