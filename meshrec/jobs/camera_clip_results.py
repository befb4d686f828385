"""The result files of clips of several cameras.

==========================  =======================================================================================
file                        content
==========================  =======================================================================================
track_0.npz, .glb, .bvh,    the motion of each person, as :mod:`meshrec.jobs.clip_results` has it, in the level world:
.json                       as before a level camera at the world's origin. Frames are the instants that cameras share
scene.glb                   everybody, animated on one clock, and all cameras
overlay_cam1.mp4            for each camera its clip without lens distortion, the meshes on it, and from the side
cameras.json                the record: clips, cameras, offsets, people, axes. It is written last; without it, or one
                            of these files, the results are unfinished
.work/                      what an unfinished run has so far
==========================  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.export import write_animated_scene
from meshrec.files.clips import Clip
from meshrec.fit.gravity import GravitySettings
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, Placement
from meshrec.jobs.camera_records import CAMERAS, SCENE, TRACK_SUFFIXES, calibration_fingerprint, file_name
from meshrec.jobs.cameras import AXES, CALIBRATION, camera_entry, deviation_entries, standing
from meshrec.jobs.records import write_record
from meshrec.jobs.results import rounded
from meshrec.reconstruct.camera_clips import ClipViews
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.instants import Instants
from meshrec.reconstruct.timing import ROUNDED, rotations_at, values_at
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.uncalibrated_clips import FoundClipCameras
from meshrec.reconstruct.view_tracks import SeenTrack

OF_INSTANTS = (
    *("turns", "zooms", "seen", "scores", "reprojection_errors", "mask_ious"),
    *("joint_deviations", "contacts", "gravity", "gravity_deviation"),
)
"""What a track has of the instants or of the level world, and not of the frames of one camera."""


def overlay_of(name: str) -> str:
    """Name of the file of a camera's overlay."""
    return f"overlay_{file_name(name)}.mp4"


def write_camera_clips(folder: Path, views: ClipViews, tracks: Sequence[Track], on_floor: bool) -> Ground | None:
    """Write the animations of the people in clips of several cameras.

    Args:
        folder: The folder.
        views: The clips.
        tracks: The tracks in the level world.
        on_floor: Whether people stand on a floor at 0. Otherwise the world's origin stays where it is.

    Returns:
        The floor, if it is wanted and there are people.

    Raises:
        InputError: The folder cannot be written to.
    """
    from meshrec.render.overlay import person_colors

    if not tracks:
        return None
    ground = Ground.under_tracks(tracks, GravitySettings(stature=0.0)) if on_floor else None
    colors = [tuple(color) for color in person_colors(len(tracks)).tolist()]
    places = [None] * len(tracks) if ground is None else ground.placements
    animations = []
    for i, (track, color, place) in enumerate(zip(tracks, colors, places)):
        name = f"track_{i}"
        for suffix in TRACK_SUFFIXES:
            track.save(folder / f"{name}.{suffix}", name=name, color=color, placement=place)
        animations.append(track.animation(name, color, place))
    base = base_of(ground)
    cameras = [(name, camera, standing(camera, base)) for name, camera in zip(views.names, views.cameras)]
    write_animated_scene(folder / SCENE, animations, cameras=cameras)
    return ground


def base_of(ground: Ground | None) -> Placement:
    """From the level world to the scene."""
    return Placement(CAMERA_TO_Y_UP.double().numpy(), np.zeros(3)) if ground is None else ground.camera


