"""Retargeting of motion capture to SMPL's joints.

A joint of the target gets the world rotation of its source joint, composed with the smallest rotation that aligns the
target's rest bone with the source's. Limbs therefore point in the same directions as the actor's, even if the rest
poses and proportions of the two skeletons differ.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.joints import JOINT_SETS, SMPL_PARENTS, mirror_name
from meshrec.body.kinematics import KinematicTree, local_rotations
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix, nearest_rotation
from meshrec.motion.motion import Motion, euler_to_matrix, twist_angle

SMPL_JOINTS = JOINT_SETS["smpl24"]
SMPL_TREE = KinematicTree.from_parents(list(SMPL_PARENTS))


@dataclass(frozen=True)
class Source:
    """The joints of a recorded skeleton from which one SMPL joint gets its rotation.

    Attributes:
        joints: The SMPL joint gets the mean of their world rotations, in which a joint named twice counts twice.
        bone: The two source joints at the ends of the limb bone, or None where the rest frames already agree (trunk,
            head and feet, which are upright and flat in both rest poses).
        turn: Axis and angle in degrees of the rotation from SMPL's T-pose to the source's rest frame.
    """

    joints: tuple[str, ...]
    bone: tuple[str, str] | None = None
    turn: tuple[str, float] = ("x", 0.0)


def _with_right_side(prefixes: tuple[str, str], table: dict[str, Source]) -> dict[str, Source]:
    """Add the right side to a table of left and central joints; ``prefixes`` mark the source's left and right names."""

    def right(name: str) -> str:
        return prefixes[1] + name.removeprefix(prefixes[0])

    mirrored = {}
    for target, source in table.items():
        if target.startswith("left_"):
            axis, degrees = source.turn
            bone = (right(source.bone[0]), right(source.bone[1])) if source.bone else None
            # Mirroring in the sagittal plane keeps rotations about x and reverses those about y and z.
            turn = (axis, degrees if axis == "x" else -degrees)
            mirrored[mirror_name(target)] = Source(tuple(map(right, source.joints)), bone, turn)
    return {**table, **mirrored}


def _trunk(pelvis: str, chest: str, head: str) -> dict[str, Source]:
    """The sources of pelvis, spine, neck and head.

    Pelvis, chest and head keep their recorded rotations. Of the rotation from pelvis to chest two thirds happen at
    spine1 and the rest above it, and the neck is halfway between chest and head, because CMU's solver folds the back at
    one vertebra and bends neck and head against each other.
    """
    return {
        "pelvis": Source((pelvis,)),
        "spine1": Source((pelvis, chest, chest)),
        "spine2": Source((pelvis, chest, chest, chest, chest, chest)),
        "spine3": Source((chest,)),
        "neck": Source((chest, head)),
        "head": Source((head,)),
    }


# In all three skeletons the elbow's hinge is rolled 30 degrees from the vertical ("axis 180 -30 -90" in the .asf).
ACCLAIM_JOINTS = _with_right_side(
    ("l", "r"),
    {
        **_trunk("root", "thorax", "head"),
        "left_hip": Source(("lfemur",), ("lfemur", "ltibia")),
        "left_knee": Source(("ltibia",), ("ltibia", "lfoot")),
        # At rest the legs are spread by 20 degrees, and the feet are rolled with them.
        "left_ankle": Source(("lfoot",), turn=("z", 20.0)),
        "left_foot": Source(("ltoes",), turn=("z", 20.0)),
        "left_collar": Source(("lclavicle",)),
        "left_shoulder": Source(("lhumerus",), ("lhumerus", "lradius"), turn=("x", -30.0)),
        "left_elbow": Source(("lradius",), ("lradius", "lwrist"), turn=("x", -30.0)),
        "left_wrist": Source(("lhand",), ("lhand", "lfingers")),
    },
)
"""CMU's Acclaim skeletons."""

DAZ_JOINTS = _with_right_side(
    ("l", "r"),
    {
        **_trunk("hip", "chest", "head"),
        "left_hip": Source(("lThigh",), ("lThigh", "lShin")),
        "left_knee": Source(("lShin",), ("lShin", "lFoot")),
        "left_ankle": Source(("lFoot",)),
        "left_collar": Source(("lCollar",)),
        "left_shoulder": Source(("lShldr",), ("lShldr", "lForeArm"), turn=("x", -30.0)),
        "left_elbow": Source(("lForeArm",), ("lForeArm", "lHand"), turn=("x", -30.0)),
        "left_wrist": Source(("lHand",), ("lHand", "lMid1")),
    },
)
"""The BVH conversions of CMU's takes with the joint names of DAZ figures."""

