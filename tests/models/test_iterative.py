import copy

import pytest
import torch
from torch import nn

from meshrec.geometry import Camera, WeakPerspectiveCamera, random_rotations, rotation_6d_to_matrix
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.iterative import IterativeConfig, IterativeRegressor, upright

KEYPOINTS = EncoderConfig(("keypoints",), width=64, blocks=1, dropout=0.0)


def people(count: int, seed: int = 0) -> Estimate:
    generator = torch.Generator().manual_seed(seed)
    small = torch.eye(3) + 0.2 * torch.randn(count, 24, 3, 3, generator=generator)
    rotations = rotation_6d_to_matrix(small[..., :2].mT.flatten(-2))
    rotations = torch.cat([upright().rotations[:, :1] @ rotations[:, :1], rotations[:, 1:]], dim=1)
    camera = torch.tensor([0.9, 0.0, 0.2]) + 0.05 * torch.randn(count, 3, generator=generator)
    return Estimate(rotations, torch.randn(count, 10, generator=generator), camera)


def seen_keypoints(network: IterativeRegressor, truth: Estimate, focal: torch.Tensor | None = None) -> NetworkInput:
    points = truth.project(network.landmarks(truth.rotations, truth.betas), focal)
    return NetworkInput(keypoints=torch.cat([points, torch.ones_like(points[..., :1])], dim=-1), focal=focal)


@pytest.mark.parametrize("feedback", ["parameters", "residuals"])
@pytest.mark.parametrize(
    "inputs", [("rgb",), ("heatmaps", "silhouette"), ("rgb", "heatmaps", "silhouette"), ("keypoints",)]
)
def test_every_iteration_is_returned_and_every_weight_learns(inputs, feedback, body):
    encoder = EncoderConfig(inputs, resnet=18, resolution=64, width=64)
    network = IterativeRegressor(IterativeConfig(encoder, feedback, iterations=4, width=64, blocks=1), body)
    given = NetworkInput(torch.randn(3, 3, 64, 64), torch.rand(3, 1, 64, 64), torch.rand(3, 17, 3))
    estimates = network(given).estimates
    assert len(estimates) == 4
    for estimate in estimates:
        assert estimate.betas.shape == (3, 10) and estimate.camera.shape == (3, 3)
        identity = estimate.rotations @ estimate.rotations.mT
        assert torch.allclose(identity, torch.eye(3).expand(3, 24, 3, 3), atol=1e-5)
        assert (torch.linalg.det(estimate.rotations) > 0).all()
    assert not torch.equal(estimates[0].betas, estimates[1].betas)
    sum(e.rotations.sum() + e.betas.sum() + e.camera.sum() for e in estimates).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_updates_follow_hmr():
    """The loop written out as the paper has it: theta <- theta + f([feature, theta])."""
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, width=32)).eval()
    nn.init.normal_(network.update.weight, std=0.05)
    inputs = NetworkInput(keypoints=torch.rand(2, 17, 3))
    feature = network.encoder(inputs)
    state = network.mean.expand(2, -1)
    for estimate in network(inputs).estimates:
        state = state + network.update(network.head(network.embed(torch.cat([feature, state], dim=1))))
        assert torch.allclose(estimate.rotations, rotation_6d_to_matrix(state[:, :144].view(2, 24, 6)), atol=1e-5)
        assert torch.allclose(torch.cat([estimate.betas, estimate.camera], 1), state[:, 144:], atol=1e-5)


def test_it_starts_at_the_mean():
    start = people(1)
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, iterations=1), mean=start)
    nn.init.zeros_(network.update.weight)
    (estimate,) = network(NetworkInput(keypoints=torch.rand(2, 17, 3))).estimates
    for name, value in vars(start).items():
        assert torch.allclose(getattr(estimate, name), value.expand(2, *value.shape[1:]), atol=1e-6)


def test_residuals_vanish_at_the_truth_and_ignore_missing_keypoints(body):
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, "residuals"), body)
    truth, focal = people(3), torch.tensor([2.0, 3.0, 10.0])
    inputs = seen_keypoints(network, truth, focal)
    residuals = network._residuals(truth, inputs)
    assert residuals[:, : 2 * 17].abs().max() < 1e-5
    assert torch.equal(residuals[:, 2 * 17 : -1], torch.ones(3, 17))
    assert torch.allclose(residuals[:, -1], truth.camera[:, 0] / focal)
    other = network._residuals(people(3, seed=1), inputs)
    assert other[:, : 2 * 17].abs().max() > 0.5
    inputs.keypoints[:, 5, 2] = 0
    inputs.keypoints[:, 5, :2] = torch.nan
    missing = network._residuals(people(3, seed=1), inputs)
    assert (missing[:, 10:12] == 0).all() and torch.equal(missing[:, :10], other[:, :10])


