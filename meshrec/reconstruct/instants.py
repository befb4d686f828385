"""Instants that the clips of several cameras have in common: by time and not by the numbers of frames.

Cameras may have other frame rates, begin and end at other times, and have clocks that differ. The instants are those of
the slowest camera's frames; what another camera saw between two of its frames is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.detect.offsets import CameraTracks, find_offsets
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.reconstruct.observations import Glimpse, Observations, PackedMask
from meshrec.reconstruct.track_fitting import kept_tracks

NEAR = 0.02  # of the time between two frames, by which a frame may miss an instant and still be taken as it is
LONGEST_STEP = 0.2  # seconds between two frames between which people are interpolated
GUESS = 0.3  # confidence below which an offset is a guess
TRACKS_FOR_OFFSETS = 6  # of each camera, those seen longest and largest
SLACK = 1e-6  # seconds by which times miss each other because they were rounded


@dataclass(frozen=True, eq=False)
class Instants:
    """What V cameras see in T instants.

    Attributes:
        times: (T,) seconds from the first instant.
        rate: Instants per second.
        begin: Time of the first instant on the clock that all cameras share, seconds.
        seen: For each camera and each instant the people, by the number of the camera's track.
        notes: Remarks for the user.
    """

    times: np.ndarray
    rate: float
    begin: float
    seen: list[list[dict[int, Glimpse]]]
    notes: tuple[str, ...] = ()


def common_span(
    names: Sequence[str], firsts: Sequence[float], lasts: Sequence[float], start: float | None, end: float | None
) -> tuple[float, float]:
    """The time that all cameras share.

    Args:
        names: Names of the cameras.
        firsts, lasts: Times of their first and last frames on a common clock, seconds.
        start, end: Times between which instants are wanted.

    Returns:
        The first and the last time.

    Raises:
        InputError: They share none, or none of what is wanted.

    Example:
        >>> from meshrec.reconstruct.instants import common_span
        >>> common_span(["left", "right"], [0.0, 0.5], [4.0, 3.5], None, 2.0)
        (0.5, 2.0)
    """
    late, early = int(np.argmax(firsts)), int(np.argmin(lasts))
    first, last = float(firsts[late]), float(lasts[early])
    if first > last + SLACK:
        raise InputError(
            f"the cameras have no time in common: the clip of {names[early]} ends at {last:.4g} seconds, before that "
            f"of {names[late]} begins at {first:.4g}; check the offsets, and whether all clips are of one take."
        )
    wanted = max(first, -np.inf if start is None else start), min(last, np.inf if end is None else end)
    if wanted[0] > wanted[1] + SLACK:
        raise InputError(
            f"the cameras share the time from {first:.4g} to {last:.4g} seconds, of which nothing lies in the part "
            "asked for."
        )
    return float(wanted[0]), float(wanted[1])


def left_out(firsts: Sequence[float], lasts: Sequence[float], rate: float) -> list[str]:
    """A remark for the user, if clips are longer than the time that all of them share.

    Args:
        firsts, lasts: Times of the clips' first and last frames on a common clock, seconds.
        rate: Frames per second; a frame more or less is no remark.
    """
    shared, longest = min(lasts) - max(firsts), max(last - first for first, last in zip(firsts, lasts))
    if longest - shared <= 1.5 / rate:
        return []
    return [f"the cameras share {shared:.4g} seconds of clips of up to {longest:.4g} seconds; the rest is left out"]


def common_instants(
    names: Sequence[str],
    observations: Sequence[Observations],
    rates: Sequence[float],
    offsets: Sequence[float],
    start: float | None = None,
    end: float | None = None,
) -> Instants:
    """Bring what cameras saw to common instants.

    Args:
        names: Names of the V cameras.
        observations: What each of them saw.
        rates: Their frames per second.
        offsets: What to add to the times of each, seconds.
        start, end: Times on the common clock between which instants are wanted.

    Raises:
        InputError: The cameras have no time in common.
    """
    times = [own.of_frames("time") + offset for own, offset in zip(observations, offsets)]
    firsts, lasts = ([float(own[i]) for own in times] for i in (0, -1))
    first, last = common_span(names, firsts, lasts, start, end)
    slowest = int(np.argmin(rates))
    own = times[slowest]
    chosen = own[(own >= first - SLACK) & (own <= last + SLACK)]
    if not len(chosen):
        raise InputError(f"the cameras share {last - first:.3g} seconds, in which {names[slowest]} has no frame.")
    seen = [_at(list(one.glimpses()), own, chosen) for one, own in zip(observations, times)]
    notes = []
    if start is None and end is None:
        notes += left_out(firsts, lasts, rates[slowest])
    if max(rates) > 1.01 * min(rates):
        each = ", ".join(f"{name} {rate:.4g}" for name, rate in zip(names, rates))
        notes.append(f"frames per second: {each}; the result has those of {names[slowest]}")
    for name, frames in zip(names, seen):
        if not any(frames):
            notes.append(f"camera {name} sees nobody")
    return Instants(chosen - chosen[0], rates[slowest], float(chosen[0]), seen, tuple(notes))


def found_offsets(
    names: Sequence[str], observations: Sequence[Observations], cameras: Sequence[Camera] | None
) -> tuple[list[float], tuple[str, ...]]:
    """Find by how much the cameras' clocks differ, from the motion of the people.

    Args:
        names: Names of the V cameras.
        observations: What each of them saw.
        cameras: Their calibration; None if it is not known, in which case offsets are less exact.

    Returns:
        What to add to each camera's times, seconds, 0 for the first; and remarks for the user.
    """
    tracks = [_tracks(own) for own in observations]
    sighted = [v for v, own in enumerate(tracks) if len(own.keypoints)]
    seconds, notes = [0.0] * len(names), []
    if len(sighted) > 1:
        found = find_offsets([tracks[v] for v in sighted], None if cameras is None else [cameras[v] for v in sighted])
        for v, own, sure in zip(sighted, found.seconds.tolist(), found.confidence.tolist()):
            seconds[v] = own if sure > 0 else 0.0
            doubt = "" if sure >= GUESS else "; this is a guess, since little moves, or the same again and again"
            if v != sighted[0]:
                notes.append(f"the clock of {names[v]} is {seconds[v]:+.3f} s late against that of {names[0]}{doubt}")
    return seconds, tuple(notes)


def _tracks(observations: Observations) -> CameraTracks:
    """The keypoints of the people whom a camera sees longest and largest."""
    numbers = kept_tracks(observations, TRACKS_FOR_OFFSETS)
    frames = list(observations.glimpses())
    some = next((seen.detection for people in frames for seen in people.values()), None)
    joints = () if some is None else joint_set(some.joint_set)
    keypoints = np.zeros((len(numbers), len(frames), len(joints), 3), np.float32)
    for t, people in enumerate(frames):
        for p, number in enumerate(numbers):
            if number in people:
                keypoints[p, t] = people[number].detection.keypoints
    return CameraTracks(observations.of_frames("time"), keypoints, joints)


def _at(frames: Sequence[Mapping[int, Glimpse]], times: np.ndarray, instants: np.ndarray) -> list[dict[int, Glimpse]]:
    """What a camera saw in T frames at other times: as it is where a frame is near, else interpolated.

    Args:
        frames: The people in each frame by track.
        times: (T,) of the frames, rising.
        instants: (N,) rising.
    """
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    result = []
    for instant in instants:
        after = int(np.searchsorted(times, instant).clip(1, max(len(times) - 1, 1)))
        before = after - 1
        after = min(after, len(times) - 1)
        near = before if instant - times[before] <= times[after] - instant else after
        if abs(times[near] - instant) <= NEAR * usual:
            result.append(dict(frames[near]))
            continue
        step = times[after] - times[before]
        if step <= 0 or step > max(LONGEST_STEP, 2.5 * usual):
            result.append({})
            continue
        share = (instant - times[before]) / step
        both = [track for track in frames[before] if track in frames[after]]
        result.append(
            {track: between(frames[before][track], frames[after][track], float(share)) for track in sorted(both)}
        )
    return result


def between(before: Glimpse, after: Glimpse, share: float) -> Glimpse:
    """A person between two frames. Keypoints move evenly; the rest is that of the nearer frame, moved with the box.

    Args:
        before, after: The person in the two frames.
        share: Share of the time between the frames that has passed, in [0, 1].
    """
    near = before if share <= 0.5 else after
    a, b = before.detection, after.detection
    keypoints = a.keypoints + np.float32(share) * (b.keypoints - a.keypoints)
    lost = np.minimum(a.keypoints[:, 2], b.keypoints[:, 2]) <= 0  # what is seen in one of them alone has no way
    keypoints[lost] = near.detection.keypoints[lost] * [1, 1, 0]
    box = a.box + np.float32(share) * (b.box - a.box)
    old = near.detection.box
    shift = (box[:2] + box[2:] - old[:2] - old[2:]) / 2
    return replace(near, detection=_moved(near.detection, keypoints, box, shift))


def _moved(person: Detection, keypoints: np.ndarray, box: np.ndarray, shift: np.ndarray) -> Detection:
    mask = None if person.mask is None else PackedMask(person.mask).moved(shift)
    close_ups = tuple(replace(close, center=close.center + shift) for close in person.close_ups)
    return replace(person, keypoints=keypoints.astype(np.float32), box=box, mask=mask, close_ups=close_ups)
