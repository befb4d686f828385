"""Gravity of scenes whose camera is known: groups of people on one floor, leaning people, people alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, keypoint_box
from meshrec.fit import Fitter
from meshrec.fit.gravity import FEET, MASSES, GravitySettings, gravity_of
from meshrec.fit.terms import UprightTerm
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.poses.named_poses import named_pose

CAMERA = Camera(800.0, size=(800, 640))
PLACES = ((-1.0, 4.5), (0.0, 5.5), (1.1, 5.0), (0.5, 7.0))  # metres to the right of the camera, and ahead of it


def turn(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> torch.Tensor:
    """A rotation by degrees about one axis."""
    return axis_angle_to_matrix(torch.deg2rad(torch.tensor([x, y, z], dtype=torch.float64)))


def camera_axes(pitch: float, roll: float) -> torch.Tensor:
    """The rotation from a world with y up to a camera that looks down by ``pitch`` and is turned by ``roll``."""
    return turn(z=roll) @ turn(x=pitch) @ CAMERA_TO_Y_UP.double()


def crowd(body, pitch: float, roll: float = 0.0, lean: float = 0.0, places=PLACES, seed: int = 0) -> BodyState:
    """People who stand on one floor, 1.5 m below a camera that looks at the third of them."""
    count, generator = len(places), torch.Generator().manual_seed(seed)
    rotations = named_pose("arms down").double().repeat(count, 1, 1, 1)
    rotations = torch.cat([torch.eye(3, dtype=torch.float64).expand(count, 1, 3, 3), rotations], 1)
    for i, yaw in enumerate(360 * torch.rand(count, generator=generator)):
        rotations[i, 0] = turn(x=lean) @ turn(y=float(yaw))
    betas = 0.7 * torch.randn(count, 10, generator=generator, dtype=torch.float64)
    vertices, pelvis = (part.double() for part in (posed(body, rotations, betas), body.rest(betas.float())[1][:, 0]))
    place = torch.tensor([[x, -1.5, -z] for x, z in places], dtype=torch.float64)
    place[:, 1] -= vertices[..., 1].amin(1)
    axes = camera_axes(pitch, roll)
    place = (pelvis + place) @ axes.T
    middle = place.mean(0) * torch.tensor([0.0, 1.0, 0.0])  # the camera is shifted, not turned, to see them all
    rotations[:, 0] = axes @ rotations[:, 0]
    return BodyState(rotations, place - pelvis - middle, betas)


def posed(body, rotations: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
    return body(betas.float(), rotations[:, 1:].float(), rotations[:, 0].float()).vertices


def joints_of(body, state: BodyState) -> np.ndarray:
    return landmark_positions(LandmarkMoments.of_body(body, "smpl24"), state).numpy()


def angles(direction: np.ndarray) -> tuple[float, float]:
    """Pitch and roll of a camera, degrees, by the direction of gravity."""
    x, y, z = direction
    return float(np.degrees(np.arcsin(z))), float(np.degrees(np.arctan2(x, y)))


def expected(pitch: float, roll: float) -> tuple[float, float]:
    return angles(-camera_axes(pitch, roll)[:, 1].numpy())


def test_the_masses_are_those_of_a_whole_body():
    assert sum(MASSES.values()) == pytest.approx(1, abs=2e-3)
    assert MASSES["left_hip"] == MASSES["right_hip"] and {*FEET} <= {*MASSES}


@pytest.mark.parametrize(("pitch", "roll"), [(-8, 0), (0, 4), (5, -4), (15, 0), (25, 3)])
def test_several_standing_people_tell_pitch_and_roll(body, pitch, roll):
    gravity = gravity_of(joints_of(body, crowd(body, pitch, roll)))
    assert np.linalg.norm(gravity.direction) == pytest.approx(1)
    assert np.abs(np.subtract(angles(gravity.direction), expected(pitch, roll))).max() < 2.5
    assert 0 < np.degrees(gravity.deviation).max() < 4


def test_those_who_lean_do_not_count_beside_others(body):
    upright = joints_of(body, crowd(body, 8))
    leaning = joints_of(body, crowd(body, 8, lean=45))
    mixed = np.concatenate([upright[:3], leaning[3:]])
    assert abs(angles(gravity_of(mixed).direction)[0] - 8) < 2.5


def test_one_body_alone_tells_less_than_many(body):
    one, many = (gravity_of(joints_of(body, crowd(body, 20, places=PLACES[:count]))) for count in (1, 4))
    assert angles(one.direction)[0] > 12  # the prior is at 5
    assert one.deviation[0] > 1.3 * many.deviation[0]


def test_someone_who_lies_tells_almost_nothing(body):
    lying = gravity_of(joints_of(body, crowd(body, 0, lean=-88, places=PLACES[:1])))
    nobody = gravity_of(np.zeros((0, 24, 3)))
    assert abs(angles(lying.direction)[0] - angles(nobody.direction)[0]) < 1
    assert lying.deviation[0] > np.radians(7)


def test_feet_on_one_floor_tell_pitch_where_bodies_do_not(body):
    """Only where the people stand changes: all lean as if the camera were level, on a floor that it looks down at."""
    level, tilted = crowd(body, 0), crowd(body, 12)
    far = replace(level, translation=tilted.translation)
    without = gravity_of(joints_of(body, far), settings=GravitySettings(ground=1e3))
    assert angles(gravity_of(joints_of(body, far)).direction)[0] > angles(without.direction)[0] + 1


def test_uncertain_joints_count_less(body):
    joints = joints_of(body, crowd(body, 20, places=PLACES[:1]))
    sure, unsure = gravity_of(joints), gravity_of(joints, np.full((1, 24), 0.5))
    assert angles(unsure.direction)[0] < angles(sure.direction)[0] - 3


def test_the_pelvis_is_upright_against_a_given_direction(body):
    for pitch in (0, 20):
        state = crowd(body, pitch)
        up = tuple(camera_axes(pitch, 0)[:, 1].tolist())
        here = UprightTerm(up=up)(state)
        assert here.energy.max() < 1e-9 and here.gradient.abs().max() < 1e-6
        assert (UprightTerm()(state).energy.max() < 1e-9) == (pitch == 0)


def test_fits_of_keypoints_lean_less_against_gravity_than_against_the_camera(body):
    """The whole way from keypoints, which know nothing of depth: the trunks of people whom a camera sees from above."""
    fitter, truth = Fitter(body), crowd(body, 16)
    pixels = CAMERA.project(landmark_positions(fitter.landmarks("mediapipe33"), truth))[..., :2].numpy()
    found = []
    for points in pixels:
        keypoints = np.concatenate([points, np.ones((len(points), 1))], 1).astype(np.float32)
        found.append(Detection(keypoint_box(keypoints, CAMERA.size), keypoints, "mediapipe33", 0.9))
    fits = fitter(found, CAMERA)
    parts = (
        torch.from_numpy(np.stack([getattr(fit, name) for fit in fits])).double() for name in BodyState.__annotations__
    )
    joints = joints_of(body, BodyState(*parts))
    gravity = gravity_of(joints, np.stack([fit.joint_deviation for fit in fits]))
    assert abs(angles(gravity.direction)[0] - 16) < 5
    trunk = joints[:, 12] - joints[:, 0]
    trunk /= np.linalg.norm(trunk, axis=1, keepdims=True)
    from_gravity, from_camera = (
        np.degrees(np.arccos(trunk @ -down)) for down in (gravity.direction, np.array([0, 1, 0]))
    )
    assert from_gravity.mean() < 6 < from_camera.mean()
