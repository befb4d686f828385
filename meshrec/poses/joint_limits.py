"""Soft limits of joint rotations for a fit.

Limits are boxes in the axis-angle vector of each joint from SMPL's T-pose, in degrees about the x, y and z axes of the
body at rest. Their sources:

- Hinges: healthy adults (Boone & Azen 1979, "Normal range of motion of joints in male subjects": elbow and knee bend
  by 143, forearms rotate by 76 and 82, half of it at SMPL's elbow), with the slack of passive movement (Soucie et al.
  2011, "Range of motion measurements").
- Trunk, neck, hips and shoulders: the shipped motion capture, widened where people sit, kneel or stretch further than
  its actors.
- Collars, which do not move in that motion capture: Ludewig et al. 2009, "Motion of the shoulder complex during
  multiplanar humeral elevation".
"""

from functools import cache

import torch
from torch import Tensor

from meshrec.body.joints import BODY_JOINTS, mirror_name
from meshrec.geometry.rotations import matrix_to_axis_angle
from meshrec.geometry.tangent import right_jacobian_inverse

# Lowest and highest x, y and z of left and central joints. Hips bend towards -x and knees towards x; the left elbow
# bends towards -y and the left arm sinks towards -z.
LIMITS_DEGREES = {
    "left_hip": ((-150, 45), (-65, 65), (-45, 80)),
    "left_knee": ((-10, 155), (-20, 20), (-15, 15)),
    "left_ankle": ((-45, 60), (-45, 45), (-30, 30)),
    "left_foot": ((-65, 60), (-10, 10), (-10, 10)),
    "spine1": ((-40, 65), (-40, 40), (-35, 35)),
    "spine2": ((-25, 35), (-25, 25), (-20, 20)),
    "spine3": ((-20, 30), (-25, 25), (-20, 20)),
    "neck": ((-40, 40), (-45, 45), (-30, 30)),
    "head": ((-40, 40), (-45, 45), (-30, 30)),
    "left_collar": ((-30, 30), (-25, 30), (-15, 35)),
    "left_shoulder": ((-120, 90), (-130, 75), (-115, 100)),
    "left_elbow": ((-60, 55), (-155, 5), (-50, 50)),
    "left_wrist": ((-60, 60), (-65, 55), (-75, 75)),
    "left_hand": ((-20, 20), (-30, 30), (-90, 30)),
}


@cache
def joint_limits() -> tuple[Tensor, Tensor]:
    """Lowest and highest axis-angle coordinates of every joint: two tensors (23, 3), radians."""
    limits = torch.empty(len(BODY_JOINTS), 3, 2)
    for joint, name in enumerate(BODY_JOINTS):
        if name in LIMITS_DEGREES:
            limits[joint] = torch.tensor(LIMITS_DEGREES[name], dtype=torch.float32)
        else:  # mirroring reverses rotations about y and z, so that the lowest becomes the negative of the highest
            limits[joint] = torch.tensor(LIMITS_DEGREES[mirror_name(name)], dtype=torch.float32)
            limits[joint, 1:] = -limits[joint, 1:].flip(-1)
    lowest, highest = limits.deg2rad().unbind(-1)
    return lowest, highest


@cache
def double_limits() -> tuple[Tensor, Tensor]:
    """:func:`joint_limits` as float64."""
    lowest, highest = joint_limits()
    return lowest.double(), highest.double()


def joint_limit_residuals(body_pose: Tensor) -> tuple[Tensor, Tensor]:
    """The signed distance of each axis-angle coordinate beyond its limit; zero within the limits.

    Args:
        body_pose: (B, 23, 3, 3) rotations of all joints but the root.

    Returns:
        The distances (B, 23, 3) in radians, and their derivatives (B, 23, 3, 3) with respect to a small rotation of the
        joint in its own frame.
    """
    axis_angle = matrix_to_axis_angle(body_pose)
    lowest, highest = (limit.to(axis_angle) for limit in joint_limits())
    beyond = axis_angle - axis_angle.clamp(lowest, highest)
    return beyond, right_jacobian_inverse(axis_angle) * (beyond != 0)[..., None]
