"""Pictures of one instant by several calibrated cameras: the people in all of them, in the calibration's world.

==========================  =======================================================================================
file                        content
==========================  =======================================================================================
person_0.obj, .glb, .ply    the mesh of each person, y up, metres; with a ground, on the floor at 0
person_0.json               the person's parameters, as :mod:`meshrec.export.params` documents them; their space is that
                            of a level camera at the world's origin
scene.glb                   everybody, and all cameras
overlay_cam1.png            for each camera its picture without lens distortion, the meshes on it, and from the side
calibration.toml            cameras that were found, without a calibration, in Pose2Sim's layout
cameras.json                the record: pictures, cameras, people, axes. It is written last
==========================  =======================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.detect import Detection
from meshrec.detect.inputs import names_of_photos, of_name, read_keypoints
from meshrec.errors import InputError
from meshrec.export import write_scene
from meshrec.files.atomic import require_writable, write_file
from meshrec.fit.bundle import CameraDeviations
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, Placement
from meshrec.geometry.calibrated_cameras import Calibration
from meshrec.geometry.calibration_files import read_calibration, write_calibration
from meshrec.jobs.camera_keypoints import keypoint_parts
from meshrec.jobs.camera_records import CAMERAS, RECORD, SCENE, SCHEMA, VERSION, file_name, names_in
from meshrec.jobs.records import remove_results
from meshrec.jobs.results import PNG_COMPRESSION, draw_overlay, rounded
from meshrec.jobs.settings import Settings
from meshrec.reconstruct.cameras import (
    SeenPerson,
    Views,
    detections_of,
    found_in_views,
    mirrored_notes,
    people_in_views,
    views_of,
)
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.uncalibrated import FoundCalibration, people_and_cameras

AXES = "meshes: x right, y up; parameters: a level camera's at the world's origin, x right, y down, z forward"
CALIBRATION = "calibration.toml"
AUTO = "auto"
"""In place of a calibration: there is none, and the cameras are found from the people."""


def files_of_cameras(files: Sequence[Path], calibration: Calibration) -> dict[str, Path]:
    """Which file is of which camera: by the cameras' names in the files' names, or else by their order.

    Args:
        files: A photo or clip of each camera.
        calibration: The cameras.

    Returns:
        The files by name of the camera, in the files' order.

    Raises:
        InputError: Two files belong to one camera, or neither names nor order tell whose they are.
    """
    named = [names_in(file, list(calibration.cameras)) for file in files]
    if all(named):
        chosen = [name for name in named if name is not None]
    elif len(files) == len(calibration.cameras):
        chosen = list(calibration.cameras)
    else:
        raise InputError(
            f"{len(files)} files for the {len(calibration.cameras)} cameras of the calibration: name the files after "
            f"their cameras ({', '.join(calibration.cameras)}), or give one for each in the calibration's order."
        )
    for name in set(chosen):
        if chosen.count(name) > 1:
            twice = [str(file) for file, own in zip(files, chosen) if own == name]
            raise InputError(f"{' and '.join(twice)} are both of camera {name}; give one file a camera.")
    return dict(zip(chosen, files))


def refuse_sizes(settings: Settings) -> None:
    """Refuse settings that a calibration makes needless.

    Raises:
        InputError: There are such settings.
    """
    for name in ("height", "boxes", "focal", "focal_network"):
        if getattr(settings, name) is not None:
            name = name.partition("_")[0]  # both are given by one option
            raise InputError(f"--{name} has no meaning with --cameras, whose calibration tells sizes; leave it out.")


def reconstruct_instant(
    files: Sequence[Path],
    calibration: Path | str,
    out: Path,
    settings: Settings,
    reconstructor: Reconstructor,
    unit: str | None = None,
) -> int:
    """Reconstruct the people in pictures of one instant, and write the files that this module lists.

    Args:
        files: A photo of each camera.
        calibration: The calibration's file, or "auto": the cameras are found from the people.
        out: The folder for the results.
        settings: Settings of the run.
        reconstructor: The reconstructor of these settings.
        unit: Unit of the calibration's lengths: m, cm or mm. Default: what the file says, or its format's.

    Returns:
        The number of people.

    Raises:
        InputError: A file cannot be read, a setting has no meaning here, the pictures do not fit the calibration, or
            the folder cannot be written to.
    """
    if str(calibration) == AUTO:
        return _without_calibration(files, out, settings, reconstructor, unit)
    refuse_sizes(settings)
    cameras = read_calibration(calibration, unit)
    pictures = files_of_cameras(files, cameras)
    require_writable(out / RECORD)
    views = views_of(pictures, cameras)
    if settings.keypoints is None:
        own = found_in_views(reconstructor, views)
    else:
        own = detections_of(_keypoints(pictures, settings), views, cameras)
    people = people_in_views(reconstructor, views, own)
    mirrored = mirrored_notes(views.names, [[own[name] for name in views.names]], views.cameras)
    views = replace(views, notes=(*views.notes, *mirrored))
    write_instant(out, pictures, views, people, settings)
    return len(people)


def _without_calibration(
    files: Sequence[Path], out: Path, settings: Settings, reconstructor: Reconstructor, unit: str | None
) -> int:
    """What :func:`reconstruct_instant` does where the cameras are not known. They have the files' names."""
    pictures = files_without_calibration(files, settings, unit)
    require_writable(out / RECORD)
    own = None if settings.keypoints is None else _keypoints(pictures, settings)
    height = None if settings.height is None else settings.height[0]
    people, views, found = people_and_cameras(reconstructor, pictures, own, height, settings.focal)
    write_calibration(out / CALIBRATION, found.calibration)
    write_instant(out, pictures, views, people, settings, found)
    return len(people)


