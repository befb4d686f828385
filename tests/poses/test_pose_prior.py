import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import multivariate_t

from meshrec.body.joints import BODY_JOINTS
from meshrec.body.kinematics import mirror_pose
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix, matrix_to_axis_angle, random_rotations
from meshrec.geometry.tangent import right_jacobian_inverse
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import POSE_PRIOR, PRIOR_JOINTS, PosePrior, load_pose_prior


@pytest.fixture(scope="module")
def shipped():
    return load_pose_prior()


@pytest.fixture(scope="module")
def held_out():
    return load_pose_bank("held_out").rotations(slice(None, None, 50))


def random_prior(components: int = 3, freedom: int = 7, spread: float = 0.1) -> PosePrior:
    generator = torch.Generator().manual_seed(0)
    size = 3 * len(PRIOR_JOINTS)
    normal = torch.randn(components, size, size, generator=generator, dtype=torch.float64)
    scales = torch.linalg.cholesky(spread**2 * (normal @ normal.mT / size + 0.1 * torch.eye(size)))
    return PosePrior(
        random_rotations(len(PRIOR_JOINTS), generator, dtype=torch.float64),
        torch.randn(components, generator=generator, dtype=torch.float64).log_softmax(0),
        0.3 * torch.randn(components, size, generator=generator, dtype=torch.float64),
        scales,
        freedom,
    )


