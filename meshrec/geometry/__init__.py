"""Rotations, cameras, spaces and alignment: small pure functions over tensors."""

from meshrec.geometry.alignment import Similarity, nearest_rotation, procrustes
from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera
from meshrec.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    quaternion_to_matrix,
    random_rotations,
    rotation_6d_to_matrix,
    rotation_angle,
)
from meshrec.geometry.spaces import CAMERA_TO_Y_UP, Placement, camera_to_y_up
from meshrec.geometry.world_motion import camera_space_motion, world_motion

__all__ = [
    "CAMERA_TO_Y_UP",
    "Camera",
    "Placement",
    "Similarity",
    "WeakPerspectiveCamera",
    "axis_angle_to_matrix",
    "camera_space_motion",
    "camera_to_y_up",
    "matrix_to_axis_angle",
    "matrix_to_quaternion",
    "matrix_to_rotation_6d",
    "nearest_rotation",
    "procrustes",
    "quaternion_to_matrix",
    "random_rotations",
    "rotation_6d_to_matrix",
    "rotation_angle",
    "world_motion",
]
