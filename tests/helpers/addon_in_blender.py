"""Imports result folders with the add-on in Blender, for a Python that has ``bpy``:
``python addon_in_blender.py ADDON FOLDER``.

The folder holds ``jobs.json``, a list of ``{"record", "frames", "points", "photo", "render"}``. What Blender shows goes
to ``<number>.npz`` and ``<number>.json``: the vertices (F, V, 3) of each mesh by its name and the places (F, N, 2) in
pixels where the scene's camera shows the points (N, 3), both at each frame, and the settings of the scene. A job of a
``render`` draws the first frame into that file, over the camera's background.
"""

import importlib.util
import json
import sys
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector


def vertices(thing: "bpy.types.Object") -> np.ndarray:
    evaluated = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    flat = np.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", flat)
    world = np.array(evaluated.matrix_world)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def pixels(points: list) -> np.ndarray:
    scene = bpy.context.scene
    seen = np.array([world_to_camera_view(scene, scene.camera, Vector(point))[:2] for point in points])
    size = np.array([scene.render.resolution_x, scene.render.resolution_y])
    return seen * [1, -1] * size + [0, size[1]] - 0.5


def picture_of(image: "bpy.types.Image") -> np.ndarray:
    """An image as (H, W, 4) of 0 to 1, its first row at the top."""
    flat = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(flat)
    return flat.reshape(image.size[1], image.size[0], 4)[::-1]


def render(path: Path) -> None:
    """Draw the people over the background of the scene's camera."""
    scene = bpy.context.scene
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.9, 0.2, 0.3)
    scene.collection.objects.link(sun)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_percentage = 50
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    drawn = bpy.data.images.load(str(path))
    people = picture_of(drawn)
    photo = picture_of(scene.camera.data.background_images[0].image)[::2, ::2][: people.shape[0], : people.shape[1]]
    alpha = people[..., 3:]
    both = np.concatenate([people[..., :3] * alpha + photo[..., :3] * (1 - alpha), np.ones_like(alpha)], axis=2)
    drawn.pixels.foreach_set(np.ascontiguousarray(both[::-1], np.float32).ravel())
    drawn.save()


def read(job: dict) -> tuple[dict[str, np.ndarray], dict]:
    scene = bpy.context.scene
    before = set(bpy.data.objects)
    try:
        bpy.ops.import_scene.meshrec(filepath=job["record"], photo=job.get("photo", ""))
    except RuntimeError as error:
        return {}, {"error": str(error)}
    meshes = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing not in before]
    arrays: dict[str, list] = {thing.name: [] for thing in meshes} | {"pixels": []}
    for frame in job["frames"]:
        scene.frame_set(frame)
        for thing in meshes:
            arrays[thing.name].append(vertices(thing))
        arrays["pixels"].append(pixels(job["points"]))
    behind = scene.camera.data.background_images
    told = {
        "camera": scene.camera.name,
        "size": [scene.render.resolution_x, scene.render.resolution_y],
        "aspect": [scene.render.pixel_aspect_x, scene.render.pixel_aspect_y],
        "rate": scene.render.fps / scene.render.fps_base,
        "last": scene.frame_end,
        "background": [[view.image.source, *view.image.size, view.image_user.frame_offset] for view in behind],
        "corner": picture_of(behind[0].image)[0, 0].tolist() if behind and behind[0].image.source != "MOVIE" else None,
        "collections": [collection.name for collection in scene.collection.children],
    }
    if "render" in job:
        scene.frame_set(job["frames"][0])
        render(Path(job["render"]))
    return {name: np.stack(found) for name, found in arrays.items()}, told


if __name__ == "__main__":
    file, folder = sys.argv[1], Path(sys.argv[2])
    spec = importlib.util.spec_from_file_location("meshrec_blender", file)
    addon = importlib.util.module_from_spec(spec)
    sys.modules["meshrec_blender"] = addon
    spec.loader.exec_module(addon)
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        addon.register()
        arrays, told = read(job)
        np.savez(folder / f"{number}.npz", **arrays)
        (folder / f"{number}.json").write_text(json.dumps(told))
        addon.unregister()
