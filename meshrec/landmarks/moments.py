"""Moments of landmarks, with which landmarks are computed from pose and shape without posing a mesh.

:class:`LandmarkMoments` defines them. Two backends compute positions and derivatives from them:
:mod:`meshrec.landmarks.torch_backend` for networks and their training, :mod:`meshrec.landmarks.numba_backend` for the
fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.files import BodyData
from meshrec.body.joints import NUM_JOINTS
from meshrec.body.kinematics import KinematicTree


@dataclass(frozen=True, eq=False)
class LandmarkMoments:
    """The moments of K landmarks of one body, float64, in N parts: the pairs of a landmark and a joint that moves it.

    **Positions.** A landmark is a weighted sum of vertices, with weights r_v. Linear blend skinning puts vertex v at
    sum_j w_vj (R_j x_v + t_j), where joint j takes a rest point x to R_j x + t_j. The sums over vertices do not depend
    on the motion of the joints, so that the landmark lies at

        sum_j (R_j m_j + s_j t_j)   with   s_j = sum_v r_v w_vj   and   m_j = sum_v r_v w_vj x_v.

    s_j is the mass of the landmark on joint j, m_j its first moment. Rest vertices x_v are linear in the betas and in
    SMPL's pose features, the elements of R - I of all joints but the root; hence so are the moments. The position is
    exact, and costs a few small products. An offset o from the landmark that turns with joint j adds o to m_j.

    **Derivatives.** Joint a lies at p_a = R_a J_a + t_a. A turn of it in its own frame, R_a <- R_a exp(skew(d)), turns
    the parts of a and of all joints below a about p_a, and moves the landmark by

        (R_a d) x q_a   with   q_a = sum_{j = a or below} (R_j m_j + s_j (t_j - p_a)).

    The landmark's derivative by a beta b is sum_j (R_j dm_j/db + s_j dt_j/db). Translations follow from the chain,
    t_j = t_i + (R_i - R_j) J_j for the parent i of j, and so do their derivatives; for the root, R_i is the identity
    and t_i the body's translation. The derivative of the pose displacements by the pose, a few millimetres a radian, is
    left out.

    Attributes:
        starts: (K + 1,) int32: the parts of landmark k are those from ``starts[k]`` up to ``starts[k + 1]``.
        joints: (N,) int32, the joint of each part.
        masses: (N,) mass s of each part.
        moments: (N, 3) first moment m of each part for the mean shape, metres.
        moment_shapes: (N, 3, S) change of the first moments per unit of each beta, metres.
        moment_poses: (N, 3, F) change of the first moments per unit of each pose feature, metres; F is 0 for bodies
            without pose displacements.
        rest_joints: (24, 3) rest positions J of the joints for the mean shape, metres.
        joint_shapes: (24, 3, S) change of these per unit of each beta, metres.
        tree: The joints' kinematic tree.
    """

    starts: np.ndarray
    joints: np.ndarray
    masses: np.ndarray
    moments: np.ndarray
    moment_shapes: np.ndarray
    moment_poses: np.ndarray
    rest_joints: np.ndarray
    joint_shapes: np.ndarray
    tree: KinematicTree

    @classmethod
    def of_body(
        cls,
        body: BodyModel,
        joints: str | np.ndarray,
        offsets: Sequence[dict[int, np.ndarray]] | None = None,
        num_betas: int | None = None,
    ) -> "LandmarkMoments":
        """Compute the moments of landmarks of a body.

        Args:
            body: Any body, with or without pose displacements.
            joints: Name of a joint set, or (K, V) weights of the vertices in each landmark.
            offsets: For each landmark, offsets (3,) by the number of the ``smpl24`` joint that they turn with, metres
                in rest orientation, such as those of :func:`meshrec.landmarks.placements.offsets`.
            num_betas: Number S of shape components. Default: all of the body's.

        Raises:
            InputError: The body lacks a landmark of the joint set, or has fewer shape components.
        """
        data = body.data if num_betas is None else body.data.with_betas(num_betas)
        rows = body.joint_regressor(joints) if isinstance(joints, str) else np.asarray(joints)
        landmarks, vertices = np.nonzero(rows)
        parts = _parts(data, body.has_posedirs, len(rows), landmarks, vertices, rows[landmarks, vertices], offsets)
        rest_joints, joint_shapes = data.joint_maps
        return cls(**parts, rest_joints=rest_joints, joint_shapes=joint_shapes, tree=body.tree)

    def at_vertices(self, body: BodyModel, vertices: np.ndarray) -> "LandmarkMoments":
        """Compute the moments of single vertices.

        Args:
            body: The body of this object's landmarks.
            vertices: (K,) indices of the vertices, each of which is a landmark.
        """
        data, count = body.data.with_betas(self.num_betas), len(vertices)
        parts = _parts(data, body.has_posedirs, count, np.arange(count), vertices, np.ones(count))
        return replace(self, **parts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def num_betas(self) -> int:
        """Number S of shape components."""
        return self.joint_shapes.shape[-1]


def _parts(
    data: BodyData,
    has_posedirs: bool,
    count: int,
    landmarks: np.ndarray,
    vertices: np.ndarray,
    weights: np.ndarray,
    offsets: Sequence[dict[int, np.ndarray]] | None = None,
) -> dict[str, Any]:
    """Compute those fields of :class:`LandmarkMoments` that have an entry for each part.

    Args:
        data: The body.
        has_posedirs: Whether it has pose displacements.
        count: Number K of landmarks.
        landmarks, vertices, weights: (E,) landmark, vertex and value of each weight r that is not zero.
        offsets: As in :meth:`LandmarkMoments.of_body`.
    """
    entries, joints = np.nonzero(data.weights[vertices])
    shares = weights[entries].astype(np.float64) * data.weights[vertices[entries], joints]
    shifts = {NUM_JOINTS * k + j: offset for k, own in enumerate(offsets or ()) for j, offset in own.items()}
    keys = np.concatenate([NUM_JOINTS * landmarks[entries] + joints, np.array(list(shifts), np.int64)])
    parts, part = np.unique(keys, return_inverse=True)
    part, shifted = np.split(part, [len(shares)])
    near, column = np.unique(vertices[entries], return_inverse=True)
    indices = torch.from_numpy(np.stack([part, column]))
    size = (len(parts), len(near))
    sums = torch.sparse_coo_tensor(indices, torch.from_numpy(shares), size, check_invariants=False)

    def moments_of(directions: np.ndarray) -> np.ndarray:
        values = directions[near].astype(np.float64)
        summed = sums @ torch.from_numpy(values.reshape(len(near), -1))
        return summed.numpy().reshape(len(parts), *values.shape[1:])

    moments = moments_of(data.v_template)
    for row, offset in zip(shifted, shifts.values()):
        moments[row] += offset
    return {
        "starts": np.searchsorted(parts, NUM_JOINTS * np.arange(count + 1)).astype(np.int32),
        "joints": (parts % NUM_JOINTS).astype(np.int32),
        "masses": np.bincount(part, shares, len(parts)),
        "moments": moments,
        "moment_shapes": moments_of(data.shapedirs),
        "moment_poses": moments_of(data.posedirs[..., : None if has_posedirs else 0]),
    }
