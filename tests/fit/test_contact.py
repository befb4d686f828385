"""Forearms that go through the body are pushed out of it; hands that rest on it are not."""

import numpy as np
import pytest
import torch
from helpers.standing import standing

from meshrec.body.state import BodyState
from meshrec.fit.contact import ContactTerm, Forearms
from meshrec.fit.solver import minimize
from meshrec.fit.terms import Closeness
from meshrec.geometry import axis_angle_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.metrics import forearms_inside


@pytest.fixture(scope="module")
def forearms(body):
    return Forearms.of_body(body, LandmarkMoments.of_body(body, "smpl24"))


def hanging(angle: float) -> BodyState:
    """A person whose left arm hangs down at an angle from level, radians."""
    state = standing()
    rotations = state.rotations.clone()
    rotations[:, 16] = axis_angle_to_matrix(torch.tensor([0.0, 0.0, -angle], dtype=torch.float64))
    return BodyState(rotations, state.translation, state.betas)


def shares(body, state: BodyState) -> torch.Tensor:
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    with torch.no_grad():
        return forearms_inside(body, body(*(part.float() for part in parts)).vertices, every=4)[0]


def test_arms_beside_the_body_cost_nothing(forearms):
    assert forearms.match(standing()) is None
    assert forearms.match(hanging(1.2)) is None


def test_the_gradient_is_that_of_the_energy(forearms):
    state = hanging(1.75)
    term = forearms.match(state)
    here = term(state)
    assert here.energy > 0
    for unknown in range(state.unknowns):
        step = torch.zeros(1, state.unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-6
        slope = (term(state.moved(step)).energy - term(state.moved(-step)).energy) / 2e-6
        assert torch.allclose(slope, here.gradient[:, unknown], rtol=1e-3, atol=1e-3 * float(here.energy))


def test_a_forearm_in_the_body_is_pushed_out(forearms, body):
    state = hanging(1.75)
    assert shares(body, state)[0] > 0.3
    certain = Closeness(state, 2 * torch.eye(state.unknowns, dtype=torch.float64)[None])
    for _ in range(4):
        if (term := forearms.match(state)) is not None:
            state, _ = minimize([term, certain], state, 4)
    assert shares(body, state)[0] <= 0.05


def test_a_point_costs_by_its_depth_behind_the_skin_alone(body):
    points = np.array([100, 4000])
    landmarks = LandmarkMoments.of_body(body, "smpl24").at_vertices(body, points)
    (point, skin), state = landmark_positions(landmarks, standing())[0], standing()
    gap = point - skin
    deviation = torch.tensor([0.01], dtype=torch.float64)
    before, behind = (ContactTerm(landmarks, sign * gap[None] / gap.norm(), deviation)(state) for sign in (1, -1))
    assert before.energy == 0
    assert not before.gradient.any()
    assert float(behind.energy) == pytest.approx(float((gap.norm() / 0.01) ** 2 / 2))