def near(prior: PosePrior) -> torch.Tensor:
    """A pose not far from the first component's mean: (1, 23, 3, 3)."""
    offset = torch.randn(1, prior.means.shape[1], generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return prior.body_pose(prior.means[:1] + 0.02 * offset)


def turned(body_pose: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Every joint turned a little in its own frame; turns (69,)."""
    return body_pose @ axis_angle_to_matrix(turns.unflatten(0, (23, 3)))


def test_log_density_matches_scipy():
    prior = random_prior()
    poses = prior.sample(6, torch.Generator().manual_seed(1))
    x = prior.coordinates(poses).numpy()
    densities = [
        log_weight + multivariate_t(mean, scale @ scale.T, df=prior.freedom).logpdf(x)
        for log_weight, mean, scale in zip(prior.log_weights.numpy(), prior.means.numpy(), prior.scales.numpy())
    ]
    np.testing.assert_allclose(prior.log_density(poses), np.logaddexp.reduce(densities), rtol=1e-10)


def test_coordinates_and_poses_are_inverse():
    prior = random_prior()
    x = 0.5 * torch.randn(5, 63, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    poses = prior.body_pose(x)
    assert poses.shape == (5, 23, 3, 3)
    torch.testing.assert_close(prior.coordinates(poses), x)
    torch.testing.assert_close(prior.coordinates(poses[:, :21]), x)
    assert (poses[:, -2:] == torch.eye(3)).all()


def test_samples_have_the_moments_of_the_mixture():
    prior = random_prior(spread=0.05)
    x = prior.coordinates(prior.sample(50_000, torch.Generator().manual_seed(3)))
    weights = prior.log_weights.exp()
    mean = weights @ prior.means
    # The covariance of a t distribution is f / (f - 2) times its scale matrix.
    within = torch.einsum("k,kij->ij", weights, prior.scales @ prior.scales.mT) * prior.freedom / (prior.freedom - 2)
    offsets = prior.means - mean
    covariance = within + torch.einsum("k,ki,kj->ij", weights, offsets, offsets)
    torch.testing.assert_close(x.mean(0), mean, atol=5e-3, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), covariance, atol=5e-3, rtol=0)


def test_sampling_follows_its_generator(shipped):
    first, again, other = (shipped.sample(4, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_quadratic_has_the_density_and_its_gradient():
    prior = random_prior(components=1)
    pose = prior.sample(1, torch.Generator().manual_seed(4))
    log_density, gradient, _ = prior.quadratic(pose)
    torch.testing.assert_close(log_density, prior.log_density(pose))
    turns = torch.zeros(69, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(-prior.log_density(turned(pose, turns)).sum(), turns)
    torch.testing.assert_close(gradient[0], expected)


def test_hessian_is_that_of_least_squares():
    """With many degrees of freedom the weight is one, and J' J exact."""
    prior = random_prior(components=1, freedom=10**9)
    pose = near(prior)

    def whitened(turns):
        offset = prior.coordinates(turned(pose, turns))[0] - prior.means[0]
        return torch.linalg.solve_triangular(prior.scales[0], offset[:, None], upper=False)[:, 0]

    jacobian = torch.autograd.functional.jacobian(whitened, torch.zeros(69, dtype=torch.float64))
    torch.testing.assert_close(prior.quadratic(pose)[2][0], jacobian.mT @ jacobian, atol=1e-4, rtol=1e-5)


def test_right_jacobian_inverse_up_to_half_turns():
    axis_angle = torch.randn(7, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    angles = torch.tensor([0, 1e-9, 1e-3, 0.01, 1, 3, math.pi - 1e-6], dtype=torch.float64)
    axis_angle *= (angles / axis_angle.norm(dim=-1))[:, None]
    rotations = axis_angle_to_matrix(axis_angle)

    def log(turns):
        return matrix_to_axis_angle(rotations @ axis_angle_to_matrix(turns)).sum(0)

    expected = torch.autograd.functional.jacobian(log, torch.zeros(7, 3, dtype=torch.float64)).transpose(0, 1)
    torch.testing.assert_close(right_jacobian_inverse(axis_angle), expected, atol=1e-7, rtol=1e-7)


def test_gauss_newton_reaches_the_peak():
    prior = random_prior(components=1, freedom=10**9, spread=0.02)
    pose = near(prior)
    for _ in range(3):
        _, gradient, hessian = prior.quadratic(pose)
        pose = turned(pose, -(torch.linalg.pinv(hessian[0], hermitian=True) @ gradient[0]))
    torch.testing.assert_close(prior.coordinates(pose), prior.means)


def test_shipped_prior_is_small_and_symmetric(shipped, held_out):
    assert POSE_PRIOR.stat().st_size <= 1e6
    mirrored = mirror_pose(held_out)
    torch.testing.assert_close(
        shipped.log_density(mirrored[:, 1:]), shipped.log_density(held_out[:, 1:]), atol=1e-2, rtol=0
    )


def test_unseen_people_are_likelier_than_nonsense(shipped, held_out):
    real = shipped.log_density(held_out[:, 1:])
    generator = torch.Generator().manual_seed(8)
    axis_angle = matrix_to_axis_angle(held_out[:, 1:])
    shuffled = torch.stack(
        [joint[torch.randperm(len(joint), generator=generator)] for joint in axis_angle.unbind(1)], 1
    )
    strange = shipped.log_density(axis_angle_to_matrix(shuffled))
    assert real.median() > 55
    assert (real > strange).float().mean() > 0.97


def test_everyday_poses_that_the_bank_lacks_are_not_crushed(shipped, held_out):
    real = shipped.log_density(held_out[:, 1:])

    def pose(**degrees):
        vectors = torch.zeros(1, len(BODY_JOINTS), 3)
        for name, value in degrees.items():
            vectors[0, BODY_JOINTS.index(name)] = torch.tensor(value, dtype=torch.float32).deg2rad()
        return axis_angle_to_matrix(vectors)

    arms_down = {"left_shoulder": (10, -10, -70), "right_shoulder": (10, 10, 70)}
    standing = pose(**arms_down)
    sitting = pose(
        left_hip=(-90, 0, 5), right_hip=(-90, 0, -5), left_knee=(90, 0, 0), right_knee=(90, 0, 0), **arms_down
    )
    broken_neck = pose(head=(0, 150, 0), **arms_down)
    assert shipped.log_density(standing) > real.quantile(0.01)
    # Nobody sits on a chair in the bank: below nearly all real poses, yet far above what no neck can do.
    assert shipped.log_density(sitting) > real.median() - 60
    assert shipped.log_density(broken_neck) < shipped.log_density(sitting) - 50


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"freedom": torch.tensor(3.0), "means": torch.zeros(2)}, tmp_path / "partial.safetensors")
    for name in ("missing.safetensors", "text.safetensors", "partial.safetensors"):
        with pytest.raises(InputError, match="not a pose prior"):
            load_pose_prior(tmp_path / name)
