"""The floor under people who stand where the test puts them."""

import numpy as np
import pytest
import torch

from meshrec import InputError, Person
from meshrec.geometry import CAMERA_TO_Y_UP, axis_angle_to_matrix
from meshrec.reconstruct import Ground

PITCH = 0.25


def people(body, heights, pitch: float = PITCH) -> list[Person]:
    """Upright people whose lowest points are at given heights above a floor, 1.4 m below a camera that looks down."""
    axes = axis_angle_to_matrix(torch.tensor([pitch, 0.0, 0.0])).numpy() @ CAMERA_TO_Y_UP.numpy()
    rotations = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    rotations[0] = axes
    lowest = float(body.rest(torch.zeros(1, 10))[0][..., 1].min())
    pelvis = body.rest(torch.zeros(1, 10))[1][0, 0].numpy()
    found = []
    for i, height in enumerate(heights):
        world = np.array([i - 1.0, -1.4 + height - lowest, -4.0 - i])
        place = axes @ (pelvis + world) - pelvis
        gravity, deviation = -axes[:, 1], np.array([0.02, 0.02])
        found.append(Person(body, np.zeros(10), rotations, place, gravity=gravity, gravity_deviation=deviation))
    return found


def test_everyone_stands_on_the_floor_and_upright(body):
    crowd = people(body, [0.0, 0.04, -0.03, 0.0])
    ground = Ground.under(crowd)
    assert ground.standing.all()
    assert ground.height == pytest.approx(1.4, abs=0.04) and 0 < ground.deviation < 0.1
    for person, placement in zip(crowd, ground.placements):
        vertices = person.mesh(placement=placement).vertices
        assert abs(vertices[:, 1].min()) < 1e-5
        upright = body.rest(torch.zeros(1, 10))[0][0].numpy()
        assert np.ptp(vertices[:, 1]) == pytest.approx(np.ptp(upright[:, 1]), abs=1e-4)
    apart = np.diff([person.mesh(placement=p).vertices[:, 2].mean() for person, p in zip(crowd, ground.placements)])
    assert np.allclose(apart, -1, atol=1e-4)  # a metre ahead of each other
    assert np.allclose(ground.camera.points(np.zeros((1, 3))), [[0, ground.height, 0]])


def test_someone_in_the_air_stays_there(body):
    ground = Ground.under(people(body, [0.0, 0.02, 0.6, -0.02]))
    assert ground.standing.tolist() == [True, True, False, True]
    assert ground.lifts[2] == 0 and ground.height == pytest.approx(1.4, abs=0.04)


def test_someone_alone_is_on_the_floor(body):
    ground = Ground.under(people(body, [0.6]))
    assert ground.standing.tolist() == [True] and ground.lifts.tolist() == [0]
    assert ground.height == pytest.approx(0.8, abs=1e-4)


def test_a_skinned_person_stands_in_the_same_place(body):
    (person,) = people(body, [0.0])
    (placement,) = Ground.under([person]).placements
    skinned = person.skinned(placement=placement)
    pose, translation = (torch.from_numpy(part)[None].float() for part in (skinned.pose, skinned.translation))
    posed = body(torch.zeros(1, 10), pose[:, 1:], pose[:, 0], translation).vertices[0].numpy()
    assert np.abs(posed - person.mesh(placement=placement).vertices).max() < 1e-4


@pytest.mark.parametrize(("gravity", "message"), [(None, "whose gravity is known"), ((0, 0, 0), "unit vector")])
def test_without_gravity_there_is_no_floor(body, gravity, message):
    rotations = np.tile(np.eye(3), (24, 1, 1))
    person = Person(body, np.zeros(10), rotations, np.array([0, 0, 4]), gravity=gravity)
    with pytest.raises(InputError, match=message):
        Ground.under([person])
    with pytest.raises(InputError, match="needs people"):
        Ground.under([])


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
def test_a_camera_may_look_straight_down_or_up(body, pitch):
    ground = Ground.under(people(body, [0.0], pitch=pitch))
    assert np.allclose(ground.rotation @ ground.rotation.T, np.eye(3), atol=1e-5)
