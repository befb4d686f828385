"""A track: the people of its frames, and the world in which a turning camera sees them."""

import numpy as np
import pytest
import torch

from meshrec.geometry import Camera, random_rotations
from meshrec.reconstruct import Person, Track

COUNT = 6


@pytest.fixture
def track(body) -> Track:
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    return Track(
        body,
        betas=rng.normal(size=10),
        rotations=random_rotations(COUNT * 24, generator=generator).unflatten(0, (COUNT, 24)),
        translation=rng.normal(size=(COUNT, 3)) + [0, 0, 5],
        frames=2 * np.arange(COUNT) + 4,
        times=np.arange(COUNT) / 15,
        frame_rate=15.0,
        camera=Camera(900.0, size=(640, 480)),
        turns=random_rotations(COUNT, generator=generator),
        zooms=np.linspace(1, 1.5, COUNT),
        seen=np.arange(COUNT) != 2,
        scores=np.where(np.arange(COUNT) != 2, 0.5, 0),
        mask_ious=np.where(np.arange(COUNT) != 2, 0.9, np.nan),
        contacts=np.zeros((COUNT, 4)),
        gravity=[0.0, 1.0, 0.0],
        gravity_deviation=[0.1, 0.05],
    )


def test_a_frame_is_a_person(track):
    person = track.at(10)
    assert np.array_equal(person.rotations, track.rotations[3])
    assert person.camera.focal == pytest.approx((1170.0, 1170.0))
    assert np.allclose(person.gravity, track.turns[3][:, 1])
    assert track.at(8).mask_iou is None and track.at(10).mask_iou == pytest.approx(0.9)
    assert len(list(track)) == len(track) == COUNT


def test_a_frame_that_is_missing_is_refused(track):
    with pytest.raises(ValueError, match="frames 4 to 14, not 5"):
        track.at(5)


def test_joints_are_those_of_its_people(track):
    expected = np.stack([person.joints() for person in track])
    assert np.allclose(track.joints(), expected, atol=1e-5)


def test_vertices_are_those_of_its_people(track):
    assert np.allclose(track.vertices(slice(2, 4)), [track.person(i).vertices for i in (2, 3)], atol=1e-5)


def test_the_world_turned_into_the_camera_is_what_the_camera_sees(track):
    rotations, translation = track.in_world()
    for index, person in enumerate(track):
        in_world = Person(track.body, track.betas, rotations[index], translation[index]).vertices
        assert np.allclose(in_world @ track.turns[index].T, person.vertices, atol=1e-5)


def test_the_score_is_that_of_the_frames_in_which_the_person_is_seen(track):
    assert track.score == pytest.approx(0.5)


@pytest.mark.parametrize(
    "change", [{"frames": [4, 3, 5, 6, 7, 8]}, {"times": np.zeros(5)}, {"contacts": np.zeros((6, 2))}]
)
def test_wrong_arrays_are_refused(track, change):
    with pytest.raises(ValueError):
        Track(**(vars(track) | change))
