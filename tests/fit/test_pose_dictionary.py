"""Sparse codes against SciPy's bounded solver; a dictionary that is known."""

import numpy as np
import torch
from scipy.optimize import minimize

from meshrec.fit.pose_dictionary import learn_dictionary, sparse_codes


def _problem() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4, 12), (6, 12)))


def test_codes_are_those_of_scipy():
    poses, atoms = _problem()
    found = sparse_codes(poses, atoms, 0.7, sweeps=500)
    for pose, code in zip(poses.numpy(), found.numpy()):

        def objective(c: np.ndarray, pose: np.ndarray = pose) -> tuple[float, np.ndarray]:
            left = c @ atoms.numpy() - pose
            return (left**2).sum() / 2 + 0.7 * c.sum(), atoms.numpy() @ left + 0.7

        best = minimize(objective, np.ones(6), jac=True, bounds=[(0, None)] * 6, tol=1e-12, options={"ftol": 1e-14})
        assert np.abs(code - best.x).max() < 1e-4


def test_each_pose_may_have_its_own_atoms():
    poses, atoms = _problem()
    own = torch.stack([atoms * (1 + n) for n in range(4)])
    together = sparse_codes(poses, own, 0.3)
    for n in range(4):
        assert torch.allclose(together[n], sparse_codes(poses[n : n + 1], own[n], 0.3)[0])


def test_a_penalty_above_every_product_leaves_nothing():
    poses, atoms = _problem()
    assert (sparse_codes(poses, atoms, float((poses @ atoms.T).max()) + 1e-9) == 0).all()


def test_a_known_dictionary_is_found_again():
    """Poses of two of eight atoms each: every atom comes back, up to what the penalty costs."""
    generator = torch.Generator().manual_seed(1)
    true = torch.linalg.qr(torch.randn(20, 8, generator=generator))[0].T
    codes = torch.zeros(600, 8)
    for row in codes:
        row[torch.randperm(8, generator=generator)[:2]] = 1 + torch.rand(2, generator=generator)
    atoms, found = learn_dictionary(codes @ true, 8, 0.05, generator, rounds=30)
    assert torch.allclose(atoms.norm(dim=1), torch.ones(8), atol=1e-5)
    alike = (atoms @ true.T).abs().amax(0)
    assert (alike > 0.98).sum() >= 3  # a start of random poses may leave some atoms mixed
    assert (found @ atoms - codes @ true).norm(dim=1).mean() < 0.2
