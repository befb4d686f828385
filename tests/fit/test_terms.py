"""Tests of the terms of a fit: their quadratics are those of their energies."""

import math

import pytest
import torch

from meshrec.body import NUM_JOINTS
from meshrec.body.state import BodyState
from meshrec.fit.solver import Quadratic, Remembered, total
from meshrec.fit.terms import LimitTerm, RestTerm, ShapeTerm, UprightTerm
from meshrec.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from meshrec.geometry.tangent import pull_back
from meshrec.poses.joint_limits import joint_limit_residuals


@pytest.fixture
def state() -> BodyState:
    """Three bodies whose joints are turned by about a radian."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return BodyState(axis_angle_to_matrix(0.6 * normal(3, NUM_JOINTS, 3)), normal(3, 3), normal(3, 10))


def _energies(term: str, state: BodyState) -> torch.Tensor:
    """The energies of the named term, from torch's formulas."""
    if term == "limits":
        return (joint_limit_residuals(state.rotations[:, 1:])[0] / 0.1).square().sum((1, 2)) / 2
    if term == "rest":
        angles = matrix_to_axis_angle(state.rotations[:, [4, 5]]).norm(dim=-1)
        return (2.0 * torch.log1p((angles / 0.6).square() / 3.0)).sum(1)
    tilt = (state.rotations[:, 0, :, 1] - torch.tensor([0.0, -1.0, 0.0])).norm(dim=-1) / 0.2
    return 3.0 * torch.log1p(tilt.square() / 4.0)


TERMS = {
    "limits": LimitTerm(),
    "rest": RestTerm(("left_knee", "right_knee"), deviation=0.6, freedom=3),
    "upright": UprightTerm(),
}


@pytest.mark.parametrize("name", list(TERMS))
def test_quadratics_have_the_energy_and_its_gradient(state, name):
    found = TERMS[name](state)
    assert torch.allclose(found.energy, _energies(name, state))
    generator = torch.Generator().manual_seed(1)
    step = torch.randn(3, state.unknowns, generator=generator, dtype=torch.float64)
    ahead, behind = (_energies(name, state.moved(sign * 1e-5 * step)) for sign in (1, -1))
    expected = (ahead - behind) / 2e-5
    assert torch.allclose((found.gradient * step).sum(1), expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
    assert torch.equal(found.hessian, found.hessian.mT)
    assert float(torch.linalg.eigvalsh(found.hessian).min()) > -1e-9


def test_gravity_may_differ_between_bodies(state):
    up = torch.nn.functional.normalize(torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).double(), dim=1)
    together = UprightTerm(up=up)(state)
    for i in range(3):
        alone = UprightTerm(up=tuple(up[i].tolist()))(state[i : i + 1])
        assert math.isclose(together.energy[i], alone.energy[0])
        assert torch.allclose(together.gradient[i], alone.gradient[0])


def test_pulling_back_is_a_product_with_blocks(state):
    slopes = state.axis_angles[1]
    matrix = torch.randn(1, 3 * NUM_JOINTS + 5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for b, pulled in enumerate(pull_back(slopes, matrix)):
        blocks = torch.block_diag(*slopes[b], torch.eye(5, dtype=torch.float64))
        assert torch.allclose(pulled, blocks.T @ matrix[0])


def test_sums_are_remembered_for_the_last_two_states(state):
    calls = []

    def counted(at: BodyState) -> Quadratic:
        calls.append(at)
        return ShapeTerm()(at)

    terms = [counted, LimitTerm()]
    remembered, ahead, further = Remembered(terms), state[:2], state[1:]
    for at, count in ((state, 1), (ahead, 2), (state, 2), (ahead, 2), (further, 3), (state, 4)):
        assert torch.equal(remembered(at).hessian, total([ShapeTerm(), LimitTerm()], at).hessian)
        assert len(calls) == count