def tracks_in_view(
    views: ClipViews, number: int, tracks: Sequence[Track], clip: Clip, begin: float, ground: Ground | None
) -> tuple[list[Track], list[Placement]]:
    """Tracks as one camera's clip shows them: in its space, and at the times of its frames.

    Args:
        views: The clips.
        number: Of the camera among them.
        tracks: The tracks in the level world.
        clip: The camera's clip.
        begin: Time of the first instant in the clip, seconds.
        ground: The floor, if there is one.

    Returns:
        The tracks that have frames in the clip, and for each the placement from the camera's space to the scene.
    """
    camera = views.cameras[number]
    plain = Camera(camera.focal, camera.center, camera.size)
    into = Placement(np.asarray(camera.rotation, np.float64), np.asarray(camera.translation, np.float64))
    numbers, times = clip.numbers_and_times()
    found, places = [], []
    for i, track in enumerate(tracks):
        own, slack = times - begin, ROUNDED / clip.rate
        inside = (own >= track.times[0] - slack) & (own <= track.times[-1] + slack)
        if not inside.any():
            continue
        instants = own[inside]
        rotations = rotations_at(track.rotations, track.times, instants)
        rotations[:, 0] = (into.rotation @ rotations[:, 0]).astype(rotations.dtype)
        moved = into.points(values_at(track.translation, track.times, instants) + track.pelvis) - track.pelvis
        parts: dict[str, Any] = dict.fromkeys(OF_INSTANTS)
        parts |= {"rotations": rotations, "translation": moved, "frames": numbers[inside], "times": instants}
        found.append(replace(track, **parts, frame_rate=clip.rate, camera=plain))
        base = base_of(None) if ground is None else ground.placements[i]
        places.append(standing(camera, base))
    return found, places


def write_camera_clips_record(
    folder: Path,
    calibration: Path,
    files: Mapping[str, Path],
    views: ClipViews,
    instants: Instants,
    offsets: Sequence[float],
    tracks: Sequence[SeenTrack],
    request: Mapping[str, object],
    notes: Sequence[str],
    found: FoundClipCameras | None = None,
) -> None:
    """Write the record, when all other files are there.

    Args:
        folder: The folder.
        calibration: The calibration's file.
        files: The clips' files by name of the camera.
        views: The clips.
        instants: The instants that they share.
        offsets: What was added to the times of each camera, seconds.
        tracks: The people.
        request: The settings on which the results depend.
        notes: Remarks for the user.
        found: The cameras, if they were not known and were found from the people.
    """
    cameras: list[dict[str, Any]] = []
    for name, camera, clip, offset in zip(views.names, views.cameras, views.clips, offsets):
        drawn = overlay_of(name)
        entry = camera_entry(name, camera)
        entry |= {"clip": str(files[name]), "frame_rate": clip.rate, "offset": round(float(offset), 4)}
        if (folder / drawn).exists():
            begin = float(clip.numbers_and_times()[1][0]) + offset - instants.begin
            entry |= {"overlay": drawn, "overlay_begin": round(float(begin), 4)}
        else:
            entry["overlay"] = None
        cameras.append(entry)
    if found is not None:
        for entry, deviation in zip(cameras, deviation_entries(found.calibration, found.deviations)):
            entry["deviations"] = deviation
    content = {
        "request": request,
        "notes": list(notes),
        "axes": AXES,
        "from_calibration": [rounded(row) for row in views.level],
        "up_known": views.up,
        "frame_rate": instants.rate,
        "instants": len(instants.times),
        "begin": round(instants.begin, 4),
        "cameras": cameras,
        "people": [_person(number, seen, views) for number, seen in enumerate(tracks)],
    }
    if found is not None:
        content["found_calibration"] = CALIBRATION
    write_record(folder, CAMERAS, calibration, calibration_fingerprint(calibration), content)


def _person(number: int, seen: SeenTrack, views: ClipViews) -> dict[str, object]:
    """A person, for the record: where each camera sees them, and how far off the body is there."""
    errors = {
        name: round(float(np.nanmean(own)), 5) for name, own in zip(views.names, seen.errors) if np.isfinite(own).any()
    }
    counts = {name: int(np.isfinite(own).sum()) for name, own in zip(views.names, seen.errors)}
    turned = {name: int(own.sum()) for name, own in zip(views.names, seen.exchanged) if own.any()}
    return {
        "file": f"track_{number}.npz",
        "instants": [int(seen.track.frames[0]), int(seen.track.frames[-1])],
        "score": seen.track.score,
        "reprojection_errors": errors,
        "seen": counts,
        "exchanged": turned,
    }
