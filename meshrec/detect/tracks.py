"""What was followed through a video, person by person, and who of them counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from meshrec.detect.people import Detection
from meshrec.detect.tracking import Sighting

Tracks = Mapping[int, Sequence[Detection | None]]
"""By number of a person, the T detections, None in the frames in which the person is not seen."""


@dataclass(frozen=True)
class KeepSettings:
    """Who is a person and not something that looks like one for a moment.

    Attributes:
        least_time: Least time for which a person is seen, seconds. In a video shorter than twice this, half of it.
        least_score: Least mean score of a person, in [0, 1].
    """

    least_time: float = 0.5
    least_score: float = 0.4


def by_track(frames: Iterable[Sequence[Sighting]]) -> dict[int, list[Detection | None]]:
    """Sort the sightings of a video by person.

    Args:
        frames: The sightings of each of T frames, as :meth:`meshrec.detect.tracking.Tracker.step` gives them.

    Returns:
        By number of the person, T detections, None in the frames in which the person is not seen.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.tracking import Sighting
        >>> from meshrec.detect.tracks import by_track
        >>> person = Detection(np.array([0, 0, 20, 40]), np.zeros((17, 3)), "coco17", 0.9)
        >>> tracks = by_track([[Sighting(0, person)], [], [Sighting(0, person), Sighting(1, person)]])
        >>> {track: [seen is not None for seen in detections] for track, detections in tracks.items()}
        {0: [True, False, True], 1: [False, False, True]}
    """
    tracks: dict[int, list[Detection | None]] = {}
    count = 0
    for sightings in frames:
        for sighting in sightings:
            own = tracks.setdefault(sighting.track, [])
            own += [None] * (count - len(own)) + [sighting.detection]
        count += 1
    for own in tracks.values():
        own += [None] * (count - len(own))
    return dict(sorted(tracks.items()))


def worth_keeping(tracks: Tracks, times: np.ndarray, settings: KeepSettings = KeepSettings()) -> list[int]:
    """Who is a person.

    Args:
        tracks: Detections by person.
        times: (T,) of the frames, seconds.
        settings: What makes a person.

    Returns:
        Their numbers, rising.
    """
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    least = min(settings.least_time, step * len(times) / 2)
    kept = []
    for track, detections in tracks.items():
        scores = [person.score for person in detections if person is not None]
        # Half a frame more or less is rounding.
        if scores and step * (len(scores) + 0.5) >= least and np.mean(scores) >= settings.least_score:
            kept.append(track)
    return sorted(kept)


def most_prominent(tracks: Tracks, count: int) -> list[int]:
    """The people who are seen longest and largest.

    Args:
        tracks: Detections by person.
        count: How many people.

    Returns:
        Their numbers, by falling sum over the frames of the square root of their box's area; all if there are fewer.

    Raises:
        ValueError: The count is negative.
    """
    if count < 0:
        raise ValueError(f"the number of people is 0 or more, not {count}")

    def prominence(track: int) -> float:
        boxes = [person.box for person in tracks[track] if person is not None]
        return float(sum(np.sqrt(np.prod(np.maximum(box[2:] - box[:2], 0))) for box in boxes))

    return sorted(tracks, key=lambda track: (-prominence(track), track))[:count]
