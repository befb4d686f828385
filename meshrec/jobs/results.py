"""The result files of one photo: meshes and parameters of the people, an overlay, and a scene with all of them.

==========================  =======================================================================================
file                        content
==========================  =======================================================================================
person_0.obj, .glb, .ply    the mesh of each person in each requested format, y up; with a ground, on the floor at 0
person_0_texture.png        with textures: the photo on the person's skin, which the meshes show; person_0.mtl names it
person_0.json               the person's parameters, as :mod:`meshrec.export.params` documents them
scene.glb                   all people at their positions, and the photo's camera
overlay.png                 the photo, the meshes on it, and each mesh from the side
thumbnail.jpg               a small overlay for the picture page (:mod:`meshrec.jobs.picture_page`)
photo.json                  the record: photo, request, people, and sizes of the other files. It is written last;
                            a photo without it, or without one of these files, is unfinished
==========================  =======================================================================================

The record tells the photo by its path, which may be no text: bytes of it that are no UTF-8 are written as the lone
surrogates U+DC80 to U+DCFF (PEP 383), in JSON ``"\\udcff"``. ``os.fsencode`` makes the path's bytes of it again.
:func:`meshrec.export.load_schema` describes both JSON files for programs.
"""

import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.export import Mesh, SkinnedMesh, write_mesh, write_scene
from meshrec.files import Photo
from meshrec.files.atomic import write_file
from meshrec.files.fingerprint import Fingerprint, is_unchanged
from meshrec.files.photos import MOST_BYTES
from meshrec.jobs.records import Kind, remove_results, write_record
from meshrec.jobs.thumbnails import write_thumbnail
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.photo_textures import photo_texture

RECORD, OVERLAY, SCENE = "photo.json", "overlay.png", "scene.glb"
OWN_FILES = re.compile(
    r"person_\d+(\.(obj|mtl|glb|ply|json)|_texture\.png)|overlay\.png|thumbnail\.jpg|scene\.glb|photo\.json"
    r"|\.[0-9a-f]{16}\.part"
)
OVERLAY_SIZE = 1024, 512  # pixels into which a photo of one person is scaled, whatever its own size
SIDE_ASPECT = 0.75  # width over height of one person's view from the side
PNG_COMPRESSION = 1  # of 9; photos hardly become smaller with the slower levels


def _result_files(record: Mapping[str, Any]) -> set[str]:
    """Names of all result files of a photo but the record."""
    count = len(record["people"])
    if record["people"] != [f"person_{i}.json" for i in range(count)]:
        raise ValueError("people are numbered")
    formats, textured = record["request"]["formats"], record["request"].get("texture", False)
    own = {f"person_{i}.{suffix}" for i in range(count) for suffix in (*formats, "json")}
    if textured:
        own |= {f"person_{i}_texture.png" for i in range(count)}
        own |= {f"person_{i}.mtl" for i in range(count) if "obj" in formats}
    return own | {SCENE, OVERLAY} if count else own


def _unchanged(photo: Path, file: Fingerprint) -> bool:
    return is_unchanged(photo, file, MOST_BYTES)


PHOTO = Kind(RECORD, "meshrec.photo", 1, "photo", "people", _result_files, OWN_FILES, _unchanged)


