"""The parametric body as a differentiable layer: shape and pose in, vertices and joints out."""

import math
from collections.abc import Sequence
from copy import copy
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
from meshrec.compiled.operators import has_kernels
from meshrec.errors import InputError
from meshrec.geometry.rotations import axis_angle_to_matrix


@dataclass
class BodyOutput:
    """A posed body.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3) posed joints in the order of ``smpl24``, metres.
        rotations: (B, 24, 3, 3) rotation of each joint from the rest pose: joint j moves a rest point x to
            ``rotations[:, j] @ x + translations[:, j]``.
        translations: (B, 24, 3) translation of that motion, metres.

    Example:
        >>> import torch
        >>> import meshrec
        >>> body = meshrec.load_body("neutral")
        >>> posed = body(transl=torch.tensor([[0.0, 0.0, 4.0]]))
        >>> posed.vertices.shape[-1], posed.joints.shape, posed.rotations.shape
        (3, torch.Size([1, 24, 3]), torch.Size([1, 24, 3, 3]))
    """

    vertices: Tensor
    joints: Tensor
    rotations: Tensor
    translations: Tensor


# torch.export and torch.compile see into the dataclass; exported programs are saved with its name.
torch.export.register_dataclass(BodyOutput, serialized_type_name="meshrec.body.BodyOutput")


