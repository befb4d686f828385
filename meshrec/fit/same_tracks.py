"""Which tracks in the clips of uncalibrated cameras are the same people's: what their instants say on the whole.

At each instant the bodies of all cameras are assigned to people (:mod:`meshrec.fit.same_people`). Such an assignment
may be wrong, as of two people who stand symmetrically, but seldom at most instants: tracks are one person's that are
assigned together more often than not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from meshrec.fit.same_people import SamePeopleSettings, SeenBodies, same_people

Source = tuple[int, int]
"""Index of a camera, and number of a track in it."""


def same_tracks(
    instants: Sequence[Mapping[int, tuple[SeenBodies, Sequence[int]]]],
    settings: SamePeopleSettings = SamePeopleSettings(),
) -> list[frozenset[Source]]:
    """Find out which tracks of several cameras are those of the same people.

    Args:
        instants: For each instant, by index of the camera, the bodies that it sees and the numbers of their tracks;
            cameras that see nobody are missing.
        settings: Errors to expect.

    Returns:
        The tracks of each person, those with most first. Of one camera a person may have several tracks, but never two
        at one instant.

    Example:
        Two people whom two cameras see at one instant; the other camera stands behind them.

        >>> import numpy as np
        >>> from meshrec.fit.same_people import SeenBodies
        >>> from meshrec.fit.same_tracks import same_tracks
        >>> def seen(turn, places):
        ...     rotations = np.tile(np.eye(3), (2, 24, 1, 1))
        ...     rotations[:, 0] = turn
        ...     return SeenBodies(rotations, np.array(places), np.full((2, 2, 3), np.nan))
        >>> front = seen(np.diag([1.0, -1, -1]), [[-0.5, 0, 4], [0.5, 0, 5.0]])
        >>> behind = seen(np.diag([-1.0, -1, 1]), [[-0.5, 0, 3.0], [0.5, 0, 4]])
        >>> [sorted(person) for person in same_tracks([{0: (front, [7, 8]), 1: (behind, [3, 4])}])]
        [[(0, 7), (1, 4)], [(0, 8), (1, 3)]]
    """
    together: Counter[tuple[Source, Source]] = Counter()  # how often two tracks are one person's
    beside: Counter[tuple[Source, Source]] = Counter()  # how often both are seen
    everyone: set[Source] = set()
    for views in instants:
        own = sorted(views)
        sources = [[(view, int(track)) for track in views[view][1]] for view in own]
        flat = sorted(source for tracks in sources for source in tracks)
        everyone.update(flat)
        beside.update(combinations(flat, 2))
        if len(own) > 1:
            for person in same_people([views[view][0] for view in own], settings)[0].people:
                together.update(combinations(sorted(sources[v][i] for v, i in person.items()), 2))
    groups = [{source} for source in sorted(everyone)]
    for (a, b), votes in sorted(together.items(), key=lambda item: (-item[1], item[0])):
        first, second = (next(group for group in groups if source in group) for source in (a, b))
        if first is second or 2 * votes <= beside[a, b] or _apart(first, second, beside):
            continue
        first |= second
        groups = [group for group in groups if group is not second]
    return sorted((frozenset(group) for group in groups), key=lambda group: (-len(group), min(group)))


def _apart(first: set[Source], second: set[Source], beside: Mapping[tuple[Source, Source], int]) -> bool:
    """Whether two tracks of one camera in these groups are seen at one instant, so that they are two people's."""
    return any(a[0] == b[0] and beside.get((min(a, b), max(a, b)), 0) > 0 for a in first for b in second)


def spread_instants(seen: np.ndarray, count: int, each: int) -> list[int]:
    """Choose instants that tell of all cameras.

    Args:
        seen: (V, T) bool, whether a camera sees anybody.
        count: Number of instants, evenly over those in which two cameras or more see somebody.
        each: Least number of instants of each camera, where there are so many, in which another one sees somebody, too.

    Returns:
        Numbers of the instants, rising; there may be more than ``count``.

    Example:
        >>> import numpy as np
        >>> from meshrec.fit.same_tracks import spread_instants
        >>> spread_instants(np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], bool), count=3, each=1)
        [0, 2, 4]
    """
    shared = seen.sum(0) > 1
    chosen = set(_evenly(np.flatnonzero(shared), count))
    for own in seen:
        if sum(bool(own[t]) for t in chosen) < each:
            chosen.update(_evenly(np.flatnonzero(shared & own), each))
    return sorted(chosen)


def _evenly(numbers: np.ndarray, count: int) -> list[int]:
    if len(numbers) <= count:
        return numbers.tolist()
    return numbers[np.linspace(0, len(numbers) - 1, count).round().astype(int)].tolist()
