"""Mirrored pictures of one of several cameras are noticed, and others are not taken for mirrored."""

import numpy as np
import pytest
from helpers.around import ring, simulated, standing_around

from meshrec.detect.mirrored_views import mirrored, mirrored_views


def scene(people: int, cameras: int, seed: int, instants: int = 3):
    views = ring(cameras, seed=seed)
    points = [standing_around(people, 10 * seed + n) for n in range(instants)]
    return [[simulated(own, camera, 7 * seed + v) for v, camera in enumerate(views)] for own in points], views


@pytest.mark.parametrize("people, cameras", [(1, 2), (1, 4), (3, 3)])
def test_a_mirrored_camera_is_named(people, cameras):
    right, false = 0, 0
    for seed in range(4):
        instants, views = scene(people, cameras, seed)
        false += len(mirrored_views(instants, views))
        for found in instants:
            found[1] = [mirrored(person, views[1].size[0]) for person in found[1]]
        right += mirrored_views(instants, views) == [1]
    assert false == 0 and right >= 3


def test_mirroring_twice_gives_the_person_back():
    ((found, _),), _ = scene(1, 2, 0, 1)
    person = mirrored(mirrored(found[0], 1280), 1280)
    np.testing.assert_allclose(person.keypoints, found[0].keypoints, atol=1e-3)
    np.testing.assert_allclose(person.box, found[0].box, atol=1e-3)


def test_where_nobody_is_seen_nothing_is_said():
    assert mirrored_views([[[], []]], scene(1, 2, 0)[1]) == [] and mirrored_views([], scene(1, 2, 0)[1]) == []