BVH_JOINTS = _with_right_side(
    ("Left", "Right"),
    {
        **_trunk("Hips", "Spine1", "Head"),
        "left_hip": Source(("LeftUpLeg",), ("LeftUpLeg", "LeftLeg")),
        "left_knee": Source(("LeftLeg",), ("LeftLeg", "LeftFoot")),
        # The rest pose is that of the Acclaim skeleton, with spread legs.
        "left_ankle": Source(("LeftFoot",), turn=("z", 20.0)),
        "left_foot": Source(("LeftToeBase",), turn=("z", 20.0)),
        "left_collar": Source(("LeftShoulder",)),
        "left_shoulder": Source(("LeftArm",), ("LeftArm", "LeftForeArm"), turn=("x", -30.0)),
        "left_elbow": Source(("LeftForeArm",), ("LeftForeArm", "LeftHand"), turn=("x", -30.0)),
        "left_wrist": Source(("LeftFingerBase",), ("LeftFingerBase", "LeftHandIndex1")),
    },
)
"""The BVH conversions of CMU's takes with the names that CMU's own conversion gives to the joints."""


def retarget(motion: Motion, rest_joints: ndarray) -> ndarray:
    """Compute local rotations of SMPL's 24 joints that follow a motion.

    The root keeps its orientation in the world. Joints that the source lacks (fingers, often toes) stay at rest.

    Args:
        motion: A take whose rest pose is a T-pose, y up and z forward.
        rest_joints: (24, 3) joints of the target body in its T-pose, metres.

    Returns:
        (T, 24, 3, 3) local rotations.

    Raises:
        InputError: The skeleton is neither CMU's Acclaim skeleton nor one of its two BVH conversions.

    Example:
        A skeleton with the names of DAZ's figures, here with the proportions of the body itself. For a take, the motion
        is ``read_bvh("take.bvh")``.

        >>> import numpy as np
        >>> from meshrec.body import joint_index, load_body
        >>> from meshrec.motion.motion import Motion, Skeleton
        >>> from meshrec.motion.retargeting import DAZ_JOINTS, retarget
        >>> rest = load_body("neutral").rest()[1][0].numpy()
        >>> places = {source.joints[-1]: rest[joint_index(name, "smpl24")] for name, source in DAZ_JOINTS.items()}
        >>> places |= {f"{side[0]}Mid1": rest[joint_index(f"{side}_hand", "smpl24")] for side in ("left", "right")}
        >>> parents = np.array([-1] + [0] * (len(places) - 1))
        >>> skeleton = Skeleton(tuple(places), parents, np.array(list(places.values())) - places["hip"])
        >>> still = Motion(skeleton, np.tile(np.eye(3), (5, len(places), 1, 1)), np.zeros((5, 3)), frame_time=1 / 30)
        >>> retarget(still, rest).shape
        (5, 24, 3, 3)
    """
    table = _joint_table(motion)
    skeleton = motion.skeleton
    rest = np.zeros((len(skeleton.names), 3))
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        rest[joint] = rest[parent] + skeleton.offsets[joint]
    source_world = motion.global_rotations()
    world = np.empty((len(motion), len(SMPL_JOINTS), 3, 3))
    for joint, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS)):
        if (source := table.get(name)) is None:
            world[:, joint] = world[:, parent]
            continue
        axis, degrees = source.turn
        align = euler_to_matrix(np.deg2rad([degrees]), axis)
        if source.bone:
            start, end = (skeleton.index(s) for s in source.bone)
            child = SMPL_PARENTS.index(joint)
            align = align @ rotation_between(
                rest_joints[child] - rest_joints[joint], align.T @ (rest[end] - rest[start])
            )
        world[:, joint] = mean_rotation(source_world[:, [skeleton.index(s) for s in source.joints]]) @ align
    return _share_forearm_twist(local_rotations(torch.from_numpy(world), SMPL_TREE).numpy(), rest_joints)


