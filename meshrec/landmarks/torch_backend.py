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

    The moments are buffers outside the state dict.

    Args:
        landmarks: The moments of the landmarks.
        dtype: Floating type of the buffers and of the results.
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
        # One column for the mean shape, one for each beta and one for each pose feature. With the mass as a fourth
        # coordinate of the moment, R m + s t is a single product with the motion [R | t].
        columns = (landmarks.moments[..., None], landmarks.moment_shapes, landmarks.moment_poses)
        basis = np.concatenate(columns, axis=-1)
        masses = np.zeros((len(joints), 1, basis.shape[-1]))
        masses[:, 0, 0] = landmarks.masses
        self.has_posedirs = landmarks.moment_poses.shape[-1] > 0
        keep("_moments", np.concatenate([basis, masses], axis=1).reshape(-1, basis.shape[-1]).T)
        keep("_members", landmark[:, None] == np.arange(count))
        keep("_rest_joints", np.concatenate([landmarks.rest_joints[..., None], landmarks.joint_shapes], axis=-1))
        keep("_joint", joints, torch.int64)
        # The rest is for the derivatives only. A cell is a pair of a landmark and a joint, whether or not the joint
        # moves the landmark.
        above = np.eye(len(self.tree.parents))  # [j, a] is 1 if a is the joint j itself or one of its ancestors
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
        """Positions of the landmarks of bodies without translation.

        Args:
            rotations: (B, 24, 3, 3) local rotations.
            betas: (B, S) shape coefficients.

        Returns:
            (B, K, 3) metres.
        """
        # Products in half precision would have errors of centimetres.
        with torch.autocast(rotations.device.type, enabled=False):
            return torch.einsum("bpc,pk->bkc", self._parts(rotations, betas)[2], self._members)

    @torch.no_grad()
    def jacobian(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Derivatives of the landmarks with respect to pose and shape.

        The derivative of SMPL's pose displacements is left out.

        Args:
            rotations: (B, 24, 3, 3) local rotations.
            betas: (B, S) shape coefficients.

        Returns:
            (B, K, 3, 72 + S) derivatives by rotation vectors of the joints in their own frames, metres per radian; then
            by the betas, metres.
        """
        with torch.autocast(rotations.device.type, enabled=False):
            motions, rest_joints, parts = self._parts(rotations, betas)
            return torch.cat([self._by_turns(motions, rest_joints, parts), self._by_betas(motions[..., :3])], dim=-1)

    def _parts(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Motions of the joints (B, 24, 3, 4), rest joints (B, 24, 3), and parts R m + s t of landmarks (B, N, 3)."""
        coefficients = torch.cat([torch.ones_like(betas[:, :1]), betas], dim=1)
        rest_joints = torch.einsum("jcs,bs->bjc", self._rest_joints, coefficients)
        motions = joint_motions(rotations, rest_joints, betas.new_zeros(betas.shape[0], 3), self.tree)
        if self.has_posedirs:
            features = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients = torch.cat([coefficients, features.flatten(1)], dim=1)
        moments = (coefficients @ self._moments).unflatten(1, (-1, 4))
        parts = torch.einsum("bpcd,bpd->bpc", motions.index_select(1, self._joint), moments)
        return motions, rest_joints, parts

    def _by_turns(self, motions: Tensor, rest_joints: Tensor, parts: Tensor) -> Tensor:
        """Derivatives (B, K, 3, 72) by the rotation vectors of the joints, metres per radian."""
        turned, moved = motions.split((3, 1), dim=-1)
        places = (turned @ rest_joints[..., None] + moved).squeeze(-1)
        # The part of each cell, and then for each joint the sum over the joint and its descendants.
        apart = parts.new_zeros(parts.shape[0], 3, self._masses_below[..., 0].numel())
        apart = apart.index_copy(2, self._cell, parts.mT).unflatten(2, (-1, len(self._above)))
        levers = (apart @ self._above).movedim(1, -1) - self._masses_below * places[:, None]
        axes, levers = torch.broadcast_tensors(turned.mT[:, None], levers[..., None, :])
        return torch.linalg.cross(axes, levers).flatten(2, 3).mT

    def _by_betas(self, turned: Tensor) -> Tensor:
        """Derivatives (B, K, 3, S) by the betas, metres."""
        root = torch.eye(3).to(turned).expand(turned.shape[0], 1, 3, 3)
        before = torch.cat([root, turned[:, list(self.tree.parents[1:])]], dim=1)
        moved = (self._above @ ((before - turned) @ self._joint_shapes).flatten(2)).unflatten(2, (3, -1))
        parts = turned[:, self._joint] @ self._moment_shapes + self._masses * moved[:, self._joint]
        return torch.einsum("bpcs,pk->bkcs", parts, self._members)
