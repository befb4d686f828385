"""The reconstruction of one clip of a run, which goes on where an interrupted run stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from meshrec.detect import Detection
from meshrec.detect.inputs import boxes_in_photo, people_in_photo
from meshrec.errors import InputError
from meshrec.files.atomic import require_writable
from meshrec.files.clips import Clip
from meshrec.fit.gravity import GravitySettings
from meshrec.geometry import Camera
from meshrec.jobs.clip_results import (
    CLIP,
    OVERLAY,
    RECORD,
    Scene,
    source_fingerprint,
    write_clip_record,
    write_clip_results,
)
from meshrec.jobs.clip_video import FRAMES_A_PART, write_clip_video
from meshrec.jobs.memory import give_back_memory
from meshrec.jobs.plan import Job, Outcome, Progress
from meshrec.jobs.records import remove_results
from meshrec.jobs.settings import Settings
from meshrec.jobs.unfinished import mark, work_folder
from meshrec.reconstruct.clips import opened
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.observations import FRAMES_A_FILE, Observations, kept_in
from meshrec.reconstruct.photo_cameras import clip_camera
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.track_fitting import heights_of, kept_tracks, numbered, track_of
from meshrec.reconstruct.watching import FoundIn, camera_summaries, watch


def reconstruct_clip(job: Job, reconstructor: Reconstructor, settings: Settings) -> Iterator[Outcome | Progress]:
    """Reconstruct everyone in a clip, and write the files that :mod:`meshrec.jobs.clip_results` lists.

    What is seen, what is fitted and what is drawn is kept every fifty frames or more often, so that another run goes
    on from there, and its files are those of a run that was not interrupted.

    Yields:
        How far the work is, and at last the outcome.

    Raises:
        InputError: The clip cannot be read, the settings do not fit it, or its folder cannot be written to.
    """
    require_writable(job.folder / RECORD)  # before the work, not after it
    clip = opened(job.source, settings.clip)
    camera = clip_camera(clip, settings.focal, None, str(job.source), reconstructor.focal_network)
    file = source_fingerprint(job.source)
    begun = (json.dumps({"clip": asdict(file), "request": job.request}, sort_keys=True) + "\n").encode()
    work = work_folder(job.folder, begun)
    observations = Observations(work)
    found = _found_in(job, clip, reconstructor) if job.frames is not None else None
    for done in watch(reconstructor, clip, camera, observations, settings.clip.static, found):
        mark(work, begun)
        yield Progress(job.source, "watching", done, clip.count)
        if done % FRAMES_A_FILE == 0:
            give_back_memory()
    mark(work, begun)
    if not len(observations):
        raise InputError(f"{job.source}: the clip has no frames.")
    tracks: list[Track] = []
    numbers = kept_tracks(observations, settings.clip.people)
    for number, height in zip(numbers, heights_of(settings.height, len(numbers))):
        yield Progress(job.source, "fitting people", len(tracks), len(numbers))
        tracks.append(_fitted(reconstructor, number, observations, camera, clip, settings.clip.smooth, height, work))
    tracks = numbered(tracks, settings.height is not None)
    remove_results(job.folder, CLIP)
    scenes = _scenes(observations, tracks, settings)
    if tracks:
        write_clip_results(job.folder, tracks, scenes, settings.ground)
        places = [place for _, place in sorted(pair for scene in scenes for pair in scene.places.items())]
        for done in write_clip_video(job.folder / OVERLAY, clip, tracks, places, work):
            yield Progress(job.source, "drawing", done, clip.count)
            if done % FRAMES_A_PART == 0:
                give_back_memory()
    notes = _notes(clip, tracks, scenes)
    if settings.texture:
        notes += ("textures are made of photos; the meshes of clips have none",)
    write_clip_record(job.folder, job.source, file, clip, tracks, scenes, job.request, notes, settings.ground)
    shutil.rmtree(work, ignore_errors=True)
    yield Outcome(job.source, job.folder, len(tracks), notes=notes, clip=True)


def _fitted(
    reconstructor: Reconstructor,
    number: int,
    observations: Observations,
    camera: Camera,
    clip: Clip,
    smooth: float,
    height: float | None,
    work: Path,
) -> Track:
    """The track of a person, from its file if it has been fitted before."""
    file, parts = work / f"fitted_{number}.npz", work / f"fit_{number}"
    with suppress(InputError):
        return Track.load(file, reconstructor.body)
    keep = kept_in(parts)

    def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        arrays = keep(name, make)
        give_back_memory()
        return arrays

    track_of(reconstructor, number, observations, camera, clip.rate, smooth, height, kept).save(file)
    shutil.rmtree(parts, ignore_errors=True)
    # Files round rotations in their last digit. Whether a run was interrupted must make no difference.
    return Track.load(file, reconstructor.body)


def _scenes(observations: Observations, tracks: Sequence[Track], settings: Settings) -> list[Scene]:
    """The scenes of a clip but flashes, each with the floor under its people."""
    known = GravitySettings() if settings.height is None else GravitySettings(stature=0.0)
    of_frames, summaries = observations.of_frames("scene"), camera_summaries(observations)
    frames, times, turns = (observations.of_frames(name) for name in ("number", "time", "turn"))
    scenes: list[Scene] = []
    for scene in np.unique(of_frames).tolist():
        index = np.flatnonzero(of_frames == scene)
        own = [number for number, track in enumerate(tracks) if track.scene == scene]
        flash = (of_frames[index[-1] :] < scene).any()  # the scene before comes back
        if flash and not own:
            continue
        ground = Ground.under_tracks([tracks[number] for number in own], known) if own else None
        part = (frames[index], times[index], turns[index])
        scenes.append(Scene(scene, *part, tuple(own), ground, summaries.get(scene, "")))
    return scenes


def _found_in(job: Job, clip: Clip, reconstructor: Reconstructor) -> FoundIn:
    """The user's own boxes or keypoints in each frame; nobody in frames that are not named."""

    def found(number: int, image: np.ndarray) -> Sequence[Detection]:
        assert job.frames is not None
        people = job.frames.get(number)
        name = f"{job.source}, frame {number}"
        if people is None:
            return []
        if isinstance(people, np.ndarray):
            boxes = boxes_in_photo(people, clip.size, name)
            return [person for person in reconstructor.detector(image, boxes) if person.score > 0] if len(boxes) else []
        return people_in_photo(people, clip.size, name)

    return found


def _notes(clip: Clip, tracks: Sequence[Track], scenes: Sequence[Scene]) -> tuple[str, ...]:
    """What the user should know of the results of a clip."""
    notes = [*clip.notes]
    if tracks and len(scenes) == 1:
        notes += [scenes[0].camera] if scenes[0].camera else []
    elif tracks:
        notes.append(
            f"cuts divide the clip into {len(scenes)} scenes; each has a world of its own, so that places and "
            "directions of people in different scenes cannot be compared"
        )
        for scene in scenes:
            notes.append(f"frames {scene.frames[0]} to {scene.frames[-1]}: {scene.camera}")
    for number, track in enumerate(tracks):
        notes += [f"track_{number}: {note}" for note in track.notes]
    return tuple(notes)
