"""Clips of several calibrated cameras: the people in all of them, who move in the calibration's world.

What is seen, fitted and drawn is kept as for clips of one camera (:mod:`meshrec.jobs.clips`), so that a run that was
killed goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files.atomic import require_writable
from meshrec.files.clips import is_clip
from meshrec.files.npz import read_npz
from meshrec.geometry.calibrated_cameras import Calibration
from meshrec.geometry.calibration_files import read_calibration, write_calibration
from meshrec.jobs.camera_clip_results import (
    overlay_of,
    tracks_in_view,
    write_camera_clips,
    write_camera_clips_record,
)
from meshrec.jobs.camera_keypoints import digest_of, keypoints_of_clips
from meshrec.jobs.camera_records import CAMERAS, RECORD
from meshrec.jobs.cameras import AUTO, CALIBRATION, files_of_cameras, files_without_calibration, refuse_sizes
from meshrec.jobs.clip_results import source_fingerprint
from meshrec.jobs.clip_video import FRAMES_A_PART, write_clip_video
from meshrec.jobs.memory import give_back_memory
from meshrec.jobs.plan import Outcome, Progress, request_of
from meshrec.jobs.records import finished, remove_results
from meshrec.jobs.settings import Settings
from meshrec.jobs.unfinished import mark, work_folder
from meshrec.reconstruct.camera_clips import (
    ClipViews,
    FoundByNumber,
    Offsets,
    instants_of,
    require_fit,
    views_of_clips,
    watch_view,
)
from meshrec.reconstruct.cameras import mirrored_notes
from meshrec.reconstruct.instants import Instants
from meshrec.reconstruct.observations import FRAMES_A_FILE, Observations, kept_in
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.uncalibrated_clips import find_cameras_of_clips, views_without_calibration
from meshrec.reconstruct.view_tracks import Followed, SeenTrack, fitted_track, followed_people, renumbered

MIRROR_INSTANTS = 5  # by which it is judged whether clips are mirrored


def are_clips(files: Sequence[Path]) -> bool:
    """Whether the files of several cameras are clips and not photos; folders hold the frames of clips.

    Raises:
        InputError: Some are clips and some are photos.
    """
    kinds = {file: os.path.isdir(file) or is_clip(file) for file in files if os.path.exists(file)}
    if len(set(kinds.values())) > 1:
        clip, photo = (next(file for file, kind in kinds.items() if kind == wanted) for wanted in (True, False))
        raise InputError(
            f"{photo} is a photo, but {clip} a clip; give a photo of each camera, of one instant, or a clip of each."
        )
    return any(kinds.values())


@dataclass(frozen=True)
class CameraClipsJob:
    """Clips of several cameras that are reconstructed together.

    Attributes:
        files: A clip of each camera: a video, or a folder of frames.
        calibration: The calibration's file, or "auto": the cameras are found from the people.
        out: The folder for the results.
        settings: Settings of the run.
        unit: Unit of the calibration's lengths, as for :func:`meshrec.geometry.calibration_files.read_calibration`.
        offsets: By name of the camera seconds to add to its times, or "auto".
        force: Whether to reconstruct what is finished.
    """

    files: Sequence[Path]
    calibration: Path | str
    out: Path
    settings: Settings
    unit: str | None = None
    offsets: Offsets | None = None
    force: bool = False

    @property
    def unknown(self) -> bool:
        """Whether the cameras are to be found."""
        return str(self.calibration) == AUTO

    @property
    def source(self) -> Path:
        """The calibration's file: the one that is given, or the one that is written."""
        return self.out / CALIBRATION if self.unknown else Path(self.calibration)


def reconstruct_camera_clips(
    job: CameraClipsJob, make_reconstructor: Callable[[Settings], Reconstructor]
) -> Iterator[Outcome | Progress]:
    """Reconstruct the people in clips of several cameras, and write what :mod:`meshrec.jobs.camera_clip_results` lists.

    Args:
        job: The clips.
        make_reconstructor: Makes the reconstructor of the settings, if there is something to do.

    Yields:
        How far the work is, and at last the outcome.

    Raises:
        InputError: A file cannot be read, a setting has no meaning here, the clips do not fit the calibration or have
            no time in common, or the folder cannot be written to.
    """
    settings, calibration = job.settings, None
    if job.unknown:
        files = files_without_calibration(job.files, settings, job.unit)
    else:
        refuse_sizes(settings)
        calibration = read_calibration(job.calibration, job.unit)
        files = files_of_cameras(job.files, calibration)
    keypoints = None if settings.keypoints is None else keypoints_of_clips(files, settings)
    request = _request(job, files, calibration, None if keypoints is None else digest_of(keypoints))
    people = None if job.force or not _has_calibration(job) else finished(job.out, CAMERAS, job.source, request)
    if people is not None:
        yield Outcome(job.source, job.out, people, skipped=True, clip=True)
        return
    require_writable(job.out / RECORD)
    begun = (json.dumps(request, sort_keys=True) + "\n").encode()
    if calibration is not None:
        views = views_of_clips(files, calibration, settings.clip, job.offsets)
        if settings.ground and not views.up:
            raise InputError("a floor needs a calibration that tells what is up; leave --ground out.")
        reconstructor = make_reconstructor(settings)
    else:
        reconstructor = make_reconstructor(settings)
        views = views_without_calibration(reconstructor, files, settings.clip, job.offsets, settings.focal)
    work = work_folder(job.out, begun)
    require_fit(reconstructor)
    observations = []
    for number, name in enumerate(views.names):
        observations.append(Observations(work / f"view_{number}"))
        own = None if keypoints is None else keypoints[name]
        yield from _watched(reconstructor, views, number, observations[-1], own, files[name], work, begun)
    found = None
    if job.unknown:
        yield Progress(job.source, "finding cameras", 0, 1)
        height = None if settings.height is None else settings.height[0]
        found = find_cameras_of_clips(reconstructor, views, observations, height, settings.focal is None)
        views = found.views
    instants, offsets = instants_of(views, observations)
    tracks: list[SeenTrack] = []
    everyone = followed_people(instants, views.cameras, settings.clip.people)
    for number, person in enumerate(everyone):
        yield Progress(job.source, "fitting people", number, len(everyone))
        tracks.append(_fitted(reconstructor, number, person, instants, views, settings.clip.smooth, work))
    tracks = renumbered(tracks)
    remove_results(job.out, CAMERAS)
    if found is not None:
        write_calibration(job.source, found.calibration)
    ground = write_camera_clips(job.out, views, [seen.track for seen in tracks], settings.ground)
    if tracks:
        for number, (name, clip) in enumerate(zip(views.names, views.clips)):
            begin = instants.begin - offsets[number]
            shown, places = tracks_in_view(views, number, [seen.track for seen in tracks], clip, begin, ground)
            if not shown:
                continue
            drawn = work / f"drawn_{number}"
            for done in write_clip_video(job.out / overlay_of(name), clip, shown, places, drawn):
                yield Progress(files[name], "drawing", done, clip.count)
                if done % FRAMES_A_PART == 0:
                    give_back_memory()
    notes = _notes(views, instants, tracks)
    write_camera_clips_record(job.out, job.source, files, views, instants, offsets, tracks, request, notes, found)
    shutil.rmtree(work, ignore_errors=True)
    yield Outcome(job.source, job.out, len(tracks), notes=notes, clip=True)


