"""Who of the people that were followed counts."""

import numpy as np
import pytest

from meshrec.detect import Detection
from meshrec.detect.tracking import Sighting
from meshrec.detect.tracks import KeepSettings, by_track, most_prominent, worth_keeping

NOTHING = np.zeros((17, 3), np.float32)


def person(width=20.0, height=40.0, score=0.9):
    return Detection(np.array([5, 5, 5 + width, 5 + height], np.float32), NOTHING, "coco17", score)


def test_sightings_are_sorted_by_person():
    a, b = person(), person(30)
    tracks = by_track([[], [Sighting(4, a)], [Sighting(2, b), Sighting(4, b)], []])
    assert list(tracks) == [2, 4]
    assert tracks[2] == [None, None, b, None] and tracks[4] == [None, a, b, None]
    assert by_track([]) == {} and by_track([[], []]) == {}


def test_who_is_seen_for_a_moment_is_nobody():
    times = np.arange(60) / 20
    seen = {count: [person() if i < count else None for i in range(60)] for count in (5, 8, 10, 60)}
    assert worth_keeping(seen, times) == [10, 60]
    assert worth_keeping(seen, times / 3) == [60]  # at 60 frames per second ten are too few
    assert worth_keeping(seen, times, KeepSettings(least_time=0.2)) == [5, 8, 10, 60]


def test_frames_between_are_not_needed():
    """Seen in every other frame of two seconds is a second."""
    times = np.arange(80) / 20
    gaps = {0: [person() if i < 40 and i % 2 else None for i in range(80)]}
    assert worth_keeping(gaps, times, KeepSettings(least_time=0.9)) == [0]
    assert worth_keeping(gaps, times, KeepSettings(least_time=1.2)) == []


def test_short_videos_need_half_of_their_length():
    assert worth_keeping({0: [person()]}, np.array([0.0])) == [0]
    two = {0: [person(), person()], 1: [person(), None, None, None]}
    assert worth_keeping({0: two[0]}, np.array([0, 0.05])) == [0]
    assert worth_keeping({0: [person()] * 4, 1: two[1]}, np.arange(4) / 20) == [0]


def test_who_has_low_scores_is_nobody():
    times = np.arange(20) / 20
    scores = {0: [0.9, 0.8], 1: [0.5, 0.1], 2: [0.3, 0.6]}
    tracks = {track: [person(score=pair[i % 2]) for i in range(20)] for track, pair in scores.items()}
    assert worth_keeping(tracks, times) == [0, 2]
    assert worth_keeping(tracks, times, KeepSettings(least_score=0.2)) == [0, 1, 2]
    assert worth_keeping({}, times) == []


def test_the_most_prominent_are_seen_long_and_large():
    sitter = [person(10, 20)] * 30  # small, in the background
    star = [person(40, 80)] * 30
    visitor = [None] * 20 + [person(40, 80)] * 10
    tracks = {0: sitter, 1: visitor, 2: star}
    assert most_prominent(tracks, 1) == [2]
    assert most_prominent(tracks, 2) == [2, 1]  # 10 frames of 4 times the size are more than 30 of one
    assert most_prominent(tracks, 9) == [2, 1, 0] and most_prominent(tracks, 0) == []
    with pytest.raises(ValueError, match="-1"):
        most_prominent(tracks, -1)
