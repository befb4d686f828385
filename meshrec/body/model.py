"""The parametric body as a differentiable layer: shape and pose in, vertices and joints out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body.blending import blend
from meshrec.body.files import BodyData
from meshrec.body.joints import joint_set
from meshrec.body.kinematics import KinematicTree, joint_motions
from meshrec.body.skinning import linear_blend_skinning, sparse_influences
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT, smpl_landmarks
from meshrec.errors import InputError
from meshrec.geometry.rotations import axis_angle_to_matrix


@dataclass
class BodyOutput:
    """A posed body.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3) posed joints in the order of ``smpl24``, metres.
        rotations: (B, 24, 3, 3) and translations: (B, 24, 3): joint j carries a rest point x to
            ``rotations[j] @ x + translations[j]``; what a skinned export stores.
    """

    vertices: Tensor
    joints: Tensor
    rotations: Tensor
    translations: Tensor


# torch.export and torch.compile see into the dataclass.
torch.export.register_dataclass(BodyOutput)


class BodyModel(nn.Module):
    """A body in SMPL's format (Loper et al. 2015), without weights to train.

    Args:
        data: The arrays of the body.
        dtype: Floating type of the layer.

    Attributes:
        data: The arrays as read.
        faces: (F, 3) int64 tensor.
        weights: (V, 24) skinning weights.
        parents: (24,) tuple, -1 for the root.
        num_betas: Number of shape components.
    """

    v_template: Tensor
    weights: Tensor
    faces: Tensor
    _joint_template: Tensor
    _joint_shapedirs: Tensor
    _basis: Tensor
    _influence_joints: Tensor
    _influence_weights: Tensor

    def __init__(self, data: BodyData, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.data = data
        self.num_betas = data.shapedirs.shape[-1]
        self.tree = KinematicTree.from_parents(data.parents.tolist())
        self.joint_names = joint_set("smpl24")
        self._landmarks = _landmark_rows(data)
        self._set_rows: dict[str, np.ndarray] = {}
        self._regressors: dict[tuple, tuple[Tensor, Tensor]] = {}

        def buffer(name: str, array: np.ndarray, kind: torch.dtype = dtype) -> None:
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(array), dtype=kind), persistent=False)

        joint_template, joint_shapedirs = data.joint_maps
        shapedirs = data.shapedirs.astype(np.float64)
        buffer("v_template", data.v_template)
        buffer("weights", data.weights)
        buffer("faces", data.faces, torch.int64)
        # Joints are linear in the betas too: J (T + S b) = J T + (J S) b, which spares the product with every vertex.
        buffer("_joint_template", joint_template)
        buffer("_joint_shapedirs", np.moveaxis(joint_shapedirs, -1, 0).reshape(self.num_betas, -1))
        # Shape and pose displacements are one product of their coefficients with one stacked basis.
        self.has_posedirs = bool(np.any(data.posedirs))
        basis = [np.moveaxis(shapedirs, -1, 0).reshape(self.num_betas, -1)]
        if self.has_posedirs:
            basis.append(np.moveaxis(data.posedirs, -1, 0).reshape(data.posedirs.shape[-1], -1))
        buffer("_basis", np.concatenate(basis))
        joints, weights = sparse_influences(self.weights)
        self.register_buffer("_influence_joints", joints, persistent=False)
        self.register_buffer("_influence_weights", weights, persistent=False)

    @property
    def parents(self) -> tuple[int, ...]:
        return self.tree.parents

    @property
    def part_labels(self) -> np.ndarray:
        """(V,) the index of the joint whose part a vertex belongs to: the file's, else its strongest joint."""
        labels = self.data.part_labels
        return (self.data.weights.argmax(axis=1) if labels is None else labels).astype(np.int64)

    @property
    def hash(self) -> str:
        """Names this body; see :attr:`meshrec.body.files.BodyData.hash`."""
        return self.data.hash

    def forward(
        self,
        betas: Tensor | None = None,
        body_pose: Tensor | None = None,
        global_orient: Tensor | None = None,
        transl: Tensor | None = None,
    ) -> BodyOutput:
        """Pose the body. Arguments are as in ``smplx.SMPL.forward``; batches of one broadcast against the others.

        Args:
            betas: (B, S) shape, S up to ``num_betas``. Default: the mean shape.
            body_pose: (B, 69) or (B, 23, 3) axis-angle, radians, or (B, 23, 3, 3) rotations. Default: T-pose.
            global_orient: (B, 3) or (B, 1, 3) axis-angle, or (B, 3, 3) or (B, 1, 3, 3). Default: upright.
            transl: (B, 3) metres, added to everything. Default: zero.

        Raises:
            ValueError: An argument's shape is none of these.
        """
        like = self.v_template
        orient = _per_joint(global_orient, 1, like, "global_orient")
        pose = _per_joint(body_pose, len(self.parents) - 1, like, "body_pose")
        batch = max(len(t) for t in (betas, orient, pose, transl) if t is not None)
        rotations = _rotations(_expand(orient, batch), _expand(pose, batch))

        betas = None if betas is None else _expand(betas, batch)
        rest_vertices, rest_joints = self._displace(betas, rotations[:, 1:])
        rest_joints = rest_joints.expand(batch, -1, -1)
        transl = like.new_zeros(batch, 3) if transl is None else _expand(transl, batch)
        motions = joint_motions(rotations, rest_joints, transl, self.tree)
        influences = (self._influence_joints, self._influence_weights)
        vertices = linear_blend_skinning(rest_vertices.expand(batch, -1, -1), motions, self.weights, influences)
        joints = (motions[..., :3] @ rest_joints[..., None]).squeeze(-1) + motions[..., 3]
        return BodyOutput(vertices, joints, motions[..., :3], motions[..., 3])

    def rest(self, betas: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """T-posed vertices (B, V, 3) and joints (B, 24, 3) of a shape; B is 1 without betas."""
        return self._displace(betas, None)

    def joints_from(self, vertices: Tensor, joints: str) -> Tensor:
        """Joints of a named set from posed vertices of this body.

        Args:
            vertices: (B, V, 3).
            joints: Name of a joint set, e.g. ``"h36m17"``.

        Returns:
            (B, K, 3) in the set's order.

        Raises:
            InputError: This body has no landmark for a joint of the set.
        """
        support, rows = self._regressor(joints, vertices)
        # One large product: the batched one, with three columns each, takes five times as long.
        coordinates = vertices.index_select(1, support).transpose(1, 2).reshape(-1, len(support))
        return (coordinates @ rows.T).unflatten(0, (-1, 3)).transpose(1, 2).contiguous()

    def joint_regressor(self, joints: str) -> np.ndarray:
        """Rows (K, V) that give a named joint set from vertices."""
        if joints in self._set_rows:
            return self._set_rows[joints]
        own = dict(zip(self.joint_names, self.data.joint_regressor))
        # SMPL's own set is SMPL's own rows; in the others a landmark of that name is what the set's labels mean.
        table = own if joints == "smpl24" else own | self._landmarks
        missing = [name for name in joint_set(joints) if name not in table]
        if missing:
            raise InputError(f"this body has no landmarks for {', '.join(missing)} of {joints}")
        return np.stack([table[name] for name in joint_set(joints)])

    def use_regressor(self, joints: str | tuple[str, ...], rows: np.ndarray) -> None:
        """Define joints by your own rows instead of the body's.

        Args:
            joints: A set's name, whose joints alone then come from these rows; or landmark names, which then stand for
                that landmark in every set but ``smpl24``.
            rows: (K, V), each summing to one.

        Raises:
            InputError: The rows do not fit this body or these joints.
        """
        names = joint_set(joints) if isinstance(joints, str) else joints
        rows = np.asarray(rows)
        if rows.shape != (len(names), len(self.v_template)):
            wanted = f"{len(names)} x {len(self.v_template)}"
            raise InputError(f"a regressor for these joints of this body is {wanted}, not {rows.shape}")
        if not np.isfinite(rows).all() or abs(rows.sum(1) - 1).max() > 1e-2:
            raise InputError("the rows of a joint regressor must be finite and sum to one")
        if isinstance(joints, str):
            self._set_rows[joints] = rows
        else:
            self._landmarks |= dict(zip(names, rows))
        self._regressors.clear()

    def _displace(self, betas: Tensor | None, rotations: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rest vertices with shape and pose displacements, and the shape's joints."""
        vertices, joints = self.v_template.flatten(), self._joint_template.flatten()[None]
        coefficients, start = [], 0 if betas is not None else self.num_betas
        if betas is not None:
            if betas.dim() != 2 or betas.shape[1] > self.num_betas:
                raise ValueError(f"betas should be (B, up to {self.num_betas}), not {tuple(betas.shape)}")
            coefficients.append(nn.functional.pad(betas, (0, self.num_betas - betas.shape[1])))
            joints = torch.addmm(joints, coefficients[0], self._joint_shapedirs)
        stop = self.num_betas
        if rotations is not None and self.has_posedirs:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients.append((rotations - identity).flatten(1))
            stop = len(self._basis)
        if coefficients:
            vertices = blend(vertices, torch.cat(coefficients, dim=1), self._basis[start:stop])
        return vertices.view(-1, *self.v_template.shape), joints.unflatten(1, (-1, 3))

    def _regressor(self, joints: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """The vertices a joint set depends on, and its rows restricted to them."""
        key = (joints, like.device, like.dtype)
        if key not in self._regressors:
            rows = self.joint_regressor(joints)
            support = np.flatnonzero(np.abs(rows).max(0))
            self._regressors[key] = (
                torch.as_tensor(support, device=like.device),
                torch.as_tensor(rows[:, support], dtype=like.dtype, device=like.device),
            )
        return self._regressors[key]


def _landmark_rows(data: BodyData) -> dict[str, np.ndarray]:
    """Landmarks by name: the file's own, else the published ones where the mesh is SMPL's."""
    names, rows = data.landmark_names, data.landmark_regressor
    if rows is None and len(data.v_template) == SMPL_VERTEX_COUNT:
        names, rows = smpl_landmarks(data.joint_regressor)
    return {} if rows is None else dict(zip(names, rows))


def _per_joint(value: Tensor | None, count: int, like: Tensor, name: str) -> Tensor:
    """An argument as (B, count, 3) axis-angle or (B, count, 3, 3) matrices, as it was given."""
    if value is None:
        return like.new_zeros(1, count, 3)
    shape = tuple(value.shape[1:])
    if shape == (count, 3, 3) or (shape == (3, 3) and count == 1):
        return value.reshape(-1, count, 3, 3)
    if shape in {(count * 3,), (count, 3)}:
        return value.reshape(-1, count, 3)
    raise ValueError(
        f"{name} should be (B, {count * 3}) or (B, {count}, 3) axis-angle or (B, {count}, 3, 3) rotations, "
        f"not {tuple(value.shape)}"
    )


def _rotations(orient: Tensor, pose: Tensor) -> Tensor:
    """Matrices (B, 24, 3, 3) of the root and the other joints, each axis-angle or matrices."""
    if orient.dim() == pose.dim() == 3:
        return axis_angle_to_matrix(torch.cat([orient, pose], dim=1))
    matrices = [axis_angle_to_matrix(part) if part.dim() == 3 else part for part in (orient, pose)]
    return torch.cat(matrices, dim=1)


def _expand(value: Tensor, batch: int) -> Tensor:
    return value if len(value) == batch else value.expand(batch, *value.shape[1:])
