"""Tracks of several cameras: most instants decide whose they are, and which instants are looked at."""

import numpy as np
import pytest

from meshrec.fit.same_people import SeenBodies
from meshrec.fit.same_tracks import same_tracks, spread_instants
from meshrec.geometry.rotations import axis_angle_to_matrix

CAMERAS = 3


def instants(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Roots (T, 2, 3, 3) and places (T, 2, 3) of two people who walk past each other, in a world with y up."""
    import torch

    time = np.linspace(-1, 1, count)
    height = np.full(count, 0.9)
    first = np.stack([time, height, np.full(count, 0.4)], 1)
    places = np.stack([first, np.stack([0.4 - 0.7 * time, height, np.full(count, -0.4)], 1)], 1)
    turns = np.zeros((count, 2, 3))
    turns[:, 0, 1], turns[:, 1, 1] = np.pi / 2, -0.6
    return axis_angle_to_matrix(torch.from_numpy(turns)).numpy(), places


def seen(view: int, roots: np.ndarray, places: np.ndarray, random: np.random.Generator) -> SeenBodies:
    """What a camera sees, with the errors of single views."""
    import torch

    angle = 2 * np.pi * view / CAMERAS
    about = axis_angle_to_matrix(torch.tensor([0.0, angle, 0.0], dtype=torch.float64)).numpy()
    camera = np.diag([1.0, -1, -1]) @ about
    errors = axis_angle_to_matrix(torch.from_numpy(random.normal(0, 0.15, (len(places), 3)))).numpy()
    rotations = np.tile(np.eye(3), (len(places), 24, 1, 1))
    rotations[:, 0] = camera @ roots @ errors
    local = places @ camera.T + [0, 0, 4.0]
    local = local * (1 + random.normal(0, 0.08, (len(places), 1)))
    return SeenBodies(rotations, local, np.full((len(places), 2, 3), np.nan))


def test_people_who_cross_keep_their_tracks():
    """The second camera lost the first person half way, and has two tracks of them."""
    random = np.random.default_rng(3)
    roots, places = instants(9)
    views = []
    for t in range(9):
        own = {v: (seen(v, roots[t], places[t], random), [10 * v, 10 * v + 1]) for v in range(CAMERAS)}
        own[1] = own[1][0], [10 if t < 5 else 12, 11]
        if t == 4:
            del own[2]  # this camera sees nobody for a moment
        views.append(own)
    people = same_tracks(views)
    assert [set(person) for person in people] == [{(0, 0), (1, 10), (1, 12), (2, 20)}, {(0, 1), (1, 11), (2, 21)}]


def test_tracks_that_are_seen_together_are_two_people():
    random = np.random.default_rng(0)
    roots, places = instants(3)
    views = [{0: (seen(0, roots[t], places[t], random), [0, 1])} for t in range(3)]
    assert same_tracks(views) == [frozenset({(0, 0)}), frozenset({(0, 1)})]
    assert same_tracks([]) == []


@pytest.mark.parametrize(
    "rows, count, each, expected",
    [
        (["111111", "111110"], 3, 1, [0, 2, 4]),
        (["111100", "001111"], 9, 4, [2, 3]),
        (["11111111", "11111111", "00000011"], 2, 2, [0, 6, 7]),
        (["1000", "0111"], 4, 1, []),
    ],
)
def test_instants_are_spread_and_tell_of_every_camera(rows, count, each, expected):
    seen = np.array([[digit == "1" for digit in row] for row in rows])
    assert spread_instants(seen, count, each) == expected