def files_without_calibration(files: Sequence[Path], settings: Settings, unit: str | None) -> dict[str, Path]:
    """The files of cameras that have no calibration, by the cameras' names: those of the files.

    Raises:
        InputError: A setting has no meaning without calibration, or two files have one name.
    """
    if settings.boxes is not None or unit is not None:
        name = "boxes" if unit is None else "unit"
        raise InputError(f"--{name} has no meaning with --cameras auto; leave it out.")
    if settings.height is not None and len(settings.height) > 1:
        raise InputError("--cameras auto takes one --height, that of everyone.")
    named = {file.stem: file for file in files}
    if len(named) < len(files):
        raise InputError("two files have the same name; with --cameras auto, cameras are called by their files' names.")
    return named


def _keypoints(pictures: Mapping[str, Path], settings: Settings) -> dict[str, list[Detection]]:
    """The user's keypoints by name of the camera; nobody in pictures that the file does not name."""
    assert settings.keypoints is not None
    if parts := keypoint_parts(settings.keypoints, list(pictures)):
        return {camera: _alone(parts[camera], picture, settings) for camera, picture in pictures.items()}
    evidence = read_keypoints(settings.keypoints, settings.keypoint_layout)
    names = names_of_photos(evidence, list(pictures.values()))
    found = {camera: names[picture] for camera, picture in pictures.items()}
    return {camera: of_name(evidence, name) for camera, name in found.items() if name is not None}


def _alone(part: Path, picture: Path, settings: Settings) -> list[Detection]:
    """The people in a picture, by the file or folder of its camera."""
    evidence = read_keypoints(part, settings.keypoint_layout)
    name = names_of_photos(evidence, [picture])[picture]
    return [] if name is None else of_name(evidence, name)


