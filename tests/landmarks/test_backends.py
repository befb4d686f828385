"""Both backends of landmarks: against each other, against the posed mesh, and against finite differences."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import NUM_JOINTS, POSE_SIZE, BodyModel, load_body
from meshrec.body.files import body_from_arrays
from meshrec.body.state import BETAS, TRANSLATION, TURNS, BodyState
from meshrec.geometry import random_rotations
from meshrec.landmarks import numba_backend
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.placements import offsets
from meshrec.landmarks.torch_backend import TorchLandmarks

STEP = 1e-6


@dataclass(frozen=True)
class Backend:
    """Positions (B, K, 3) of landmarks, and their derivatives (B, K, 3, 72 + S) by the turns and the betas."""

    positions: Callable[[BodyState], Tensor]
    jacobian: Callable[[BodyState], Tensor]


def by_torch(landmarks: LandmarkMoments) -> Backend:
    module = TorchLandmarks(landmarks, torch.float64)
    return Backend(*(lambda state, f=f: f(state.rotations, state.betas) for f in (module, module.jacobian)))


def by_numba(landmarks: LandmarkMoments) -> Backend:
    def jacobian(state: BodyState) -> Tensor:
        points, slopes = numba_backend.landmark_jacobians(landmarks, state)
        assert torch.equal(points, numba_backend.landmark_positions(landmarks, state))
        return torch.cat([slopes[..., TURNS], slopes[..., BETAS]], dim=-1)

    return Backend(lambda state: numba_backend.landmark_positions(landmarks, state), jacobian)


backends = pytest.mark.parametrize("backend", [by_torch, by_numba])


@pytest.fixture(scope="module")
def correctives() -> BodyModel:
    """A body with pose displacements, of which the shipped ones have none."""
    body = BodyModel(body_from_arrays(random_arrays(), "random"), torch.float64)
    assert body.has_posedirs
    return body


@pytest.fixture(scope="module")
def precise() -> BodyModel:
    """The shipped neutral body in double precision."""
    return BodyModel(load_body("neutral").data, torch.float64)


def any_state(count: int, num_betas: int = 10) -> BodyState:
    """Bodies in any pose, not translated, and one at rest, where some levers are exactly zero along an axis."""
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(NUM_JOINTS * count, generator, torch.float64).view(count, NUM_JOINTS, 3, 3)
    rotations[-1] = torch.eye(3)
    betas = torch.randn(count, num_betas, generator=generator, dtype=torch.float64)
    return BodyState(rotations, torch.zeros(count, 3, dtype=torch.float64), betas)


def vertices_of(body: BodyModel, state: BodyState) -> Tensor:
    return body(state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation).vertices


def rows(body: BodyModel) -> Tensor:
    """(24, V) weights of the vertices in SMPL's joints."""
    return torch.from_numpy(body.joint_regressor("smpl24")).double()


def differences(positions: Callable[[BodyState], Tensor], state: BodyState) -> Tensor:
    """Central finite differences (B, K, 3, 72 + S) of positions by the turns and the betas."""
    steps = STEP * torch.eye(state.unknowns, dtype=torch.float64).repeat(len(state), 1)
    each = state.repeated(state.unknowns)
    slopes = (positions(each.moved(steps)) - positions(each.moved(-steps))) / (2 * STEP)
    jacobian = slopes.unflatten(0, (len(state), -1)).movedim(1, -1)
    return torch.cat([jacobian[..., TURNS], jacobian[..., BETAS]], dim=-1)


def moments(which: str, precise: BodyModel, correctives: BodyModel) -> LandmarkMoments:
    """Landmarks of bodies with and without pose displacements, as they are and where a detector sees them."""
    if which == "correctives":
        return LandmarkMoments.of_body(correctives, "smpl24")
    if which == "correctives, offsets":
        shifts = [{k: np.array([0.01, 0.02, -0.03]), (k + 5) % 24: np.array([0.0, 0.1, 0.0])} for k in range(24)]
        return LandmarkMoments.of_body(correctives, "smpl24", shifts)
    if which == "few betas":
        return LandmarkMoments.of_body(precise, "coco17", num_betas=4)
    return LandmarkMoments.of_body(precise, "mediapipe33", offsets("mediapipe33") if which == "offsets" else None)


@pytest.mark.parametrize("which", ["plain", "offsets", "few betas", "correctives", "correctives, offsets"])
def test_both_backends_agree(which, precise, correctives):
    landmarks = moments(which, precise, correctives)
    state = any_state(4, landmarks.num_betas)
    ours, theirs = by_torch(landmarks), by_numba(landmarks)
    assert (ours.positions(state) - theirs.positions(state)).abs().max() < 1e-10
    assert ours.jacobian(state).shape == theirs.jacobian(state).shape
    assert (ours.jacobian(state) - theirs.jacobian(state)).abs().max() < 1e-10


