"""People in uncalibrated cameras: who is who, by simulated bodies with the errors of single views."""

import numpy as np
import pytest
from helpers.views import ring
from scipy.spatial.transform import Rotation

from meshrec.fit.same_people import SeenBodies, same_people


def stage(count: int, people: int, seed: int, turn: float = 10.0, along: float = 0.07):
    """What ``count`` cameras see of people, each in an order of its own, and these orders."""
    random = np.random.default_rng(seed)
    roots = Rotation.from_euler("y", random.uniform(0, 6.28, (people, 1))).as_matrix()
    places = np.stack([1.5 * np.arange(people) - people / 2, np.full(people, 0.95), random.uniform(-1, 1, people)], -1)
    joints = random.normal(0, 0.3, (people, 23, 3))
    colors = random.uniform(0, 1, (people, 2, 3))
    views, orders = [], []
    for camera in ring(count):
        order = random.permutation(people)
        rotation, translation = np.array(camera.rotation), np.array(camera.translation)
        errors = Rotation.from_rotvec(random.normal(0, np.radians(turn), (people, 3))).as_matrix()
        poses = Rotation.from_rotvec((joints + random.normal(0, 0.1, joints.shape)).reshape(-1, 3)).as_matrix()
        rotations = np.concatenate([(errors @ rotation @ roots)[:, None], poses.reshape(people, 23, 3, 3)], 1)
        seen = (places @ rotation.T + translation) * (1 + random.normal(0, along, (people, 1)))
        views.append(SeenBodies(rotations[order], seen[order], (colors + random.normal(0, 0.05, colors.shape))[order]))
        orders.append(order)
    return views, orders


@pytest.mark.parametrize("count, people", [(2, 1), (2, 2), (3, 3), (4, 4)])
def test_everybody_is_recognised(count, people):
    for seed in range(5):
        views, orders = stage(count, people, seed)
        found = same_people(views)[0].people
        assert len(found) == people
        for person in found:
            assert len({int(orders[v][i]) for v, i in person.items()}) == 1 and len(person) == count


def test_a_camera_may_miss_somebody():
    views, orders = stage(3, 3, 1)
    own, last = views[2], int(np.argmax(orders[2]))
    keep = np.arange(3) != last
    views[2] = SeenBodies(own.rotations[keep], own.places[keep], own.colors[keep])
    found = same_people(views)[0].people
    assert sorted(map(len, found)) == [2, 3, 3]


def test_people_face_to_face_are_told_apart_by_looks():
    """Without pose and clothes both ways are equally likely, and both are among the candidates."""
    turn = np.tile(np.eye(3), (2, 24, 1, 1))
    turn[:, 0] = Rotation.from_euler("y", [[90], [-90]], degrees=True).as_matrix() @ np.diag([1.0, -1, -1])
    places = np.array([[-0.5, 0, 4], [0.5, 0, 4]])
    unknown = np.full((2, 2, 3), np.nan)
    first = SeenBodies(turn, places, unknown)
    found = same_people([first, first])
    assert len(found) == 2 and abs(found[0].cost - found[1].cost) < 1e-9
    colors = np.zeros((2, 2, 3))
    colors[1] = 0.8
    found = same_people([SeenBodies(turn, places, colors), SeenBodies(turn, places, colors[::-1])])
    assert found[0].people == ({0: 0, 1: 1}, {0: 1, 1: 0}) and found[1].cost > found[0].cost + 5
