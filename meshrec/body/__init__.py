"""The parametric body: files, the differentiable layer, joint sets, mesh topology."""

from meshrec.body.files import BodyData, read_body, write_body
from meshrec.body.joints import (
    JOINT_SETS,
    LIMB_JOINTS,
    NUM_JOINTS,
    POSE_SIZE,
    convert_joints,
    flip_permutation,
    joint_index,
    joint_set,
)
from meshrec.body.library import NUM_BETAS, find_body, load_body
from meshrec.body.model import BodyModel, BodyOutput

__all__ = [
    "JOINT_SETS",
    "LIMB_JOINTS",
    "NUM_BETAS",
    "NUM_JOINTS",
    "POSE_SIZE",
    "BodyData",
    "BodyModel",
    "BodyOutput",
    "convert_joints",
    "find_body",
    "flip_permutation",
    "joint_index",
    "joint_set",
    "load_body",
    "read_body",
    "write_body",
]
