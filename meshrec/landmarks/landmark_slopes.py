"""How landmarks change with pose and shape.

When joint a turns, whatever hangs on it turns about its place c_a. A landmark is a sum of parts R_j m_j + s_j t_j
(:mod:`.posed_landmarks`). Its lever is the sum of those whose joint moves with a, less as much of c_a as
they weigh, and a turn w in the joint's own frame moves it by (R_a w) x lever. So derivatives by all joints cost little
more than the landmarks.
"""

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.landmarks.posed_landmarks import PosedLandmarks


class LandmarkSlopes(PosedLandmarks):
    """Landmarks of one body that also have derivatives. Arguments are those of the landmarks."""

    _above: Tensor
    _below: Tensor
    _weights: Tensor
    _part_shapes: Tensor
    _joint_shapes: Tensor
    _bone_shapes: Tensor

    def __init__(self, body: BodyModel, joints: str | np.ndarray, num_betas: int = 10) -> None:
        super().__init__(body, joints, num_betas)
        parents = self.tree.parents
        above = np.eye(len(parents))  # itself and its ancestors
        for joint, parent in enumerate(parents[1:], start=1):  # a parent comes before its children
            above[joint] += above[parent]
        self._keep("_above", above)
        moments = self._moments.unflatten(1, (-1, 4))
        shapes = self._rest_joints[..., 1:]
        # Parts by the landmark that they belong to and the joints that move them.
        self._keep("_below", self._members[:, :, None] * self._above[self._joint][:, None])
        self._keep("_weights", moments[0, :, 3])
        self._keep("_part_shapes", moments[1 : num_betas + 1, :, :3].permute(1, 2, 0))
        self._keep("_joint_shapes", shapes)
        self._keep("_bone_shapes", torch.cat([shapes[:1], shapes[1:] - shapes[list(parents[1:])]]))

    @torch.no_grad()
    def slopes(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Derivatives (B, K, 3, 72 + num_betas) of the landmarks, metres.

        By a turn t of each joint in its own frame, R exp(skew(t)) at t = 0, radians, then by the betas. The derivative
        of SMPL's pose displacements, a few millimetres a radian, is left out.

        Args:
            rotations: (B, 24, 3, 3).
            betas: (B, num_betas).
        """
        with torch.autocast(rotations.device.type, enabled=False):
            motions, rest_joints, parts = self._parts(rotations, betas)
            return torch.cat([self._by_turns(motions, rest_joints, parts), self._by_betas(motions[..., :3])], dim=-1)

    def _by_turns(self, motions: Tensor, rest_joints: Tensor, parts: Tensor) -> Tensor:
        """(B, K, 3, 72)."""
        turned, moved = motions.split((3, 1), dim=-1)
        places = (turned @ rest_joints[..., None] + moved).squeeze(-1)
        weights = torch.einsum("p,pka->ka", self._weights, self._below)
        levers = torch.einsum("bpc,pka->bkac", parts, self._below) - weights[..., None] * places[:, None]
        axes, levers = torch.broadcast_tensors(turned.mT[:, None], levers[..., None, :])
        return torch.linalg.cross(axes, levers).flatten(2, 3).mT

    def _by_betas(self, turned: Tensor) -> Tensor:
        """(B, K, 3, num_betas): joints move as all the bones above them grow, and what they carry grows too."""
        root = torch.eye(3).to(turned).expand(len(turned), 1, 3, 3)
        before = torch.cat([root, turned[:, list(self.tree.parents[1:])]], dim=1)
        moved = torch.einsum("ja,bacs->bjcs", self._above, before @ self._bone_shapes) - turned @ self._joint_shapes
        parts = turned[:, self._joint] @ self._part_shapes + self._weights[:, None, None] * moved[:, self._joint]
        return torch.einsum("bpcs,pk->bkcs", parts, self._members)
