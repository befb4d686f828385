"""Animations of bodies as files: skinned GLB, BVH, and ``.npz`` as AMASS stores motions."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from meshrec.body import NUM_JOINTS, BodyModel
from meshrec.export.bvh import write_bvh
from meshrec.export.gltf import Glb
from meshrec.export.mesh import Mesh, float_array
from meshrec.export.skinned import Rig, SkinnedMesh, add_skinned, write_skinned, xyzw_continuous
from meshrec.files.atomic import known_suffix, write_file
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, Placement, camera_to_y_up
from meshrec.motion.amass import UP_AXIS, amass_arrays
from meshrec.motion.motion import Motion, Skeleton
from meshrec.motion.recorded import UP, RecordedMotion, require_rotations
from meshrec.motion.sequences import JOINT_NAMES

ANIMATION_SUFFIXES = (".glb", ".bvh", ".npz")
UNITS = {"cm": 100.0, "m": 1.0}  # of a BVH, per metre


@dataclass(frozen=True, eq=False)
class Animation:
    """A body that moves, in y-up space: x right, y up, z towards the viewer. Tensors are accepted.

    :func:`meshrec.export.pose_to_y_up` brings poses and translations of camera space there.

    Attributes:
        body: The body that betas and rotations belong to.
        betas: (S,) float64 shape coefficients, filled with zeros to the number that the body has.
        rotations: (T, 24, 3, 3) float64 rotation of each joint relative to its parent; the first one is global.
        translation: (T, 3) float64 metres, added to the posed body.
        frame_rate: Frames per second.
        name: Name of the mesh in files.
        color: (r, g, b) sRGB in [0, 1] of the mesh.
        start: Seconds before the first frame on the clock that several people share.

    Raises:
        ValueError: A shape is wrong, a number is not finite, a matrix is no rotation, there are no frames, or the body
            has fewer shape coefficients than betas.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.export import Animation
        >>> body = meshrec.load_body("neutral")
        >>> still = Animation(body, np.zeros(10), np.tile(np.eye(3), (60, 24, 1, 1)), np.zeros((60, 3)), frame_rate=30)
        >>> still.duration, still.vertices(59).shape
        (2.0, (7644, 3))
    """

    body: BodyModel = field(repr=False)
    betas: np.ndarray
    rotations: np.ndarray = field(repr=False)
    translation: np.ndarray = field(repr=False)
    frame_rate: float = 30.0
    name: str = "body"
    color: tuple[float, float, float] = Mesh.color
    start: float = 0.0

    def __post_init__(self) -> None:
        rotations = float_array(self.rotations, (None, NUM_JOINTS, 3, 3), "rotations", np.float64)
        if not len(rotations):
            raise ValueError("an animation needs at least one frame")
        require_rotations(rotations)
        betas = float_array(self.betas, (None,), "betas", np.float64)
        if len(betas) > self.body.num_betas:
            raise ValueError(f"the body has {self.body.num_betas} shape coefficients, but there are {len(betas)} betas")
        if not 0 < self.frame_rate < np.inf or not 0 <= self.start < np.inf:
            raise ValueError(f"a frame rate of {self.frame_rate} or a start at {self.start} seconds cannot be")
        object.__setattr__(self, "rotations", rotations)
        # All of them, because the number of coefficients is a part of the body's hash.
        object.__setattr__(self, "betas", np.pad(betas, (0, self.body.num_betas - len(betas))))
        translation = float_array(self.translation, (len(rotations), 3), "translation", np.float64)
        object.__setattr__(self, "translation", translation)

    def __len__(self) -> int:
        return len(self.rotations)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to one frame after the last."""
        return len(self) / self.frame_rate

    @property
    def times(self) -> np.ndarray:
        """(T,) seconds of the frames on the clock that several people share."""
        return self.start + np.arange(len(self)) / self.frame_rate

    @cached_property
    def rest(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) and joints (24, 3) of the body's T-pose, metres."""
        with torch.no_grad():
            vertices, joints = self.body.rest(torch.from_numpy(self.betas)[None].to(self.body.v_template))
        return vertices[0].cpu().numpy(), joints[0].cpu().numpy()

    def vertices(self, frame: int) -> np.ndarray:
        """(V, 3) float32 metres, the mesh in a frame."""
        like = self.body.v_template
        betas, rotations, translation = (
            torch.from_numpy(part)[None].to(like)
            for part in (self.betas, self.rotations[frame], self.translation[frame])
        )
        with torch.no_grad():
            return self.body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices[0].cpu().numpy()

    def skinned(self) -> SkinnedMesh:
        """The mesh at rest with the skeleton that moves it."""
        vertices, joints = self.rest
        data = self.body.data
        mesh = Mesh(vertices, data.faces, data.uv, data.uv_faces, self.name, self.color)
        rig = Rig(joints, np.array(self.body.parents), self.body.weights.cpu().numpy(), self.body.joint_names)
        return SkinnedMesh(mesh, rig, self.rotations, self.translation, self.body.has_posedirs)


