"""Following people in several cameras whose trackers lose and exchange those who cover each other."""

from collections import Counter

import numpy as np
import pytest
from helpers.around import ring
from helpers.walking import PoorTracker, crossing_paths, walkers, wandering_paths

from meshrec.detect.multiview_tracking import MultiViewTracker, settle_people
from meshrec.detect.tracking import Sighting

TIMES = np.arange(0, 4, 0.1)
CLOTHES = [np.array([c, [0.2, 0.2, 0.3]]) for c in ([0.8, 0.1, 0.1], [0.1, 0.2, 0.8], [0.2, 0.8, 0.2])]


def filmed(points, count, seed, present=None, **kwargs):
    """Cameras, and of each instant the sightings of each camera and whom they show."""
    views = ring(count, seed=seed)
    trackers = [PoorTracker(view, np.random.default_rng((seed, i)), **kwargs) for i, view in enumerate(views)]
    there = np.ones(points.shape[:2], bool) if present is None else present
    return views, [[one.step(*instant) for one in trackers] for instant in zip(points, there)]


def followed(tracker, film, times, colors=False):
    frames = []
    for instant, time in zip(film, times):
        worn = [[CLOTHES[name] for name in names] for _, names in instant] if colors else None
        frames.append(tracker.step([seen for seen, _ in instant], float(time), worn))
    return frames


def as_views(frames):
    return [{one.person: one.views for one in people} for people in frames]


def labels(frames, film):
    """Of each person how often they got which number, one count for each camera and instant."""
    counts: dict[int, Counter] = {}
    for people, instant in zip(frames, film):
        who = [{s.track: name for s, name in zip(seen, names)} for seen, names in instant]
        assert sum(len(views) for views in people.values()) <= sum(len(seen) for seen, _ in instant)
        for person, views in people.items():
            for camera, sighting in views.items():
                counts.setdefault(who[camera][sighting.track], Counter())[person] += 1
    return counts


def share_right(counts):
    usual = [count.most_common(1)[0] for _, count in sorted(counts.items())]
    assert len({person for person, _ in usual}) == len(usual), "two people have one number"
    return sum(number for _, number in usual) / sum(sum(count.values()) for count in counts.values())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_people_who_cross_before_all_cameras_keep_their_numbers(count):
    exchanged = 0
    for seed in range(2):
        views, film = filmed(walkers(crossing_paths(TIMES), seed), count, seed, exchange=1.0)
        frames = as_views(followed(MultiViewTracker(views), film, TIMES))
        assert share_right(labels(frames, film)) > 0.97
        for camera in range(count):
            first, last = ({s.track: n for s, n in zip(*film[i][camera])} for i in (0, -1))
            exchanged += any(first.get(track, name) != name for track, name in last.items())
    assert exchanged, "no tracker has exchanged anybody, so this tests nothing"


def test_five_people_who_wander():
    times = TIMES[:20]
    views, film = filmed(walkers(wandering_paths(times, 5, 1), 1), 4, 1)
    assert share_right(labels(as_views(followed(MultiViewTracker(views), film, times)), film)) > 0.9


def test_people_who_leave_and_come_back():
    """The first person is away for 1.5 s, and comes back at another place with new tracks; clothes tell who it is."""
    paths = np.zeros((len(TIMES), 2, 2))
    paths[:, 0, 0] = np.where(TIMES < 2, -1.2, 1.0)
    paths[:, 1, 1] = -1.0
    present = np.ones((len(TIMES), 2), bool)
    present[(TIMES > 1.2) & (TIMES < 2.7), 0] = False
    points = walkers(paths, 5, step=1)
    views, film = filmed(points, 4, 5, present, exchange=0.0)
    frames = as_views(followed(MultiViewTracker(views), film, TIMES, colors=True))
    assert share_right(labels(frames, film)) > 0.97
    # Somebody else, in other clothes, is somebody new.
    other = [
        [(seen, [2 if n == 0 and i > 20 else n for n in names]) for seen, names in one] for i, one in enumerate(film)
    ]
    frames = as_views(followed(MultiViewTracker(views), other, TIMES, colors=True))
    assert share_right(labels(frames, other)) > 0.97


def test_goes_on_where_it_stopped(tmp_path):
    views, film = filmed(walkers(crossing_paths(TIMES), 0), 3, 0)
    whole = followed(MultiViewTracker(views), film[:25], TIMES)
    first = MultiViewTracker(views)
    frames = followed(first, film[:12], TIMES)
    np.savez(tmp_path / "state.npz", **first.state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        frames += followed(MultiViewTracker.resumed(views, dict(state)), film[12:25], TIMES[12:])
    numbers = [[[(o.person, sorted(o.views)) for o in people] for people in run] for run in (whole, frames)]
    assert numbers[0] == numbers[1]


def test_majority_settles_single_instants():
    views, film = filmed(walkers(crossing_paths(TIMES[:9]), 0), 3, 0, exchange=0.0, missing=0.0)
    frames = followed(MultiViewTracker(views), film[:9], TIMES)
    (a, b) = frames[4]
    wrong = [type(a)(b.person, a.views, a.match), type(a)(a.person, b.views, b.match)]
    settled = settle_people([*frames[:4], wrong, *frames[5:]], TIMES[:9])
    owners = [{(c, s.track): person for person, seen in people.items() for c, s in seen.items()} for people in settled]
    assert all(len({own[source] for own in owners if source in own}) == 1 for source in owners[4])
    assert len(owners[4]) == sum(len(seen) for seen, _ in film[4])


def test_time_grows():
    tracker = MultiViewTracker(ring(2))
    empty: list[list[Sighting]] = [[], []]
    assert tracker.step(empty, 0.0) == []
    with pytest.raises(ValueError, match="order"):
        tracker.step(empty, 0.0)
