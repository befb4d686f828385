"""Blender add-on: import a result folder of ``meshrec reconstruct`` with its people, camera and photo.

It needs nothing but Blender 4.2 or newer. Install it under *Edit > Preferences > Add-ons > Install from Disk*; then
*File > Import > meshrec results* reads the record of a folder: ``photo.json``, ``clip.json`` or ``cameras.json``.
Without the menu, in Blender's Python: ``import_results("out/photo.jpg")``.
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.io_utils import ImportHelper

bl_info = {
    "name": "meshrec results",
    "author": "The meshrec authors",
    "version": (0, 1, 0),
    "blender": (4, 2, 0),
    "location": "File > Import > meshrec results",
    "description": "Import people, motions, cameras and photos of meshrec",
    "category": "Import-Export",
}

RECORDS = {"meshrec.photo": "photo.json", "meshrec.clip": "clip.json", "meshrec.cameras": "cameras.json"}
SCENE = "scene.glb"
SENSOR = 36.0  # millimetres; any width gives the same picture
EXIF_ORIENTATION = 0x0112


class ResultsError(Exception):
    """What is wrong with a result folder, as a sentence for the user."""


@dataclass(frozen=True)
class View:
    """A camera of the results, and what it filmed.

    Attributes:
        name: Name of the camera's object in Blender.
        source: The photo or video; None if the record names none.
        focal, center: (fx, fy) and (cx, cy), pixels of the photo; the centre of the upper left pixel is (0, 0).
        size: (W, H) pixels.
        first: Frame of the video at which the animation begins; None if its frames are not those of the animation.
    """

    name: str
    source: str | None
    focal: tuple[float, float]
    center: tuple[float, float]
    size: tuple[int, int]
    first: int | None = None


@dataclass
class Imported:
    """What an import made.

    Attributes:
        people: The meshes of the people.
        cameras: The cameras; the first one is the scene's.
        notes: What was left out, a sentence each.
    """

    people: list[bpy.types.Object] = field(default_factory=list)
    cameras: list[bpy.types.Object] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_results(folder: str | os.PathLike, photo: str | None = None, background: bool = True) -> Imported:
    """Import everyone of a result folder at their places, and set the scene up to look through the photo's camera.

    People come into a collection of the folder's name. The scene's resolution, frame rate and last frame become those
    of the photo or clip, and its renders are transparent where nobody is.

    Args:
        folder: The folder with ``scene.glb`` and the record.
        photo: The photo or video, if it is no longer where the record says.
        background: Whether the cameras show the photos behind the people.

    Raises:
        ResultsError: The folder holds no results, or nobody was found.
    """
    folder = Path(folder).absolute()
    record = _read_record(folder)
    views = _views(folder, record)
    if not (folder / SCENE).is_file():
        raise ResultsError(f"{folder} has no {SCENE}: nobody was found, or the run was stopped.")
    scene = bpy.context.scene
    if "frame_rate" in record:  # before the import, which puts poses at their times in seconds
        scene.render.fps = max(1, round(record["frame_rate"]))
        scene.render.fps_base = scene.render.fps / record["frame_rate"]
    known = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(folder / SCENE), bone_heuristic="FORTUNE")
    new = [thing for thing in bpy.data.objects if thing not in known]
    _collect(new, folder.name)

    people = _people(new)
    done = Imported([thing for thing in new if thing.name in people])
    by_name = {re.sub(r"\.\d{3}$", "", thing.name): thing for thing in new}  # a second import gets .001
    for view in views:
        camera = by_name.get(view.name)
        if camera is None or camera.type != "CAMERA":
            raise ResultsError(f"{folder / SCENE} has no camera '{view.name}'; its record belongs to another scene.")
        _set_lens(camera.data, view)
        done.cameras.append(camera)
        if background:
            note = _show_photo(camera.data, view, folder, photo if len(views) == 1 else None)
            done.notes += [note] if note else []
    scene.camera = done.cameras[0]
    _set_output(scene, views[0])
    ends = [thing.animation_data.action.frame_range[1] for thing in new if thing.animation_data is not None]
    if ends:
        scene.frame_start, scene.frame_end = 0, round(max(ends))
        scene.frame_set(0)
    return done


def _read_record(folder: Path) -> dict[str, Any]:
    path = next((folder / name for name in RECORDS.values() if (folder / name).is_file()), None)
    if path is None:
        raise ResultsError(f"{folder} holds no results: none of {', '.join(RECORDS.values())} is in it.")
    try:
        record = json.loads(path.read_bytes())
        schema, version = record["schema"], record["version"]
    except (ValueError, TypeError, KeyError):
        raise ResultsError(f"{path} is damaged: it is no record of meshrec.") from None
    if RECORDS.get(schema) != path.name:
        raise ResultsError(f"{path} is no record of meshrec: its schema is {schema}.")
    if version != 1:
        raise ResultsError(f"{path} is of version {version}, and this add-on knows 1: use the add-on of that version.")
    return record


def _views(folder: Path, record: dict[str, Any]) -> list[View]:
    """The cameras of a record, under the names that they have in ``scene.glb``."""
    try:
        if record["schema"] == "meshrec.cameras":
            return [_view_of_several(camera, record) for camera in record["cameras"]]
        if record["schema"] == "meshrec.photo":
            if not record["people"]:
                raise ResultsError(f"nobody was found in {record['photo']['path']}.")
            camera = json.loads((folder / record["people"][0]).read_bytes())["camera"]
            return [View("photo camera", record["photo"]["path"], *_intrinsics(camera))]
        if not record["tracks"]:
            raise ResultsError(f"nobody was found in {record['clip']['path']}.")
        track = json.loads((folder / record["tracks"][0]["file"]).with_suffix(".json").read_bytes())
        camera = {"focal": track["camera_focal"], "center": track["camera_center"], "size": track["camera_size"]}
        asked = record["request"].get("clip", {})
        whole = asked.get("start") is None and asked.get("fps") is None and asked.get("stride", 1) == 1
        return [View("photo camera", record["clip"]["path"], *_intrinsics(camera), 0 if whole else None)]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ResultsError(f"the results in {folder} are damaged or incomplete: {error}.") from error


def _view_of_several(camera: dict[str, Any], record: dict[str, Any]) -> View:
    if "clip" not in camera:
        return View(f"{camera['name']} camera", camera["picture"], *_intrinsics(camera))
    rate = camera["frame_rate"]
    first = round((record["begin"] - camera["offset"]) * rate) if rate == record["frame_rate"] else None
    return View(f"{camera['name']} camera", camera["clip"], *_intrinsics(camera), first)


def _intrinsics(camera: dict[str, Any]) -> tuple[tuple[float, float], tuple[float, float], tuple[int, int]]:
    (fx, fy), (cx, cy), (width, height) = camera["focal"], camera["center"], camera["size"]
    return (float(fx), float(fy)), (float(cx), float(cy)), (int(width), int(height))


def _people(objects: list[bpy.types.Object]) -> set[str]:
    """Names of the meshes of people. The importer adds hidden shapes for bones, which are in no scene."""
    shapes = {bone.custom_shape for thing in objects if thing.type == "ARMATURE" for bone in thing.pose.bones}
    return {thing.name for thing in objects if thing.type == "MESH" and thing not in shapes}


def _collect(objects: list[bpy.types.Object], name: str) -> None:
    """Move objects from the collections that the importer chose to one of their own."""
    collection = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(collection)
    shown = _people(objects)
    for thing in objects:
        if thing.type == "MESH" and thing.name not in shown:
            continue  # shapes of bones stay hidden where the importer put them
        for other in thing.users_collection:
            other.objects.unlink(thing)
        collection.objects.link(thing)


def _set_lens(lens: bpy.types.Camera, view: View) -> None:
    """Give a camera the photo's focal length and principal point, which glTF keeps in the middle."""
    (fx, fy), (cx, cy), (width, height) = view.focal, view.center, view.size
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", SENSOR
    lens.lens = fx * SENSOR / width
    lens.shift_x = ((width - 1) / 2 - cx) / width
    lens.shift_y = (
        (cy - (height - 1) / 2) * (fx / fy) / width
    )  # in widths too; fx / fy: a pixel's height over its width