@dataclass(frozen=True, eq=False)
class CameraAnimation:
    """A camera that turns, and may move. The world is the camera space of the first frame: y down.

    Attributes:
        turns: (T, 3, 3) rotations from the world to the camera of each frame.
        frame_rate: Frames per second.
        positions: (T, 3) places of the camera in the world, metres. Default: it stays at the origin.
        start: Seconds before the first frame.

    Raises:
        ValueError: A shape is wrong, a number is not finite, a matrix is no rotation, or there are no frames.

    Example:
        >>> import numpy as np
        >>> from meshrec.export import CameraAnimation
        >>> CameraAnimation(np.tile(np.eye(3), (60, 1, 1)), 30.0).turns.shape
        (60, 3, 3)
    """

    turns: np.ndarray
    frame_rate: float = 30.0
    positions: np.ndarray | None = None
    start: float = 0.0

    def __post_init__(self) -> None:
        turns = float_array(self.turns, (None, 3, 3), "turns", np.float64)
        if not len(turns):
            raise ValueError("the animation of a camera needs at least one frame")
        require_rotations(turns)
        object.__setattr__(self, "turns", turns)
        if self.positions is not None:
            positions = float_array(self.positions, (len(turns), 3), "positions", np.float64)
            object.__setattr__(self, "positions", positions)


def write_animation(
    path: str | os.PathLike, animation: Animation, *, names: str = "smpl", unit: str = "cm"
) -> tuple[str, ...]:
    """Write an animation; the suffix chooses the format.

    - ``.glb``: the mesh with its skeleton, y up, metres, with keys at exactly every frame; the first one is at 0.
    - ``.bvh``: the skeleton alone, y up. Lengths are centimetres by default, as MotionBuilder, Maya and Mixamo expect;
      Blender needs *Scale* 0.01 to read them. The rest pose is the T-pose of the body's betas with the pelvis at 0.
    - ``.npz``: all parameters, z up, as AMASS stores them (:mod:`meshrec.motion.amass`).

    Args:
        path: The file; its suffix is one of :data:`ANIMATION_SUFFIXES`.
        animation: The animation.
        names: Names of the joints in a ``.bvh``: ``smpl`` or ``mixamo``.
        unit: Unit of lengths in a ``.bvh``: ``cm`` or ``m``.

    Returns:
        Notes on what the file leaves out, one sentence each.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.
        ValueError: There are no such names, or no such unit.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.export import Animation, write_animation
        >>> still = np.tile(np.eye(3), (3, 24, 1, 1))
        >>> animation = Animation(meshrec.load_body("neutral"), np.zeros(10), still, np.zeros((3, 3)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_animation(f"{folder}/still.glb", animation)
        ()
    """
    suffix = known_suffix(path, ANIMATION_SUFFIXES)
    if suffix == ".npz":
        file = io.BytesIO()
        np.savez_compressed(file, **animation_arrays(animation))
        write_file(path, file.getvalue())
        return ()
    if suffix == ".bvh":
        write_bvh(path, bvh_motion(animation, names, unit))
        return ("A .bvh holds the skeleton alone, without mesh and shape.",)
    person = animation.skinned()
    return tuple(
        write_skinned(
            path,
            person.rest,
            person.rig,
            person.pose,
            person.translation,
            frame_rate=animation.frame_rate,
            pose_correctives=person.pose_correctives,
        )
    )


