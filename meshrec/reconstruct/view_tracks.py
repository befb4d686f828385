"""People in the clips of several cameras: matched over cameras and instants, and one body fitted to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.detect.clothes_colors import NO_COLORS
from meshrec.detect.multiview_tracking import MultiViewTracker, settle_people
from meshrec.detect.people import Detection
from meshrec.detect.tracking import Sighting
from meshrec.detect.tracks import most_prominent, worth_keeping
from meshrec.fit import Initial, MultiViewSequenceFitter
from meshrec.fit.kept import Kept
from meshrec.fit.view_sequence import OVER_TIME
from meshrec.geometry import Camera
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.instants import Instants
from meshrec.reconstruct.observations import Glimpse, joined
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.track_fitting import estimates_of
from meshrec.reconstruct.watching import needs_picture

DOWN = np.array([0.0, 1.0, 0.0])  # of the level world


@dataclass(frozen=True, eq=False)
class SeenTrack:
    """A person through the instants of several cameras, N of them from the first to the last in which they are seen.

    Attributes:
        track: The body in the level world. Its frames are the numbers of the instants.
        errors: (V, N) reprojection error in each camera as a share of the box's longer side; NaN where the camera does
            not see the person.
        exchanged: (V, N) bool, whether the detector exchanged left and right.
    """

    track: Track
    errors: np.ndarray
    exchanged: np.ndarray

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons to distrust the track, for the user."""
        alone = int((np.isfinite(self.errors).sum(0) == 1).sum())
        if not alone:
            return self.track.notes
        doubt = f"in {alone} of {len(self.track)} instants one camera alone sees the person; the distance is a guess"
        return (*self.track.notes, f"{doubt} there")


@dataclass(frozen=True, eq=False)
class Followed:
    """A person in T instants.

    Attributes:
        tracks: (V, T) number of the track of each camera that is the person; -1 where a camera does not see them.
    """

    tracks: np.ndarray

    @property
    def instants(self) -> np.ndarray:
        """Numbers of the instants from the first to the last in which a camera sees the person."""
        seen = np.flatnonzero((self.tracks >= 0).any(0))
        return np.arange(seen[0], seen[-1] + 1)


def followed_people(instants: Instants, cameras: Sequence[Camera], count: int | None = None) -> list[Followed]:
    """Match the tracks of all cameras, and decide who is a person and not a chance find.

    Args:
        instants: What the cameras see.
        cameras: The V cameras, with extrinsics.
        count: Number of people to keep. Default: everyone.

    Returns:
        The people, those seen longest and largest first.
    """
    tracker, frames = MultiViewTracker(cameras), []
    for t, time in enumerate(instants.times.tolist()):
        people = [[Sighting(track, seen.detection) for track, seen in own[t].items()] for own in instants.seen]
        colors = [[glimpse_colors(seen) for seen in own[t].values()] for own in instants.seen]
        frames.append(tracker.step(people, time, colors))
    tracks: dict[int, np.ndarray] = {}
    best: dict[int, list[Detection | None]] = {}
    total = len(instants.times)
    for t, everyone in enumerate(settle_people(frames, instants.times)):
        for person, views in everyone.items():
            own = tracks.setdefault(person, np.full((len(cameras), total), -1))
            for view, sighting in views.items():
                own[view, t] = sighting.track
            seen = best.setdefault(person, [None] * total)
            seen[t] = max((sighting.detection for sighting in views.values()), key=lambda found: found.score)
    kept = worth_keeping(best, instants.times) if best else []
    chosen = most_prominent({person: best[person] for person in kept}, len(kept) if count is None else count)
    return [Followed(tracks[person]) for person in chosen]


