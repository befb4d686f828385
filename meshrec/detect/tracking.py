"""Following people through a video: which detection in a frame is whom of the frames before.

A search of the whole frame is slow and misses people now and then. So people are searched for in the first frame, about
once a second, and when somebody is lost; in between, the detector looks where each should be. Detections are assigned
to people by overlap of boxes and distance of keypoints (Kuhn 1955, "The Hungarian method for the assignment problem"),
where each person is expected to go on at their speed; of assignments that fit alike, the colours of clothes decide.
When two people cross, looks at both may show the one in front; nobody is held twice.

Times decide and not numbers of frames, so that a video gives the same tracks at any frame rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from meshrec.body.joints import flip_permutation
from meshrec.detect.clothes_colors import NO_COLORS, clothes_colors, color_difference
from meshrec.detect.cuts import Change, Cuts, CutSettings
from meshrec.detect.people import Detection, Detector, Region, box_iou, pose_distance

Found = tuple[Detection, int | None]  # somebody found in a frame; if by following, the index of the known person
NEVER = -math.inf
REFUSED = 1e3  # cost of an assignment beyond the gate


@dataclass(frozen=True)
class TrackingSettings:
    """How people are followed.

    Attributes:
        search_every: Longest time between two searches of the whole frame, seconds.
        search_lost: The same while somebody is lost or nobody is there, seconds.
        memory: Time for which somebody who is not seen is remembered, seconds: a second, and what the next search may
            take.
        keypoint_weight: Weight of the keypoints' distance, a share of the body's size, against 1 - IoU of the boxes.
        keypoint_most: Distance of keypoints from which it counts no more.
        gate: Greatest cost of a detection for somebody seen a moment ago.
        gate_growth: How much the greatest cost grows, per second since somebody was seen.
        gate_most: Greatest cost ever. A detection that shares nothing with the one before costs 2.
        coasting: Time for which people are expected to go on moving after they are lost, seconds.
        settling: Time over which speeds are averaged, seconds.
        color_weight: Weight of the difference of the clothes' colours, in [0, 1], where several detections may be
            somebody. It does not count against the gate.
        color_most: Difference of colours from which it counts no more.
        color_least: How much better, in the sum of two differences, the colours of two people who have met must fit
            the other way round, if they are to be exchanged when both stand alone again.
        color_settling: Time over which colours are averaged, seconds.
        same: Pose distance below which two detections are the same person.
        cuts: When a frame begins another scene, in which all people are new.
    """

    search_every: float = 1.0
    search_lost: float = 0.2
    memory: float = 1.3
    keypoint_weight: float = 2.0
    keypoint_most: float = 0.5
    gate: float = 0.8
    gate_growth: float = 4.0
    gate_most: float = 1.7
    coasting: float = 0.5
    settling: float = 0.2
    color_weight: float = 2.0
    color_most: float = 0.25
    color_least: float = 0.15
    color_settling: float = 1.0
    same: float = 0.1
    cuts: CutSettings = field(default_factory=CutSettings)


@dataclass(frozen=True)
class Sighting:
    """A person in a frame of a video.

    Attributes:
        track: Number of the person, from 0 in the order in which people appear; numbers are not used twice.
        detection: The person as detected in this frame.
    """

    track: int
    detection: Detection


@dataclass(frozen=True)
class Known:
    """A person of the frames before.

    Attributes:
        track: Number of the person.
        person: The last detection, without mask and close-ups.
        time: Its time, seconds.
        speed: (2,) x, y, frame pixels per second.
        colors: (2, 3) colours of the clothes as :func:`meshrec.detect.clothes_colors.clothes_colors` gives them, from
            frames in which nobody else was near.
        met: Numbers of the people who may have been mistaken for this one since then, because their boxes overlapped.
    """

    track: int
    person: Detection
    time: float
    speed: np.ndarray
    colors: np.ndarray
    met: tuple[int, ...] = ()

    def expected(self, time: float, settings: TrackingSettings) -> Detection:
        """The last detection, moved to where the person should be at a time."""
        shift = min(time - self.time, settings.coasting) * self.speed
        return moved(self.person, shift)

    def seen(self, person: Detection, time: float, settings: TrackingSettings) -> Known:
        """The same person after another detection."""
        step = time - self.time
        speed = self.speed + _share(step, settings.settling) * (movement(self.person, person) / step - self.speed)
        return replace(self, person=_bare(person), time=time, speed=speed)

    def wearing(self, colors: np.ndarray, share: float) -> Known:
        """The same person with colours (2, 3), NaN where they are not seen, of which a share is taken over."""
        mixed = self.colors + share * (colors - self.colors)
        mixed = np.where(np.isnan(colors), self.colors, np.where(np.isnan(self.colors), colors, mixed))
        return replace(self, colors=mixed.astype(np.float32))


class Tracker:
    """Follows people through a video, one frame after the other.

    Args:
        detector: Finds people. One that has a method ``follow``, as
            :meth:`meshrec.detect.blazepose_detector.BlazePoseDetector.follow`, searches whole frames now and then; any
            other searches each frame.
        settings: How people are followed.

    Attributes:
        scene: Number of the scene of the last frame. It grows at a cut, and goes back where the scene before comes
            back after a flash.
        scene_before: Number of the scene that would come back if the last cut was a flash.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.tracking import Tracker
        >>> def detector(image, boxes=None):  # sees one person, who walks to the right
        ...     return [Detection(np.array([x, 0, x + 20, 40.0]), np.zeros((17, 3)), "coco17", 0.9)]
        >>> tracker, frame = Tracker(detector), np.zeros((48, 64, 3), np.uint8)
        >>> for x in (0, 2, 4):
        ...     print([sighting.track for sighting in tracker.step(frame, time=x / 50)])
        [0]
        [0]
        [0]
    """

    def __init__(self, detector: Detector, settings: TrackingSettings = TrackingSettings()) -> None:
        self.settings = settings
        self._detector = detector
        self._follow: Callable[..., list[Detection]] | None = getattr(detector, "follow", None)
        self._known: list[Known] = []
        self._before: list[Known] = []  # the people of the scene before the last cut
        self._cuts = Cuts(settings.cuts)
        self.scene = 0
        self.scene_before = 0
        self._scenes = 1  # that there were
        self._next = 0
        self._time = NEVER
        self._searched = NEVER

    def step(self, image: np.ndarray, time: float, found: Sequence[Detection] | None = None) -> list[Sighting]:
        """Follow people to the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, the frame.
            time: Its time in seconds, which only grows.
            found: Everyone in the frame, if that is known; the detector is then not asked. Detections whose keypoints
                all have a confidence of 0 are compared by their boxes alone.

        Returns:
            Everyone who is seen in the frame, by rising number.

        Raises:
            ValueError: The time is not later than that of the frame before.
        """
        if not time > self._time:
            raise ValueError(f"frames come in order, but one at {time:g} s follows one at {self._time:g} s")
        before = self._cuts.before
        change = self._cuts.step(image, time)
        if change is Change.CUT:
            if before is None or self._cuts.before is not before:  # else the flash goes on
                self._before, self.scene_before = self._known, self.scene
            self._known, self._searched = [], NEVER
            self.scene, self._scenes = self._scenes, self._scenes + 1
        elif change is Change.BACK:
            self._known, self._before, self._searched = self._before, [], NEVER
            self.scene = self.scene_before
        self._known = [k for k in self._known if time - k.time <= self.settings.memory]
        people: list[Found] = [(person, None) for person in found or ()]
        if found is None and self._follow is None:
            people = self._search(image, time)
        elif found is None:
            people = self._looked_for(image, time)
        sightings = self._assigned(image, people, time)
        self._time = time
        return sightings

    def state(self) -> dict[str, Any]:
        """All that the tracker knows, as arrays, numbers and strings by name, which :func:`numpy.savez` can store."""
        state: dict[str, Any] = {"next": self._next, "time": self._time, "searched": self._searched}
        state |= {"scene": self.scene, "scenes": self._scenes, "scene_before": self.scene_before}
        for name, value in vars(self._cuts).items():
            if name != "settings" and value is not None:
                state[f"cuts.{name}"] = value
        for group, people in (("known", self._known), ("before", self._before)):
            for i, known in enumerate(people):
                state |= {f"{group}.{i}.{name}": value for name, value in _as_plain(known).items()}
        return state

    @classmethod
    def resumed(
        cls, detector: Detector, state: Mapping[str, Any], settings: TrackingSettings = TrackingSettings()
    ) -> Tracker:
        """A tracker that goes on where another one stopped, and gives the same tracks as that one would have.

        Args:
            detector: The detector of the other tracker.
            state: What :meth:`state` of the other tracker gave; scalars may be arrays without axes.
            settings: The settings of the other tracker.
        """
        tracker = cls(detector, settings)
        tracker._next = int(state["next"])
        tracker.scene, tracker._scenes = int(state["scene"]), int(state["scenes"])
        tracker.scene_before = int(state["scene_before"])
        tracker._time, tracker._searched = float(state["time"]), float(state["searched"])
        cuts: dict[str, Any] = {name: state.get(f"cuts.{name}") for name in ("level", "last", "time", "before", "cut")}
        last, before = (None if cuts[name] is None else np.asarray(cuts[name]) for name in ("last", "before"))
        level, when, cut = (float(cuts[name]) for name in ("level", "time", "cut"))
        tracker._cuts = Cuts(settings.cuts, level, last, when, before, cut)
        for group, people in (("known", tracker._known), ("before", tracker._before)):
            while f"{group}.{len(people)}.track" in state:
                prefix = f"{group}.{len(people)}."
                own = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
                people.append(_from_plain(own))
        return tracker

    def _looked_for(self, image: np.ndarray, time: float) -> list[Found]:
        """Find people by a search of the frame if one is due, and by looks where they should be.

        Returns:
            People, and for those who were followed the index of whom.
        """
        settings, searched = self.settings, self._searched
        expected = [known.expected(time, settings) for known in self._known]
        active = [i for i, known in enumerate(self._known) if known.time == self._time]
        missing = len(active) < len(expected) or not active
        people: list[Found] = []
        if time - searched >= (settings.search_lost if missing else settings.search_every):
            people = self._search(image, time)
        taken = set(self._matches(image, [person for person, _ in people], time).values())
        # Searches miss people too, so who was lost a moment ago is looked for where they should be, as are all when a
        # search has been made.
        recent = time - (settings.memory if self._searched == time else settings.search_lost)
        wanted = [i for i, known in enumerate(self._known) if i in active or known.time >= recent]
        people, lost = self._followed(image, expected, [i for i in wanted if i not in taken], people)
        if lost and self._searched < time and time - searched >= settings.search_lost:
            new = [p for p, _ in self._search(image, time)]
            people += [(person, None) for person in new if not self._is_among(people, person)]
        return people

    def _search(self, image: np.ndarray, time: float) -> list[Found]:
        self._searched = time
        return [(person, None) for person in self._detector(image) if person.score > 0]

    def _followed(
        self,
        image: np.ndarray,
        expected: list[Detection],
        wanted: list[int],
        people: list[Found],
    ) -> tuple[list[Found], bool]:
        """Look where people should be.

        Args:
            image: The frame.
            expected: Everyone as they should be in this frame.
            wanted: Indices of those to look at.
            people: Those who have been found in this frame, and whom of ``expected`` each was followed from.

        Returns:
            ``people`` and those whom the looks show, and whether anybody was not seen. If looks at two people show the
            same one, it is the one whom it fits better. Who is not seen is looked for once more, with the others who
            stand there painted over.
        """
        if not wanted or self._follow is None:
            return people, False
        looks = self._follow(image, [expected[i] for i in wanted])
        fits = {i: (self._cost(expected[i], person), person) for i, person in zip(wanted, looks) if person.score > 0}
        people, again = list(people), [i for i in wanted if i not in fits]
        for i in sorted(fits, key=lambda i: fits[i][0]):
            if self._is_among(people, fits[i][1]):
                again.append(i)
            else:
                people.append((fits[i][1], i))
        lost = False
        for i in again:
            near = [other for other, _ in people if box_iou(expected[i].box[None], other.box[None])[0, 0] > 0]
            person = self._follow(image, [expected[i]], hidden=near)[0] if near else None
            if person is None or person.score == 0 or self._is_among(people, person):
                lost = True
            else:
                people.append((person, i))
        return people, lost

    def _is_among(self, people: list[Found], person: Detection) -> bool:
        return any(apart(person, other) < self.settings.same for other, _ in people)

    def _assigned(self, image: np.ndarray, people: list[Found], time: float) -> list[Sighting]:
        """Sightings of the people of a frame; who is nobody of the frames before and was not followed is new."""
        matches = self._matches(image, [person for person, _ in people], time)
        found: dict[int, Detection] = {}  # by the index of the known person
        for j, (person, source) in enumerate(people):
            if j in matches:
                i = matches[j]
                self._known[i] = self._known[i].seen(person, time, self.settings)
                found[i] = person
            elif source is None:
                found[len(self._known)] = person
                self._known.append(Known(self._next, _bare(person), time, np.zeros(2), NO_COLORS))
                self._next += 1
        self._tell_apart({i: clothes_colors(image, person) for i, person in found.items()}, time)
        sightings = [Sighting(self._known[i].track, person) for i, person in found.items()]
        return sorted(sightings, key=lambda sighting: sighting.track)

    def _tell_apart(self, colors: dict[int, np.ndarray], time: float) -> None:
        """Exchange people who stand alone again and whose clothes are those of each other, and keep colours.

        Args:
            colors: Colours of the people who are seen in this frame, by index of the known person.
            time: Time of the frame, seconds.
        """
        known, settings = self._known, self.settings
        boxes = np.array([one.expected(time, settings).box for one in known]).reshape(-1, 4)
        meeting = (box_iou(boxes, boxes) > 0) & ~np.eye(len(known), dtype=bool)
        tracks = {one.track for one in known}
        for i, one in enumerate(known):
            met = tracks.intersection(one.met).union(known[k].track for k in np.flatnonzero(meeting[i]))
            known[i] = replace(one, met=tuple(sorted(met)))
        alone = [i for i in colors if not meeting[i].any()]
        for i, k in combinations(alone, 2):
            a, b = known[i], known[k]
            if b.track not in a.met:
                continue
            a, b = (replace(one, met=tuple(t for t in one.met if t not in (a.track, b.track))) for one in (a, b))
            right, wrong = (
                color_difference(a.colors, colors[one]) + color_difference(b.colors, colors[other])
                for one, other in ((i, k), (k, i))
            )
            if right - wrong > settings.color_least:
                a, b = (replace(x, track=y.track, colors=y.colors) for x, y in ((a, b), (b, a)))
            known[i], known[k] = a, b
        for i in alone:
            if not known[i].met:
                known[i] = known[i].wearing(colors[i], _share(time - self._time, settings.color_settling))

    def _matches(self, image: np.ndarray, people: Sequence[Detection], time: float) -> dict[int, int]:
        """Which known person each of the given people is: index of the former by index of the latter."""
        from scipy.optimize import linear_sum_assignment

        if not people or not self._known:
            return {}
        settings = self.settings
        colors = [clothes_colors(image, person) for person in people]
        cost = np.full((len(self._known), len(people)), REFUSED)
        for i, known in enumerate(self._known):
            gate = min(settings.gate + settings.gate_growth * (time - known.time), settings.gate_most)
            expected = known.expected(time, settings)
            each = np.array([self._cost(expected, person) for person in people])
            differ = np.array([color_difference(known.colors, color) for color in colors])
            worse = settings.color_weight * np.minimum(differ, settings.color_most)
            cost[i, each <= gate] = (each + worse)[each <= gate]
        return {int(j): int(i) for i, j in zip(*linear_sum_assignment(cost)) if cost[i, j] < REFUSED}

    def _cost(self, expected: Detection, person: Detection) -> float:
        """How badly a detection fits somebody, from 0 to 2."""
        overlap = float(box_iou(expected.box[None], person.box[None])[0, 0])
        distance = apart(expected, person)
        return 1 - overlap + self.settings.keypoint_weight * min(distance, self.settings.keypoint_most)


def moved(person: Detection, shift: np.ndarray) -> Detection:
    """A person without mask and close-ups, elsewhere.

    Args:
        person: The person.
        shift: (2,) x, y in frame pixels.
    """
    shift = np.asarray(shift, np.float32)
    keypoints = person.keypoints.copy()
    keypoints[:, :2] += shift
    region = person.region and replace(person.region, center=person.region.center + shift)
    return replace(_bare(person), box=person.box + np.tile(shift, 2), keypoints=keypoints, region=region)


def movement(before: Detection, after: Detection) -> np.ndarray:
    """How far somebody has moved: the median over the keypoints that are seen in both frames.

    Returns:
        (2,) x, y in frame pixels; without such keypoints the movement of the middle of the box.
    """
    if before.joint_set == after.joint_set:
        seen = (before.keypoints[:, 2] > 0) & (after.keypoints[:, 2] > 0)
        if seen.any():
            return np.median(after.keypoints[seen, :2] - before.keypoints[seen, :2], axis=0).astype(float)
    return (_middle(after.box) - _middle(before.box)).astype(float)


def apart(a: Detection, b: Detection) -> float:
    """Distance of two detections as a share of the person's size, whichever side is left in each.

    It is :func:`meshrec.detect.people.pose_distance`; for detections without common keypoints, the distance of the
    boxes' middles over the longer diagonal.
    """
    if a.joint_set == b.joint_set and a.keypoints[:, 2].any() and b.keypoints[:, 2].any():
        flipped = b.keypoints[flip_permutation(b.joint_set)]
        return min(pose_distance(a.keypoints, b.keypoints), pose_distance(a.keypoints, flipped))
    size = max(float(np.linalg.norm(box[2:] - box[:2])) for box in (a.box, b.box))
    return float(np.linalg.norm(_middle(a.box) - _middle(b.box))) / max(size, 1e-6)


def _share(step: float, settling: float) -> float:
    """Weight of a new value in a running mean over a time, after a step; both in seconds."""
    return 1 - math.exp(-step / settling)


def _middle(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _bare(person: Detection) -> Detection:
    """A detection without what is not needed to find the person again."""
    return replace(person, mask=None, world=None, close_ups=())


def _as_plain(known: Known) -> dict[str, Any]:
    """A person of the frames before as arrays, numbers and strings."""
    person = known.person
    plain = {"track": known.track, "time": known.time, "speed": known.speed, "colors": known.colors}
    plain["met"] = np.array(known.met, np.int64)
    plain |= {"box": person.box, "keypoints": person.keypoints, "joint_set": person.joint_set, "score": person.score}
    if person.region is not None:
        plain |= {"center": person.region.center, "side": person.region.side, "turn": person.region.turn}
    return plain


def _from_plain(plain: Mapping[str, Any]) -> Known:
    """The inverse of :func:`_as_plain`."""
    region = None
    if "center" in plain:
        region = Region(np.asarray(plain["center"]), float(plain["side"]), float(plain["turn"]))
    box, keypoints = np.asarray(plain["box"]), np.asarray(plain["keypoints"])
    person = Detection(box, keypoints, str(plain["joint_set"]), float(plain["score"]), region=region)
    speed, colors = np.asarray(plain["speed"]), np.asarray(plain["colors"])
    met = tuple(int(track) for track in plain["met"])
    return Known(int(plain["track"]), person, float(plain["time"]), speed, colors, met)
