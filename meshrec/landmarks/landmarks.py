"""Landmarks as a function of pose and shape, without posing the mesh.

A landmark is a weighted mean of skinned vertices, sum_v r_v sum_j w_vj (R_j (x_v - J_j) + p_j), where joint j has
turned by R_j and moved from J_j to p_j. The sums over vertices can be done beforehand: sum_j R_j b_j + m_j p_j with the
masses m_j = sum_v r_v w_vj and the moments b_j = sum_v r_v w_vj (x_v - J_j). The moments are linear in the betas and in
SMPL's pose features, so a landmark costs a handful of small products, and is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState


@dataclass(frozen=True)
class Landmarks:
    """K landmarks of one body, made of N parts: the pairs of a landmark and a joint that moves it.

    Attributes:
        starts: (K + 1,) int32, the parts of landmark k are ``starts[k]`` to ``starts[k + 1]``.
        joints: (N,) int32, each part's joint.
        masses: (N,).
        moments: (N, 3) of the mean shape, metres.
        moment_shapes: (N, 3, S) their change per beta.
        moment_poses: (N, 3, F) their change per pose feature; F is 0 for bodies without pose displacements.
        rest_joints: (24, 3) of the mean shape, metres.
        joint_shapes: (24, 3, S) their change per beta.
        parents: (24,) of each joint.
    """

    starts: np.ndarray
    joints: np.ndarray
    masses: np.ndarray
    moments: np.ndarray
    moment_shapes: np.ndarray
    moment_poses: np.ndarray
    rest_joints: np.ndarray
    joint_shapes: np.ndarray
    parents: np.ndarray

    @classmethod
    def of_rows(
        cls, body: BodyModel, rows: np.ndarray, offsets: Sequence[dict[int, np.ndarray]] | None = None
    ) -> "Landmarks":
        """Landmarks given by rows over the vertices.

        Args:
            body: Whose vertices.
            rows: (K, V), such as ``body.joint_regressor("coco17")``.
            offsets: For each landmark, offsets (3,) from the row's point, metres, by the joint that each turns with.
        """
        data = body.data
        regressor, shapedirs = data.joint_regressor.astype(np.float64), data.shapedirs.astype(np.float64)
        rest_joints = regressor @ data.v_template
        joint_shapes = np.einsum("jv,vcs->jcs", regressor, shapedirs)
        posedirs = data.posedirs.astype(np.float64)[..., : None if body.has_posedirs else 0]
        owner, joints, masses, moments, moment_shapes, moment_poses = [], [], [], [], [], []
        for k, row in enumerate(np.asarray(rows, np.float64)):
            near = np.flatnonzero(row)
            shares = row[near, None] * data.weights[near]
            for j in np.flatnonzero(np.abs(shares).max(0)):
                share = shares[:, j]
                owner.append(k)
                joints.append(j)
                masses.append(share.sum())
                moments.append(share @ (data.v_template[near] - rest_joints[j]))
                moment_shapes.append(np.tensordot(share, shapedirs[near] - joint_shapes[j], 1))
                moment_poses.append(np.tensordot(share, posedirs[near], 1))
            for joint, offset in offsets[k].items() if offsets else ():
                owner.append(k)
                joints.append(joint)
                masses.append(0.0)
                moments.append(offset)
                moment_shapes.append(np.zeros(shapedirs.shape[1:]))
                moment_poses.append(np.zeros(posedirs.shape[1:]))
        return cls(
            starts=np.searchsorted(owner, np.arange(len(rows) + 1)).astype(np.int32),
            joints=np.array(joints, np.int32),
            masses=np.array(masses),
            moments=np.array(moments),
            moment_shapes=np.array(moment_shapes),
            moment_poses=np.array(moment_poses),
            rest_joints=rest_joints,
            joint_shapes=joint_shapes,
            parents=np.array(body.parents),
        )

    def at_vertices(self, body: BodyModel, vertices: np.ndarray) -> "Landmarks":
        """Single vertices (K,) of the same body as landmarks."""
        data = body.data
        owner, joints = np.nonzero(data.weights[vertices])
        chosen = vertices[owner]
        masses = data.weights[chosen, joints].astype(np.float64)
        shapes = data.shapedirs[chosen] - self.joint_shapes[joints]
        poses = data.posedirs[chosen] if body.has_posedirs else np.zeros((len(chosen), 3, 0))
        return replace(
            self,
            starts=np.searchsorted(owner, np.arange(len(vertices) + 1)).astype(np.int32),
            joints=joints.astype(np.int32),
            masses=masses,
            moments=masses[:, None] * (data.v_template[chosen] - self.rest_joints[joints]),
            moment_shapes=masses[:, None, None] * shapes,
            moment_poses=masses[:, None, None] * poses,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def positions(self, state: BodyState) -> Tensor:
        """(B, K, 3) metres, camera space."""
        return self._evaluate(state, 0)[0]

    def jacobians(self, state: BodyState) -> tuple[Tensor, Tensor]:
        """Positions (B, K, 3) and their derivatives (B, K, 3, P) by a step of the state.

        The derivative of SMPL's pose displacements, a few millimetres a radian, is left out.
        """
        return self._evaluate(state, state.unknowns)

    def _evaluate(self, state: BodyState, unknowns: int) -> tuple[Tensor, Tensor]:
        from meshrec.compiled.threads import over_batch
        from meshrec.landmarks.kernels import landmark_jacobians

        batch = len(state)
        rotations, translation, betas = (t.numpy() for t in (state.rotations, state.translation, state.betas))
        rest = self.rest_joints + _combined(betas, self.joint_shapes)
        moments = self.moments + _combined(betas, self.moment_shapes)
        if self.moment_poses.shape[-1]:
            features = (rotations[:, 1:] - np.eye(3)).reshape(batch, -1)
            moments = moments + _combined(features, self.moment_poses)
        points = np.empty((batch, len(self), 3))
        jacobian = np.zeros((batch, len(self), 3, unknowns))
        over_batch(
            landmark_jacobians,
            [rotations, rest, translation, moments, points, jacobian],
            [self.starts, self.joints, self.masses, self.moment_shapes, self.joint_shapes, self.parents],
        )
        return torch.from_numpy(points), torch.from_numpy(jacobian)


def _combined(coefficients: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Sums (B, N, 3) of directions (N, 3, S) with coefficients (B, S)."""
    count, axes, size = directions.shape
    return (coefficients @ directions.reshape(-1, size).T).reshape(-1, count, axes)
