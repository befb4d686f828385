"""RepNet: kinematic-chain space against lengths and angles, cameras against rotations, the penalty in closed form."""

import pytest
import torch

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.geometry.rotations import random_rotations
from meshrec.models.locally_connected import BONES
from meshrec.models.repnet import (
    ChainCritic,
    RepNet,
    RepNetConfig,
    camera_form,
    camera_rotation,
    chain_matrix,
    kinematic_chains,
)

NAMES = joint_set("h36m17")


def _poses(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 17, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_chains_hold_lengths_and_angles_of_bones():
    points = _poses(3)
    chains = kinematic_chains(points)
    for i, (one, other) in enumerate(BONES):
        a = points[:, NAMES.index(other)] - points[:, NAMES.index(one)]
        assert torch.allclose(chains[:, i, i], a.norm(dim=1) ** 2)
        for j, (third, fourth) in enumerate(BONES):
            b = points[:, NAMES.index(fourth)] - points[:, NAMES.index(third)]
            cosine = torch.cosine_similarity(a, b)
            assert torch.allclose(chains[:, i, j], cosine * a.norm(dim=1) * b.norm(dim=1))


def test_chains_are_the_papers_product():
    points = _poses(3)
    bones = points.mT @ chain_matrix().double()
    assert torch.allclose(kinematic_chains(points), bones.mT @ bones)
    assert int(torch.linalg.matrix_rank(kinematic_chains(points)).max()) == 3


def test_chains_know_no_place_orientation_or_side():
    points = _poses(3)
    moved = (
        points @ random_rotations(3, torch.Generator().manual_seed(1), torch.float64).mT * torch.tensor([1, 1, -1.0])
    )
    assert torch.allclose(kinematic_chains(points), kinematic_chains(moved + 5))


def test_a_camera_that_is_a_scaled_rotation_has_no_error_of_form():
    turn = random_rotations(5, torch.Generator().manual_seed(0))
    cameras = torch.linspace(0.1, 9, 5)[:, None, None] * turn[:, :2]
    assert camera_form(cameras).max() < 1e-9
    assert torch.allclose(camera_rotation(cameras), turn, atol=1e-5)


def test_the_error_of_form_is_that_of_the_singular_values():
    """With singular values a and b, 2 / trace P P' is diag(a^2, b^2) over their mean, whose entries sum to 2."""
    turn = random_rotations(2, torch.Generator().manual_seed(0), torch.float64)
    cameras = turn[:1, :2, :2] @ torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64)) @ turn[1:, :2]
    a, b = torch.linalg.svdvals(cameras)[0].square()
    assert float(camera_form(cameras)) == pytest.approx(float(2 * ((a - b) / (a + b)) ** 2))


def test_the_rotation_is_the_nearest_to_a_camera():
    """By search: no small turn of it comes closer to the camera, once each has its best scale."""
    generator = torch.Generator().manual_seed(3)
    camera = torch.randn(1, 2, 3, generator=generator)
    best = camera_rotation(camera)

    def overlap(rotations):
        return (rotations[:, :2] * camera).sum((1, 2))

    near = torch.linalg.qr(torch.eye(3) + 0.1 * torch.randn(500, 3, 3, generator=generator))[0]
    near = near * torch.linalg.det(near).sign()[:, None, None]
    assert torch.linalg.det(best) > 0 and overlap(near @ best).max() < overlap(best) + 1e-5


def test_exact_factors_have_no_reprojection_error_whatever_is_missing():
    generator = torch.Generator().manual_seed(0)
    poses, turn = torch.randn(4, 17, 3, generator=generator), random_rotations(4, generator)
    seen = (torch.rand(4, 17, generator=generator) > 0.2).float()
    places = 7 * (poses @ turn.mT)[..., :2] + 3
    keypoints = torch.cat([places * seen[..., None], seen[..., None]], dim=-1)
    shown = (poses @ turn.mT)[..., :2]
    apart = shown - (shown * seen[..., None]).sum(1, keepdim=True) / seen.sum(1)[:, None, None]
    spread = ((apart.square().sum(2) * seen).sum(1) / seen.sum(1)).sqrt()
    cameras = turn[:, :2] / spread[:, None, None]
    assert RepNet.reprojection_errors(keypoints, poses, cameras).max() < 1e-9
    wrong = RepNet.reprojection_errors(keypoints, poses, 1.1 * cameras)  # 10 % too large: a hundredth of the spread
    assert torch.allclose(wrong, torch.full((4,), 0.01), atol=1e-5)


def test_a_lifted_person_has_the_given_size_and_its_root_at_the_origin():
    torch.manual_seed(0)
    network = RepNet(RepNetConfig(width=16)).eval()
    network.length.fill_(4.0)
    points = network(torch.rand(3, 17, 3))
    lengths = sum((points[:, NAMES.index(one)] - points[:, NAMES.index(other)]).norm(dim=1) for one, other in BONES)
    assert torch.allclose(lengths, torch.full((3,), 4.0), atol=1e-4)
    assert points[:, NAMES.index("mid_hip")].abs().max() < 1e-6


def test_place_and_size_in_the_picture_do_not_matter():
    torch.manual_seed(0)
    network = RepNet(RepNetConfig(width=16)).eval()
    seen = torch.cat([torch.rand(3, 17, 2), (torch.rand(3, 17, 1) > 0.2).float()], dim=-1)
    moved = torch.cat([5 * seen[..., :2] - 2, seen[..., 2:]], dim=-1)
    assert torch.allclose(network(seen), network(moved), atol=1e-4)
    assert network(torch.zeros(1, 17, 3)).isfinite().all()  # nobody is seen


def test_the_critic_without_chains_is_smaller():
    sizes = [
        sum(w.numel() for w in ChainCritic(RepNetConfig(critic_width=8, chains=chains)).parameters())
        for chains in (True, False)
    ]
    assert sizes[0] - sizes[1] == (256 * 8 + 8) + 3 * (8 * 8 + 8) + 8 * 8


def test_settings_that_make_no_network_are_refused():
    for wrong in (
        {"width": 0},
        {"critic_rate": 0.0},
        {"critic_steps": -1},
        {"blocks": 65},
        {"camera": -1.0},
        {"steps": 0},
    ):
        with pytest.raises(InputError):
            RepNetConfig(**wrong)