def test_a_lost_estimate_does_not_run_away(body):
    """With updates this large every correction throws the body further off, and is told so."""
    torch.manual_seed(0)
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, "residuals", iterations=8, dropout=0), body).eval()
    nn.init.normal_(network.update.weight, std=0.1)
    with torch.no_grad():
        estimates = network(seen_keypoints(network, people(4))).estimates
    assert estimates[3].camera.abs().max() > 8  # lost
    assert estimates[-1].camera.abs().max() < 1000  # 1e14 if offsets were told in full


def test_residual_feedback_needs_a_body():
    with pytest.raises(ValueError, match="needs the body"):
        IterativeRegressor(IterativeConfig(KEYPOINTS, "residuals"))


def test_it_learns_to_lift_keypoints(body):
    """From 2D keypoints back to the few people they came from, perspective and all."""
    torch.manual_seed(0)
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, "residuals", width=128, dropout=0.0), body)
    truth, focal = people(8), torch.full((8,), 3.0)
    inputs = seen_keypoints(network, truth, focal)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)

    def error() -> torch.Tensor:
        parts = zip(vars(network(inputs).final).values(), vars(truth).values())
        return sum((mine - true).square().mean() for mine, true in parts)

    before = error().item()
    for _ in range(150):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error().item() < 0.02 * before


def test_projection_is_the_cameras():
    truth = people(4)
    points = 0.5 * torch.randn(4, 20, 3)
    scale, shift = truth.camera[:, 0], truth.camera[:, 1:]
    weak = WeakPerspectiveCamera(scale, shift, (224, 224)).project(points)[..., :2]
    assert torch.allclose((truth.project(points) + 1) * 112 - 0.5, weak, atol=1e-3)
    focal = torch.full((4,), 2.5)
    camera = Camera(2.5 * 112, size=(224, 224))
    perspective = camera.project(points + truth.translation(focal)[:, None])[..., :2]
    assert torch.allclose((truth.project(points, focal) + 1) * 112 - 0.5, perspective, atol=1e-2)
    far = truth.project(points, torch.full((4,), 1e5))
    assert torch.allclose(far, truth.project(points), atol=1e-4)


def test_copies_are_independent(body):
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, "residuals"), body).eval()
    twin = copy.deepcopy(network)
    inputs = NetworkInput(keypoints=torch.rand(2, 17, 3))
    assert torch.equal(network(inputs).final.betas, twin(inputs).final.betas)
    with torch.no_grad():
        twin.update.bias += 1
    assert not torch.equal(network(inputs).final.betas, twin(inputs).final.betas)


def test_rotations_of_any_sort_survive_the_state():
    rotations = random_rotations(24, torch.Generator().manual_seed(0))[None]
    start = Estimate(rotations, torch.zeros(1, 10), torch.zeros(1, 3))
    network = IterativeRegressor(IterativeConfig(KEYPOINTS), mean=start)
    assert torch.allclose(network._decode(network.mean).rotations, rotations, atol=1e-6)


def test_the_first_guess_stands_upright_in_the_crop(body):
    start = upright()
    vertices = body(start.betas, start.rotations[:, 1:], start.rotations[:, :1]).vertices
    seen, depth = start.project(vertices)[0], vertices[0, :, 2]
    assert seen[:, 1].abs().max() < 1 and (seen.amax(0) + seen.amin(0)).abs().max() < 0.2
    joints = dict(zip(body.joint_names, start.project(body.joints_from(vertices, "smpl24"))[0]))
    assert joints["head"][1] < joints["pelvis"][1] < joints["left_ankle"][1]  # y points down
    assert joints["left_wrist"][0] > 0.5 > -0.5 > joints["right_wrist"][0]  # facing us, left is right
    nose, heel = (body.joints_from(vertices, "mediapipe33")[0, i, 2] for i in (0, 29))
    assert depth.min() < nose < heel


@pytest.mark.parametrize("feedback", ["parameters", "residuals"])
def test_it_can_be_exported(feedback, body):
    network = IterativeRegressor(IterativeConfig(KEYPOINTS, feedback), body).eval()
    inputs = NetworkInput(keypoints=torch.rand(2, 17, 3))
    program = torch.export.export(network, (inputs,)).module()
    for mine, exported in zip(network(inputs).estimates, program(inputs).estimates, strict=True):
        assert torch.allclose(mine.rotations, exported.rotations) and torch.allclose(mine.camera, exported.camera)
