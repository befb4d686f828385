"""Meshes, motions and parameters as files: OBJ, PLY, GLB (static, skinned, animated), BVH, JSON and NPZ, each written
atomically."""

from meshrec.export.animation import (
    ANIMATION_SUFFIXES,
    Animation,
    CameraAnimation,
    animation_arrays,
    write_animated_scene,
    write_animation,
)
from meshrec.export.bvh import write_bvh
from meshrec.export.mesh import Mesh
from meshrec.export.meshes import MESH_SUFFIXES, write_mesh
from meshrec.export.params import PARAMETER_SUFFIXES, PersonParameters, read_parameters, write_parameters
from meshrec.export.scene import write_scene
from meshrec.export.schema import load_schema
from meshrec.export.skinned import Rig, SkinnedMesh, pose_to_y_up, write_skinned
from meshrec.export.uv_template import draw_uv_template

__all__ = [
    "ANIMATION_SUFFIXES",
    "MESH_SUFFIXES",
    "PARAMETER_SUFFIXES",
    "Animation",
    "CameraAnimation",
    "Mesh",
    "PersonParameters",
    "Rig",
    "SkinnedMesh",
    "animation_arrays",
    "draw_uv_template",
    "load_schema",
    "pose_to_y_up",
    "read_parameters",
    "write_animated_scene",
    "write_animation",
    "write_bvh",
    "write_mesh",
    "write_parameters",
    "write_scene",
    "write_skinned",
]
