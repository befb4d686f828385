"""Searching pictures of one instant: whom one camera misses, the others tell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from helpers.around import noisy, pixels_of, ring, standing_around

from meshrec.detect.matching import match_people
from meshrec.detect.people import Detection, pose_distance
from meshrec.detect.view_search import QuickDetector, expected_in, find_in_views
from meshrec.geometry import Camera


@dataclass
class Scripted:
    """A detector that knows who is in each picture, whose number its first pixel says, and what a glance misses."""

    people: list[list[Detection]]
    missed: set[tuple[int, int]]
    hidden: set[tuple[int, int]] = field(default_factory=set)
    wholly: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)

    def _seen(self, image: np.ndarray, without: set[tuple[int, int]]) -> list[Detection]:
        view = int(image[0, 0, 0])
        return [person for n, person in enumerate(self.people[view]) if (view, n) not in without | self.hidden]

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        self.wholly.append(int(image[0, 0, 0]))
        return self._seen(image, set())

    def glance(self, image: np.ndarray) -> list[Detection]:
        return self._seen(image, self.missed)

    def find_more(self, image: np.ndarray, people) -> list[Detection]:
        return [person for person in self(image) if all(person is not known for known in people)]

    def follow(self, image: np.ndarray, people, hidden=()) -> list[Detection]:
        self.looks.append(int(image[0, 0, 0]))
        nobody = replace(people[0], score=0.0)
        free = [one for one in self._seen(image, set()) if all(one is not other for other in hidden)]
        return [
            min(free, key=lambda one: pose_distance(one.keypoints, person.keypoints), default=nobody)
            for person in people
        ]


def scene(count: int, cameras: int, missed=(), hidden=()) -> tuple[Scripted, list[np.ndarray], list[Camera]]:
    """People around whom cameras stand, some of whom a glance misses, and some of whom nobody could see."""
    points, views = standing_around(count, 4), ring(cameras, seed=4)
    random = np.random.default_rng(4)
    people = [noisy(points, camera, random, noise=0.01) for camera in views]
    images = [np.full((4, 4, 3), number, np.uint8) for number in range(cameras)]
    return Scripted(people, set(missed), set(hidden)), images, views


def shown(found: list[list[Detection]], detector: Scripted) -> list[list[int]]:
    """Whom each camera's detections show."""
    return [
        [next(n for n, p in enumerate(all_) if p is one) for one in own] for own, all_ in zip(found, detector.people)
    ]


def test_a_glance_is_enough_where_every_camera_sees_everybody():
    detector, images, cameras = scene(2, 3)
    assert isinstance(detector, QuickDetector)
    assert shown(find_in_views(detector, images, cameras), detector) == [[0, 1]] * 3
    assert not detector.wholly and not detector.looks


def test_whom_two_cameras_see_is_looked_for_in_the_third():
    detector, images, cameras = scene(2, 3, missed=[(1, 0)])
    assert shown(find_in_views(detector, images, cameras), detector) == [[0, 1], [1, 0], [0, 1]]
    assert detector.looks == [1] and not detector.wholly


def test_a_look_that_shows_somebody_else_finds_nobody():
    detector, images, cameras = scene(2, 3, missed=[(1, 0)], hidden=[(1, 0)])
    assert shown(find_in_views(detector, images, cameras), detector) == [[0, 1], [1], [0, 1]]


def test_pictures_are_searched_wholly_where_one_camera_sees_somebody_alone():
    detector, images, cameras = scene(2, 3, missed=[(1, 0), (2, 0)])
    assert shown(find_in_views(detector, images, cameras), detector) == [[0, 1], [1, 0], [1, 0]]
    assert detector.wholly == [1, 2]


def test_a_picture_in_which_a_glance_shows_nobody_is_searched_once():
    detector, images, cameras = scene(1, 2, missed=[(1, 0)])
    assert shown(find_in_views(detector, images, cameras), detector) == [[0], [0]]
    assert detector.wholly == [1]
    empty, images, cameras = scene(1, 2, missed=[(0, 0), (1, 0)], hidden=[(0, 0), (1, 0)])
    assert find_in_views(empty, images, cameras) == [[], []]


def test_people_are_expected_where_they_are():
    detector, _, cameras = scene(1, 4)
    points = standing_around(1, 4)
    (match,) = match_people(detector.people[:3], cameras[:3])
    person = expected_in(match, cameras[3], detector.people[0][0].joint_set)
    assert person is not None
    assert pose_distance(person.keypoints, detector.people[3][0].keypoints) < 0.05
    away = replace(cameras[3], center=(-5000.0, -5000.0))
    assert expected_in(match, away, person.joint_set) is None
    behind = replace(cameras[3], translation=(0.0, 0.0, -10.0))
    assert expected_in(match, behind, person.joint_set) is None
    assert pixels_of(points, cameras[3]).shape[0] == 1
