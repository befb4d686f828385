"""Close looks at faces and hands in the fit: heads and wrists are turned as they show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body import joint_index
from meshrec.body.kinematics import global_rotations
from meshrec.body.state import BodyState
from meshrec.detect.people import CloseUp, Detection, keypoint_box
from meshrec.fit import FitSettings, Fitter
from meshrec.fit.turns import JOINTS, ObservedTurns, TurnSettings
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix, rotation_angle
from meshrec.geometry.crops import look_along
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.rigid_parts import MIRROR, PARTS

CAMERA = Camera(900.0, size=(640, 720))
INDEX = [joint_index(name, "smpl24") for name in JOINTS]


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body)


def standing(body) -> BodyState:
    """People who stand before the camera, with heads and wrists turned in ways that landmarks hardly show."""
    turns = torch.zeros(3, 24, 3, dtype=torch.float64)
    turns[:, joint_index("left_shoulder", "smpl24"), 2] = -1.0
    turns[:, joint_index("right_shoulder", "smpl24"), 2] = 1.0
    turns[:, joint_index("head", "smpl24")] = torch.tensor([[0.3, 0, 0], [0, 0.5, 0], [-0.2, -0.4, 0]]).double()
    turns[:, joint_index("left_wrist", "smpl24")] = torch.tensor([[0.7, 0, 0], [0, 0, 0.5], [0, 0.3, -0.4]]).double()
    turns[:, joint_index("right_wrist", "smpl24")] = torch.tensor([[-0.6, 0, 0], [0, 0.3, 0], [0.4, 0, 0.4]]).double()
    rotations = axis_angle_to_matrix(turns)
    rotations[:, 0] = CAMERA_TO_Y_UP.double()
    place = torch.tensor([[0.4, 0.2, 3.5]], dtype=torch.float64).expand(3, 3)
    return BodyState(rotations, place, torch.zeros(3, body.num_betas, dtype=torch.float64))


def seen_closely(frames: torch.Tensor, center: np.ndarray) -> tuple[CloseUp, ...]:
    """The close-ups of a person whose joints have given rotations (24, 3, 3), all of them at one place in the photo."""
    ray = CAMERA.unproject(torch.tensor([[*center.tolist(), 1.0]])).double()
    found = []
    for joint, index in zip(JOINTS, INDEX):
        part = PARTS[joint.replace("right", "left")]
        rest = np.zeros((468, 3))
        rest[list(part.points)] = np.array(list(part.points.values())) * (MIRROR if "right" in joint else 1)
        points = rest @ frames[index].numpy().T @ look_along(ray)[0].numpy().T
        found.append(CloseUp(joint, points.astype(np.float32), center, 0.9))
    return tuple(found)


def detected(fitter: Fitter, state: BodyState) -> list[Detection]:
    """What a detector would see of bodies, with close-ups."""
    frames = global_rotations(state.rotations, fitter.body.tree)
    pixels = CAMERA.project(landmark_positions(fitter.landmarks("mediapipe33"), state))[..., :2].numpy()
    people = []
    for own, points in zip(frames, pixels):
        keypoints = np.column_stack([points, np.ones(33)]).astype(np.float32)
        close = seen_closely(own, keypoints[0, :2])
        people.append(Detection(keypoint_box(keypoints), keypoints, "mediapipe33", 0.9, close_ups=close))
    return people


def errors(fitter: Fitter, people: list[Detection], truth: BodyState) -> np.ndarray:
    """(N, 3) angles between fitted and true rotations of heads and wrists, degrees."""
    fitted = torch.from_numpy(np.stack([fit.rotations for fit in fitter(people, CAMERA)])).double()
    both = (global_rotations(rotations, fitter.body.tree)[:, INDEX] for rotations in (fitted, truth.rotations))
    return rotation_angle(*both).rad2deg().numpy()


def test_heads_and_wrists_turn_as_close_looks_show(fitter, body):
    truth = standing(body)
    people = detected(fitter, truth)
    before = errors(fitter, [replace(person, close_ups=()) for person in people], truth)
    after = errors(fitter, people, truth)
    assert (after.mean(0) < 0.5 * before.mean(0)).all()
    assert np.median(after) < 8  # arms may be caught in another minimum


def test_a_wrong_close_look_is_let_go(fitter, body):
    """A palm that is seen from the wrong side, a half turn about the forearm, leaves the arm where landmarks are."""
    truth = standing(body)
    people = detected(fitter, truth)
    wrong = axis_angle_to_matrix(torch.tensor([np.pi, 0, 0], dtype=torch.float64))
    frames = global_rotations(truth.rotations, fitter.body.tree)
    frames[:, INDEX[1]] = frames[:, INDEX[1]] @ wrong
    center = people[0].keypoints[0, :2]
    people = [replace(person, close_ups=seen_closely(own, center)[1:2]) for person, own in zip(people, frames)]
    fits = fitter(people, CAMERA)
    assert max(fit.reprojection_error for fit in fits) < 0.015


def test_nothing_is_observed_without_close_looks(fitter, body):
    people = detected(fitter, standing(body))
    bare = [replace(person, close_ups=()) for person in people]
    of = lambda some, settings: ObservedTurns.of(some, CAMERA, fitter.body.tree, settings)  # noqa: E731
    assert of(bare, TurnSettings()) is None and of(people, TurnSettings(weight=0)) is None
    mixed = of([people[0], bare[1]], TurnSettings())
    assert (mixed.precision[0] > 0).all() and not mixed.precision[1].any()


def test_without_weight_close_looks_change_nothing(fitter, body):
    people = detected(fitter, standing(body))
    ignoring = Fitter(body, settings=FitSettings(turns=TurnSettings(weight=0)))
    bare = [replace(person, close_ups=()) for person in people]
    for one, other in zip(ignoring(people, CAMERA), fitter(bare, CAMERA)):
        assert np.array_equal(one.rotations, other.rotations)