def retarget_translation(motion: Motion, rotations: ndarray, rest_joints: ndarray) -> ndarray:
    """Where SMPL's body stands in a motion.

    The middle of its hips is where that of the source's is, in a world that is scaled by the ratio of the two bodies'
    leg lengths. Feet that stand therefore nearly stand, as far as thighs and shins have the same ratio in both.

    Args:
        motion: The take.
        rotations: (T, 24, 3, 3) local rotations, as :func:`retarget` returns them.
        rest_joints: (24, 3) joints of the target body in its T-pose, metres.

    Returns:
        (T, 3) translation of the body, metres; y is up.

    Raises:
        InputError: As for :func:`retarget`.
    """
    table, skeleton = _joint_table(motion), motion.skeleton
    places, hips, lengths = motion.joint_positions(), [], []
    for side in ("left", "right"):
        bone = table[f"{side}_hip"].bone
        assert bone is not None
        ankle = table[f"{side}_ankle"].joints[0]
        hip, knee, foot = (places[:, skeleton.index(name)] for name in (*bone, ankle))
        hips.append(hip)
        lengths.append(np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(foot - knee, axis=-1))
    own = {name: rest_joints[SMPL_JOINTS.index(name)] for name in ("left_hip", "left_knee", "left_ankle", "right_hip")}
    length = np.linalg.norm(own["left_knee"] - own["left_hip"]) + np.linalg.norm(own["left_ankle"] - own["left_knee"])
    middle = length / np.mean(lengths) * (hips[0] + hips[1]) / 2
    lever = (own["left_hip"] + own["right_hip"]) / 2 - rest_joints[0]
    return middle - rotations[:, 0] @ lever - rest_joints[0]


def _share_forearm_twist(rotations: ndarray, rest_joints: ndarray) -> ndarray:
    """Give elbow and wrist half the forearm's twist each, so that the skin does not collapse.

    The twist is limited to what a forearm can do (76 degrees one way and 82 the other, Boone & Azen 1979, and some
    slack for recording errors), because CMU's hands carry few markers.
    """
    limit = np.deg2rad(110)
    rotations = rotations.copy()
    for side in ("left", "right"):
        elbow, wrist = SMPL_JOINTS.index(f"{side}_elbow"), SMPL_JOINTS.index(f"{side}_wrist")
        forearm = rest_joints[wrist] - rest_joints[elbow]
        axis = forearm / np.linalg.norm(forearm)
        twist = twist_angle(rotations[:, wrist], axis)
        half = _turn(axis, twist.clip(-limit, limit) / 2)
        rotations[:, elbow] = rotations[:, elbow] @ half
        rotations[:, wrist] = half @ _turn(axis, -twist) @ rotations[:, wrist]
    return rotations


def _turn(axis: ndarray, angles: ndarray) -> ndarray:
    """Rotations (T, 3, 3) by angles (T,) about one axis (3,)."""
    return axis_angle_to_matrix(torch.from_numpy(angles[:, None] * axis)).numpy()


def _joint_table(motion: Motion) -> dict[str, Source]:
    """The table of the skeleton that the motion has, by the names of its joints."""
    names = set(motion.skeleton.names)
    for table in (ACCLAIM_JOINTS, DAZ_JOINTS, BVH_JOINTS):
        if all(names.issuperset((*source.joints, *(source.bone or ()))) for source in table.values()):
            return table
    raise InputError(
        f"cannot retarget a skeleton with the joints {', '.join(motion.skeleton.names[:8])}, ...: known are CMU's "
        "Acclaim skeleton and its BVH conversions with the joint names of DAZ or CMU"
    )


def rotation_between(a: ndarray, b: ndarray) -> ndarray:
    """The smallest rotation that takes the direction of ``a`` (3,) to that of ``b`` (3,), which must not be opposite.

    For unit vectors, R = I + K + K^2 / (1 + a.b), where K is the cross-product matrix of a x b (Rodrigues' formula).

    Returns:
        (3, 3).
    """
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    x, y, z = np.cross(a, b)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + k + k @ k / (1 + a @ b)


def mean_rotation(rotations: ndarray) -> ndarray:
    """The rotation nearest to the average of several matrices (Moakher 2002, projected arithmetic mean).

    Args:
        rotations: (..., n, 3, 3).

    Returns:
        (..., 3, 3).
    """
    return nearest_rotation(torch.from_numpy(rotations.mean(-3))).numpy()