def _set_output(scene: bpy.types.Scene, view: View) -> None:
    render, (fx, fy) = scene.render, view.focal
    render.resolution_x, render.resolution_y = view.size
    render.resolution_percentage = 100
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, fy / fx), max(1.0, fx / fy)
    render.film_transparent = True  # a render can be laid over the photo


def _show_photo(lens: bpy.types.Camera, view: View, folder: Path, photo: str | None) -> str | None:
    """Put the photo or video behind what a camera sees; returns what stands against it, as a sentence."""
    path = _find(view, folder, photo)
    if path is None:
        return f"{view.source} is not there any more: choose it in the sidebar of the import."
    try:
        image = bpy.data.images.load(path, check_existing=True)
    except RuntimeError:
        return f"Blender cannot read {path}, so that the camera has no background."
    if image.source == "MOVIE" and view.first is None:
        return f"{path} is not shown: the animation uses only some of its frames."
    if image.source != "MOVIE":
        image = _turned_by_exif(image, path)
    if tuple(image.size) != view.size:
        return f"{path} has {image.size[0]} x {image.size[1]} pixels, the camera {view.size[0]} x {view.size[1]}."
    behind = lens.background_images.new()
    behind.image, behind.alpha, behind.frame_method = image, 1.0, "STRETCH"
    if image.source == "MOVIE":
        user = behind.image_user
        user.frame_start, user.frame_offset, user.frame_duration = 0, view.first, image.frame_duration
        user.use_auto_refresh = True
    lens.show_background_images = True
    return None


