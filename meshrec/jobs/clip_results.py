"""The result files of one clip: an animated body for each person, a scene with all of them, and a video.

==========================  =======================================================================================
file                        content
==========================  =======================================================================================
track_0.npz                 the motion as AMASS stores it, and everything else (:mod:`meshrec.reconstruct.track_files`)
track_0.glb                 the mesh with its skeleton, animated, y up; with a ground, on the floor at 0
track_0.bvh                 the skeleton's motion, y up, centimetres
track_0.json                everything that is known, to read
scene.glb                   everybody, animated on one clock, and the camera
overlay.mp4                 the frames with the meshes on them, and everybody from the side
clip.json                   the record: clip, request, tracks, and sizes of the other files. It is written last; a clip
                            without it, or without one of these files, is unfinished
.work/                      what an unfinished clip has so far
==========================  =======================================================================================
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.export import CameraAnimation, write_animated_scene
from meshrec.files.clips import Clip
from meshrec.files.fingerprint import Fingerprint, fingerprint_of, is_unchanged
from meshrec.files.regular import open_regular
from meshrec.geometry import CAMERA_TO_Y_UP, Placement
from meshrec.jobs.records import Kind, write_record
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.timing import ROUNDED, even_times, rotations_at
from meshrec.reconstruct.track import Track

RECORD, OVERLAY, SCENE = "clip.json", "overlay.mp4", "scene.glb"
SUFFIXES = ("npz", "glb", "bvh", "json")
OWN_FILES = re.compile(
    r"track_\d+\.(npz|glb|bvh|json)|overlay\.mp4|thumbnail\.jpg|scene\.glb|clip\.json|\.[0-9a-f]{16}\.part"
)
MOST_BYTES = 1 << 42


def _result_files(record: Mapping[str, Any]) -> set[str]:
    """Names of all result files of a clip but the record."""
    count = len(record["tracks"])
    if [track["file"] for track in record["tracks"]] != [f"track_{i}.npz" for i in range(count)]:
        raise ValueError("tracks are numbered")
    own = {f"track_{i}.{suffix}" for i in range(count) for suffix in SUFFIXES}
    return own | {SCENE, OVERLAY} if count else own


def source_fingerprint(source: Path) -> Fingerprint:
    """What a clip is: the content of a video, or the names, sizes and times of the frames in a folder."""
    if not os.path.isdir(source):
        with open_regular(source, MOST_BYTES) as file:
            return fingerprint_of(file)
    with os.scandir(source) as entries:
        found = sorted((entry.name, entry.stat()) for entry in entries if entry.is_file())
    digest = hashlib.sha256()
    for name, status in found:
        digest.update(f"{os.fsencode(name)!r} {status.st_size} {status.st_mtime_ns}\n".encode())
    sizes = [status.st_size for _, status in found]
    times = [(status.st_mtime_ns, status.st_ctime_ns) for _, status in found]
    modified, changed = (max(values, default=0) for values in (zip(*times) if times else ((), ())))
    return Fingerprint(digest.hexdigest(), sum(sizes), modified, changed)


def _unchanged(source: Path, file: Fingerprint) -> bool:
    return source_fingerprint(source) == file if os.path.isdir(source) else is_unchanged(source, file, MOST_BYTES)


CLIP = Kind(RECORD, "meshrec.clip", 1, "clip", "tracks", _result_files, OWN_FILES, _unchanged)


@dataclass(frozen=True, eq=False)
class Scene:
    """A part of a clip without a cut, which has a world of its own: the camera space of its first frame.

    Attributes:
        number: Its number among the scenes of the clip.
        frames: (F,) numbers of its frames in the clip.
        times: (F,) seconds of its frames.
        turns: (F, 3, 3) rotations from the world to the camera of each frame.
        tracks: Numbers of the tracks in it.
        ground: The floor under these people; None if there are none.
        camera: A sentence on how the camera moves.
    """

    number: int
    frames: np.ndarray
    times: np.ndarray
    turns: np.ndarray
    tracks: tuple[int, ...]
    ground: Ground | None
    camera: str

    @property
    def places(self) -> dict[int, Placement]:
        """From the world to the floor, by the number of the track."""
        return {} if self.ground is None else dict(zip(self.tracks, self.ground.placements))


def write_clip_results(folder: Path, tracks: Sequence[Track], scenes: Sequence[Scene], ground: bool = False) -> None:
    """Write the animations of a clip.

    Args:
        folder: The folder for this clip alone.
        tracks: At least one track.
        scenes: The scenes of the clip.
        ground: Whether the animations stand on the floor of each scene. Otherwise they keep the axes of the scene's
            first camera, with y up.

    Raises:
        InputError: The folder cannot be written to.
    """
    from meshrec.render.overlay import person_colors

    colors = [tuple(color) for color in person_colors(len(tracks)).tolist()]
    places = {number: place for scene in scenes for number, place in scene.places.items()} if ground else {}
    animations = []
    for i, (track, color) in enumerate(zip(tracks, colors)):
        name = f"track_{i}"
        for suffix in SUFFIXES:
            track.save(folder / f"{name}.{suffix}", name=name, color=color, placement=places.get(i))
        animations.append(track.animation(name, color, places.get(i)))
    rate = tracks[0].frame_rate
    write_animated_scene(folder / SCENE, animations, tracks[0].camera, camera_animation(scenes, rate, ground))


def camera_animation(scenes: Sequence[Scene], rate: float, ground: bool = False) -> CameraAnimation | None:
    """How the camera of a clip turns, through all scenes with people.

    Args:
        scenes: The scenes of the clip.
        rate: Frames per second.
        ground: Whether people stand on the floor of each scene, and the camera above it.

    Returns:
        The animation; None if the camera stands at the origin and never turns.
    """
    half = CAMERA_TO_Y_UP.numpy().astype(np.float64)  # the animation's world has the floor's axes, but y down
    shown = [scene for scene in scenes if scene.ground is not None]
    if not shown:
        return None
    times = np.concatenate([scene.times for scene in shown])
    order = np.argsort(times)
    numbers = np.repeat(np.arange(len(shown)), [len(scene.times) for scene in shown])[order]
    instants = even_times(times[order], rate)
    now = numbers[np.searchsorted(times[order], instants + ROUNDED / rate, "right") - 1]
    turns, places = np.tile(np.eye(3), (len(instants), 1, 1)), np.zeros((len(instants), 3))
    for number, scene in enumerate(shown):
        here = now == number
        turns[here] = rotations_at(scene.turns.astype(np.float64), scene.times, instants[here])
        if ground and scene.ground is not None:
            turns[here] = turns[here] @ scene.ground.camera.rotation.T @ half
            places[here] = half @ scene.ground.camera.translation
    moves = bool(places.any())
    if not moves and np.allclose(turns, np.eye(3)):
        return None
    return CameraAnimation(turns, rate, places if moves else None, start=float(instants[0]))


def write_clip_record(
    folder: Path,
    source: Path,
    file: Fingerprint,
    clip: Clip,
    tracks: Sequence[Track],
    scenes: Sequence[Scene],
    request: Mapping[str, object],
    notes: Sequence[str] = (),
    ground: bool = False,
) -> None:
    """Write the record of a clip, when all other files are there.

    Args:
        folder: The folder for this clip alone.
        source: The clip's file.
        file: The file as it was read.
        clip: The clip.
        tracks: The tracks.
        scenes: The scenes.
        request: The settings on which the results depend.
        notes: Remarks for the user.
        ground: Whether the animations stand on the floor of each scene.
    """
    content = {
        "request": request,
        "notes": list(notes),
        "frame_rate": clip.rate,
        "size": list(clip.size),
        "tracks": [
            {
                "file": f"track_{i}.npz",
                "scene": track.scene,
                "frames": [int(track.frames[0]), int(track.frames[-1])],
                "seen": int(track.seen.sum()),
                "score": track.score,
            }
            for i, track in enumerate(tracks)
        ],
        "scenes": [_scene_record(scene, tracks, ground) for scene in scenes],
    }
    write_record(folder, CLIP, source, file, content)


def _scene_record(scene: Scene, tracks: Sequence[Track], ground: bool) -> dict[str, object]:
    """A scene, for the record."""
    floor, gravity = scene.ground, tracks[scene.tracks[0]].gravity if scene.tracks else None
    return {
        "scene": scene.number,
        "frames": [int(scene.frames[0]), int(scene.frames[-1])],
        "camera": scene.camera,
        "tracks": list(scene.tracks),
        "gravity": None if gravity is None else np.asarray(gravity, np.float64).round(6).tolist(),
        "ground": None if floor is None or not ground else _ground_record(floor),
    }


def _ground_record(ground: Ground) -> dict[str, object]:
    return {
        "rotation": np.asarray(ground.rotation, np.float64).round(6).tolist(),
        "height": round(float(ground.height), 4),
        "deviation": round(float(ground.deviation), 4),
        "on_floor": ground.standing.tolist(),
        "lifts": np.asarray(ground.lifts, np.float64).round(6).tolist(),
    }