def write_instant(
    out: Path,
    pictures: Mapping[str, Path],
    views: Views,
    people: Sequence[SeenPerson],
    settings: Settings,
    unknown: FoundCalibration | None = None,
) -> None:
    """Write the results of one instant.

    Args:
        out: The folder.
        pictures: The files by name of the camera.
        views: The pictures.
        people: Everyone found.
        settings: Settings of the run.
        unknown: The calibration, if it was not known and was found from the people.

    Raises:
        InputError: The folder cannot be written to, or a floor is asked for where it is not known what is up.
    """
    from meshrec.render.overlay import encode_png, person_colors

    bodies = [seen.person for seen in people]
    ground = None
    remove_results(out, CAMERAS)
    if settings.ground and bodies:
        if not views.up:
            raise InputError("a floor needs a calibration that tells what is up; leave --ground out.")
        ground = Ground.under(bodies)
    colors = [tuple(color) for color in person_colors(len(people)).tolist()]
    places = [None] * len(people) if ground is None else ground.placements
    names = [f"person_{i}" for i in range(len(people))]
    for person, name, color, place in zip(bodies, names, colors, places):
        for suffix in (*settings.formats, "json"):
            person.save(out / f"{name}.{suffix}", skinned=settings.skinned, name=name, color=color, placement=place)
    if people:
        found = zip(bodies, names, colors, places)
        meshes = [(p.skinned if settings.skinned else p.mesh)(name, color, place) for p, name, color, place in found]
        base = Placement(CAMERA_TO_Y_UP.double().numpy(), np.zeros(3)) if ground is None else ground.camera
        cameras = [(name, camera, standing(camera, base)) for name, camera in zip(views.names, views.cameras)]
        write_scene(out / SCENE, meshes, cameras=cameras)
        for name, image, camera in zip(views.names, views.images, views.cameras):
            picture = draw_overlay(image, [_seen_by(camera, person) for person in bodies], bodies)
            write_file(out / f"overlay_{file_name(name)}.png", encode_png(picture, PNG_COMPRESSION))
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "notes": list(views.notes),
        "axes": AXES,
        "from_calibration": [rounded(row) for row in views.level],
        "up_known": views.up,
        "cameras": [
            camera_entry(name, camera) | {"picture": str(pictures[name])}
            for name, camera in zip(views.names, views.cameras)
        ],
        "people": [
            {"file": f"{name}.json", "reprojection_errors": seen.errors, "exchanged": dict.fromkeys(seen.exchanged, 1)}
            for name, seen in zip(names, people)
        ],
    }
    if unknown is not None:
        record["found_calibration"] = CALIBRATION
        for camera, deviation in zip(record["cameras"], deviation_entries(unknown.calibration, unknown.deviations)):
            camera["deviations"] = deviation
    write_file(out / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def deviation_entries(calibration: Calibration, own: CameraDeviations) -> list[dict[str, float]]:
    """Standard deviations of each camera relative to the first, for the record: degrees, metres, and pixels.

    Args:
        calibration: The cameras that were found.
        own: How uncertain they are.
    """
    focals = [float(np.mean(camera.camera.focal)) for camera in calibration.cameras.values()]
    return [
        {
            "rotation_degrees": round(float(np.degrees(turn)), 3),
            "position_metres": round(float(place), 4),
            "focal_pixels": round(float(share) * focal, 2),
        }
        for turn, place, share, focal in zip(own.turn, own.place, own.focal, focals)
    ]


def camera_entry(name: str, camera: Camera) -> dict[str, Any]:
    """A camera with extrinsics from the level world, for the record."""
    return {
        "name": name,
        "focal": rounded(np.asarray(camera.focal)),
        "center": rounded(np.asarray(camera.center)),
        "size": list(camera.size),
        "rotation": [rounded(row) for row in np.asarray(camera.rotation)],
        "translation": rounded(np.asarray(camera.translation)),
    }


def standing(camera: Camera, base: Placement) -> Placement:
    """From a camera's space to the scene's.

    Args:
        camera: With extrinsics from the level world.
        base: From the level world to the scene.
    """
    back = np.asarray(camera.rotation, np.float64).T
    place = -back @ np.asarray(camera.translation, np.float64)
    return Placement(base.rotation @ back, base.rotation @ place + base.translation)


def _seen_by(camera: Camera, person: Person) -> Person:
    """The person in a camera's space."""
    rotation, translation = (np.asarray(part, np.float64) for part in (camera.rotation, camera.translation))
    pelvis = person.joints()[0] - person.translation  # the rest position of the pelvis, about which the body turns
    rotations, place = Placement(rotation, translation).body(person.rotations, person.translation, pelvis)
    plain = Camera(camera.focal, camera.center, camera.size)
    return replace(person, rotations=rotations, translation=place, camera=plain, gravity=None, gravity_deviation=None)
