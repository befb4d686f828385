"""A few named poses to inspect a body in. They bend the joints where skinning most often fails."""

import math

import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.geometry import axis_angle_to_matrix

# Degrees about x, y and z; the rotation about z is applied first, then y, then x. From the T-pose z lowers and raises
# an arm, y swings it forward and bends the elbow, x swings a lowered arm or a leg and bends the knee.
_DEGREES: dict[str, dict[str, tuple[float, float, float]]] = {
    "t-pose": {},
    "arms down": {"left_shoulder": (0, 0, -75), "right_shoulder": (0, 0, 75)},
    "sitting": {
        "left_hip": (-90, 0, 5), "right_hip": (-90, 0, -5), "left_knee": (90, 0, 0), "right_knee": (90, 0, 0),
        "left_shoulder": (-20, 0, -70), "right_shoulder": (-20, 0, 70),
        "left_elbow": (0, -60, 0), "right_elbow": (0, 60, 0),
    },
    "running": {
        "left_hip": (-65, 0, 0), "right_hip": (25, 0, 0), "left_knee": (80, 0, 0), "right_knee": (70, 0, 0),
        "right_ankle": (15, 0, 0), "spine1": (8, 0, 0),
        "left_shoulder": (40, 0, -70), "right_shoulder": (-40, 0, 70),
        "left_elbow": (0, -90, 0), "right_elbow": (0, 90, 0),
    },
    "arms up": {
        "left_collar": (0, 0, 20), "right_collar": (0, 0, -20),
        "left_shoulder": (0, 0, 65), "right_shoulder": (0, 0, -65),
    },
    "squat": {
        "left_hip": (-110, -10, 20), "right_hip": (-110, 10, -20), "left_knee": (130, 0, 0), "right_knee": (130, 0, 0),
        "left_ankle": (-25, 0, 0), "right_ankle": (-25, 0, 0), "spine1": (20, 0, 0), "spine2": (10, 0, 0),
        "left_shoulder": (0, -80, -5), "right_shoulder": (0, 80, 5),
    },
    "twist": {
        "spine1": (0, 15, 0), "spine2": (0, 20, 0), "spine3": (0, 15, 0), "neck": (0, 15, 0), "head": (0, 20, 0),
        "left_shoulder": (0, 0, -60), "right_shoulder": (0, 50, 30), "left_elbow": (0, -40, 0),
        "right_elbow": (0, 70, 0), "left_wrist": (70, 0, 0), "right_wrist": (-70, 0, 0),
    },
}  # fmt: skip

POSE_NAMES = tuple(_DEGREES)


def named_pose(name: str) -> Tensor:
    """The rotations of a named pose, which a body takes as ``body_pose``.

    Args:
        name: One of :data:`POSE_NAMES`.

    Returns:
        (23, 3, 3) rotations of all joints but the root.

    Raises:
        KeyError: There is no such pose.

    Example:
        >>> from meshrec.body import load_body
        >>> from meshrec.poses.named_poses import named_pose
        >>> load_body("neutral")(body_pose=named_pose("sitting")[None]).joints.shape
        torch.Size([1, 24, 3])
    """
    degrees = _DEGREES[name]
    joints = joint_set("smpl24")[1:]
    turns = torch.tensor([degrees.get(joint, (0.0, 0.0, 0.0)) for joint in joints], dtype=torch.float32)
    about = axis_angle_to_matrix(torch.diag_embed(turns * math.pi / 180))
    return about[:, 0] @ about[:, 1] @ about[:, 2]
