"""Following people through the videos of several cameras at once.

Each camera has its own tracker (:mod:`meshrec.detect.tracking`), which may exchange two people who cross in front of
it. At each instant the detections of all cameras are matched; which tracks have been one person's a moment ago counts
as evidence, but clear views overrule it. Who somebody is follows from where they stand in the world: people who cover
each other in a camera are still apart there. Tracks and the colours of clothes tell who is seen by one camera, or has
been away.

Times decide and not numbers of frames, so that videos give the same people at any frame rate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshrec.detect.clothes_colors import NO_COLORS, color_difference
from meshrec.detect.matching import Match, MatchingSettings, match_people
from meshrec.detect.people import Detection
from meshrec.detect.tracking import Sighting
from meshrec.geometry.cameras import Camera
from meshrec.geometry.rays import rays_of

Source = tuple[int, int]  # index of a camera, and number of a track of it
MOST_COST = 3.0  # from which a match is not taken for a known person


@dataclass(frozen=True)
class MultiViewSettings:
    """How people are followed in several cameras.

    Attributes:
        matching: What makes detections of one instant one person.
        window: Time over which it is averaged which tracks are whose, seconds.
        history: Evidence that two tracks are one person's if they always were, or two people's if they never were.
        place: Evidence that two detections are one person's if both are seen where the same person is expected, or two
            people's if they are seen where two are.
        place_spread: Standard deviation of the distance in which a camera sees somebody past where they are expected,
            metres, at once and per second since they were seen.
        gate: Distance from where somebody is expected up to which it may be them, metres.
        speed: How much the distance grows with the time since they were seen, metres per second.
        gate_most: Greatest distance, metres.
        track_weight: Cost of tracks that were all somebody else's, against 1 for a place at the gate.
        least_agreement: Least share of a track that has to be somebody's if this one camera alone is to tell that it is
            them.
        color_weight: Cost of a difference of 1 between the colours of clothes.
        away: Time after which somebody who comes back has to have the colours they had, if these are known, seconds.
        color_most: Greatest difference of colours of somebody who comes back.
        memory: Time for which somebody who is not seen is remembered, seconds.
        settled: Time for which somebody has to be seen to count as one of the people. Others do not tell who stands
            where, are forgotten after as long, and are only taken for who is seen if nobody else fits, seconds.
        coasting: Time for which people are expected to go on moving after they are lost, seconds.
        settling: Time over which speeds are averaged, seconds.
        color_settling: Time over which colours are averaged, seconds.
    """

    matching: MatchingSettings = field(default_factory=MatchingSettings)
    window: float = 1.0
    history: float = 4.0
    place: float = 8.0
    place_spread: tuple[float, float] = (0.15, 1.0)
    gate: float = 0.5
    speed: float = 2.0
    gate_most: float = 4.0
    track_weight: float = 0.4
    least_agreement: float = 0.2
    color_weight: float = 2.0
    away: float = 0.7
    color_most: float = 0.12
    memory: float = 15.0
    settled: float = 0.4
    coasting: float = 0.4
    settling: float = 0.25
    color_settling: float = 1.0


@dataclass(frozen=True, eq=False)
class WorldSighting:
    """A person at one instant, as the cameras see them.

    Attributes:
        person: Number of the person, from 0 in the order in which people appear; numbers are not used twice.
        views: By index of the camera, the person in its picture.
        match: How the views fit together; it may lack a view whose keypoints do not fit, but whose track is the
            person's.
    """

    person: int
    views: dict[int, Sighting]
    match: Match


@dataclass(frozen=True, eq=False)
class _Known:
    """Somebody of the instants before: number, place (3,) and speed (3,) in the world, NaN where only one camera saw
    them, when they were seen and when they had a place, colours (2, 3), and for how long they have been seen."""

    person: int
    place: np.ndarray
    speed: np.ndarray
    time: float
    placed: float
    colors: np.ndarray
    duration: float = 0.0

    def expected(self, time: float, settings: MultiViewSettings) -> np.ndarray:
        return self.place + min(time - self.placed, settings.coasting) * self.speed


class MultiViewTracker:
    """Follows people through synchronised videos, one instant after the other.

    Args:
        cameras: The cameras, with extrinsics in metres.
        settings: How people are followed.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.multiview_tracking import MultiViewTracker
        >>> from meshrec.detect.tracking import Sighting
        >>> from meshrec.geometry import Camera
        >>> def person(x):
        ...     keypoints = np.array([[x + 10 * (i % 5), 100 + 12 * i, 1] for i in range(17)])
        ...     return Sighting(0, Detection(np.array([x, 100, x + 40, 292]), keypoints, "coco17", 0.9))
        >>> left, right = Camera(500.0, size=(640, 480)), Camera(500.0, size=(640, 480), translation=(-0.6, 0.0, 0.0))
        >>> tracker = MultiViewTracker([left, right])
        >>> for time in (0.0, 0.1):
        ...     people = tracker.step([[person(300 + 50 * time)], [person(225 + 50 * time)]], time)
        ...     print([(one.person, sorted(one.views)) for one in people])
        [(0, [0, 1])]
        [(0, [0, 1])]
    """

    def __init__(self, cameras: Sequence[Camera], settings: MultiViewSettings = MultiViewSettings()) -> None:
        self.cameras = list(cameras)
        self.settings = settings
        self._known: list[_Known] = []
        self._pairs: dict[tuple[Source, Source], float] = {}  # from -1, never one person's, to 1, always
        self._owners: dict[Source, dict[int, float]] = {}
        self._last: dict[Source, float] = {}
        self._next = 0
        self._time = -math.inf

    def step(
        self,
        sightings: Sequence[Sequence[Sighting]],
        time: float,
        colors: Sequence[Sequence[np.ndarray]] | None = None,
    ) -> list[WorldSighting]:
        """Follow people to the next instant.

        Args:
            sightings: Of each camera everyone whom its tracker sees, in pixels without lens distortion.
            time: Time of the instant in seconds, which only grows.
            colors: Of each camera the colours (2, 3) of everyone's clothes, as
                :func:`meshrec.detect.clothes_colors.clothes_colors` gives them.

        Returns:
            Everyone, by rising number.

        Raises:
            ValueError: The time is not later than that of the instant before, or the numbers of cameras differ.
        """
        if not time > self._time:
            raise ValueError(f"instants come in order, but one at {time:g} s follows one at {self._time:g} s")
        settings = self.settings
        self._forget(time)
        sources = [(c, sighting.track) for c, seen in enumerate(sightings) for sighting in seen]
        found = [[sighting.detection for sighting in seen] for seen in sightings]
        matches = match_people(found, self.cameras, settings.matching, colors, self._evidence(sources, found, time))
        worn = [_worn(match, colors) for match in matches]
        people = self._identified(matches, sightings, worn, time)
        self._remember(people, time)
        self._time = time
        return sorted(people, key=lambda one: one.person)

    def state(self) -> dict[str, Any]:
        """All that the tracker knows, as arrays and numbers by name, which :func:`numpy.savez` can store."""
        known = self._known
        return {
            "next": self._next,
            "time": self._time,
            "person": np.array([one.person for one in known], np.int64),
            "place": np.array([one.place for one in known]).reshape(-1, 3),
            "speed": np.array([one.speed for one in known]).reshape(-1, 3),
            "seen": np.array([[one.time, one.placed, one.duration] for one in known]).reshape(-1, 3),
            "colors": np.array([one.colors for one in known]).reshape(-1, 2, 3),
            "pairs": np.array([[*a, *b] for a, b in self._pairs], np.int64).reshape(-1, 4),
            "pair_values": np.array(list(self._pairs.values()), np.float64),
            "owners": np.array([[*s, p] for s, own in self._owners.items() for p in own], np.int64).reshape(-1, 3),
            "owner_values": np.array([v for own in self._owners.values() for v in own.values()], np.float64),
            "tracks": np.array(list(self._last), np.int64).reshape(-1, 2),
            "track_times": np.array(list(self._last.values()), np.float64),
        }

    @classmethod
    def resumed(
        cls,
        cameras: Sequence[Camera],
        state: Mapping[str, Any],
        settings: MultiViewSettings = MultiViewSettings(),
    ) -> MultiViewTracker:
        """A tracker that goes on where another one stopped, and finds the same people as that one would have.

        Args:
            cameras: The cameras of the other tracker.
            state: What :meth:`state` of the other tracker gave; scalars may be arrays without axes, arrays lists.
            settings: The settings of the other tracker.
        """
        tracker = cls(cameras, settings)
        tracker._next, tracker._time = int(state["next"]), float(state["time"])
        rows = zip(*(np.asarray(state[name]) for name in ("person", "place", "speed", "seen", "colors")))
        tracker._known = [
            _Known(int(person), place, speed, float(seen[0]), float(seen[1]), colors, float(seen[2]))
            for person, place, speed, seen, colors in rows
        ]
        for (a, b, c, d), value in zip(np.asarray(state["pairs"]).reshape(-1, 4), state["pair_values"]):
            tracker._pairs[(int(a), int(b)), (int(c), int(d))] = float(value)
        for (camera, track, person), value in zip(np.asarray(state["owners"]).reshape(-1, 3), state["owner_values"]):
            tracker._owners.setdefault((int(camera), int(track)), {})[int(person)] = float(value)
        for (camera, track), when in zip(np.asarray(state["tracks"]).reshape(-1, 2), state["track_times"]):
            tracker._last[int(camera), int(track)] = float(when)
        return tracker

    def _forget(self, time: float) -> None:
        """Forget people and tracks that have not been seen for long."""
        memory, settled = self.settings.memory, self.settings.settled
        self._known = [
            one for one in self._known if time - one.time <= (memory if one.duration >= settled else settled)
        ]
        self._last = {source: when for source, when in self._last.items() if time - when <= memory}
        self._pairs = {pair: v for pair, v in self._pairs.items() if pair[0] in self._last and pair[1] in self._last}
        people = {one.person for one in self._known}
        self._owners = {
            source: {person: value for person, value in own.items() if person in people}
            for source, own in self._owners.items()
            if source in self._last
        }

    def _evidence(self, sources: Sequence[Source], found: Sequence[Sequence[Detection]], time: float) -> np.ndarray:
        """Evidence (D, D) of the instants before that detections are one person's: of tracks and of places."""
        who = self._likely(found, time)
        same = who @ who.T
        different = np.outer(who.sum(1), who.sum(1)) - same
        evidence = self.settings.place * (same - different)
        for i, a in enumerate(sources):
            for j, b in enumerate(sources[:i]):
                value = self.settings.history * self._pairs.get((b, a), 0.0)
                evidence[[i, j], [j, i]] += value
        return evidence

    def _likely(self, found: Sequence[Sequence[Detection]], time: float) -> np.ndarray:
        """Probabilities (D, P) that detections are of known people, by where these are expected in the world.

        The rest of a row is the probability of somebody else: of a person who is seen three standard deviations away.
        """
        settings = self.settings
        near, more = settings.place_spread
        off = np.full((sum(len(people) for people in found), len(self._known)), np.inf)
        for k, known in enumerate(self._known):
            expected, spread = known.expected(time, settings), near + more * (time - known.placed)
            if np.isnan(expected).any() or known.duration < settings.settled:
                continue
            rows = [_aside(self.cameras[c], one, expected) for c, people in enumerate(found) for one in people]
            off[:, k] = np.array(rows) / spread
        likely = np.exp(-np.square(off) / 2)
        return likely / (likely.sum(1, keepdims=True) + math.exp(-4.5))

    def _agreement(self, tracks: Sequence[Source], person: int) -> float:
        """Share in [0, 1] of what tracks have been that is a person."""
        owners = [self._owners.get(source, {}) for source in tracks]
        total = sum(sum(own.values()) for own in owners)
        return sum(own.get(person, 0.0) for own in owners) / total if total > 0 else 0.0

    def _identified(
        self, matches: list[Match], sightings: Sequence[Sequence[Sighting]], worn: list[np.ndarray], time: float
    ) -> list[WorldSighting]:
        """Who the matches are, after colours and places of known people have been brought up to date."""
        from scipy.optimize import linear_sum_assignment

        settings = self.settings
        views = [{c: sightings[c][i] for c, i in match.views.items()} for match in matches]
        tracks = [[(c, sighting.track) for c, sighting in seen.items()] for seen in views]
        gain = np.zeros((len(self._known), len(matches)))
        for i, known in enumerate(self._known):
            for j, match in enumerate(matches):
                cost = self._cost(known, match, views[j], tracks[j], worn[j], time)
                gain[i, j] = len(match.views) * max(MOST_COST - cost, 0)
        chosen = {int(j): int(i) for i, j in zip(*linear_sum_assignment(-gain)) if gain[i, j] > 0}
        people: list[WorldSighting] = []
        # What fits nobody may be a bad view of somebody, whose other views have found them.
        for j in sorted(range(len(matches)), key=lambda j: j not in chosen):
            if j in chosen:
                known = self._known[chosen[j]]
            else:
                owner = self._owner_of_stray(tracks[j], views[j], people, time)
                if owner is not None:
                    people[owner] = replace(people[owner], views=people[owner].views | views[j])
                    continue
                nowhere = np.full(3, np.nan)
                # Everyone at the first instant is as likely a person as anybody can be.
                duration = 0.0 if math.isfinite(self._time) else settings.settled
                known = _Known(self._next, nowhere, np.zeros(3), time, time, NO_COLORS, duration)
                self._known.append(known)
                self._next += 1
            self._known[self._known.index(known)] = self._seen(known, matches[j], worn[j], time)
            people.append(WorldSighting(known.person, views[j], matches[j]))
        return people

    def _cost(
        self,
        known: _Known,
        match: Match,
        views: dict[int, Sighting],
        tracks: Sequence[Source],
        worn: np.ndarray,
        time: float,
    ) -> float:
        """Cost of a match for somebody; infinite beyond the gate."""
        settings, elapsed = self.settings, time - known.time
        agreement = self._agreement(tracks, known.person)
        different = color_difference(known.colors, worn)
        if len(views) == 1 and agreement < settings.least_agreement and any(self._owners.get(t) for t in tracks):
            return math.inf
        if elapsed > settings.away and different > settings.color_most:
            return math.inf
        gate = min(settings.gate + settings.speed * (time - known.placed), settings.gate_most)
        expected, place = known.expected(time, settings), match.place
        if np.isnan(expected).any():
            apart = math.nan
        elif np.isnan(place).any():
            (camera, sighting), *_ = views.items()
            apart = _aside(self.cameras[camera], sighting.detection, expected)
        else:
            apart = float(np.linalg.norm(place - expected))
        if math.isnan(apart):
            if agreement == 0:
                return math.inf
            apart = 0.5 * gate
        if apart > gate:
            return math.inf
        # Somebody who was away does not win against who was here.
        late = min((time - known.placed) / settings.memory, 1)
        cost = apart / gate + late + settings.track_weight * (1 - agreement) + settings.color_weight * different
        return cost + (1.0 if known.duration < settings.settled else 0.0)

    def _owner_of_stray(
        self, tracks: Sequence[Source], views: dict[int, Sighting], people: Sequence[WorldSighting], time: float
    ) -> int | None:
        """Index of the person whose these tracks mostly were, or who stands where a new track is seen, and whom its
        cameras do not see otherwise."""
        free = [n for n, one in enumerate(people) if not set(views) & set(one.views)]
        for n in free:
            if self._agreement(tracks, people[n].person) > 0.5:
                return n
        if len(views) == 1 and not any(self._owners.get(source) for source in tracks):
            ((camera, sighting),) = views.items()
            for n in free:
                place = people[n].match.place
                near = self.settings.gate / 2
                if not np.isnan(place).any() and _aside(self.cameras[camera], sighting.detection, place) < near:
                    return n
        return None

    def _seen(self, known: _Known, match: Match, worn: np.ndarray, time: float) -> _Known:
        """Somebody after another match."""
        settings, place, speed, placed = self.settings, match.place, known.speed, known.placed
        step = time - known.placed
        if np.isnan(place).any():
            place = known.place
        else:
            if not np.isnan(known.place).any() and step > 0:
                moved = (place - known.place) / step
                near = step <= 2 * settings.coasting
                speed = speed + _share(step, settings.settling) * (moved - speed) if near else np.zeros(3)
            placed = time
        mixed = known.colors + _share(time - known.time, settings.color_settling) * (worn - known.colors)
        mixed = np.where(np.isnan(worn), known.colors, np.where(np.isnan(known.colors), worn, mixed))
        duration = known.duration + min(time - known.time, settings.settled / 2)
        return _Known(known.person, place, speed, time, placed, mixed, duration)

    def _remember(self, people: Sequence[WorldSighting], time: float) -> None:
        """Take over whose the tracks were at this instant."""
        owner = {(c, sighting.track): one.person for one in people for c, sighting in one.views.items()}
        for source, person in owner.items():
            share = _share(time - self._last.get(source, -math.inf), self.settings.window)
            own = {p: (1 - share) * value for p, value in self._owners.get(source, {}).items()}
            own[person] = own.get(person, 0.0) + share
            self._owners[source] = {p: value for p, value in own.items() if value > 1e-3}
            self._last[source] = time
        share = _share(time - self._time, self.settings.window)
        for a in owner:
            for b in owner:
                if a < b and a[0] != b[0]:
                    before = self._pairs.get((a, b), 0.0)
                    self._pairs[a, b] = before + share * ((1.0 if owner[a] == owner[b] else -1.0) - before)


