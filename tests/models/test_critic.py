import pytest
import torch
from torch import Tensor

from meshrec.geometry import axis_angle_to_matrix, matrix_to_rotation_6d, random_rotations, rotation_6d_to_matrix
from meshrec.models.critic import JOINTS, Critic
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import load_pose_prior
from meshrec.training.losses import critic_loss, fooling_loss


def bank_poses(split: str, count: int) -> Tensor:
    bank = load_pose_bank(split)
    return bank.rotations(torch.linspace(0, len(bank) - 1, count).long())[:, 1:]


def made_up_poses(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return axis_angle_to_matrix(0.8 * torch.randn(count, JOINTS, 3, generator=generator))


def test_critics_are_factorised():
    """Each joint's critic sees its joint alone, the pose's all joints, the shape's the betas alone."""
    pose = random_rotations(JOINTS, torch.Generator().manual_seed(0))[None].requires_grad_()
    betas = torch.randn(1, 10, generator=torch.Generator().manual_seed(1)).requires_grad_()
    torch.manual_seed(0)
    scores = Critic()(pose, betas)
    assert scores.shape == (1, JOINTS + 2)
    for k, score in enumerate(scores[0]):
        by_pose, by_betas = torch.autograd.grad(score, (pose, betas), retain_graph=True, materialize_grads=True)
        seen = by_pose.abs().amax((0, 2, 3)) > 0
        if k < JOINTS:
            assert seen.nonzero().flatten().tolist() == [k]
        elif k == JOINTS:
            assert seen.all()
        assert (by_betas.abs().max() > 0) == (k == JOINTS + 1)
        assert not seen.any() or k <= JOINTS


@pytest.fixture(scope="module")
def trained() -> Critic:
    torch.manual_seed(0)
    critic = Critic(width=128)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    real, fake = bank_poses("train", 256), made_up_poses(256, seed=0)
    shapes = torch.randn(256, 10, generator=torch.Generator().manual_seed(0))
    for _ in range(120):
        loss = critic_loss(critic(real, shapes), critic(fake, 3 * shapes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return critic.requires_grad_(False)


def test_it_tells_held_out_motion_capture_from_made_up_poses(trained):
    shapes = torch.randn(200, 10, generator=torch.Generator().manual_seed(5))
    real = trained(bank_poses("held_out", 200), shapes)
    fake = trained(made_up_poses(200, seed=1), 3 * shapes)
    assert real[:, JOINTS].mean() > 0.7 and fake[:, JOINTS].mean() < 0.3
    # An ankle or elbow alone betrays less than the pose, but still something.
    assert (real[:, :JOINTS].mean(0) > fake[:, :JOINTS].mean(0)).all()
    assert real[:, -1].mean() > fake[:, -1].mean() + 0.3


def test_the_game_makes_poses_real_without_any_3d_label():
    """Free poses play the regressor: judged by what took no part, held-out poses and the prior's density."""
    torch.manual_seed(0)
    critic, real, held_out = Critic(width=128), bank_poses("train", 256), bank_poses("held_out", 400)
    six = matrix_to_rotation_6d(made_up_poses(32, seed=2)).requires_grad_()
    optimizers = torch.optim.Adam(critic.parameters(), 2e-3), torch.optim.Adam([six], 0.02)
    prior, betas = load_pose_prior(), torch.zeros(32, 10)

    @torch.no_grad()
    def judge() -> tuple[Tensor, Tensor]:
        pose = rotation_6d_to_matrix(six)
        distances = (pose.flatten(1)[:, None] - held_out.flatten(1)).norm(dim=-1)
        return distances.amin(1).mean(), prior.log_density(pose).mean()

    before = judge()
    for _ in range(100):
        pose = rotation_6d_to_matrix(six)
        some = real[torch.randint(len(real), (32,))]
        against, toward = (
            critic_loss(critic(some, betas), critic(pose.detach(), betas)),
            fooling_loss(critic(pose, betas)),
        )
        critic.zero_grad()
        against.backward()
        (six.grad,) = torch.autograd.grad(toward, [six])
        for optimizer in optimizers:
            optimizer.step()
    after = judge()
    assert after[0] < 0.7 * before[0]
    assert after[1] > before[1] + 50