class BodyModel(nn.Module):
    """A body in SMPL's format (Loper et al. 2015), without weights to train.

    A body is immutable: :meth:`with_regressor` and :meth:`truncated` return new bodies that share its tensors. The one
    exception is that ``body.to(...)`` converts the body in place, as for every module of torch; use
    ``copy.copy(body).to(...)`` to keep the original as it is.

    Args:
        data: The arrays of the body.
        dtype: Floating type of the layer.

    Attributes:
        data: The arrays as read.
        faces: (F, 3) int64 tensor.
        weights: (V, 24) skinning weights.
        parents: The parent of each of the 24 joints, -1 for the root.
        num_betas: Number of shape components.
        regressors: Joint regressors added by :meth:`with_regressor`: rows (K, V) under the name of a joint set or a
            tuple of K landmark names. Later entries override earlier ones.

    Example:
        >>> import torch
        >>> import meshrec
        >>> body = meshrec.load_body("neutral")
        >>> posed = body(betas=torch.zeros(2, 10), body_pose=torch.zeros(2, 69))
        >>> posed.joints.shape, body.joints_from(posed.vertices, "coco17").shape
        (torch.Size([2, 24, 3]), torch.Size([2, 17, 3]))
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
        self.regressors: dict[str | tuple[str, ...], np.ndarray] = {}
        self._sparse_rows: dict[tuple, tuple[Tensor, Tensor]] = {}

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
        # Pose and shape displacements are one product of their coefficients with one stacked basis. The shape's rows
        # come last, so that the basis of a truncated body is a slice.
        self.has_posedirs = bool(np.any(data.posedirs))
        basis = [np.moveaxis(shapedirs, -1, 0).reshape(self.num_betas, -1)]
        if self.has_posedirs:
            basis.insert(0, np.moveaxis(data.posedirs, -1, 0).reshape(data.posedirs.shape[-1], -1))
        buffer("_basis", np.concatenate(basis))
        joints, weights = sparse_influences(self.weights)
        self.register_buffer("_influence_joints", joints, persistent=False)
        self.register_buffer("_influence_weights", weights, persistent=False)

    def __copy__(self) -> "BodyModel":
        """A body that shares all tensors, with tables of its own: converting or extending it leaves the original."""
        twin = self.__new__(type(self))
        twin.__dict__ = {name: value.copy() if type(value) is dict else value for name, value in vars(self).items()}
        return twin

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each of the 24 joints, -1 for the root."""
        return self.tree.parents

    @property
    def part_labels(self) -> np.ndarray:
        """(V,) the joint to whose part each vertex belongs: as given in the file, else the joint of largest weight."""
        labels = self.data.part_labels
        return (self.data.weights.argmax(axis=1) if labels is None else labels).astype(np.int64)

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that identify this body; see :attr:`meshrec.body.files.BodyData.hash`."""
        return self.data.hash

    def forward(
        self,
        betas: Tensor | None = None,
        body_pose: Tensor | None = None,
        global_orient: Tensor | None = None,
        transl: Tensor | None = None,
    ) -> BodyOutput:
        """Pose the body. Arguments are as in ``smplx.SMPL.forward``; batches of one broadcast against the others.

        Arguments have the body's type and device. A body is computed in float32 or float64, also under autocast: half
        precision would move vertices by millimetres. NaN and infinite values are refused on the CPU. On a GPU, which
        looking at values would stop, in compiled and exported programs, and in arguments that autograd computes, such
        as a network's estimates in training, they make their own body not finite, and no other.

        ``torch.compile``, ``torch.export`` and ``torch.onnx.export(dynamo=True)`` take a body as it is;
        ``torch.jit.trace``, which knows no dataclasses, takes a function that returns some of the output's tensors.

        Args:
            betas: (B, S) shape, S up to ``num_betas``. Default: the mean shape.
            body_pose: (B, 69) or (B, 23, 3) axis-angle, radians, or (B, 23, 3, 3) rotations. Default: T-pose.
            global_orient: (B, 3) or (B, 1, 3) axis-angle, or (B, 3, 3) or (B, 1, 3, 3). Default: upright.
            transl: (B, 3) metres, added to everything. Default: zero.

        Returns:
            The posed bodies.

        Raises:
            TypeError: An argument is no tensor of the body's type and device, or the body is in half precision.
            ValueError: An argument's shape is none of these, batches differ, or a value is not finite.
        """
        like = self.v_template
        if torch.is_autocast_enabled(like.device.type):
            with torch.autocast(like.device.type, enabled=False):
                return self(betas, body_pose, global_orient, transl)
        given = {"betas": betas, "body_pose": body_pose, "global_orient": global_orient, "transl": transl}
        batch = _common_batch({name: value for name, value in given.items() if value is not None}, like)
        orient = _per_joint(global_orient, 1, like, "global_orient")
        pose = _per_joint(body_pose, len(self.parents) - 1, like, "body_pose")
        if transl is not None and transl.shape[1:] != (3,):
            raise ValueError(f"transl should be (B, 3), not {tuple(transl.shape)}")
        rotations = _rotations(_expand(orient, batch), _expand(pose, batch))

        betas = None if betas is None else _expand(betas, batch)
        rest_vertices, rest_joints = self._displace(betas, rotations[:, 1:])
        rest_joints = rest_joints.expand(batch, -1, -1)
        transl = like.new_zeros(batch, 3) if transl is None else _expand(transl, batch)
        motions = joint_motions(rotations, rest_joints, transl, self.tree)
        _require_finite(given, motions)
        influences = (self._influence_joints, self._influence_weights)
        vertices = linear_blend_skinning(rest_vertices.expand(batch, -1, -1), motions, self.weights, influences)
        joints = (motions[..., :3] @ rest_joints[..., None]).squeeze(-1) + motions[..., 3]
        return BodyOutput(vertices, joints, motions[..., :3], motions[..., 3])

    def rest(self, betas: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute bodies in T-pose.

        Args:
            betas: (B, S) shape, S up to ``num_betas``. Default: one body of the mean shape.

        Returns:
            Vertices (B, V, 3) and joints (B, 24, 3), metres.
        """
        if torch.is_autocast_enabled(self.v_template.device.type):
            with torch.autocast(self.v_template.device.type, enabled=False):
                return self.rest(betas)
        _common_batch({} if betas is None else {"betas": betas}, self.v_template)
        return self._displace(betas, None)

    def joints_from(self, vertices: Tensor, joints: str) -> Tensor:
        """Joints of a named set from posed vertices of this body.

        Args:
            vertices: (B, V, 3), of any floating type.
            joints: Name of a joint set, e.g. ``"h36m17"``.

        Returns:
            (B, K, 3) in the set's order.

        Raises:
            InputError: This body has no landmark for a joint of the set.
            TypeError: The vertices are no tensor of floating numbers.
            ValueError: There is no such set, or the vertices are not of this shape.
        """
        if not isinstance(vertices, Tensor) or not vertices.is_floating_point():
            kind = _name(vertices.dtype) if isinstance(vertices, Tensor) else type(vertices).__name__
            raise TypeError(f"vertices should be a tensor of floating numbers, not {kind}")
        if vertices.dim() != 3 or vertices.shape[1:] != self.v_template.shape:
            raise ValueError(f"vertices should be (B, {len(self.v_template)}, 3), not {tuple(vertices.shape)}")
        support, rows = self._sparse_regressor(joints, vertices)
        # One large product: the batched one, with three columns each, takes five times as long.
        coordinates = vertices.index_select(1, support).transpose(1, 2).reshape(-1, len(support))
        return (coordinates @ rows.T).unflatten(0, (-1, 3)).transpose(1, 2).contiguous()

    def joint_regressor(self, joints: str) -> np.ndarray:
        """The joint regressor of a named joint set.

        Args:
            joints: Name of a joint set, e.g. ``"h36m17"``.

        Returns:
            (K, V) rows, whose products with the vertices are the joints in the set's order.

        Raises:
            InputError: This body has no landmark for a joint of the set.
            ValueError: There is no such set.
        """
        if joints in self.regressors:
            return self.regressors[joints].copy()
        table = dict(zip(self.joint_names, self.data.joint_regressor))
        if joints != "smpl24":  # in all other sets a landmark replaces the SMPL joint of the same name
            table |= _landmark_rows(self.data)
            for names, rows in self.regressors.items():
                table |= {} if isinstance(names, str) else dict(zip(names, rows))
        missing = [name for name in joint_set(joints) if name not in table]
        if missing:
            raise InputError(f"this body has no landmarks for {', '.join(missing)} of {joints}")
        return np.stack([table[name] for name in joint_set(joints)])

    def with_regressor(self, joints: str | Sequence[str], rows: np.ndarray) -> "BodyModel":
        """A body that takes some joints from the given rows instead of its own; it shares this one's tensors.

        Args:
            joints: Name of a joint set, all of whose joints then come from these rows; or K landmark names, whose rows
                then count in every set but ``smpl24`` and those given by name.
            rows: (K, V), each summing to one.

        Raises:
            ValueError: The rows do not fit this body or these joints, or there is no such set.
        """
        names = joint_set(joints) if isinstance(joints, str) else tuple(joints)
        rows = np.array(rows)
        if rows.shape != (len(names), len(self.v_template)):
            wanted = f"{len(names)} x {len(self.v_template)}"
            raise ValueError(f"a regressor for these joints of this body is {wanted}, not {rows.shape}")
        if rows.dtype.kind not in "fiu" or not np.isfinite(rows).all() or abs(rows.sum(1) - 1).max(initial=0) > 1e-2:
            raise ValueError("the rows of a joint regressor must be finite numbers that sum to one")
        key = joints if isinstance(joints, str) else names
        body = copy(self)
        body.regressors = {name: own for name, own in self.regressors.items() if name != key} | {key: rows}
        body._sparse_rows = {}
        return body

    def truncated(self, num_betas: int) -> "BodyModel":
        """The body with only its first shape components; it shares this one's tensors and regressors.

        Args:
            num_betas: How many to keep, at least 1. A body that has no more is returned as it is.
        """
        if num_betas >= self.num_betas:
            return self
        body = copy(self)
        body.data, body.num_betas = self.data.with_betas(num_betas), num_betas
        body._joint_shapedirs = self._joint_shapedirs[:num_betas]
        body._basis = self._basis[: len(self._basis) - self.num_betas + num_betas]
        return body

    def _displace(self, betas: Tensor | None, rotations: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rest vertices with shape and pose displacements, and the shape's joints."""
        vertices, joints = self.v_template.flatten(), self._joint_template.flatten()[None]
        coefficients = []
        start = stop = len(self._basis) - self.num_betas
        if rotations is not None and self.has_posedirs:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients.append((rotations - identity).flatten(1))
            start = 0
        if betas is not None:
            if betas.dim() != 2 or betas.shape[1] > self.num_betas:
                raise ValueError(f"betas should be (B, up to {self.num_betas}), not {tuple(betas.shape)}")
            coefficients.append(nn.functional.pad(betas, (0, self.num_betas - betas.shape[1])))
            joints = torch.addmm(joints, coefficients[-1], self._joint_shapedirs)
            stop = len(self._basis)
        if coefficients:
            vertices = blend(vertices, torch.cat(coefficients, dim=1), self._basis[start:stop])
        return vertices.view(-1, *self.v_template.shape), joints.unflatten(1, (-1, 3))

    def _sparse_regressor(self, joints: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """The vertices (N,) on which a joint set depends, and its rows (K, N) restricted to them."""
        key = (joints, like.device, like.dtype)
        if key not in self._sparse_rows:
            rows = self.joint_regressor(joints)
            support = np.flatnonzero(np.abs(rows).max(0))
            self._sparse_rows[key] = (
                torch.as_tensor(support, device=like.device),
                torch.as_tensor(rows[:, support], dtype=like.dtype, device=like.device),
            )
        return self._sparse_rows[key]


def _landmark_rows(data: BodyData) -> dict[str, np.ndarray]:
    """Landmarks by name: the file's own, else the published ones where the mesh is SMPL's."""
    names, rows = data.landmark_names, data.landmark_regressor
    if rows is None and len(data.v_template) == SMPL_VERTEX_COUNT:
        names, rows = smpl_landmarks(data.joint_regressor)
    return {} if rows is None else dict(zip(names, rows))


def _common_batch(given: dict[str, Tensor], like: Tensor) -> int:
    """The batch that arguments broadcast to, once their types are checked. It stays symbolic where it is traced."""
    if like.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"a body is computed in float32 or float64, not {_name(like.dtype)}: use body.float()")
    batch, widest = 1, ""
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} should be a tensor, not {type(value).__name__}")
        if (value.dtype, value.device) != (like.dtype, like.device):
            theirs, ours = (f"{_name(t.dtype)} on {t.device}" for t in (value, like))
            raise TypeError(f"{name} should be {ours}, as the body is, not {theirs}: use {name}.to(body.v_template)")
        if value.dim() == 0:
            raise ValueError(f"{name} should have a batch dimension, but is a single number")
        size = value.shape[0]
        if size != 1 and widest and size != batch:
            raise ValueError(f"{name} has a batch of {size}, but {widest} one of {batch}; only batches of 1 broadcast")
        if size != 1:
            batch, widest = size, name
    return batch


