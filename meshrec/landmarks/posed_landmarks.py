"""Joints and surface landmarks as a function of pose and shape, without posing the mesh.

A landmark is a weighted mean of vertices, and every vertex is a weighted mean of rest points moved by joints:
sum_v r_v sum_j w_vj (R_j x_v + t_j) = sum_j (R_j m_j + s_j t_j), where s_j = sum_v r_v w_vj, m_j = sum_v r_v w_vj x_v.
The m_j are linear in the betas and in SMPL's pose features: their coefficients are summed over the vertices once. In
homogeneous coordinates [R | t] meets [m, s].
"""

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import BodyModel
from meshrec.body.kinematics import joint_motions


class PosedLandmarks(nn.Module):
    """Exact landmarks of one body, differentiable, at the price of a few small products.

    Args:
        body: whose landmarks.
        joints: name of a joint set, or (K, V) weights of the vertices in each landmark.
        num_betas: of the shapes that will be given.
    """

    _moments: Tensor
    _members: Tensor
    _rest_joints: Tensor
    _joint: Tensor

    def __init__(self, body: BodyModel, joints: str | np.ndarray, num_betas: int = 10) -> None:
        super().__init__()
        data = body.data.with_betas(num_betas)
        self.tree = body.tree
        rows = body.joint_regressor(joints) if isinstance(joints, str) else joints
        rows = rows.astype(np.float64)
        near = np.flatnonzero(np.abs(rows).max(0))
        shares = np.einsum("kv,vj->kjv", rows[:, near], data.weights[near])
        landmark, joint = np.nonzero(np.abs(shares).max(-1))  # few joints move a landmark
        shares = shares[landmark, joint]
        # One column for the template, then one for each beta and each pose feature.
        linear = [data.v_template[..., None], data.shapedirs, *([data.posedirs] if body.has_posedirs else [])]
        basis = np.concatenate([part[near] for part in linear], axis=-1)
        joint_basis = np.einsum("jv,vcs->jcs", data.joint_regressor, np.concatenate(linear[:2], -1, dtype=np.float64))
        moments = np.zeros((len(shares), 4, basis.shape[-1]))
        moments[:, :3] = np.einsum("pv,vcs->pcs", shares, basis)
        moments[:, 3, 0] = shares.sum(-1)
        self.has_posedirs = body.has_posedirs
        self._keep("_moments", moments.reshape(-1, basis.shape[-1]).T)
        self._keep("_members", landmark[:, None] == np.arange(len(rows)))
        self._keep("_rest_joints", joint_basis)
        self.register_buffer("_joint", torch.from_numpy(joint), persistent=False)

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Landmarks (B, K, 3) in metres.

        Args:
            rotations: (B, 24, 3, 3).
            betas: (B, num_betas).
        """
        # Products of half precision would be centimetres off.
        with torch.autocast(rotations.device.type, enabled=False):
            return torch.einsum("bpc,pk->bkc", self._parts(rotations, betas)[2], self._members)

    def _parts(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How joints move (B, 24, 3, 4), where they rest (B, 24, 3), and what each adds to a landmark (B, P, 3)."""
        coefficients = torch.cat([torch.ones_like(betas[:, :1]), betas], dim=1)
        rest_joints = torch.einsum("jcs,bs->bjc", self._rest_joints, coefficients)
        motions = joint_motions(rotations, rest_joints, betas.new_zeros(len(betas), 3), self.tree)
        if self.has_posedirs:
            features = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients = torch.cat([coefficients, features.flatten(1)], dim=1)
        moments = (coefficients @ self._moments).unflatten(1, (-1, 4))
        parts = torch.einsum("bpcd,bpd->bpc", motions.index_select(1, self._joint), moments)
        return motions, rest_joints, parts

    def _keep(self, name: str, array: np.ndarray | Tensor) -> None:
        self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)
