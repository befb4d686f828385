"""The adversarial prior of HMR (Kanazawa et al. 2018, section 3.4): networks that tell real bodies from made-up ones.

It is factorised: one small critic judges each joint's rotation, one all joints together, one the shape. Each has little
to learn, so a few poses suffice, and they need not belong to pictures: motion capture trains it, which makes training
possible where pictures have 2D labels alone. The losses of both sides are in :mod:`meshrec.training.losses`.
"""

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS
from meshrec.body.joints import BODY_JOINTS

JOINTS = len(BODY_JOINTS)


class Critic(nn.Module):
    """Scores of bodies: near 1 for those that look real, near 0 for others.

    Args:
        num_betas: shape components.
        width: units of the critic of all joints.
    """

    def __init__(self, num_betas: int = NUM_BETAS, width: int = 1024) -> None:
        super().__init__()
        # Joints share how a rotation is described; each judges the description by itself.
        self.describe = nn.Sequential(nn.Conv1d(9, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1), nn.ReLU())
        self.joint = nn.Conv1d(32 * JOINTS, JOINTS, 1, groups=JOINTS)
        self.pose = nn.Sequential(
            *(nn.Linear(32 * JOINTS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        )
        self.shape = nn.Sequential(nn.Linear(num_betas, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))

    def forward(self, body_pose: Tensor, betas: Tensor) -> Tensor:
        """Scores (B, 25): of each joint, of the pose, of the shape.

        Args:
            body_pose: (B, 23, 3, 3) rotations, without the root's, about which no pose is more real than another.
            betas: (B, num_betas).
        """
        descriptions = self.describe(body_pose.flatten(2).mT)
        together = descriptions.mT.flatten(1)
        return torch.cat([self.joint(together[..., None]).squeeze(2), self.pose(together), self.shape(betas)], dim=1)
