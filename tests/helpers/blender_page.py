"""The steps of docs/blender.md, for a Python that has ``bpy``: ``python blender_page.py FOLDER``.

The folder holds the results of a photo with ``--skinned --format obj,ply,glb``, and ``walk.bvh``. What Blender shows
goes to ``shown.npz``; ``walk.bvh`` comes back as ``edited.bvh``.
"""

import sys
from pathlib import Path

import bpy
import numpy as np


def new_file() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


def only(kind: str) -> "bpy.types.Object":
    (thing,) = [thing for thing in bpy.context.scene.objects if thing.type == kind]
    return thing


def vertices() -> np.ndarray:
    evaluated = only("MESH").evaluated_get(bpy.context.evaluated_depsgraph_get())
    flat = np.empty(3 * len(evaluated.data.vertices))
    evaluated.data.vertices.foreach_get("co", flat)
    world = np.array(evaluated.matrix_world)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def pose_a_person(folder: Path, shown: dict) -> None:
    new_file()
    bpy.ops.import_scene.gltf(filepath=str(folder / "person_0.glb"), bone_heuristic="FORTUNE")
    armature = only("ARMATURE")
    shown["glb"], shown["bones"] = vertices(), np.array([bone.name for bone in armature.pose.bones])
    for bone in armature.pose.bones:  # what Alt R does
        bone.rotation_quaternion = 1, 0, 0, 0
    bpy.context.view_layer.update()
    shown["straight"] = vertices()
    for bone in armature.pose.bones:  # what Alt G does
        bone.location = 0, 0, 0
    bpy.context.view_layer.update()
    shown["pelvis"] = np.array(armature.matrix_world @ armature.pose.bones["pelvis"].head)


def look_through_the_camera(folder: Path, shown: dict) -> None:
    new_file()
    bpy.ops.import_scene.gltf(filepath=str(folder / "scene.glb"))
    shown["camera"] = np.array(bpy.data.objects["photo camera"].matrix_world)


def other_formats(folder: Path, shown: dict) -> None:
    new_file()
    bpy.ops.wm.obj_import(filepath=str(folder / "person_0.obj"))
    shown["obj"] = vertices()
    new_file()
    bpy.ops.wm.ply_import(filepath=str(folder / "person_0.ply"), forward_axis="NEGATIVE_Z", up_axis="Y")
    shown["ply"] = vertices()


def bring_a_motion_back(folder: Path) -> None:
    new_file()
    bpy.ops.import_anim.bvh(
        filepath=str(folder / "walk.bvh"), global_scale=0.01, axis_forward="-Z", axis_up="Y", update_scene_fps=True
    )
    armature = only("ARMATURE")
    bpy.context.view_layer.objects.active = armature
    armature.select_set(True)
    bpy.ops.export_anim.bvh(filepath=str(folder / "edited.bvh"), frame_start=1, frame_end=bpy.context.scene.frame_end)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shown: dict[str, np.ndarray] = {}
    pose_a_person(folder, shown)
    look_through_the_camera(folder, shown)
    other_formats(folder, shown)
    bring_a_motion_back(folder)
    np.savez(folder / "shown.npz", **shown)
