"""Training a pose prior: it is symmetric, prefers poses of people to random ones, and comes back from its file."""

import pytest
import torch

from meshrec.body.kinematics import mirror_pose
from meshrec.errors import InputError
from meshrec.geometry import random_rotations
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import PRIOR_JOINTS, load_pose_prior, save_pose_prior
from meshrec.training.pose_prior import PosePriorConfig, mirror_coordinates, train_pose_prior


@pytest.fixture(scope="module")
def learned():
    return train_pose_prior(PosePriorConfig(components=1, every=400))


def test_poses_are_likelier_than_nonsense_and_mirrored_ones_as_likely(learned):
    prior, densities = learned
    kinds = ["takes of dance, martial arts and climbing", "takes of people who stand and walk"]
    kinds += ["everyday poses", "floor poses", "authored poses"]
    assert set(densities) == {"train", *(f"held-out {kind}" for kind in kinds)}
    poses = load_pose_bank("held_out").rotations(slice(None, None, 500))[:, 1:]
    own = prior.log_density(poses)
    assert torch.allclose(prior.log_density(mirror_pose(_whole(poses))[:, 1:]), own, atol=1e-2)
    nonsense = random_rotations(50 * 23, torch.Generator().manual_seed(0)).view(50, 23, 3, 3)
    assert own.median() > prior.log_density(nonsense).max()


def test_mirrored_coordinates_are_those_of_the_mirrored_pose(learned):
    prior, _ = learned
    poses = load_pose_bank("train").rotations(slice(0, None, 5000))[:, 1:]
    seen = prior.coordinates(mirror_pose(_whole(poses))[:, 1:])
    expected = prior.coordinates(poses) @ mirror_coordinates().float().T
    assert torch.allclose(seen, expected, atol=1e-4) and seen.shape[1] == 3 * len(PRIOR_JOINTS)


def test_a_prior_comes_back_from_its_file(learned, tmp_path):
    prior, _ = learned
    save_pose_prior(tmp_path / "prior.safetensors", prior)
    again = load_pose_prior(tmp_path / "prior.safetensors")
    assert again.freedom == prior.freedom
    assert all(torch.equal(again.state_dict()[name], values) for name, values in prior.state_dict().items())
    with pytest.raises(InputError, match="cannot write"):
        save_pose_prior(tmp_path / "prior.safetensors" / "inside", prior)


def _whole(poses: torch.Tensor) -> torch.Tensor:
    """(N, 24, 3, 3) with an upright root before body poses."""
    return torch.cat([torch.eye(3).expand(len(poses), 1, 3, 3), poses], dim=1)
