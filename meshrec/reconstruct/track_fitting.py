"""Fitting the bodies of a clip's people to what is seen of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from meshrec.body.joints import joint_set
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.detect.sides import exchanged, settle_sides
from meshrec.detect.tracks import most_prominent, worth_keeping
from meshrec.errors import InputError
from meshrec.fit import Initial
from meshrec.fit.gravity import GravitySettings, gravity_of
from meshrec.fit.kept import Kept
from meshrec.fit.sequence import SequenceFitter, SequenceSettings
from meshrec.fit.stature import with_stature
from meshrec.geometry import Camera
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.observations import Observations, Seen, joined
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.watching import needs_picture, zoomed

AT_ONCE = 64  # people whom a network sees at a time
FRAMES_FOR_GRAVITY = 12  # of each track; frames next to each other tell the same


def tracks_in(
    estimator: BodyEstimator,
    observations: Observations,
    camera: Camera,
    rate: float,
    people: int | None = None,
    smooth: float = 0.5,
    height: float | Sequence[float] | np.ndarray | None = None,
) -> list[Track]:
    """Fit everybody who is seen in a clip.

    Args:
        estimator: Whose regressor and fit make the bodies.
        observations: What is seen in the clip.
        camera: Camera of the first frame of each scene.
        rate: Frames per second.
        people: Number of people to keep. Default: everyone.
        smooth: How smooth motions are, from 0 to 1.
        height: Stature of everyone, or of each person in the order of the result, metres. Default: not known.

    Returns:
        The tracks, those seen longest and largest first.

    Raises:
        InputError: There are more or fewer heights than people.
    """
    numbers = kept_tracks(observations, people)
    heights = heights_of(height, len(numbers))
    tracks = [
        track_of(estimator, number, observations, camera, rate, smooth, own) for number, own in zip(numbers, heights)
    ]
    return numbered(tracks, height is not None)


def numbered(tracks: Sequence[Track], known_stature: bool = False) -> list[Track]:
    """The tracks of a clip with their numbers, and with gravity, which is estimated from all of each scene."""
    if not tracks:
        return []
    settings = GravitySettings(stature=0.0) if known_stature else GravitySettings()
    found: dict[int, Track] = {}
    for scene in {track.scene for track in tracks}:
        own = [number for number, track in enumerate(tracks) if track.scene == scene]
        found |= zip(own, with_gravity([tracks[number] for number in own], settings))
    return [replace(found[number], number=number) for number in range(len(tracks))]


def heights_of(height: float | Sequence[float] | np.ndarray | None, count: int) -> list[float | None]:
    """The stature of each of several people, by one of all or one of each.

    Raises:
        InputError: There are more or fewer heights than people.
    """
    if height is None:
        return [None] * count
    heights = np.asarray(height, float)
    if heights.ndim == 0 or len(heights) == 1:
        return [float(heights.reshape(-1)[0])] * count
    if len(heights) != count:
        who = "1 person" if count == 1 else f"{count} people"
        raise InputError(f"{len(heights)} heights for {who}: give one, or one a person.")
    return heights.tolist()


def kept_tracks(observations: Observations, people: int | None = None) -> list[int]:
    """Numbers of the tracks that are people and not chance finds, those seen longest and largest first.

    Args:
        observations: What is seen in the clip.
        people: Number of people to keep. Default: everyone.
    """
    tracks = observations.boxes()
    kept = worth_keeping(tracks, observations.of_frames("time")) if tracks else []
    return most_prominent({number: tracks[number] for number in kept}, len(kept) if people is None else people)


def track_of(
    estimator: BodyEstimator,
    number: int,
    observations: Observations,
    camera: Camera,
    rate: float,
    smooth: float = 0.5,
    height: float | None = None,
    kept: Kept | None = None,
) -> Track:
    """Fit one body to all that is seen of a person.

    Args:
        estimator: Whose regressor makes first estimates, and whose fit continues from them. Without a fit the
            estimates are the result.
        number: Number of the track among the observations.
        observations: What is seen in the clip.
        camera: Camera of the first frame of each scene.
        rate: Frames per second.
        smooth: How smooth the motion is, from 0 to 1.
        height: Stature, metres. Default: what the clip suggests.
        kept: Where parts of the fit are kept, from which an interrupted one goes on. Default: nowhere.

    Returns:
        The track, without gravity, which is estimated from everybody.
    """
    regressor = estimator.regressor
    seen = observations.person(number)
    times, frames, scenes = (observations.of_frames(name)[seen.frames] for name in ("time", "number", "scene"))
    scene = scenes[seen.present[0]]
    # Frames of a flash, in which the scene is another, have the camera of the nearest frame of the scene.
    views = seen.frames[_nearest(np.flatnonzero(scenes == scene), len(frames))]
    turns, zooms = (observations.of_frames(name)[views] for name in ("turn", "zoom"))
    sides = settle_sides(seen.detections, times[seen.present])
    detections = [exchanged(d) if swapped else d for d, swapped in zip(seen.detections, sides)]
    cameras = [zoomed(camera, zoom) for zoom in zooms.tolist()]
    initial = seen.initial
    if regressor is not None and not needs_picture(regressor):
        initial = estimates_of(regressor, detections, [cameras[i] for i in seen.present])
    if initial is not None:
        initial = _in_all_frames(initial, seen)
    found: list[Detection | None] = [None] * len(frames)
    for index, detection in zip(seen.present.tolist(), detections):
        found[index] = detection
    fit: Mapping[str, Any]
    if estimator.fitter is None:
        assert initial is not None
        fit = _unfitted(initial)
    else:
        fitter = SequenceFitter(estimator.fitter, SequenceSettings(smooth=smooth))
        fitted = fitter(found, times, cameras, initial, turns, seen.others, kept)
        fit = {
            "rotations": fitted.rotations,
            "translation": fitted.translation,
            "betas": fitted.betas,
            "joint_deviations": fitted.joint_deviation,
            "reprojection_errors": fitted.reprojection_error,
            "mask_ious": fitted.mask_iou,
            "scores": fitted.score,
            "contacts": fitted.contacts,
        }
    names = joint_set(detections[0].joint_set)
    present = np.isin(np.arange(len(frames)), seen.present)
    nearest = seen.nearest
    keypoints = np.stack([d.keypoints for d in detections])[nearest]
    keypoints[~present, :, 2] = 0
    track = Track(
        estimator.body,
        frames=frames,
        times=times,
        frame_rate=rate,
        camera=camera,
        turns=turns,
        zooms=zooms,
        seen=present,
        boxes=np.stack([d.box for d in detections])[nearest],
        keypoints_2d=keypoints,
        keypoint_names=names,
        scene=int(scene),
        body_name=estimator.body_name,
        made_by=estimator.made_by,
        **fit,
    )
    return track if height is None else with_height(track, height)


def with_height(track: Track, height: float) -> Track:
    """A track whose body has a given stature, metres, seen by the camera as before."""
    parts = (track.rotations, track.translation, np.broadcast_to(track.betas, (len(track), len(track.betas))).copy())
    state = BodyState(*(torch.from_numpy(part).double() for part in parts))
    body = track.body if track.body.v_template.device.type == "cpu" else copy(track.body).cpu()
    state = with_stature(body, state, torch.full((len(track),), height, dtype=torch.float64))
    return replace(track, translation=state.translation.numpy(), betas=state.betas[0].numpy())


def with_gravity(tracks: Sequence[Track], settings: GravitySettings = GravitySettings()) -> list[Track]:
    """The tracks of a scene with the direction of gravity in its world, by some frames of each."""
    joints, deviations = [], []
    for track in tracks:
        some = np.flatnonzero(track.seen)[:: -(-int(track.seen.sum()) // FRAMES_FOR_GRAVITY)]
        joints.append(np.einsum("tij,tki->tkj", track.turns[some], track.joints()[some]))
        if track.joint_deviations is not None:
            deviations.append(track.joint_deviations[some])
    known = np.concatenate(deviations) if len(deviations) == len(tracks) else None
    gravity = gravity_of(np.concatenate(joints), known, settings)
    return [replace(track, gravity=gravity.direction, gravity_deviation=gravity.deviation) for track in tracks]


def _nearest(index: np.ndarray, count: int) -> np.ndarray:
    """The nearest of rising numbers to each of 0 to ``count`` - 1."""
    return index[np.searchsorted((index[1:] + index[:-1]) / 2, np.arange(count))]


def estimates_of(regressor: Callable[..., Initial], detections: list[Detection], cameras: list[Camera]) -> Initial:
    """Estimates of one person in N frames by a regressor that needs no pictures.

    Args:
        regressor: The regressor.
        detections: The person in each frame.
        cameras: The camera of each frame, without extrinsics.
    """
    width, height = cameras[0].size
    nothing = np.broadcast_to(np.uint8(0), (height, width, 3))  # a picture of this size that takes no memory
    parts, start = [], 0
    while start < len(detections):
        stop = start + 1
        while stop < min(len(detections), start + AT_ONCE) and cameras[stop] == cameras[start]:
            stop += 1
        parts.append(joined([regressor(nothing, detections[start:stop], cameras[start])]))
        start = stop
    return joined(parts)


def _in_all_frames(initial: Initial, seen: Seen) -> Initial:
    """Estimates of N frames in all T frames, where the person is not seen those of the nearest frame."""
    whiten, index = initial.whiten, torch.from_numpy(seen.nearest)
    same = not whiten.stride(0)  # expanded
    return Initial(initial.state[index], whiten[:1].expand(len(index), -1, -1) if same else whiten[index])


def _unfitted(initial: Initial) -> dict[str, np.ndarray]:
    """A regressor's estimates as a track's: the shape is their median."""
    state = initial.state
    return {
        "rotations": state.rotations.float().numpy(),
        "translation": state.translation.float().numpy(),
        "betas": state.betas.median(0).values.float().numpy(),
    }
