"""SMPL's 24 joints on MakeHuman's 163 bones, and the rotation from MakeHuman's A-pose to SMPL's T-pose."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from meshrec.body.joints import SMPL_PARENTS, flip_permutation, joint_set
from meshrec.build_body.assets import Source

JOINTS = joint_set("smpl24")
MIRROR = flip_permutation("smpl24")

# fmt: off
# The joint that moves a bone: the first one with a prefix of the bone's name. All other bones belong to the head.
_BONES = {
    "pelvis": ("root", "pelvis", "spine05", "spine04"), "spine1": ("spine03",), "spine2": ("spine02", "breast"),
    "spine3": ("spine01",), "neck": ("neck",), "collar": ("clavicle", "shoulder"), "shoulder": ("upperarm",),
    "elbow": ("lowerarm",), "wrist": ("wrist", "metacarpal", "finger1"), "hand": ("finger",), "hip": ("upperleg",),
    "knee": ("lowerleg",), "ankle": ("foot",), "foot": ("toe",),
}

# The position of a joint as a weighted mean of bone heads. SMPL's collar is not at the breastbone but a third of the
# way to the shoulder and lower; its foot joint is the ball of the foot. MakeHuman's hips are 20 cm apart; anatomical
# centres are nearer to 16 cm (about a tenth of the stature).
_CENTRES = {
    "spine1": {"spine03": 1.0}, "spine2": {"spine02": 1.0}, "spine3": {"spine01": 1.0}, "neck": {"neck01": 1.0},
    "head": {"head": 1.0}, "left_hip": {"upperleg01.L": 0.9, "upperleg01.R": 0.1}, "left_knee": {"lowerleg01.L": 1.0},
    "left_ankle": {"foot.L": 1.0}, "left_shoulder": {"upperarm01.L": 1.0},
    "left_foot": {"toe1-1.L": 0.25, "toe2-1.L": 0.25, "toe3-1.L": 0.25, "toe4-1.L": 0.25},
    "left_collar": {"clavicle.L": 0.45, "upperarm01.L": 0.35, "spine01": 0.2},
    "left_elbow": {"lowerarm01.L": 1.0}, "left_wrist": {"wrist.L": 1.0}, "left_hand": {"finger3-1.L": 1.0},
}
# fmt: on

_PELVIS_HEIGHT = 0.6  # share of the way up from the hips to spine1; like SMPL's, 9 cm above the hips, not behind them
_COLLAR_RAISE = 12.0  # degrees that the collarbones contribute to raising the arms
# MakeHuman's body stands straight on parallel feet; in SMPL's zero pose the chest leans back and the toes point out.
_LEAN = {"spine1": -2.5, "spine2": -4.0, "spine3": -4.0}  # degrees about x
_TOES_OUT = 10.0  # degrees about y
_REFLECT = np.diag([-1.0, 1.0, 1.0])
_X, _Y, _Z = np.eye(3)


def joint_weights(source: Source) -> np.ndarray:
    """MakeHuman's skinning weights (V, B) summed for each joint: (V, 24), whose rows sum to one."""
    weights = np.zeros((len(source.bone_weights), len(JOINTS)))
    for column, bone in zip(source.bone_weights.T, source.bone_names):
        weights[:, JOINTS.index(joint_of_bone(bone))] += column
    return weights / weights.sum(axis=1, keepdims=True)


def joint_of_bone(bone: str) -> str:
    """The name of the joint that moves a MakeHuman bone."""
    side = {"L": "left_", "R": "right_"}.get(bone[-1], "") if bone[-2:] in (".L", ".R") else ""
    for joint, prefixes in _BONES.items():
        if bone.startswith(prefixes):
            return joint if joint in JOINTS else side + joint
    return "head"


def rest_joints(bones: np.ndarray, names: list[str]) -> np.ndarray:
    """Joints (N, 24, 3) in MakeHuman's rest pose from bone heads and tails (N, 2, B, 3)."""
    heads = bones[:, 0]
    joints = np.zeros((len(heads), len(JOINTS), 3))
    for joint, parts in _CENTRES.items():
        joints[:, JOINTS.index(joint)] = sum(w * heads[:, names.index(bone)] for bone, w in parts.items())
    for left, right in enumerate(MIRROR):
        if JOINTS[left].startswith("left"):
            joints[:, right] = joints[:, left] @ _REFLECT
    hips = joints[:, JOINTS.index("left_hip")] * [0.0, 1.0, 1.0]
    rise = joints[:, JOINTS.index("spine1"), 1] - hips[:, 1]
    joints[:, 0] = hips + _PELVIS_HEIGHT * rise[:, None] * _Y
    return joints


