"""The step towards keypoints: against the normal equations, and who is believed."""

import pytest
import torch

import meshrec.models.keypoint_step as keypoint_step_module
from meshrec.body import load_body
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.estimate import Estimate
from meshrec.models.iterative import upright
from meshrec.models.keypoint_step import BETA, CAMERA, KEYPOINT, OUTLIER, TURN, keypoint_step

PARAMETERS, KEYPOINTS = 72 + 10 + 3, 17


@pytest.fixture(scope="module")
def landmarks():
    return TorchLandmarks(LandmarkMoments.of_body(load_body("neutral"), "coco17"), torch.float64)


def people(count: int, spread: float = 0.2) -> Estimate:
    step = spread * torch.randn(count, PARAMETERS, generator=torch.Generator().manual_seed(0)).double()
    first = Estimate(*(value.double().expand(count, *value.shape[1:]) for value in vars(upright()).values()))
    return first.moved(step)


def seen(landmarks: TorchLandmarks, truth: Estimate, focal: torch.Tensor | None) -> torch.Tensor:
    points = truth.project(landmarks(truth.rotations, truth.betas), focal)
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)


def no_doubts(count: int) -> torch.Tensor:
    return torch.zeros(count, PARAMETERS + KEYPOINTS, dtype=torch.float64)


def moves(keypoints: torch.Tensor, landmarks: TorchLandmarks, doubts: torch.Tensor) -> torch.Tensor:
    """(B,) how far landmarks come to lie elsewhere in the crop."""
    estimate = people(len(keypoints))
    after = keypoint_step(landmarks, estimate, keypoints, None, doubts)
    apart = [e.project(landmarks(e.rotations, e.betas)) for e in (estimate, after)]
    return (apart[1] - apart[0]).norm(dim=-1).mean(1)


def test_it_is_the_most_probable_step(landmarks):
    """Where the gradient of the linearised energy, written out, is zero; derivatives are autograd's."""
    estimate, focal = people(1), torch.tensor([3.0], dtype=torch.float64)
    keypoints = seen(landmarks, people(1, 0.3), focal)
    keypoints[..., 2] = torch.rand(1, KEYPOINTS, dtype=torch.float64)
    doubts = 0.5 * torch.randn(1, PARAMETERS + KEYPOINTS, dtype=torch.float64)

    def project(step: torch.Tensor) -> torch.Tensor:
        moved = estimate.moved(step[None])
        return moved.project(landmarks(moved.rotations, moved.betas), focal)[0]

    start = torch.zeros(PARAMETERS, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(project, start)
    residuals = keypoints[0, :, :2] - project(start)
    errors = KEYPOINT * doubts[0, PARAMETERS:].exp()
    weights = keypoints[0, :, 2] / errors / (1 + residuals.square().sum(-1) / OUTLIER**2)
    slopes, residuals = (slopes * weights[:, None, None]).flatten(0, 1), (residuals * weights[:, None]).flatten()
    usual = torch.tensor([TURN] * 72 + [BETA] * 10 + [CAMERA] * 3).double()
    prior = (1 / (usual * doubts[0, :PARAMETERS].exp()) ** 2).diag()
    step = torch.linalg.solve(slopes.T @ slopes + prior, slopes.T @ residuals)
    expected = estimate.moved(step[None])
    found = keypoint_step(landmarks, estimate, keypoints, focal, doubts)
    for name, value in vars(expected).items():
        assert torch.allclose(getattr(found, name), value, atol=1e-8), name


def test_a_few_steps_land_on_keypoints(landmarks):
    focal = torch.full((8,), 3.0, dtype=torch.float64)
    truth, estimate = people(8), people(8, 0.0)
    keypoints = seen(landmarks, truth, focal)

    def error() -> torch.Tensor:
        points = estimate.project(landmarks(estimate.rotations, estimate.betas), focal)
        return (points - keypoints[..., :2]).norm(dim=-1).mean(1)

    before = error()
    for _ in range(4):
        estimate = keypoint_step(landmarks, estimate, keypoints, focal, no_doubts(8))
    assert before.min() > 0.1 and (error() < 0.15 * before).all()


def test_who_is_believed(landmarks):
    keypoints = seen(landmarks, people(4, 0.3), None)
    usual = moves(keypoints, landmarks, no_doubts(4))
    sure_of_body, sure_of_keypoints = no_doubts(4), no_doubts(4)
    sure_of_body[:, :PARAMETERS] = -4
    sure_of_keypoints[:, PARAMETERS:] = -2
    assert (moves(keypoints, landmarks, sure_of_body) < 0.5 * usual).all()
    assert (moves(keypoints, landmarks, sure_of_keypoints) > usual).all()
    keypoints[..., 2] = 0
    assert (moves(keypoints, landmarks, no_doubts(4)) == 0).all()


def test_a_wrong_keypoint_has_little_pull(landmarks):
    keypoints = seen(landmarks, people(4), None)
    near, far = keypoints.clone(), keypoints.clone()
    near[:, 9, 0] += OUTLIER
    far[:, 9, 0] += 20 * OUTLIER
    apart = [moves(k, landmarks, no_doubts(4)) for k in (keypoints, near, far)]
    assert (apart[0] < 1e-12).all() and (apart[2] < 0.2 * apart[1]).all()


def test_certainty_can_be_learned(landmarks):
    keypoints, doubts = seen(landmarks, people(3, 0.3), None), no_doubts(3).requires_grad_()
    truth = people(3, 0.3)
    after = keypoint_step(landmarks, people(3), keypoints, None, doubts)
    (after.rotations - truth.rotations).square().sum().backward()
    assert torch.isfinite(doubts.grad).all() and (doubts.grad.abs().amax(0) > 0).all()


def test_single_precision_bears_the_widest_doubts(landmarks):
    """Everything believed of the keypoints and nothing of the body, again and again, as early in a training."""
    single = TorchLandmarks(LandmarkMoments.of_body(load_body("neutral"), "coco17"))
    estimate = Estimate(*(value.float() for value in vars(people(16, 0.5)).values()))
    keypoints = seen(landmarks, people(16, 1.5), None).float()
    doubts = no_doubts(16).float()
    doubts[:, :PARAMETERS], doubts[:, PARAMETERS:] = 9, -9
    for _ in range(6):
        estimate = keypoint_step(single, estimate, keypoints, torch.full((16,), 1.5), doubts)
    assert all(value.isfinite().all() for value in vars(estimate).values())


def test_an_exported_program_solves_the_same_equations(monkeypatch):
    """By an iteration instead of Cholesky's decomposition, up to the worst condition numbers that weights can make."""
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 1e2, 1e4):
        slopes = scale * torch.randn(3, 66, 80, generator=generator).double()
        matrix = slopes @ slopes.mT * torch.logspace(-4, 0, 66).double()[:, None] * torch.logspace(-4, 0, 66).double()
        matrix, right = matrix + torch.eye(66), torch.randn(3, 66, 1, generator=generator).double()
        expected = keypoint_step_module._solved(matrix, right)
        with monkeypatch.context() as patch:
            patch.setattr(keypoint_step_module, "is_exporting", lambda: True)
            assert torch.allclose(keypoint_step_module._solved(matrix, right), expected, atol=1e-7)