def write_results(
    folder: Path,
    photo: Photo,
    people: Sequence[Person],
    formats: Sequence[str] = ("obj", "glb"),
    skinned: bool = False,
    request: Mapping[str, object] | None = None,
    ground: Ground | None = None,
    texture: bool = False,
) -> None:
    """Write all results of a photo from a file. Earlier results in the folder are deleted; other files in it stay.

    Args:
        folder: The folder for this photo alone; it is made if it is missing.
        photo: The photo.
        people: The people found in it; there may be none.
        formats: Formats of the meshes, of obj, glb and ply.
        skinned: Whether each person's ``.glb`` gets a skeleton, and everyone in the scene.
        request: The settings on which the results depend, for :func:`finished`.
        ground: The floor on which the meshes stand. Default: they keep the camera's axes, with y up.
        texture: Whether the meshes get textures made of the photo, of bodies that have texture coordinates.

    Raises:
        InputError: The folder cannot be written to.
        ValueError: The photo was not read from a file.
    """
    from meshrec.render.overlay import person_colors

    file = photo.fingerprint
    if file is None:
        raise ValueError("results are written of photos that were read from files")
    remove_results(folder, PHOTO)
    colors = [tuple(color) for color in person_colors(len(people)).tolist()]
    names = [f"person_{i}" for i in range(len(people))]
    places = [None] * len(people) if ground is None else ground.placements
    with ThreadPoolExecutor(1) as pool:  # drawing takes as long as the rest, and runs beside it
        if people:
            drawn = pool.submit(_drawn, photo.image, people)
        meshes: list[Mesh | SkinnedMesh] = []
        for person, name, color, place in zip(people, names, colors, places):
            png = photo_texture(photo.image, person, people).png() if texture else None
            if png is not None:
                write_file(folder / f"{name}_texture.png", png)
            mesh = person.mesh(name, color, place, png)  # one for all files, which share its normals and texture seams
            for suffix in formats:
                if skinned and suffix == "glb":
                    path = folder / f"{name}.glb"
                    person.save(path, skinned=True, name=name, color=color, placement=place, texture=png)
                else:
                    write_mesh(folder / f"{name}.{suffix}", mesh)
            person.to_json(folder / f"{name}.json")
            meshes.append(person.skinned(name, color, place, png) if skinned else mesh)
        if people:
            write_scene(folder / SCENE, meshes, people[0].camera, None if ground is None else ground.camera)
            picture, encoded = drawn.result()
            write_file(folder / OVERLAY, encoded)
            write_thumbnail(folder / OVERLAY, picture)
    content = {
        "request": {"formats": sorted(formats)} | ({"texture": True} if texture else {})
        if request is None
        else request,
        "notes": photo.notes,
        "people": [f"{name}.json" for name in names],
        "gravity": _gravity(people),
        "ground": None if ground is None else _ground(ground),
    }
    write_record(folder, PHOTO, Path(photo.path), file, content)


def _gravity(people: Sequence[Person]) -> dict[str, object] | None:
    """The direction of gravity in a photo, for its record; None if nobody tells it."""
    if not people or people[0].gravity is None or people[0].gravity_deviation is None:
        return None
    return {"direction": rounded(people[0].gravity), "deviation": rounded(people[0].gravity_deviation)}


def _ground(ground: Ground) -> dict[str, object]:
    """The floor, for a photo's record."""
    return {
        "rotation": [rounded(row) for row in ground.rotation],
        "height": round(ground.height, 4),
        "deviation": round(ground.deviation, 4),
        "on_floor": ground.standing.tolist(),
        "lifts": rounded(ground.lifts),
    }


def rounded(values: np.ndarray) -> list[float]:
    """Numbers (N,) for a record. Six digits are a hundredth of a millimetre at ten metres."""
    return np.asarray(values, np.float64).round(6).tolist()


def _drawn(image: np.ndarray, people: Sequence[Person]) -> tuple[np.ndarray, bytes]:
    """The overlay, and its file's content."""
    from meshrec.render.overlay import encode_png

    picture = draw_overlay(image, people)
    return picture, encode_png(picture, PNG_COMPRESSION)


def draw_overlay(image: np.ndarray, people: Sequence[Person], upright: Sequence[Person] | None = None) -> np.ndarray:
    """Draw the photo, the meshes on it, and each mesh from the side, in a row.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: At least one person, all with cameras.
        upright: The same people in the space in which they are shown from the side. Default: as the camera sees them.

    Returns:
        (H', W', 3) uint8 RGB. The size depends on the number of people, not on the size of the photo.

    Raises:
        ValueError: A person has no camera.
    """
    from meshrec.render.overlay import contact_sheet, overlay
    from meshrec.render.resizing import resized

    height, width = image.shape[:2]
    scale = min(math.sqrt(len(people)), 2) * min(OVERLAY_SIZE[0] / width, OVERLAY_SIZE[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = resized(image, size)
    vertices, faces, camera = [person.vertices for person in people], people[0].faces, people[0].camera
    if camera is None:
        raise ValueError("people without a camera cannot be drawn on their photo")
    drawn = overlay(small, vertices, faces, camera.resized(size))
    return contact_sheet(
        [small, drawn, _from_the_side(people if upright is None else upright, size[1])], columns=3, height=size[1]
    )


def _from_the_side(people: Sequence[Person], height: int) -> np.ndarray:
    """Each person in a picture of their own, from left to right as in the photo: distances would make all tiny."""
    from meshrec.render.overlay import contact_sheet, person_colors, turned

    columns = math.ceil(math.sqrt(len(people)))
    cell = height // math.ceil(len(people) / columns)
    colors = person_colors(len(people))
    order = np.argsort([person.translation[0] / person.translation[2] for person in people])
    size = round(cell * SIDE_ASPECT), cell
    cells = [turned([people[i].vertices], people[i].faces, "side", size, colors[i : i + 1]) for i in order]
    return contact_sheet(cells, columns, height=cell, gap=0)