def t_pose_rotations(bones: np.ndarray, names: list[str]) -> np.ndarray:
    """World rotations (N, 24, 3, 3) of the joints that take each person from MakeHuman's rest pose to SMPL's T-pose.

    In the T-pose the arms are along x with the palms down and the elbow's axis vertical (so that it bends forward), the
    hands are in line with the arms, the legs nearly parallel with the knees as straight as SMPL's, the soles flat and
    the head level.
    """
    joints = rest_joints(bones, names)
    point = {name: joints[:, i] for i, name in enumerate(JOINTS)}
    head = {bone: bones[:, 0, i] for i, bone in enumerate(names)}
    rotations = np.broadcast_to(np.eye(3), (*joints.shape, 3)).copy()

    def put(joint: str, rotation: np.ndarray) -> None:
        rotations[:, JOINTS.index(joint)] = rotation
        rotations[:, JOINTS.index(joint.replace("left", "right"))] = _REFLECT @ rotation @ _REFLECT

    upper, fore = point["left_elbow"] - point["left_shoulder"], point["left_wrist"] - point["left_elbow"]
    hinge = np.cross(upper, fore)
    for joint, degrees in _LEAN.items():
        rotations[:, JOINTS.index(joint)] = _about(_X, degrees)
    put("left_collar", _about(_Z, _COLLAR_RAISE))
    put("left_shoulder", _turn(upper, hinge, _X, -_Y))
    put("left_elbow", _turn(fore, hinge, _X, -_Y))
    palm = _turn(head["finger3-1.L"] - head["wrist.L"], head["finger5-1.L"] - head["finger2-1.L"], _X, -_Z)
    put("left_wrist", palm)
    put("left_hand", palm)
    thigh, shank = point["left_knee"] - point["left_hip"], point["left_ankle"] - point["left_knee"]
    put("left_hip", _turn(thigh, _X, np.array([0.05, -1.0, 0.025]), _X))
    put("left_knee", _turn(shank, _X, np.array([0.02, -1.0, -0.085]), _X))
    put("left_ankle", _about(_Y, _TOES_OUT))
    put("left_foot", _about(_Y, _TOES_OUT))
    return rotations


def _about(axis: np.ndarray, degrees: float) -> np.ndarray:
    return Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()


def _turn(main: np.ndarray, side: np.ndarray, to_main: np.ndarray, to_side: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) that take ``main`` (N, 3) to the direction ``to_main`` and ``side`` close to ``to_side``."""

    def frame(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a = a / np.linalg.norm(a, axis=-1, keepdims=True)
        b = b - (a * b).sum(-1, keepdims=True) * a
        b = b / np.linalg.norm(b, axis=-1, keepdims=True)
        return np.stack([a, b, np.cross(a, b)], axis=-1)

    return frame(to_main, to_side) @ np.swapaxes(frame(main, np.broadcast_to(side, main.shape)), -1, -2)


def pose(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, rotations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear blend skinning with world rotations; the pelvis moves to the origin.

    Args:
        vertices, joints: (N, V, 3) and (N, 24, 3) in the rest pose, metres.
        weights: (V, 24) skinning weights.
        rotations: (N, 24, 3, 3) world rotations of the joints.

    Returns:
        Posed vertices (N, V, 3) and joints (N, 24, 3).
    """
    posed = np.zeros_like(joints)
    for j, parent in enumerate(SMPL_PARENTS[1:], start=1):
        posed[:, j] = posed[:, parent] + _apply(rotations[:, parent], joints[:, j] - joints[:, parent])
    offsets = posed - _apply(rotations, joints)
    blended = np.einsum("vj,njab->nvab", weights, rotations, optimize=True)
    moved = _apply(blended, vertices) + np.einsum("vj,nja->nva", weights, offsets, optimize=True)
    return moved, posed


def pose_bones(
    bones: np.ndarray, names: list[str], joints: np.ndarray, posed: np.ndarray, rotations: np.ndarray
) -> np.ndarray:
    """Bone heads and tails (N, 2, B, 3), moved by the joints to which the bones belong from ``joints`` to ``posed``."""
    mover = [JOINTS.index(joint_of_bone(name)) for name in names]
    local = bones - joints[:, None, mover]
    return posed[:, None, mover] + _apply(rotations[:, None, mover], local)


def _apply(rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.einsum("...ab,...b->...a", rotations, points)
