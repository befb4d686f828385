"""Results as a viewer shows them: people and cameras in one world, over the instants of a clip.

Everything is in the world of the results: the camera space of a photo, or of the first frame of a clip's scene, or the
level world of several cameras; x right, y down, z forward, metres.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.body import BodyModel
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.jobs.camera_records import file_name
from meshrec.jobs.result_folders import ResultFolder, read_result_folder
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.track import Track
from meshrec.render.overlay import person_colors

DOWN = (0.0, 1.0, 0.0)  # where things fall before a level camera
RATE = 30.0  # frames per second of what has only one


@dataclass(frozen=True, eq=False)
class ShownPerson:
    """A person of a result.

    Attributes:
        name: ``person_0`` or ``track_0``.
        color: (r, g, b) from 0 to 255.
        track: The motion; of a photo a single frame.
        covariance: (n, n) of the errors of the betas; None if it is not known.
    """

    name: str
    color: tuple[int, int, int]
    track: Track
    covariance: np.ndarray | None = None

    @cached_property
    def index(self) -> dict[int, int]:
        """Which of the track's frames a frame of the clip is."""
        return {int(frame): index for index, frame in enumerate(self.track.frames)}

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) vertex indices."""
        return self.track.body.data.faces

    @property
    def weights(self) -> np.ndarray:
        """(V, 24) share of each joint in each vertex."""
        return self.track.body.weights.cpu().numpy()

    @property
    def bones(self) -> list[tuple[int, int]]:
        """Each joint but the first one, after its parent."""
        return [(int(parent), joint) for joint, parent in enumerate(self.track.body.parents) if joint]


@dataclass(frozen=True, eq=False)
class Posed:
    """A person at one instant.

    Attributes:
        vertices: (V, 3) in the world.
        joints: (24, 3) in the world.
        confidence: (24,) probability that each joint is within 10 cm of its place; None if it is not known.
        score: Confidence in [0, 1] that the body is right; None if it is not known.
    """

    vertices: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray | None
    score: float | None


@dataclass(frozen=True, eq=False)
class ShownCamera:
    """A camera of a result.

    Attributes:
        name: Its name.
        camera: Focal lengths, principal point, picture size, and extrinsics from the world if it stands still.
        overlay: Name of the file whose left part is what it saw; None if there is none.
        tracks: Tracks that tell how it turns and zooms; none if it stands still.
        begin: Time in the results at which a video in ``overlay`` begins, seconds.
    """

    name: str
    camera: Camera
    overlay: str | None
    tracks: tuple[Track, ...] = ()
    begin: float = 0.0

    def at(self, frame: int) -> tuple[Camera, np.ndarray, np.ndarray]:
        """The camera at a frame; where no track has this frame, as at the nearest one.

        Returns:
            The camera without extrinsics, and its rotation (3, 3) to the world and place (3,) in it.
        """
        camera = self.camera
        if not self.tracks:
            back = np.asarray(camera.rotation, np.float64).T
            place = -back @ np.asarray(camera.translation, np.float64)
            return Camera(camera.focal, camera.center, camera.size), back, place
        nearest = [(int(np.abs(track.frames - frame).argmin()), track) for track in self.tracks]
        index, track = min(nearest, key=lambda pair: abs(int(pair[1].frames[pair[0]]) - frame))
        camera = track.camera or camera
        focal = np.asarray(camera.focal) * float(track.zooms[index])
        return Camera(focal, camera.center, camera.size), np.asarray(track.turns[index], np.float64).T, np.zeros(3)


@dataclass(frozen=True, eq=False)
class Shown:
    """A result, ready to be shown.

    Attributes:
        folder: Its folder and record.
        people: Everybody.
        cameras: The cameras.
        frames: (F,) numbers of the frames in which somebody is there; one of a photo.
        times: (F,) their times, seconds.
        rate: Frames per second.
        up: (3,) unit vector against gravity.
    """

    folder: ResultFolder
    people: tuple[ShownPerson, ...]
    cameras: tuple[ShownCamera, ...]
    frames: np.ndarray
    times: np.ndarray
    rate: float
    up: np.ndarray

    def posed(self, number: int, frame: int) -> Posed | None:
        """A person at a frame of the clip; None where they are not.

        Args:
            number: Of the person.
            frame: Number of the frame in the clip.
        """
        shown = self.people[number]
        index = shown.index.get(frame)
        if index is None:
            return None
        person = shown.track.person(index)
        back = shown.track.turns[index]  # the transpose of the way back: points are rows
        return Posed(person.vertices @ back, person.joints() @ back, person.joint_confidence, person.score)

    @property
    def glb_files(self) -> tuple[str, ...]:
        """Names of all GLB files, that of the scene first."""
        found = [name for name in self.folder.files if name.endswith(".glb")]
        return tuple(sorted(found, key=lambda name: name != "scene.glb"))


def load_shown(folder: str | os.PathLike | ResultFolder, body: str | Path | BodyModel | None = None) -> Shown:
    """Read the results of a photo, a clip, or several cameras.

    No path in these files is followed: what is read lies in the folder itself.

    Args:
        folder: The folder.
        body: The body to which the betas belong, as for :meth:`meshrec.Person.load`.

    Raises:
        InputError: There are no results, or a file of them or the body cannot be read.
    """
    result = folder if isinstance(folder, ResultFolder) else read_result_folder(folder)
    colors = np.rint(person_colors(len(result.people)).numpy() * 255).astype(int).tolist()
    people = tuple(_person(result.path / name, color, body) for name, color in zip(result.people, colors))
    tracks = [person.track for person in people]
    times = {int(n): float(t) for track in tracks for n, t in zip(track.frames, track.times)}
    frames = np.array(sorted(times), np.int64)
    gravity = next((track.gravity for track in tracks if track.gravity is not None), np.array(DOWN))
    return Shown(
        result,
        people,
        tuple(_cameras(result, tracks)),
        frames,
        np.array([times[int(frame)] for frame in frames]),
        max((track.frame_rate for track in tracks), default=RATE),
        -np.asarray(gravity, np.float64) / max(float(np.linalg.norm(gravity)), 1e-9),
    )


def _person(file: Path, color: Sequence[int], body: str | Path | BodyModel | None) -> ShownPerson:
    """A person of a file; of a photo with a track of a single frame."""
    shade = (int(color[0]), int(color[1]), int(color[2]))
    if file.suffix == ".npz":
        return ShownPerson(file.stem, shade, Track.load(file, body))
    person = Person.load(file, body)
    deviations = None if person.joint_deviation is None else person.joint_deviation[None]
    track = Track(
        person.body,
        person.betas,
        person.rotations[None],
        person.translation[None],
        np.array([0]),
        np.array([0.0]),
        RATE,
        camera=person.camera,
        scores=None if person.score is None else np.array([person.score], np.float32),
        joint_deviations=deviations,
        gravity=person.gravity,
        body_name=person.body_name,
    )
    return ShownPerson(file.stem, shade, track, person.shape_covariance)


def _cameras(result: ResultFolder, tracks: Sequence[Track]) -> list[ShownCamera]:
    if result.kind == "cameras":
        return _calibrated(result)
    known = [track for track in tracks if track.camera is not None]
    if not known:
        return []
    camera = known[0].camera
    assert camera is not None
    name = "overlay.png" if result.kind == "photo" else "overlay.mp4"
    overlay = name if name in result.files else None
    if result.kind == "photo":
        return [ShownCamera("camera", camera, overlay)]
    return [ShownCamera("camera", camera, overlay, tuple(known), _start(result))]


def _start(result: ResultFolder) -> float:
    """Time in a clip at which its results begin, seconds."""
    request = result.record.get("request")
    clip = request.get("clip") if isinstance(request, dict) else None
    start = clip.get("start") if isinstance(clip, dict) else None
    return float(start) if isinstance(start, int | float) else 0.0


def _calibrated(result: ResultFolder) -> list[ShownCamera]:
    """The cameras of a record, whose entries are checked as if a stranger had written them.

    Raises:
        InputError: An entry is wrong.
    """
    entries = result.record.get("cameras")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(_calibrated_camera(result, entry))
        except (KeyError, TypeError, ValueError) as error:
            where = result.path / "cameras.json"
            raise InputError(f"{where}: camera {len(found)} in it is damaged ({error}); reconstruct again.") from error
    return found


def _calibrated_camera(result: ResultFolder, entry: Mapping[str, Any]) -> ShownCamera:
    name = str(entry["name"])
    parts = (np.asarray(entry[key], np.float64) for key in ("focal", "center", "rotation", "translation"))
    focal, center, rotation, translation = parts
    if center.shape != (2,) or rotation.shape != (3, 3) or translation.shape != (3,):
        raise ValueError("a matrix has another shape")
    if not np.isfinite([*focal, *center, *rotation.ravel(), *translation]).all():
        raise ValueError("a number is not finite")
    width, height = (int(value) for value in entry["size"])
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16):
        raise ValueError("the size is none of a picture")
    camera = Camera(focal, center, (width, height), rotation=rotation, translation=translation)
    begin = float(entry.get("overlay_begin", 0.0))  # records of before did not tell it
    if not np.isfinite(begin):
        raise ValueError("a time is not finite")
    overlays = (f"overlay_{file_name(name)}{suffix}" for suffix in (".png", ".mp4"))
    overlay = next((file for file in overlays if file in result.files), None)
    return ShownCamera(name, camera, overlay, begin=begin)
