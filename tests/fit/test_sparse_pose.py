"""The convex relaxation: exact sparse poses, optimality against random directions, outliers, missing joints."""

import pytest
import torch

from meshrec.body import joint_set
from meshrec.fit.sparse_pose import (
    SparseLifter,
    SparsePoseConfig,
    _huber_step,
    _shrunk,
    factors,
    nearest_rows,
    relaxed_pose,
    sparse_pose,
)
from meshrec.geometry import random_rotations
from meshrec.metrics import pa_mpjpe
from meshrec.training.lifting import learn_sparse_lifter, people_to_lift

ATOMS, JOINTS, PEOPLE = 10, 15, 6
PRECISE = SparsePoseConfig(alpha=1e-3, beta=10.0, iterations=300, refinements=60)


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, ...]:
    """Dictionary, coefficients of which three are not zero, rotations, and the picture."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    dictionary = normal(ATOMS, 3, JOINTS)
    dictionary -= dictionary.mean(2, keepdim=True)
    codes = torch.zeros(PEOPLE, ATOMS, dtype=torch.float64)
    for row in codes:
        chosen = torch.randperm(ATOMS, generator=generator)[:3]
        row[chosen] = 0.5 + torch.rand(3, generator=generator, dtype=torch.float64)
    rotations = random_rotations(PEOPLE, generator, torch.float64)
    places = rotations[:, :2] @ torch.einsum("bk,kdj->bdj", codes, dictionary) + normal(PEOPLE, 2, 1)
    return dictionary, codes, rotations, places


def _all() -> torch.Tensor:
    return torch.ones(PEOPLE, JOINTS, dtype=torch.bool)


def test_exact_sparse_poses_are_recovered(scene):
    dictionary, codes, rotations, places = scene
    found, turned = sparse_pose(dictionary, places, _all(), PRECISE)
    assert (found - codes).abs().max() < 2e-3
    assert (turned - rotations).abs().max() < 1e-3


def test_outliers_cost_little_under_the_l1_norm(scene):
    dictionary, codes, _, places = scene
    spoilt = places.clone()
    spoilt[:, :, 3] += 3
    errors = []
    for beta in (0.05, 100.0):
        config = SparsePoseConfig(alpha=1e-3, beta=beta, iterations=1000, refinements=100)
        errors.append((sparse_pose(dictionary, spoilt, _all(), config)[0] - codes).abs().mean())
    assert errors[0] < 0.5 * errors[1]


def test_missing_joints_do_not_count(scene):
    dictionary, codes, _, places = scene
    seen, spoilt = _all(), places.clone()
    seen[:, 3] = False
    spoilt[:, :, 3] = 1e3
    found, _ = sparse_pose(dictionary, spoilt, seen, PRECISE)
    assert (found - codes).abs().max() < 2e-2
    again, _ = sparse_pose(dictionary, places, seen, PRECISE)
    assert torch.allclose(found, again, atol=1e-6)


def test_no_other_matrices_are_better_in_the_relaxed_problem(scene):
    """It is convex, so that no step away from the solution may lower it."""
    dictionary, _, _, places = scene
    config = SparsePoseConfig(alpha=0.3, beta=0.2, iterations=3000)
    matrices, shift = relaxed_pose(dictionary, places, _all(), config)

    def objective(m: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        error = (places - torch.einsum("bkij,kjn->bin", m, dictionary) - t[..., None]).abs()
        huber = torch.where(error < 0.2, error.square() / 2, 0.2 * error - 0.02).sum((1, 2))
        return huber + 0.3 * torch.linalg.matrix_norm(m, 2).sum(1)

    best, generator = objective(matrices, shift), torch.Generator().manual_seed(1)
    for _ in range(50):
        aside = 1e-2 * torch.randn(matrices.shape, generator=generator, dtype=torch.float64)
        moved = 1e-2 * torch.randn(shift.shape, generator=generator, dtype=torch.float64)
        assert (objective(matrices + aside, shift + moved) > best - 1e-7).all()


def test_the_proximal_maps_minimise_what_they_say():
    generator = torch.Generator().manual_seed(2)
    given = torch.randn(30, 2, 3, generator=generator, dtype=torch.float64)
    found = _shrunk(given, 0.8)
    values = given[:, 0]
    limit = torch.full_like(values, 0.5)
    limit[:, 0] = 0

    def spectral(x: torch.Tensor) -> torch.Tensor:
        return 0.8 * torch.linalg.matrix_norm(x, 2) + (x - given).square().sum((1, 2)) / 2

    def huber(x: torch.Tensor) -> torch.Tensor:
        size = x.abs()
        error = torch.where(size <= limit, size.square() / 2, limit * size - limit.square() / 2)
        return error + 2.0 * (x - values).square() / 2

    step = _huber_step(values, limit, 2.0)
    for scale in (0.3, 1e-3):
        aside = scale * torch.randn(given.shape, generator=generator, dtype=torch.float64)
        assert (spectral(found + aside) >= spectral(found) - 1e-12).all()
        assert (huber(step + aside[:, 0]) >= huber(step) - 1e-12).all()
    assert torch.equal(step[:, 0], values[:, 0])


def test_factors_of_exact_products(scene):
    _, codes, rotations, _ = scene
    found, rows = factors(codes[:, :, None, None] * rotations[:, None, :2])
    assert torch.allclose(found, codes) and torch.allclose(rows, rotations[:, :2])
    assert torch.allclose(nearest_rows(3 * rotations[:, :2]), rotations[:, :2])


def test_people_are_lifted_better_than_by_their_mean(body):
    """Metres, camera space and signs: the dictionary's poses are turned as the people are."""
    lifter, seconds = learn_sparse_lifter(body, SparsePoseConfig(atoms=32, iterations=100), every=150)
    people = people_to_lift(body, 100, seed=5)
    found = lifter(people.keypoints)
    mean = people.joints.mean(0).expand_as(people.joints)
    assert pa_mpjpe(found, people.joints) < 0.8 * pa_mpjpe(mean, people.joints)
    bones = (found[:, lifter.bones[:, 0]] - found[:, lifter.bones[:, 1]]).norm(dim=-1).sum(1)
    assert torch.allclose(bones, torch.full_like(bones, lifter.length), rtol=1e-4)
    assert isinstance(lifter, SparseLifter) and seconds > 0 and found.shape[1] == len(joint_set("h36m17"))