def _has_calibration(job: CameraClipsJob) -> bool:
    """Whether there is the calibration's file, which a run without calibration writes.

    Raises:
        InputError: There is none to be found by this run, but results of another one.
    """
    if not job.unknown or job.source.exists():
        return True
    if (job.out / RECORD).exists():
        raise InputError(
            f"{job.out} contains the results of another calibration; choose another --out, or use --force."
        )
    return False


def _watched(
    reconstructor: Reconstructor,
    views: ClipViews,
    number: int,
    observations: Observations,
    keypoints: FoundByNumber | None,
    file: Path,
    work: Path,
    begun: bytes,
) -> Iterator[Progress]:
    """Watch the clip of one camera."""
    for done in watch_view(reconstructor, views, number, observations, keypoints):
        mark(work, begun)
        yield Progress(file, "watching", done, views.clips[number].count)
        if done % FRAMES_A_FILE == 0:
            give_back_memory()
    mark(work, begun)


def _fitted(
    reconstructor: Reconstructor,
    number: int,
    person: Followed,
    instants: Instants,
    views: ClipViews,
    smooth: float,
    work: Path,
) -> SeenTrack:
    """The track of a person, from its files if it has been fitted before."""
    file, parts, beside = (work / f"{name}_{number}" for name in ("fitted", "fit", "beside"))
    file = file.with_suffix(".npz")
    if not file.is_file():
        keep = kept_in(parts)

        def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
            arrays = keep(name, make)
            give_back_memory()
            return arrays

        seen = fitted_track(reconstructor, person, instants, views.cameras, views.up, smooth, kept)
        kept_in(beside)("views", lambda: {"errors": seen.errors, "exchanged": seen.exchanged})
        seen.track.save(file)
        shutil.rmtree(parts, ignore_errors=True)
    # Files round rotations in their last digit. Whether a run was interrupted must make no difference.
    own = read_npz(beside / "views.npz")
    return SeenTrack(Track.load(file, reconstructor.body), own["errors"], own["exchanged"])


def _request(
    job: CameraClipsJob, files: Mapping[str, Path], calibration: Calibration | None, keypoints: str | None
) -> dict[str, object]:
    """All that the results depend on. The numbers of the calibration are part of it, which may lie in several files."""
    return request_of(job.settings) | {
        "clip": asdict(job.settings.clip),
        "clips": {name: [os.path.abspath(file), source_fingerprint(file).sha256] for name, file in files.items()},
        "calibration": AUTO if calibration is None else _digest(calibration),
        "unit": job.unit,
        "offsets": dict(job.offsets) if isinstance(job.offsets, Mapping) else job.offsets,
        "keypoints": keypoints,
    }


def _digest(calibration: Calibration) -> str:
    digest = hashlib.sha256(repr(calibration.up).encode())
    for name, lens in calibration.cameras.items():
        digest.update(repr((name, lens.camera.size, lens.fisheye, lens.distortion, lens.placed)).encode())
        digest.update(b"".join(part.tobytes() for part in (lens.matrix, lens.rotation, lens.translation)))
    return digest.hexdigest()[:16]


def _notes(views: ClipViews, instants: Instants, tracks: Sequence[SeenTrack]) -> tuple[str, ...]:
    """What the user should know of the results."""
    notes = [*views.notes, *instants.notes]
    some = np.linspace(0, len(instants.times) - 1, min(MIRROR_INSTANTS, len(instants.times))).astype(int)
    found = [[[one.detection for one in own[t].values()] for own in instants.seen] for t in some]
    notes += mirrored_notes(views.names, found, views.cameras)
    for name, clip in zip(views.names, views.clips):
        notes += [f"{name}: {note}" for note in clip.notes]
    for number, seen in enumerate(tracks):
        notes += [f"track_{number}: {note}" for note in seen.notes]
    return tuple(notes)