def fitted_track(
    estimator: BodyEstimator,
    person: Followed,
    instants: Instants,
    cameras: Sequence[Camera],
    up_known: bool,
    smooth: float = 0.5,
    kept: Kept | None = None,
) -> SeenTrack:
    """Fit one body to all that the cameras see of a person.

    Args:
        estimator: Whose regressor makes first estimates, and whose fit continues from them.
        person: The person.
        instants: What the cameras see.
        cameras: The V cameras, with extrinsics from the level world.
        up_known: Whether it is known what is up; otherwise gravity is estimated from the bodies.
        smooth: How smooth the motion is, from 0 to 1.
        kept: Where parts of the fit are kept, from which an interrupted one goes on. Default: nowhere.
    """
    assert estimator.fitter is not None
    index = person.instants
    found: list[list[Detection | None]] = []
    others: list[list[list[Detection]]] = []
    initial: list[Initial | None] = []
    for camera, seen, numbers in zip(cameras, instants.seen, person.tracks):
        own = [seen[t].get(int(numbers[t])) for t in index]
        found.append([None if one is None else one.detection for one in own])
        others.append([[o.detection for n, o in seen[t].items() if n != numbers[t]] for t in index])
        initial.append(_initial(estimator, own, camera))
    fitter = MultiViewSequenceFitter(estimator.fitter, replace(OVER_TIME, smooth=smooth, standing=smooth > 0))
    up = -DOWN if up_known else None
    fit = fitter(found, instants.times[index], cameras, initial, up, others, kept)
    track = Track(
        estimator.body,
        betas=fit.betas,
        rotations=fit.rotations,
        translation=fit.translation,
        frames=index,
        times=instants.times[index],
        frame_rate=instants.rate,
        seen=(person.tracks[:, index] >= 0).any(0),
        scores=fit.score,
        reprojection_errors=_mean(fit.reprojection_error),
        mask_ious=_mean(fit.mask_iou),
        joint_deviations=fit.joint_deviation,
        contacts=fit.contacts,
        gravity=DOWN if up_known else fit.gravity.direction,
        gravity_deviation=np.zeros(2) if up_known else fit.gravity.deviation,
        body_name=estimator.body_name,
        made_by=estimator.made_by,
    )
    return SeenTrack(track, fit.reprojection_error, fit.exchanged)


def numbered_in_world(tracks: Sequence[Track]) -> list[Track]:
    """The tracks of one world with their numbers, and with one direction of gravity."""
    if not tracks:
        return []
    mean = np.mean([track.gravity for track in tracks if track.gravity is not None], axis=0)
    gravity = mean / np.linalg.norm(mean)
    known = [track.gravity_deviation for track in tracks if track.gravity_deviation is not None]
    deviation = np.mean(known, axis=0)
    return [
        replace(track, number=number, gravity=gravity, gravity_deviation=deviation)
        for number, track in enumerate(tracks)
    ]


def renumbered(seen: Sequence[SeenTrack]) -> list[SeenTrack]:
    """As :func:`numbered_in_world`, with what the cameras tell of each."""
    tracks = numbered_in_world([one.track for one in seen])
    return [replace(one, track=track) for one, track in zip(seen, tracks)]


def glimpse_colors(seen: Glimpse) -> np.ndarray:
    """The colours (2, 3) of a person's clothes; NaN where they are not known."""
    return NO_COLORS if seen.colors is None else seen.colors


def _initial(estimator: BodyEstimator, seen: Sequence[Glimpse | None], camera: Camera) -> Initial | None:
    """A regressor's estimates of a person in T instants of one camera; those of instants without it are any others."""
    present = np.flatnonzero([one is not None for one in seen])
    regressor = estimator.regressor
    if regressor is None or not len(present):
        return None
    here = [one for one in seen if one is not None]
    if needs_picture(regressor):
        kept = [one.initial for one in here]
        estimates = joined([one for one in kept if one is not None])
    else:
        plain = Camera(camera.focal, camera.center, camera.size)
        estimates = estimates_of(regressor, [one.detection for one in here], [plain] * len(here))
    nearest = torch.from_numpy(np.searchsorted((present[1:] + present[:-1]) / 2, np.arange(len(seen))))
    whiten = estimates.whiten
    same = not whiten.stride(0)  # expanded
    every = whiten[:1].expand(len(seen), -1, -1) if same else whiten[nearest]
    return Initial(estimates.state[nearest], every)


def _mean(values: np.ndarray) -> np.ndarray:
    """Means (T,) over the views (V, T) of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(0)
    return np.where(known.any(0), total / known.sum(0).clip(1), np.nan).astype(np.float32)