def write_animated_scene(
    path: str | os.PathLike,
    animations: Sequence[Animation],
    camera: Camera | None = None,
    camera_animation: CameraAnimation | None = None,
    cameras: Sequence[tuple[str, Camera, Placement]] = (),
) -> tuple[str, ...]:
    """Write people who share one space into one GLB, with one animation in which everybody moves on one clock.

    glTF has no visibility. Before its start and after its end, a person's skeleton has a scale of zero, switched by a
    key without interpolation, so that the mesh is a point: this is how glTF 2.0 (section 3.11) hides meshes.

    Args:
        path: The file, ending in .glb.
        animations: At least one person.
        camera: The film's camera, to look through in a 3D program. It stands at the origin, as for
            :func:`meshrec.export.write_scene`.
        camera_animation: How that camera turns. A changing focal length is lost, which glTF cannot animate.
        cameras: Cameras that stand still, as for :func:`meshrec.export.write_scene`: names, cameras, and for each the
            placement from its space to that of the animations.

    Returns:
        Notes on what the file leaves out, one sentence each.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        ValueError: Nobody is in the scene, or the animation of a camera has no camera.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.export import Animation, write_animated_scene
        >>> still = np.tile(np.eye(3), (3, 24, 1, 1))
        >>> animation = Animation(meshrec.load_body("neutral"), np.zeros(10), still, np.zeros((3, 3)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_animated_scene(f"{folder}/scene.glb", [animation])
        ()
    """
    known_suffix(path, (".glb",))
    if not animations:
        raise ValueError("a scene needs at least one person")
    if camera_animation is not None and camera is None:
        raise ValueError("the animation of a camera needs the camera")
    glb, notes = Glb(), []
    until = max(float(animation.times[-1]) for animation in animations)
    for animation in animations:
        left_out = add_skinned(glb, animation.skinned(), animation.frame_rate, animation.start, until)
        notes += [f"{animation.name}: {note}" for note in left_out]
    if camera is not None:
        node = glb.add_camera(camera)
        if camera_animation is not None:
            _animate_camera(glb, node, camera_animation)
    for name, other, place in cameras:
        glb.add_camera(other, place, name)
    glb.gltf.asset.extras = {"notes": notes} if notes else {}
    write_file(path, glb.to_bytes())
    return tuple(notes)


def bvh_motion(animation: Animation, names: str = "smpl", unit: str = "cm") -> Motion:
    """The animation of the skeleton, with an end to each limb that reaches to the surface of the mesh.

    Args:
        animation: The animation.
        names: Names of the joints: ``smpl`` or ``mixamo``.
        unit: Unit of lengths: ``cm`` or ``m``.

    Raises:
        ValueError: There are no such names, or no such unit.
    """
    if names not in JOINT_NAMES or unit not in UNITS:
        raise ValueError(f"names are {', '.join(JOINT_NAMES)} and units {', '.join(UNITS)}, not {names} and {unit}")
    scale = UNITS[unit]
    vertices, joints = (part.astype(np.float64) for part in animation.rest)
    parents = np.array(animation.body.parents)
    offsets = joints - np.where(parents[:, None] < 0, joints, joints[parents])
    leaves = [joint for joint in range(len(joints)) if joint not in parents]
    labels = animation.body.part_labels
    ends = np.stack([_end(offsets[leaf], vertices[labels == leaf] - joints[leaf]) for leaf in leaves])
    joint_names = JOINT_NAMES[names]
    skeleton = Skeleton(
        (*joint_names, *(f"{joint_names[leaf]}_end" for leaf in leaves)),
        np.concatenate([parents, leaves]),
        np.concatenate([offsets, ends]) * scale,
    )
    still = np.broadcast_to(np.eye(3), (len(animation), len(leaves), 3, 3))
    place = (joints[0] + animation.translation) * scale
    return Motion(skeleton, np.concatenate([animation.rotations, still], axis=1), place, 1 / animation.frame_rate)


def _end(bone: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Where a bone (3,) that goes on in its own direction leaves a part (V, 3) of the mesh, from the joint."""
    direction = bone / np.linalg.norm(bone)
    return direction * max(float((part @ direction).max(initial=0.0)), 0.02)


def animation_arrays(animation: Animation) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz``, as :mod:`meshrec.motion.amass` describes them."""
    return amass_arrays(_recorded(animation))


def _recorded(animation: Animation) -> RecordedMotion:
    """The animation with z up, as files of AMASS have it."""
    back, pelvis = UP[UP_AXIS].T, animation.rest[1][0].astype(np.float64)
    rotations = animation.rotations.copy()
    rotations[:, 0] = back @ rotations[:, 0]
    return RecordedMotion(
        rotations,
        (pelvis + animation.translation) @ back.T - pelvis,
        animation.betas,
        animation.frame_rate,
        UP_AXIS,
        start=animation.start * animation.frame_rate,
        name=animation.name,
        gender=animation.body.data.gender,
        body_name=animation.body.data.name,
        body_hash=animation.body.hash,
    )


def _animate_camera(glb: Glb, node: int, motion: CameraAnimation) -> None:
    to_y_up = CAMERA_TO_Y_UP.double().numpy()
    rotations = xyzw_continuous(to_y_up @ motion.turns.swapaxes(1, 2) @ to_y_up)
    times = motion.start + np.arange(len(rotations)) / motion.frame_rate
    key_times = glb.add_array(times.astype(np.float32), bounds=True)
    glb.gltf.nodes[node].rotation = rotations[0].tolist()
    glb.add_channel(node, "rotation", key_times, rotations)
    if motion.positions is not None:
        places = camera_to_y_up(motion.positions)
        glb.gltf.nodes[node].translation = places[0].tolist()
        glb.add_channel(node, "translation", key_times, places)