def _require_finite(given: dict[str, Tensor | None], motions: Tensor) -> None:
    """Name the argument that is not finite, as the motions (B, 24, 3, 4), on which each value has an effect, show.

    Raises:
        ValueError: An argument is not finite; the message tells the row.
    """
    if torch.compiler.is_compiling() or not has_kernels(motions) or type(motions) is not Tensor:
        return
    flat = motions.detach().reshape(-1)
    if math.isfinite(torch.dot(flat, flat)):  # the fastest sum: it takes 1 % of the time of a single body
        return
    arguments = {name: value for name, value in given.items() if value is not None}
    if all(value.is_leaf for value in arguments.values()):
        for name, value in arguments.items():
            finite = value.isfinite().flatten(1).all(1)
            if not finite.all():
                row = int(finite.int().argmin())
                raise ValueError(f"{name} should be finite, but row {row} has a NaN or infinite value")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _per_joint(value: Tensor | None, count: int, like: Tensor, name: str) -> Tensor:
    """An argument as (B, count, 3) axis-angle or (B, count, 3, 3) matrices, as it was given."""
    if value is None:
        return like.new_zeros(1, count, 3)
    batch, *shape = value.shape
    if shape == [count, 3, 3] or (shape == [3, 3] and count == 1):
        return value.reshape(batch, count, 3, 3)
    if shape in ([count * 3], [count, 3]):
        return value.reshape(batch, count, 3)
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
    return value if value.shape[0] == batch else value.expand(batch, *value.shape[1:])
