"""Reads animations in Blender, for a Python that has ``bpy``: ``python in_blender.py FOLDER``.

The folder holds ``files.json``, a list of ``{"file", "frames", "rate", "scale"}``. What Blender shows of a file goes to
``<file>.npz``: of a GLB the vertices (F, V, 3) of each mesh under its name, of a BVH the heads ``bones`` (F, J, 3) of
the bones ``names``, in Blender's axes: z up.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy as np


def at(time: float) -> None:
    """Go to a time, in frames."""
    whole = int(np.floor(time + 1e-6))
    bpy.context.scene.frame_set(whole, subframe=max(0.0, time - whole))


def vertices(thing: "bpy.types.Object") -> np.ndarray:
    evaluated = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    flat = np.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", flat)
    world = np.array(evaluated.matrix_world)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def heads(armature: "bpy.types.Object") -> np.ndarray:
    return np.array([list(armature.matrix_world @ bone.head) for bone in armature.pose.bones])


def read(folder: Path, file: str, frames: list[int], rate: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = rate
    path = str(folder / file)
    if file.endswith(".bvh"):
        bpy.ops.import_anim.bvh(filepath=path, global_scale=scale)
        (armature,) = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
        found = []
        for frame in frames:
            at(1 + frame)
            found.append(heads(armature))
        return {"bones": np.stack(found), "names": np.array([bone.name for bone in armature.pose.bones])}
    bpy.ops.import_scene.gltf(filepath=path)
    meshes = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing.parent is not None]
    assert len({thing.parent for thing in meshes}) == len(meshes)  # each person has an armature
    result: dict[str, list] = {thing.name: [] for thing in meshes}
    for frame in frames:
        at(frame)
        for thing in meshes:
            result[thing.name].append(vertices(thing))
    ends = [action.frame_range[1] for action in bpy.data.actions]
    return {name: np.stack(found) for name, found in result.items()} | {"last": np.array(ends)}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for job in json.loads((folder / "files.json").read_text()):
        np.savez(folder / f"{job['file']}.npz", **read(folder, **job))
