"""Landmarks in torch, differentiable and on any device, and their derivatives by pose and shape in closed form.

The formulas are in :class:`meshrec.landmarks.moments.LandmarkMoments`.
"""

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body.kinematics import joint_motions
from meshrec.landmarks.moments import LandmarkMoments


class TorchLandmarks(nn.Module):
    """K landmarks of one body, for networks and losses.

    The moments are buffers that no state dict holds.

    Args:
        landmarks: Their moments.
        dtype: Floating type of the buffers, and of what is computed.
    """

    _moments: Tensor
    _members: Tensor
    _rest_joints: Tensor
    _joint: Tensor
    _cell: Tensor
    _above: Tensor
    _masses: Tensor
    _masses_below: Tensor
    _moment_shapes: Tensor
    _joint_shapes: Tensor

    def __init__(self, landmarks: LandmarkMoments, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.tree = landmarks.tree

        def keep(name: str, array: np.ndarray, kind: torch.dtype = dtype) -> None:
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(array), dtype=kind), persistent=False)

        count, joints = len(landmarks), landmarks.joints.astype(np.int64)
        landmark = np.repeat(np.arange(count), np.diff(landmarks.starts))
        # One column for the mean shape, one for each beta and each pose feature. With its mass as a fourth coordinate a
        # moment meets a motion [R | t] in one product.
        columns = (landmarks.moments[..., None], landmarks.moment_shapes, landmarks.moment_poses)
        basis = np.concatenate(columns, axis=-1)
        masses = np.zeros((len(joints), 1, basis.shape[-1]))
        masses[:, 0, 0] = landmarks.masses
        self.has_posedirs = landmarks.moment_poses.shape[-1] > 0
        keep("_moments", np.concatenate([basis, masses], axis=1).reshape(-1, basis.shape[-1]).T)
        keep("_members", landmark[:, None] == np.arange(count))
        keep("_rest_joints", np.concatenate([landmarks.rest_joints[..., None], landmarks.joint_shapes], axis=-1))
        keep("_joint", joints, torch.int64)
        # What the derivatives need besides. A cell is a landmark and a joint, whether or not they make a part.
        above = np.eye(len(self.tree.parents))  # [j, a]: whether joint j hangs on joint a, as it does on itself
        for joint, parent in enumerate(self.tree.parents[1:], start=1):
            above[joint] += above[parent]
        keep("_above", above)
        keep("_cell", landmark * len(above) + joints, torch.int64)
        keep("_masses", landmarks.masses[:, None, None])
        below = np.zeros((count, len(above)))
        below[landmark, joints] = landmarks.masses
        keep("_masses_below", (below @ above)[..., None])
        keep("_moment_shapes", landmarks.moment_shapes)
        keep("_joint_shapes", landmarks.joint_shapes)

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Positions of the landmarks of bodies that stand where they rest.

        Args:
            rotations: (B, 24, 3, 3) local rotations.
            betas: (B, S).

        Returns:
            (B, K, 3) metres.
        """
        # Products of half precision would be centimetres off.
        with torch.autocast(rotations.device.type, enabled=False):
            return torch.einsum("bpc,pk->bkc", self._parts(rotations, betas)[2], self._members)

    @torch.no_grad()
    def jacobian(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Derivatives of the landmarks by a turn of each joint in its own frame, radians, then by the betas.

        The derivative of SMPL's pose displacements is left out.

        Args:
            rotations: (B, 24, 3, 3) local rotations.
            betas: (B, S).

        Returns:
            (B, K, 3, 72 + S) metres.
        """
        with torch.autocast(rotations.device.type, enabled=False):
            motions, rest_joints, parts = self._parts(rotations, betas)
            return torch.cat([self._by_turns(motions, rest_joints, parts), self._by_betas(motions[..., :3])], dim=-1)

    def _parts(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Motions of the joints (B, 24, 3, 4), rest joints (B, 24, 3), and parts R m + s t of landmarks (B, N, 3)."""
        coefficients = torch.cat([torch.ones_like(betas[:, :1]), betas], dim=1)
        rest_joints = torch.einsum("jcs,bs->bjc", self._rest_joints, coefficients)
        motions = joint_motions(rotations, rest_joints, betas.new_zeros(len(betas), 3), self.tree)
        if self.has_posedirs:
            features = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients = torch.cat([coefficients, features.flatten(1)], dim=1)
        moments = (coefficients @ self._moments).unflatten(1, (-1, 4))
        parts = torch.einsum("bpcd,bpd->bpc", motions.index_select(1, self._joint), moments)
        return motions, rest_joints, parts

    def _by_turns(self, motions: Tensor, rest_joints: Tensor, parts: Tensor) -> Tensor:
        """(B, K, 3, 72)."""
        turned, moved = motions.split((3, 1), dim=-1)
        places = (turned @ rest_joints[..., None] + moved).squeeze(-1)
        # Parts of a landmark, by joint, and then their sums over all that hang on each joint.
        apart = parts.new_zeros(len(parts), 3, self._masses_below[..., 0].numel())
        apart = apart.index_copy(2, self._cell, parts.mT).unflatten(2, (-1, len(self._above)))
        levers = (apart @ self._above).movedim(1, -1) - self._masses_below * places[:, None]
        axes, levers = torch.broadcast_tensors(turned.mT[:, None], levers[..., None, :])
        return torch.linalg.cross(axes, levers).flatten(2, 3).mT

    def _by_betas(self, turned: Tensor) -> Tensor:
        """(B, K, 3, S)."""
        root = torch.eye(3).to(turned).expand(len(turned), 1, 3, 3)
        before = torch.cat([root, turned[:, list(self.tree.parents[1:])]], dim=1)
        moved = (self._above @ ((before - turned) @ self._joint_shapes).flatten(2)).unflatten(2, (3, -1))
        parts = turned[:, self._joint] @ self._moment_shapes + self._masses * moved[:, self._joint]
        return torch.einsum("bpcs,pk->bkcs", parts, self._members)
