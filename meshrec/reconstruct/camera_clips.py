"""People in the clips of several calibrated cameras: one body of each, which moves in the world of the calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from meshrec.detect.inputs import people_in_photo
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files.clips import Clip, open_clip
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration, undistort_image
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.cameras import LEVEL, calibrated_camera, in_level_world, undistorted
from meshrec.reconstruct.clips import ClipSettings
from meshrec.reconstruct.given import FrameKeypoints, as_detections
from meshrec.reconstruct.instants import Instants, common_instants, common_span, found_offsets, left_out
from meshrec.reconstruct.observations import Observations
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.view_tracks import fitted_track, followed_people, numbered_in_world
from meshrec.reconstruct.watching import FoundIn, watch

AUTO = "auto"  # instead of offsets: they are found by the motion of the people
Offsets = Mapping[str, float] | str
FoundByNumber = Mapping[int, Sequence[Detection] | np.ndarray]


@dataclass(frozen=True, eq=False)
class ClipViews:
    """Clips of several cameras, without lens distortion.

    Attributes:
        names: Names of the V cameras.
        clips: V clips, of the time that they share where it is known.
        lenses: V cameras as the calibration has them, for pictures of the clips' sizes.
        cameras: V cameras with extrinsics from the level world (:data:`meshrec.reconstruct.cameras.LEVEL`).
        offsets: V numbers to add to the cameras' times, seconds; None if they are to be found.
        level: (3, 3) rotation from the calibration's world to the level one.
        up: Whether it is known what is up in the calibration's world.
        start, end: Times on the common clock between which instants are wanted.
        notes: Remarks for the user.
        placed: Whether it is known where the cameras stand; otherwise each has the identity as extrinsics.
    """

    names: tuple[str, ...]
    clips: tuple[Clip, ...]
    lenses: tuple[CalibratedCamera, ...]
    cameras: tuple[Camera, ...]
    offsets: tuple[float, ...] | None
    level: np.ndarray
    up: bool
    start: float | None = None
    end: float | None = None
    notes: tuple[str, ...] = ()
    placed: bool = True


def views_of_clips(
    sources: Mapping[str, Any], calibration: Calibration, settings: ClipSettings, offsets: Offsets | None = None
) -> ClipViews:
    """Open the clips of several cameras, as pinhole cameras would have taken them.

    Args:
        sources: By name of the camera its clip, as :func:`meshrec.files.open_clip` takes it, or an opened one.
        calibration: The cameras.
        settings: What is wanted of the clips. ``start`` and ``end`` count on the common clock, that of a camera whose
            offset is 0.
        offsets: By name of the camera what to add to its times, seconds, 0 where it is missing; or "auto".

    Raises:
        InputError: A clip cannot be read or has no camera, a camera has no extrinsics or another size than its clip,
            there are no clips, or they have no time in common.
    """
    if not sources:
        raise InputError("there are no clips of cameras.")
    known = _offsets({} if offsets is None else offsets, sources)
    level = LEVEL["-y" if calibration.up is None else calibration.up]
    clips, lenses, cameras, notes = [], [], [], [*calibration.notes]
    for name, source in sources.items():
        camera = calibrated_camera(calibration, name)
        own = source
        if not isinstance(source, Clip):
            own = open_clip(source, stride=settings.stride, fps=settings.fps)
        try:
            lens = camera.for_picture(own.size)
        except InputError as error:
            raise InputError(f"{own.path}: {error}") from None
        clips.append(own.changed(lambda image, lens=lens: undistort_image(np.ascontiguousarray(image), lens)))
        lenses.append(lens)
        cameras.append(in_level_world(lens.camera, level))
        notes += lens.notes
    names = tuple(sources)
    if known is not None and all(clip.times is not None for clip in clips):
        ends = [(clip.times[0] + o, clip.times[-1] + o) for clip, o in zip(clips, known) if clip.times is not None]
        firsts, lasts = ([pair[i] for pair in ends] for i in (0, 1))
        first, last = common_span(names, firsts, lasts, settings.start, settings.end)
        if settings.start is None and settings.end is None:
            notes += left_out(firsts, lasts, min(clip.rate for clip in clips))
        clips = [_around(clip, first - o, last - o) for clip, o in zip(clips, known)]
    up = calibration.up is not None
    parts = (tuple(clips), tuple(lenses), tuple(cameras), known, level, up, settings.start, settings.end)
    return ClipViews(names, *parts, tuple(notes))


def watch_view(
    estimator: BodyEstimator,
    views: ClipViews,
    number: int,
    observations: Observations,
    keypoints: FoundByNumber | None = None,
) -> Iterator[int]:
    """Follow the people in the clip of one camera, as :func:`meshrec.reconstruct.watching.watch` does.

    Args:
        estimator: Whose detector and regressor are used.
        views: The clips.
        number: Of the camera among them.
        observations: Where what is seen is kept.
        keypoints: The user's own detections by the number of the frame, in pixels of the clip's pictures with their
            distortion.

    Yields:
        The number of frames that are seen so far, after each frame.
    """
    camera, clip = views.cameras[number], views.clips[number]
    plain = Camera(camera.focal, camera.center, camera.size)
    found = None if keypoints is None else _found_in(clip, views.lenses[number], keypoints)
    yield from watch(estimator, clip, plain, observations, static=True, found_in=found, colors=True)


def instants_of(views: ClipViews, observations: Sequence[Observations]) -> tuple[Instants, list[float]]:
    """The common instants of what all cameras saw, and the offsets of their clocks, seconds.

    Args:
        views: The clips.
        observations: What was seen in each.

    Raises:
        InputError: The clips have no frames, or no time in common.
    """
    for name, own in zip(views.names, observations):
        if not len(own):
            raise InputError(f"the clip of camera {name} has no frames.")
    notes: tuple[str, ...] = ()
    if views.offsets is None:
        offsets, notes = found_offsets(views.names, observations, views.cameras if views.placed else None)
    else:
        offsets = list(views.offsets)
    rates = [clip.rate for clip in views.clips]
    instants = common_instants(views.names, observations, rates, offsets, views.start, views.end)
    everything = (instants.times, instants.rate, instants.begin, instants.seen)
    return Instants(*everything, (*notes, *instants.notes)), offsets


def reconstruct_camera_clips(
    estimator: BodyEstimator,
    sources: Mapping[str, Any],
    calibration: Calibration,
    settings: ClipSettings = ClipSettings(),
    keypoints: Mapping[str, FrameKeypoints] | None = None,
    offsets: Offsets | None = None,
) -> list[Track]:
    """What :meth:`meshrec.Reconstructor.clip` does with the clips of several cameras."""
    require_fit(estimator)
    views = views_of_clips(sources, calibration, settings, offsets)
    with TemporaryDirectory(prefix="meshrec_") as folder:
        observations = watch_views(estimator, views, Path(folder), keypoints)
        return tracks_in_views(estimator, views, observations, settings)


def watch_views(
    estimator: BodyEstimator, views: ClipViews, folder: Path, keypoints: Mapping[str, FrameKeypoints] | None
) -> list[Observations]:
    """Follow the people in the clips of all cameras.

    Args:
        estimator: Whose detector and regressor are used.
        views: The clips.
        folder: Where what is seen is kept.
        keypoints: The user's own detections in each frame, by name of the camera.
    """
    observations = []
    for number, name in enumerate(views.names):
        observations.append(Observations(folder / str(number)))
        own = None if keypoints is None else _by_number(keypoints.get(name, ()))
        for _ in watch_view(estimator, views, number, observations[-1], own):
            pass
    return observations


def tracks_in_views(
    estimator: BodyEstimator, views: ClipViews, observations: Sequence[Observations], settings: ClipSettings
) -> list[Track]:
    """Fit one body to each person whom the cameras see, in the level world."""
    instants, _ = instants_of(views, observations)
    people = followed_people(instants, views.cameras, settings.people)
    own_settings = (instants, views.cameras, views.up, settings.smooth)
    return numbered_in_world([fitted_track(estimator, person, *own_settings).track for person in people])


def require_fit(estimator: BodyEstimator) -> None:
    """Refuse an estimator without a fit.

    Raises:
        InputError: It has none.
    """
    if estimator.fitter is None:
        raise InputError("several cameras are fitted together; leave the fit in.")


def _offsets(offsets: Offsets, sources: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The offset of each camera; None if they are to be found."""
    if isinstance(offsets, str):
        if offsets != AUTO:
            raise InputError(f"offsets are seconds by the names of cameras, or {AUTO}, not {offsets!r}.")
        return None
    for name, seconds in offsets.items():
        if name not in sources:
            raise InputError(f"there is an offset of camera {name}, but the cameras are {', '.join(sources)}.")
        if not np.isfinite(seconds):
            raise InputError(f"the offset of camera {name} must be a number of seconds, not {seconds}.")
    return tuple(float(offsets.get(name, 0.0)) for name in sources)


def _around(clip: Clip, first: float, last: float) -> Clip:
    """The frames of a clip from the last at or before a time to the first at or after another."""
    assert clip.times is not None
    begin = clip.times[max(int(np.searchsorted(clip.times, first + 1e-6, "right")) - 1, 0)]
    end = clip.times[min(int(np.searchsorted(clip.times, last - 1e-6)), len(clip.times) - 1)]
    return clip.between(float(begin), float(end))


def _found_in(clip: Clip, lens: CalibratedCamera, keypoints: FoundByNumber) -> FoundIn:
    """The user's detections in each frame, without lens distortion; nobody in frames that are not named."""

    def found(number: int, image: np.ndarray) -> Sequence[Detection]:
        people = keypoints.get(number)
        if people is None:
            return []
        own = people_in_photo(as_detections(people, clip.size), clip.size, f"{clip.path}, frame {number}")
        return undistorted(own, lens)

    return found


def _by_number(frames: FrameKeypoints) -> dict[int, Sequence[Detection] | np.ndarray]:
    return {number: people for number, people in enumerate(frames) if people is not None}
