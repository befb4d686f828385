"""Writing a body with its skeleton, which Blender, Unity and three.js can pose."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pygltflib as gl
import torch

from meshrec.export.gltf import Glb
from meshrec.export.mesh import Array, Mesh, float_array, to_numpy
from meshrec.files.atomic import known_suffix, write_file
from meshrec.geometry import CAMERA_TO_Y_UP, camera_to_y_up, matrix_to_quaternion

INFLUENCES = 4  # joints per vertex, the number that every glTF viewer supports


@dataclass(frozen=True, eq=False)
class Rig:
    """The skeleton of one body shape at rest. Tensors are accepted; the array fields are numpy arrays.

    Attributes:
        joints: (J, 3) float32 rest positions, metres, in the same space as the rest mesh.
        parents: (J,) int64, the parent of each joint, which comes before it; -1 for the root, joint 0.
        weights: (V, J) float32 skinning weights, rows summing to 1.
        names: J joint names.

    Raises:
        ValueError: A shape is wrong, a number is not finite, weights do not sum to 1 or parents make no tree.

    Example:
        >>> from meshrec.export import Rig
        >>> arm = Rig([[0, 0, 0], [1, 0, 0]], [-1, 0], [[1, 0], [0.5, 0.5], [0, 1]], ["shoulder", "elbow"])
        >>> arm.weights.shape
        (3, 2)
    """

    joints: np.ndarray
    parents: np.ndarray
    weights: np.ndarray
    names: Sequence[str]

    def __post_init__(self) -> None:
        joints = float_array(self.joints, (None, 3), "joints")
        weights = float_array(self.weights, (None, len(joints)), "weights")
        parents = to_numpy(self.parents).astype(np.int64)
        if parents.shape != (len(joints),) or len(self.names) != len(joints):
            raise ValueError(
                f"{len(joints)} joints need as many parents ({parents.shape}) and names ({len(self.names)})"
            )
        if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, len(joints))).any():
            raise ValueError("parents must be -1 for joint 0 and an earlier joint for every other one")
        if (weights < -1e-6).any() or not np.allclose(weights.sum(1), 1, atol=1e-3):
            raise ValueError("skinning weights must not be negative and must sum to 1 in every row")
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "names", tuple(self.names))


@dataclass(frozen=True, eq=False)
class SkinnedMesh:
    """A body that its skeleton poses, for :func:`meshrec.export.write_scene`.

    Attributes:
        rest: The body's rest mesh for its betas, in body space.
        rig: The body's skeleton for its betas.
        pose, translation, pose_correctives: As in :func:`write_skinned`.

    Example:
        >>> from meshrec.export import Mesh, Rig, SkinnedMesh
        >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], name="arm")
        >>> arm = Rig([[0, 0, 0], [1, 0, 0]], [-1, 0], [[1, 0], [0.5, 0.5], [0, 1]], ["shoulder", "elbow"])
        >>> SkinnedMesh(triangle, arm).rest.name
        'arm'
    """

    rest: Mesh
    rig: Rig
    pose: Array | None = None
    translation: Array | None = None
    pose_correctives: bool = False


def write_skinned(
    path: str | os.PathLike,
    rest: Mesh,
    rig: Rig,
    pose: Array | None = None,
    translation: Array | None = None,
    *,
    frame_rate: float = 30.0,
    pose_correctives: bool = False,
) -> list[str]:
    """Write a GLB whose skeleton poses the mesh by linear blend skinning.

    The bind pose is the rest pose, and the skeleton is set to the given pose. A sequence of poses becomes an animation,
    and the skeleton is set to its first pose.

    Args:
        path: The file, ending in .glb.
        rest: The body's rest mesh for its betas, in body space.
        rig: The body's skeleton for its betas.
        pose: (J, 3, 3) rotation of each joint relative to its parent, or (T, J, 3, 3). Default: the rest pose.
        translation: (3,) or (T, 3) metres, added to the posed body. Default: zero.
        frame_rate: Poses per second of a sequence.
        pose_correctives: Whether the body has pose-dependent shape (SMPL's posedirs). A skeleton cannot reproduce it,
            and a note says so.

    Returns:
        Notes on what the file leaves out, one sentence each, which the file also holds as ``asset.extras.notes``.
        Without notes the skeleton reproduces the body's own vertices.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        ValueError: Array shapes disagree, or ``pose`` holds a matrix that is no rotation.

    Example:
        >>> import tempfile
        >>> from meshrec.export import Mesh, Rig, write_skinned
        >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
        >>> arm = Rig([[0, 0, 0], [1, 0, 0]], [-1, 0], [[1, 0], [0.5, 0.5], [0, 1]], ["shoulder", "elbow"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_skinned(f"{folder}/arm.glb", triangle, arm)
        []
    """
    known_suffix(path, (".glb",))
    glb = Glb()
    notes = add_skinned(glb, SkinnedMesh(rest, rig, pose, translation, pose_correctives), frame_rate)
    glb.gltf.asset.extras = {"notes": notes} if notes else {}
    write_file(path, glb.to_bytes())
    return notes


def add_skinned(
    glb: Glb, person: SkinnedMesh, frame_rate: float = 30.0, start: float = 0.0, until: float | None = None
) -> list[str]:
    """Add a body with its skeleton to a file, and its animation if it has several poses.

    Before ``start``, and from one frame after the last pose to ``until``, the body is hidden: its root has a scale of
    zero, which shrinks the mesh to a point. glTF has no visibility, and names this for it (section 3.11).

    Args:
        glb: The file; it may hold other bodies, whose animations run on the same clock.
        person: The body.
        frame_rate: Poses per second.
        start: Time of the first pose, seconds.
        until: When the last pose of everyone in the file is, seconds. Default: that of this body.

    Returns:
        Notes on what is left out, as :func:`write_skinned` returns them.

    Raises:
        ValueError: Array shapes disagree, or a matrix of the pose is no rotation.
    """
    rest, rig, pose, translation = person.rest, person.rig, person.pose, person.translation
    if len(rig.weights) != len(rest.vertices):
        raise ValueError(f"the rig has weights for {len(rig.weights)} vertices, the mesh has {len(rest.vertices)}")
    if frame_rate <= 0:
        raise ValueError(f"the frame rate must be positive, not {frame_rate}")
    rotations, root, moving = _frames(rig, pose, translation)
    quaternions = xyzw_continuous(rotations)

    weights, joints, lost = strongest_influences(rig.weights)
    notes = []
    if person.pose_correctives:
        notes.append("Pose correctives (posedirs) are left out: posed vertices differ from the body's own.")
    if lost > 1e-6:
        notes.append(
            f"Each vertex keeps its {INFLUENCES} strongest joints; up to {lost:.2g} of its weight is left out."
        )

    nodes = _add_skeleton(glb, rig, f"{rest.name} skeleton", root[0], quaternions[0])
    inverse_bind = np.eye(4, dtype=np.float32)[None].repeat(len(nodes), 0)
    inverse_bind[:, 3, :3] = -rig.joints  # column-major: the translation is the last row
    skin = gl.Skin(name=rest.name, joints=nodes, skeleton=nodes[0], inverseBindMatrices=glb.add_array(inverse_bind))
    glb.gltf.skins.append(skin)
    glb.add_object(glb.add_mesh(rest, weights, joints), rest.name, skin=len(glb.gltf.skins) - 1)
    if moving:
        times = start + np.arange(len(root)) / frame_rate
        _add_animation(glb, nodes, times, root, quaternions, times[-1] if until is None else until)
    return notes


def pose_to_y_up(pose: Array, translation: Array, pelvis: Array) -> tuple[np.ndarray, np.ndarray]:
    """Convert pose and translation so that the body comes to where :func:`meshrec.geometry.camera_to_y_up` moves its
    vertices.

    Args:
        pose: (..., J, 3, 3) joint rotations in camera space, the first one global.
        translation: (..., 3) metres, in camera space.
        pelvis: (3,) rest position of the root joint, about which the global rotation turns, metres.

    Returns:
        Pose (..., J, 3, 3) and translation (..., 3), both in y-up space.

    Example:
        >>> import numpy as np
        >>> from meshrec.export import pose_to_y_up
        >>> pose, translation = pose_to_y_up(np.eye(3)[None], np.array([0.0, 0.0, 3.0]), np.zeros(3))
        >>> pose[0].astype(int).tolist(), translation.tolist()[2]
        ([[1, 0, 0], [0, -1, 0], [0, 0, -1]], -3.0)
    """
    pose, pelvis = to_numpy(pose).copy(), to_numpy(pelvis)
    pose[..., 0, :, :] = CAMERA_TO_Y_UP.numpy() @ pose[..., 0, :, :]
    return pose, camera_to_y_up(pelvis + to_numpy(translation)) - pelvis


def strongest_influences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Keep the strongest joints of each vertex, and normalise their weights.

    Args:
        weights: (V, J) skinning weights, rows summing to 1.

    Returns:
        Weights (V, 4) float32, strongest first; joints (V, 4) uint8 or uint16, 0 where the weight is 0, as glTF wants;
        and the largest weight that any vertex lost.
    """
    missing = max(0, INFLUENCES - weights.shape[1])
    weights = np.pad(weights.astype(np.float64), ((0, 0), (0, missing)))
    joints = np.argpartition(-weights, INFLUENCES - 1, axis=1)[:, :INFLUENCES]
    kept = np.take_along_axis(weights, joints, 1).clip(min=0)
    order = np.argsort(-kept, axis=1, kind="stable")
    kept, joints = np.take_along_axis(kept, order, 1), np.take_along_axis(joints, order, 1)
    total = kept.sum(1)
    lost = float((weights.sum(1) - total).max())
    kept = (kept / total[:, None]).astype(np.float32)
    kept[:, 0] = 1 - kept[:, 1:].sum(1, dtype=np.float64)  # validators check the sums to the last digit
    joints = np.where(kept > 0, joints, 0)
    return kept, joints.astype(np.uint8 if weights.shape[1] <= 256 else np.uint16), lost


def _frames(rig: Rig, pose: Array | None, translation: Array | None) -> tuple[np.ndarray, np.ndarray, bool]:
    """Rotations (T, J, 3, 3), root positions (T, 3), and whether they are a sequence."""
    rotations = np.eye(3)[None].repeat(len(rig.joints), 0) if pose is None else to_numpy(pose)
    moving = rotations.ndim == 4
    rotations = float_array(rotations if moving else rotations[None], (None, len(rig.joints), 3, 3), "pose", np.float64)
    if not len(rotations):
        raise ValueError("a sequence needs at least one pose")
    squares = rotations @ rotations.swapaxes(-1, -2)
    if not np.allclose(squares, np.eye(3), atol=1e-3) or (np.linalg.det(rotations) < 0).any():
        raise ValueError("pose holds a matrix that is no rotation")
    shift = np.zeros(3) if translation is None else to_numpy(translation)
    shift = float_array(shift if shift.ndim == 2 else shift[None], (None, 3), "translation", np.float64)
    if len(shift) not in (1, len(rotations)):
        raise ValueError(f"{len(rotations)} poses need as many translations, or one, not {len(shift)}")
    return rotations, np.broadcast_to(rig.joints[0] + shift, (len(rotations), 3)), moving


def _add_skeleton(glb: Glb, rig: Rig, name: str, root: np.ndarray, quaternions: np.ndarray) -> list[int]:
    """Add one node per joint, parents before children, below a node of their own; returns the joints' indices.

    Without that node Blender would make one armature of everybody's joints in a scene, with the camera below it.
    """
    above = glb.add_node(gl.Node(name=name), root=True)
    offsets = rig.joints - np.where(rig.parents[:, None] < 0, 0, rig.joints[rig.parents])
    offsets[0] = root
    nodes = []
    for name, parent, offset, quaternion in zip(rig.names, rig.parents.tolist(), offsets, quaternions):
        node = gl.Node(name=name, translation=offset.tolist(), rotation=quaternion.tolist())
        nodes.append(glb.add_node(node))
        glb.gltf.nodes[above if parent < 0 else nodes[parent]].children.append(nodes[-1])
    return nodes


def _add_animation(
    glb: Glb, nodes: list[int], times: np.ndarray, root: np.ndarray, quaternions: np.ndarray, until: float
) -> None:
    """Add keys for the rotation of every joint, the position of the root, and for when the body is there."""
    key_times = glb.add_array(times.astype(np.float32), bounds=True)
    glb.add_channel(nodes[0], "translation", key_times, root)
    for j, node in enumerate(nodes):
        glb.add_channel(node, "rotation", key_times, quaternions[:, j])
    step = times[-1] - times[-2] if len(times) > 1 else 0.0
    shown = [(0.0, times[0] <= 0), (times[0], True), (times[-1] + step, times[-1] + step >= until)]
    changes = [shown[0], *(new for old, new in pairwise(shown) if old[1] != new[1])]
    if len(changes) > 1:
        scale_times = glb.add_array(np.array([time for time, _ in changes], np.float32), bounds=True)
        scales = np.array([[float(there)] * 3 for _, there in changes])
        glb.add_channel(nodes[0], "scale", scale_times, scales, steps=True)


def xyzw_continuous(matrices: np.ndarray) -> np.ndarray:
    """The quaternions (T, ..., 4) of rotations (T, ..., 3, 3) in glTF's order, x, y, z, w, neighbouring frames close.

    q and -q are the same rotation, but viewers interpolate the components.
    """
    quaternions = np.roll(matrix_to_quaternion(torch.from_numpy(matrices)).numpy(), -1, axis=-1)
    signs = np.sign((quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True))
    signs[signs == 0] = 1
    return np.concatenate([quaternions[:1], quaternions[1:] * signs.cumprod(0)])
