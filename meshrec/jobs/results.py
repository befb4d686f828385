"""The files of one photo: everyone's mesh and parameters, a picture to judge them by, and a scene with all of them.

==========================  =======================================================================================
file                        holds
==========================  =======================================================================================
person_0.obj, .glb, .ply    a mesh for each person and asked format, y up
person_0.json               their parameters; :mod:`meshrec.export.params` documents it
scene.glb                   everyone where they stand, and the photo's camera
overlay.png                 the photo, the meshes on it, and each from the side
photo.json                  the record: which photo, what was asked for, who was found. It is written last, so a photo
                            without it is unfinished
==========================  =======================================================================================
"""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files import Photo
from meshrec.files.atomic import write_file
from meshrec.reconstruct.person import Person

RECORD, OVERLAY, SCENE = "photo.json", "overlay.png", "scene.glb"
SCHEMA, VERSION = "meshrec.photo", 1
OWN_FILES = re.compile(r"person_\d+\.(obj|glb|ply|json)|overlay\.png|scene\.glb|photo\.json|\.[0-9a-f]{16}\.part")
OVERLAY_SIZE = 1024, 512  # pixels; with one person the photo is drawn as large as fits in here, whatever its own size
SIDE_ASPECT = 0.75  # width over height of the view from the side, of one person
PNG_COMPRESSION = 1  # of 9: photos hardly get smaller by the slower ones


def write_results(
    folder: Path,
    photo: Photo,
    people: Sequence[Person],
    formats: Sequence[str] = ("obj", "glb"),
    skinned: bool = False,
    request: Mapping[str, object] | None = None,
) -> None:
    """Write all results of a photo. Earlier results in the folder go; other files in it stay.

    Args:
        folder: For this photo alone; made if missing.
        photo: The photo.
        people: Who was found in it, perhaps nobody.
        formats: Of obj, glb, ply.
        skinned: Give the people's ``.glb`` a skeleton.
        request: What :func:`finished` is to compare: the settings that the results depend on.

    Raises:
        InputError: The folder cannot be written to.
    """
    from meshrec.render.overlay import encode_png, person_colors

    _remove_results(folder)
    colors = [tuple(color) for color in person_colors(len(people)).tolist()]
    names = [f"person_{i}" for i in range(len(people))]
    with ThreadPoolExecutor(1) as pool:  # the picture takes as long as the rest, and other parts of the machine
        if people:
            drawn = pool.submit(lambda: encode_png(draw_overlay(photo.image, people), PNG_COMPRESSION))
        for person, name, color in zip(people, names, colors):
            for suffix in (*formats, "json"):
                person.save(folder / f"{name}.{suffix}", skinned=skinned, name=name, color=color)
        if people:
            from meshrec.export import write_scene

            meshes = [person.mesh(name, color) for person, name, color in zip(people, names, colors)]
            write_scene(folder / SCENE, meshes, people[0].camera)
            write_file(folder / OVERLAY, drawn.result())
    record = {
        "schema": SCHEMA,
        "version": VERSION,
        "photo": _fingerprint(photo.path),
        "request": request or {},
        "notes": photo.notes,
        "people": [f"{name}.json" for name in names],
    }
    write_file(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def finished(folder: Path, photo: Path, request: Mapping[str, object]) -> int | None:
    """How many people were found, if the folder holds the results of this photo, as it is now, for this request.

    Raises:
        InputError: The folder belongs to another photo.
    """
    try:
        record = json.loads((folder / RECORD).read_bytes())
        before, people = record["photo"], len(record["people"])
        same_request = record["request"] == json.loads(json.dumps(request))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or no record of ours: the photo is done anew
    now = _fingerprint(photo)
    if any(before.get(key) != now[key] for key in ("bytes", "modified")):
        if before.get("path") != now["path"]:
            raise InputError(
                f"{photo}: {folder} holds the results of {before.get('path')}; name another --out, or use --force."
            )
        return None
    return people if same_request else None


def draw_overlay(image: np.ndarray, people: Sequence[Person]) -> np.ndarray:
    """The photo, the meshes on it, and each from the side, in a row.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: At least one, with cameras.

    Returns:
        (H', W', 3) uint8 RGB, of a size to look at, whatever the photo's; larger where there are more people.
    """
    import cv2

    from meshrec.render.overlay import contact_sheet, overlay

    height, width = image.shape[:2]
    scale = min(math.sqrt(len(people)), 2) * min(OVERLAY_SIZE[0] / width, OVERLAY_SIZE[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    vertices, faces, camera = [person.vertices for person in people], people[0].faces, people[0].camera
    if camera is None:
        raise ValueError("people without a camera cannot be drawn on their photo")
    drawn = overlay(small, vertices, faces, camera.resized(size))
    return contact_sheet([small, drawn, _from_the_side(people, size[1])], columns=3, height=size[1])


def _from_the_side(people: Sequence[Person], height: int) -> np.ndarray:
    """Each person alone, in the photo's order from left to right: together, distant ones would make all tiny."""
    from meshrec.render.overlay import contact_sheet, person_colors, turned

    columns = math.ceil(math.sqrt(len(people)))
    cell = height // math.ceil(len(people) / columns)
    colors = person_colors(len(people))
    order = np.argsort([person.translation[0] / person.translation[2] for person in people])
    size = round(cell * SIDE_ASPECT), cell
    cells = [turned([people[i].vertices], people[i].faces, "side", size, colors[i : i + 1]) for i in order]
    return contact_sheet(cells, columns, height=cell, gap=0)


def _remove_results(folder: Path) -> None:
    """The record first: from then on the photo counts as unfinished."""
    if not os.path.isdir(folder):
        return
    try:
        (folder / RECORD).unlink(missing_ok=True)
        for path in folder.iterdir():
            if OWN_FILES.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise InputError(f"cannot replace the results in {folder}: {error.strerror or error}.") from error


def _fingerprint(photo: Path) -> dict[str, object]:
    """Tells a photo from another, and from itself before it was edited."""
    try:
        status = photo.stat()
    except OSError as error:
        raise InputError(f"{photo}: {error.strerror or error}.") from error
    return {"path": str(photo.resolve()), "bytes": status.st_size, "modified": status.st_mtime_ns}