def settle_people(
    frames: Sequence[Sequence[WorldSighting]], times: np.ndarray, window: float = 0.2
) -> list[dict[int, dict[int, Sighting]]]:
    """Decide again whose the tracks are, by the majority of the instants around each.

    Args:
        frames: The people of T instants, as :meth:`MultiViewTracker.step` gives them.
        times: (T,) seconds.
        window: Time before and after an instant that counts, seconds. In a longer one, what a tracker has exchanged
            stays exchanged for half of it.

    Returns:
        Of each instant, by number of the person and by index of the camera, the person in its picture. A second track
        of a camera that can only be somebody whom the camera already sees is left out.

    Example:
        >>> from meshrec.detect.multiview_tracking import settle_people
        >>> settle_people([[], []], [0.0, 0.1])
        [{}, {}]
    """
    owner: list[dict[Source, int]] = []
    seen: list[dict[Source, Sighting]] = []
    for people in frames:
        views = [((c, sighting.track), one.person, sighting) for one in people for c, sighting in one.views.items()]
        owner.append({source: person for source, person, _ in views})
        seen.append({source: sighting for source, _, sighting in views})
    settled: list[dict[int, dict[int, Sighting]]] = []
    for i, time in enumerate(times):
        first, last = np.searchsorted(times, [time - window - 1e-9, time + window + 1e-9])
        votes: dict[tuple[Source, int], int] = defaultdict(int)
        for k in range(first, last):
            for source in seen[i]:
                if source in owner[k]:
                    votes[source, owner[k][source]] += 1
        result: dict[int, dict[int, Sighting]] = defaultdict(dict)
        decided: set[Source] = set()
        # The strongest votes first; of equal ones, what this instant says.
        order = sorted(votes, key=lambda vote: (-votes[vote], owner[i][vote[0]] != vote[1], vote))
        for source, person in order:
            if source not in decided and source[0] not in result.get(person, {}):
                result[person][source[0]] = seen[i][source]
                decided.add(source)
        settled.append({person: dict(sorted(views.items())) for person, views in sorted(result.items())})
    return settled


def _worn(match: Match, colors: Sequence[Sequence[np.ndarray]] | None) -> np.ndarray:
    """Median colours (2, 3) of a match over its cameras, NaN where unknown."""
    if colors is None:
        return NO_COLORS
    seen = np.stack([colors[c][i] for c, i in match.views.items()])
    known = ~np.isnan(seen).all(0)
    return np.where(known, np.nanmedian(np.where(known, seen, 0), axis=0), np.nan)


def _aside(camera: Camera, person: Detection, place: np.ndarray) -> float:
    """Distance of a place in the world from where a camera sees a person's middle, metres; infinite behind it."""
    weights = np.clip(person.keypoints[:, 2], 0, None)
    if not weights.any():
        middle = (person.box[:2] + person.box[2:]) / 2
    else:
        middle = np.median(person.keypoints[weights >= 0.5 * weights.max(), :2], axis=0)
    rays = rays_of(camera, middle)
    away = place - rays.origins
    along = float(away @ rays.directions)
    return float(np.linalg.norm(away - along * rays.directions)) if along > 0 else math.inf


def _share(step: float, settling: float) -> float:
    """Weight of a new value in a running mean over a time, after a step; both in seconds."""
    return 1 - math.exp(-step / settling)
