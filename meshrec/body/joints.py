"""Joints by name: the named sets of the field, left-right flips, and conversion between sets.

A set is a tuple of joint names in the set's own order. The same name means the same point in every set: limb joints
are SMPL's; ``mid_hip`` is the middle of the hips (H36M's root) and not SMPL's ``pelvis``, which lies 9 cm above it;
``thorax`` is the middle of the shoulders (OpenPose's "neck") and not SMPL's ``neck`` joint.
"""

from collections.abc import Sequence

import numpy as np

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
NUM_JOINTS = len(SMPL_PARENTS)
"""The 24 joints of ``smpl24``, the root among them."""
POSE_SIZE = 3 * NUM_JOINTS
"""The 72 numbers of a pose as axis-angle vectors, and of its step as a turn of each joint."""

LIMB_JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip

JOINT_SETS: dict[str, tuple[str, ...]] = {
    "smpl24": (
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
        "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
    ),
    "coco17": (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    "h36m17": (
        "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine_h36m",
        "thorax", "head_h36m", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
        "right_elbow", "right_wrist",
    ),
    "limb12": LIMB_JOINTS,
    "lsp14": (*LIMB_JOINTS, "neck", "head_top"),
    "mpi_inf_3dhp17": (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "mid_hip",
        "spine_h36m", "head_mpi",
    ),
    "openpose25": (
        "nose", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
        "right_small_toe", "right_heel",
    ),
    "mediapipe33": (
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
        "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_foot_index", "right_foot_index",
    ),
}  # fmt: skip
# Every joint of the sets above, so that labels of all datasets fit into one array.
JOINT_SETS["union55"] = tuple(dict.fromkeys(name for names in JOINT_SETS.values() for name in names))
FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
# What detectors write. All of these joints are among the union's.
JOINT_SETS |= {
    # OpenPose's COCO model (Cao et al. 2017).
    "coco18": (
        "nose", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
        "right_ear", "left_ear",
    ),
    # OpenPose's MPI model, without its 15th point, the middle of the trunk.
    "openpose_mpi14": (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    ),
    # Body and feet of COCO-WholeBody (Jin et al. 2020), its first 23 of 133 points.
    "wholebody23": (*JOINT_SETS["coco17"], *FEET),
    # The body of Halpe-FullBody (Fang et al. 2022, "AlphaPose"), its first 26 of 136 points.
    "halpe26": (
        *JOINT_SETS["coco17"], "head_top", "neck", "mid_hip", "left_big_toe", "right_big_toe", "left_small_toe",
        "right_small_toe", "left_heel", "right_heel",
    ),
    # AI Challenger (Wu et al. 2017).
    "aic14": (
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ),
    # CrowdPose (Li et al. 2019).
    "crowdpose14": (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head_top", "neck",
    ),
    # MPII Human Pose (Andriluka et al. 2014).
    "mpii16": (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "mid_hip", "thorax", "neck",
        "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    ),
    # HumanEva-I as its evaluation has them (Sigal et al. 2010).
    "humaneva15": (
        "mid_hip", "thorax", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
        "right_wrist", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle", "head_top",
    ),
}  # fmt: skip

BODY_JOINTS = JOINT_SETS["smpl24"][1:]
"""The 23 joints of a ``body_pose``."""


def joint_set(name: str) -> tuple[str, ...]:
    """The joint names of a set, in its order.

    Raises:
        ValueError: There is no set of that name; the message lists all sets.

    Example:
        >>> from meshrec.body import joint_set
        >>> joint_set("smpl24")[:3]
        ('pelvis', 'left_hip', 'right_hip')
    """
    try:
        return JOINT_SETS[name]
    except KeyError:
        raise ValueError(f"unknown joint set '{name}'; known sets: {', '.join(JOINT_SETS)}") from None


def joint_index(name: str, joints: str | Sequence[str]) -> int:
    """The index of a joint in a set.

    Args:
        name: Name of the joint.
        joints: Name of the set, or a list of joint names.

    Raises:
        ValueError: The set does not have the joint.

    Example:
        >>> from meshrec.body import joint_index
        >>> joint_index("left_wrist", "coco17")
        9
    """
    names = joint_set(joints) if isinstance(joints, str) else tuple(joints)
    return names.index(name)


def root_indices(joints: str | Sequence[str]) -> list[int]:
    """The indices of the joints whose mean is the root of a set, from which poses are measured.

    The root is ``mid_hip`` or ``pelvis`` if the set has one of them, else the midpoint of the hips.

    Raises:
        ValueError: The set has neither.
    """
    names = joint_set(joints) if isinstance(joints, str) else tuple(joints)
    for root in (("mid_hip",), ("pelvis",), ("left_hip", "right_hip")):
        if set(root) <= set(names):
            return [names.index(name) for name in root]
    raise ValueError(f"these joints have neither a pelvis nor hips: {', '.join(names)}")


def mirror_name(name: str) -> str:
    """The name of a joint's mirror image: ``left_knee`` gives ``right_knee``; names without a side stay the same."""
    for side, other in (("left", "right"), ("right", "left")):
        if name.startswith(side + "_"):
            return other + name[len(side) :]
        if name.endswith("_" + side):
            return name[: -len(side)] + other
    return name


def flip_permutation(joints: str | Sequence[str]) -> np.ndarray:
    """Indices that swap left and right: ``points[flip_permutation("coco17")]`` are the joints of the mirrored person.

    Returns:
        (K,) int64, its own inverse.

    Example:
        >>> from meshrec.body import flip_permutation
        >>> flip_permutation(["nose", "left_eye", "right_eye"]).tolist()
        [0, 2, 1]
    """
    names = joint_set(joints) if isinstance(joints, str) else tuple(joints)
    return np.array([names.index(mirror_name(name)) for name in names], dtype=np.int64)


def convert_joints(
    points: np.ndarray, source: str | Sequence[str], target: str | Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Reorder the joints of one set as those of another. Joints that the source lacks become zero.

    Args:
        points: (..., K_source, D).
        source, target: Names of the sets, or lists of joint names.

    Returns:
        Points (..., K_target, D), and confidence (K_target,) float32: 1 for joints that the source has, else 0.

    Raises:
        ValueError: The number of points is not that of the source's joints.

    Example:
        >>> import numpy as np
        >>> from meshrec.body import convert_joints
        >>> points, confidence = convert_joints(np.ones((14, 2)), "lsp14", "coco17")
        >>> points.shape, int(confidence.sum())  # LSP lacks COCO's five points of the face
        ((17, 2), 12)
    """
    names, wanted = (joint_set(j) if isinstance(j, str) else tuple(j) for j in (source, target))
    if points.shape[-2] != len(names):
        label = source if isinstance(source, str) else "the source"
        raise ValueError(f"{label} has {len(names)} joints, but the points are of shape {tuple(points.shape)}")
    found = np.array([names.index(name) if name in names else -1 for name in wanted])
    known = found >= 0
    return np.where(known[:, None], points[..., found, :], 0), known.astype(np.float32)
