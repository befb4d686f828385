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
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.export import CameraAnimation, write_animated_scene
from meshrec.files.clips import Clip
from meshrec.files.fingerprint import Fingerprint, fingerprint_of, is_unchanged
from meshrec.files.regular import open_regular
from meshrec.jobs.records import Kind, write_record
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.track import Track

RECORD, OVERLAY, SCENE, WORK = "clip.json", "overlay.mp4", "scene.glb", ".work"
SUFFIXES = ("npz", "glb", "bvh", "json")
OWN_FILES = re.compile(r"track_\d+\.(npz|glb|bvh|json)|overlay\.mp4|scene\.glb|clip\.json|\.[0-9a-f]{16}\.part")
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


def write_clip_results(folder: Path, tracks: Sequence[Track], ground: Ground | None = None) -> None:
    """Write the animations of a clip.

    Args:
        folder: The folder for this clip alone.
        tracks: At least one track.
        ground: The floor on which the animations stand. Default: they keep the first camera's axes, with y up.

    Raises:
        InputError: The folder cannot be written to.
    """
    from meshrec.render.overlay import person_colors

    colors = [tuple(color) for color in person_colors(len(tracks)).tolist()]
    places = [None] * len(tracks) if ground is None else ground.placements
    animations = []
    for i, (track, color, place) in enumerate(zip(tracks, colors, places)):
        name = f"track_{i}"
        for suffix in SUFFIXES:
            track.save(folder / f"{name}.{suffix}", name=name, color=color, placement=place)
        animations.append(track.animation(name, color, place))
    write_animated_scene(folder / SCENE, animations, tracks[0].camera, _camera_animation(tracks))


def _camera_animation(tracks: Sequence[Track]) -> CameraAnimation | None:
    """How the camera turns, as far as there are people; None if it does not."""
    longest = max(tracks, key=len)
    if np.allclose(longest.turns, np.eye(3)):
        return None
    return CameraAnimation(longest.turns, longest.frame_rate, start=float(longest.times[0]))


def write_clip_record(
    folder: Path,
    source: Path,
    file: Fingerprint,
    clip: Clip,
    tracks: Sequence[Track],
    request: Mapping[str, object],
    notes: Sequence[str] = (),
    ground: Ground | None = None,
) -> None:
    """Write the record of a clip, when all other files are there.

    Args:
        folder: The folder for this clip alone.
        source: The clip's file.
        file: The file as it was read.
        clip: The clip.
        tracks: The tracks.
        request: The settings on which the results depend.
        notes: Remarks for the user.
        ground: The floor.
    """
    known = tracks[0].gravity if tracks else None
    content = {
        "request": request,
        "notes": list(notes),
        "frame_rate": clip.rate,
        "size": list(clip.size),
        "tracks": [
            {
                "file": f"track_{i}.npz",
                "frames": [int(track.frames[0]), int(track.frames[-1])],
                "seen": int(track.seen.sum()),
                "score": track.score,
            }
            for i, track in enumerate(tracks)
        ],
        "gravity": None if known is None else np.asarray(known, np.float64).round(6).tolist(),
        "ground": None if ground is None else {"height": round(ground.height, 4), "on_floor": ground.standing.tolist()},
    }
    write_record(folder, CLIP, source, file, content)