def _find(view: View, folder: Path, photo: str | None) -> str | None:
    """The photo: the one that was chosen, where the record says, or beside the results."""
    if photo:
        return photo if os.path.isfile(photo) else None
    if view.source is None:
        return None
    name = os.path.basename(view.source)
    places = [view.source, folder / name, folder.parent / name]
    return next((str(place) for place in places if os.path.isfile(place)), None)


def _turned_by_exif(image: bpy.types.Image, path: str) -> bpy.types.Image:
    """The photo as it is meant to be seen, of which meshrec's results are. Blender shows it as the sensor lay."""
    orientation = _orientation(path)
    if orientation == 1:
        return image
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    rows = flat.reshape(height, width, 4)[::-1]  # Blender's first row is the lowest
    rows = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: np.rot90,
    }[orientation](rows)
    turned = bpy.data.images.new(f"{image.name} upright", rows.shape[1], rows.shape[0])
    turned.colorspace_settings.name = image.colorspace_settings.name
    turned.pixels.foreach_set(np.ascontiguousarray(rows[::-1]).ravel())
    turned.pack()
    return turned


def _orientation(path: str) -> int:
    """The orientation in a JPEG's EXIF data, 1 to 8; 1 where there is none (EXIF 2.3, section 4.6.4)."""
    with open(path, "rb") as file:
        data = file.read(1 << 18)
    if data[:2] != b"\xff\xd8":
        return 1
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _orientation_of_tiff(data[at + 10 : at + 2 + size])
        if data[at + 1] == 0xDA:  # the picture itself
            break
        at += 2 + size
    return 1


def _orientation_of_tiff(tiff: bytes) -> int:
    order = "little" if tiff[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    start = number(4, 4)
    for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(tiff) - 11), 12):
        if number(entry, 2) == EXIF_ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


class ImportMeshrecResults(bpy.types.Operator, ImportHelper):
    """Import people, motions, camera and photo from a result folder of meshrec"""

    bl_idname = "import_scene.meshrec"
    bl_label = "Import meshrec results"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default=";".join(RECORDS.values()), options={"HIDDEN"})
    background: bpy.props.BoolProperty(
        name="Photo as background", description="Show the photo or video behind the people", default=True
    )
    photo: bpy.props.StringProperty(
        name="Photo", description="The photo or video, if it is no longer where it was", subtype="FILE_PATH"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(self.filepath)
        try:
            done = import_results(path if path.is_dir() else path.parent, self.photo or None, self.background)
        except ResultsError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in done.notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, f"{len(done.people)} people, {len(done.cameras)} cameras")
        return {"FINISHED"}


def _menu_entry(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.operator(ImportMeshrecResults.bl_idname, text="meshrec results (.json)")


def register() -> None:
    bpy.utils.register_class(ImportMeshrecResults)
    bpy.types.TOPBAR_MT_file_import.append(_menu_entry)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_menu_entry)
    bpy.utils.unregister_class(ImportMeshrecResults)


if __name__ == "__main__":
    register()
