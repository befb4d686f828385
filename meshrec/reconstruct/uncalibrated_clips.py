"""The calibration of cameras that filmed clips together, found from the people in instants spread over the clips.

Cameras stand still, so that all instants share them, which leaves far less open than one instant does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from meshrec.body.state import BodyState
from meshrec.errors import InputError
from meshrec.files.clips import Clip, open_clip
from meshrec.fit.bundle import CameraDeviations
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.same_people import SeenBodies
from meshrec.fit.same_tracks import Source, same_tracks, spread_instants
from meshrec.fit.uncalibrated import bundle_adjust
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.camera_clips import (
    ClipViews,
    Offsets,
    instants_of,
    require_fit,
    tracks_in_views,
    views_of_clips,
    watch_views,
)
from meshrec.reconstruct.cameras import LEVEL, in_level_world
from meshrec.reconstruct.clips import ClipSettings
from meshrec.reconstruct.given import FrameKeypoints, require_height
from meshrec.reconstruct.observations import Glimpse, Observations, joined
from meshrec.reconstruct.photo_cameras import clip_camera
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.track_fitting import estimates_of, kept_tracks
from meshrec.reconstruct.uncalibrated import calibration_of
from meshrec.reconstruct.view_tracks import glimpse_colors
from meshrec.reconstruct.watching import needs_picture

INSTANTS = 12  # of the clips in which cameras are looked for
EACH = 4  # of them at least in which a camera sees somebody whom another one may see, too
TRACKS = 8  # of each camera that take part, those seen longest and largest


@dataclass(frozen=True, eq=False)
class FoundClipCameras:
    """Cameras that were found from the people in clips.

    Attributes:
        views: The clips with these cameras.
        calibration: The cameras, in a world with z up whose origin is the first one's place.
        deviations: How uncertain they are, relative to the first.
        gravity_deviation: (2,) standard deviations of the first camera's pitch and roll, radians.
    """

    views: ClipViews
    calibration: Calibration
    deviations: CameraDeviations
    gravity_deviation: np.ndarray


def views_without_calibration(
    estimator: BodyEstimator,
    sources: Mapping[str, Any],
    settings: ClipSettings,
    offsets: Offsets | None = None,
    focal: float | None = None,
) -> ClipViews:
    """Open the clips of several cameras of which it is not known where they stand.

    Args:
        estimator: Whose network estimates focal lengths, if it has one.
        sources, settings, offsets: As for :func:`meshrec.reconstruct.camera_clips.views_of_clips`.
        focal: Focal length of all cameras in pixels. Default: an estimate, or a diagonal field of view of 55 degrees;
            it is found with the rest.

    Raises:
        InputError: There is one clip only, a clip cannot be read, or they have no time in common.
    """
    if len(sources) < 2:
        raise InputError("cameras are found from the clips of two cameras or more; give another one.")
    clips = {
        name: source if isinstance(source, Clip) else open_clip(source, stride=settings.stride, fps=settings.fps)
        for name, source in sources.items()
    }
    cameras = {}
    for name, clip in clips.items():
        cameras[name] = clip_camera(clip, focal, None, name, estimator.focal_network)
    unplaced = Calibration({name: CalibratedCamera(name, camera) for name, camera in cameras.items()})
    return replace(views_of_clips(clips, unplaced, settings, offsets), placed=False)


def find_cameras_of_clips(
    estimator: BodyEstimator,
    views: ClipViews,
    observations: Sequence[Observations],
    height: float | None = None,
    guessed: bool = True,
) -> FoundClipCameras:
    """Find out where the cameras of clips stand.

    Args:
        estimator: Whose regressor and fit are used.
        views: The clips, by :func:`views_without_calibration`.
        observations: What was seen in each.
        height: Stature of everyone, metres. Default: what the people's proportions suggest.
        guessed: Whether focal lengths are guesses; one factor of all of them is then found with the rest.

    Raises:
        InputError: A clip shows nobody who is in another one, the clips have no time in common, or the height is wrong.
    """
    if estimator.fitter is None:
        raise InputError("cameras are found by the fit; leave the fit in.")
    if height is not None:
        require_height(height)
    instants, _ = instants_of(views, observations)
    seen = [_of_kept(own, observed) for own, observed in zip(instants.seen, observations)]
    numbers = spread_instants(np.array([[bool(people) for people in own] for own in seen]), INSTANTS, EACH)
    states = [
        _bodies(estimator, [list(own[t].values()) for t in numbers], camera) for own, camera in zip(seen, views.cameras)
    ]
    bodies = _shared_bodies(_people(estimator, seen, numbers, states), seen, numbers)
    for v, name in enumerate(views.names):
        if not any(v in rows for _, rows in bodies):
            raise InputError(
                f"{name}: nobody in this clip is recognised in another one, which would tell where its camera "
                "stands; leave it out."
            )
    glimpses = [[one for t in numbers for one in own[t].values()] for own in seen]
    found = bundle_adjust(
        estimator.fitter,
        [[own[rows[v]].detection if v in rows else None for _, rows in bodies] for v, own in enumerate(glimpses)],
        views.cameras,
        [state[torch.tensor([rows.get(v, 0) for _, rows in bodies])] for v, state in enumerate(states)],
        [owner for owner, _ in bodies],
        None if height is None else [height] * (bodies[-1][0] + 1),
        [guessed] * len(views.names),
    )
    calibration, gravity = calibration_of(estimator, views.names, found, height, [guessed] * len(views.names))
    return FoundClipCameras(_placed(views, calibration), calibration, found.deviations, gravity)


def reconstruct_uncalibrated_clips(
    estimator: BodyEstimator,
    sources: Mapping[str, Any],
    settings: ClipSettings = ClipSettings(),
    keypoints: Mapping[str, FrameKeypoints] | None = None,
    offsets: Offsets | None = None,
    height: float | None = None,
    focal: float | None = None,
) -> tuple[list[Track], FoundClipCameras]:
    """Find the cameras of clips, and reconstruct the people in them as with a calibration.

    Args:
        estimator: What finds and fits people.
        sources: By name of the camera its clip.
        settings: What is wanted of the clips.
        keypoints: The user's own detections in each frame, by name of the camera.
        offsets: By name of the camera seconds to add to its times, or "auto".
        height: Stature of everyone, metres. Default: what the people's proportions suggest.
        focal: Focal length of all cameras, pixels. Default: it is found.

    Returns:
        The people in the level world, and the cameras.

    Raises:
        InputError: As for :func:`views_without_calibration` and :func:`find_cameras_of_clips`.
    """
    require_fit(estimator)
    views = views_without_calibration(estimator, sources, settings, offsets, focal)
    with TemporaryDirectory(prefix="meshrec_") as folder:
        observations = watch_views(estimator, views, Path(folder), keypoints)
        found = find_cameras_of_clips(estimator, views, observations, height, focal is None)
        return tracks_in_views(estimator, found.views, observations, settings), found


def _placed(views: ClipViews, calibration: Calibration) -> ClipViews:
    """The clips with the cameras of a calibration without lens distortion."""
    level = LEVEL["-y" if calibration.up is None else calibration.up]
    lenses = tuple(calibration.cameras[name] for name in views.names)
    cameras = tuple(in_level_world(lens.camera, level) for lens in lenses)
    notes = (*views.notes, *calibration.notes)
    up = calibration.up is not None
    return replace(views, lenses=lenses, cameras=cameras, level=level, up=up, notes=notes, placed=True)


def _of_kept(instants: Sequence[Mapping[int, Glimpse]], observations: Observations) -> list[dict[int, Glimpse]]:
    """The people of a camera in each instant without chance finds."""
    kept = set(kept_tracks(observations, TRACKS))
    return [{track: seen for track, seen in people.items() if track in kept} for people in instants]


def _bodies(estimator: BodyEstimator, instants: Sequence[Sequence[Glimpse]], camera: Camera) -> BodyState:
    """Estimates of everyone in some instants of a camera, one after the other, in its space."""
    everyone = [seen for people in instants for seen in people]
    regressor = estimator.regressor
    if not everyone:
        return BodyState(torch.zeros(0, 24, 3, 3), torch.zeros(0, 3), torch.zeros(0, 10))
    if regressor is None:
        assert estimator.fitter is not None
        fits = [fit for people in instants for fit in estimator.fitter([p.detection for p in people], camera)]
        parts = ([getattr(fit, name) for fit in fits] for name in ("rotations", "translation", "betas"))
        return BodyState(*(torch.from_numpy(np.stack(part)).double() for part in parts))
    if needs_picture(regressor):
        return joined([seen.initial for seen in everyone if seen.initial is not None]).state
    return estimates_of(regressor, [seen.detection for seen in everyone], [camera] * len(everyone)).state


def _people(
    estimator: BodyEstimator,
    seen: Sequence[Sequence[Mapping[int, Glimpse]]],
    numbers: Sequence[int],
    states: Sequence[BodyState],
) -> list[frozenset[Source]]:
    """Which tracks are the same people's."""
    assert estimator.fitter is not None
    space = ViewSpace.of(Camera(1.0), estimator.fitter.skeleton)
    instants: list[dict[int, tuple[SeenBodies, Sequence[int]]]] = [{} for _ in numbers]
    for view, (own, state) in enumerate(zip(seen, states)):
        rotations, places = state.rotations.numpy(), (space.rest(state) + state.translation).numpy()
        first = 0
        for views, t in zip(instants, numbers):
            if not own[t]:
                continue
            rows = slice(first, first + len(own[t]))
            colors = np.stack([glimpse_colors(one) for one in own[t].values()])
            views[view] = SeenBodies(rotations[rows], places[rows], colors), list(own[t])
            first = rows.stop
    return same_tracks(instants)


def _shared_bodies(
    people: Sequence[frozenset[Source]], seen: Sequence[Sequence[Mapping[int, Glimpse]]], numbers: Sequence[int]
) -> list[tuple[int, dict[int, int]]]:
    """The bodies that two cameras or more see: whose each is, and by camera its row among that camera's glimpses."""
    rows: list[dict[tuple[int, int], int]] = []
    for own in seen:
        order = [(t, track) for t in numbers for track in own[t]]
        rows.append({key: row for row, key in enumerate(order)})
    bodies: list[tuple[int, dict[int, int]]] = []
    for tracks in people:
        owner = bodies[-1][0] + 1 if bodies else 0
        for t in numbers:
            views = {v: rows[v][t, track] for v, track in sorted(tracks) if (t, track) in rows[v]}
            if len(views) > 1:
                bodies.append((owner, views))
    return bodies