@backends
@pytest.mark.parametrize("joints", ["smpl24", "coco17", "mediapipe33"])
def test_landmarks_are_those_of_the_posed_mesh(backend, joints, precise):
    state = any_state(3)
    points = backend(LandmarkMoments.of_body(precise, joints)).positions(state)
    assert (points - precise.joints_from(vertices_of(precise, state), joints)).abs().max() < 1e-9


@backends
def test_pose_displacements_move_landmarks(backend, correctives):
    state = any_state(3)
    expected = rows(correctives) @ vertices_of(correctives, state)
    points = backend(LandmarkMoments.of_body(correctives, "smpl24")).positions(state)
    assert (points - expected).abs().max() < 1e-9


@backends
def test_vertices_are_landmarks(backend, precise):
    state, chosen = any_state(2), np.array([5, 4000, 4000, 7000])
    skeleton = LandmarkMoments.of_body(precise, "mediapipe33", offsets("mediapipe33"))
    weights = np.eye(len(precise.v_template))[chosen]
    for landmarks in (skeleton.at_vertices(precise, chosen), LandmarkMoments.of_body(precise, weights)):
        points = backend(landmarks).positions(state)
        assert (points - vertices_of(precise, state)[:, chosen]).abs().max() < 1e-9


@backends
def test_an_offset_turns_with_its_joint(backend, precise):
    state, row = any_state(2), precise.joint_regressor("smpl24")[4:5]
    shifts = [{4: np.array([0.0, 0.1, 0.0])}]
    plain = backend(LandmarkMoments.of_body(precise, row)).positions(state)
    shifted = backend(LandmarkMoments.of_body(precise, row, shifts)).positions(state)
    knee = state.rotations[:, 0] @ state.rotations[:, 1] @ state.rotations[:, 4]
    assert torch.allclose((shifted - plain)[:, 0], 0.1 * knee[..., 1])


@backends
@pytest.mark.parametrize("which", ["plain", "offsets"])
def test_derivatives_are_finite_differences(backend, which, precise, correctives):
    landmarks, state = backend(moments(which, precise, correctives)), any_state(3)
    expected = differences(landmarks.positions, state)
    assert expected.abs().max() > 0.5
    assert (landmarks.jacobian(state) - expected).abs().max() < 1e-7


@backends
def test_pose_displacements_alone_are_left_out_of_derivatives(backend, correctives):
    landmarks, state = backend(LandmarkMoments.of_body(correctives, "smpl24")), any_state(2)
    error = (landmarks.jacobian(state) - differences(landmarks.positions, state)).abs()
    assert error[..., POSE_SIZE:].max() < 1e-7 and error[..., :3].max() < 1e-7  # the root has no pose feature
    assert 1e-3 < error[..., 3:POSE_SIZE].max() < 0.1


def test_landmarks_move_with_the_translation(precise):
    state = replace(any_state(2), translation=torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, -4.0]], dtype=torch.float64))
    points, jacobian = numba_backend.landmark_jacobians(LandmarkMoments.of_body(precise, "coco17"), state)
    assert (points - precise.joints_from(vertices_of(precise, state), "coco17")).abs().max() < 1e-9
    # The weights of the file sum to one in single precision.
    by_translation = jacobian[..., TRANSLATION]
    assert torch.allclose(by_translation, torch.eye(3, dtype=torch.float64).expand_as(by_translation), atol=1e-6)


@pytest.mark.parametrize("with_displacements", [False, True])
def test_gradients_of_the_module_are_those_of_the_posed_mesh(with_displacements, precise, correctives):
    body = correctives if with_displacements else precise
    state, generator = any_state(3, 6), torch.Generator().manual_seed(1)
    rotations, betas = state.rotations.requires_grad_(), state.betas.requires_grad_()
    found = TorchLandmarks(LandmarkMoments.of_body(body, "smpl24", num_betas=6), torch.float64)(rotations, betas)
    expected = rows(body) @ body(betas, rotations[:, 1:], rotations[:, 0]).vertices
    directions = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((x * directions).sum(), (rotations, betas)) for x in (found, expected))
    for mine, other in zip(ours, theirs):
        assert (mine - other).abs().max() < 1e-9


def test_the_module_has_single_precision_and_no_weights(body):
    landmarks, state = LandmarkMoments.of_body(body, "coco17"), any_state(2)
    module = TorchLandmarks(landmarks)
    assert not module.state_dict()
    points = module(state.rotations.float(), state.betas.float())
    assert points.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(state.rotations.float(), state.betas.float()), points)
    assert (points - by_numba(landmarks).positions(state)).abs().max() < 2e-6
