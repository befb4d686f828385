"""Terms over time: their derivatives, and motions that cost nothing."""

import numpy as np
import pytest
import torch

from meshrec.body.state import TRANSLATION, BodyState
from meshrec.fit.coupled import BAND, UNKNOWNS, Coupled, Past, alone, damped_steps, minimize_coupled
from meshrec.fit.feet import FOOT_POINTS, FootSettings, StandingTerm, foot_points
from meshrec.fit.smoothness import Accelerations, JointAccelerations, TurnAccelerations
from meshrec.fit.solver import minimize
from meshrec.fit.terms import Closeness, Linearised
from meshrec.geometry import axis_angle_to_matrix, random_rotations
from meshrec.geometry.tangent import turned
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions

TIMES = torch.tensor([0.0, 0.04, 0.06, 0.12, 0.15, 0.2], dtype=torch.float64)


@pytest.fixture(scope="module")
def skeleton(body):
    return LandmarkMoments.of_body(body, "smpl24")


def moving(count: int = 6, seed: int = 0, betas: int = 10) -> BodyState:
    """A body that moves at random."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    turns = 0.4 * random(1, 24, 3) + 0.05 * random(count, 24, 3)
    place = torch.tensor([0.0, 0.0, 4.0]).double() + 0.03 * random(count, 3)
    return BodyState(axis_angle_to_matrix(turns), place, (0.5 * random(1, betas)).expand(count, -1))


def panning(count: int = 6) -> torch.Tensor:
    return random_rotations(count, torch.Generator().manual_seed(9), torch.float64)


def time_terms(body, skeleton) -> dict:
    turns, contacts = panning(), torch.rand(6, 4, generator=torch.Generator().manual_seed(3)) < 0.7
    return {
        "joints": JointAccelerations(skeleton, turns, Accelerations.of(TIMES), 3.0, 5.0),
        "turns": TurnAccelerations(turns, TIMES, 9.0, 5.0),
        "feet": StandingTerm(foot_points(body), turns, TIMES, contacts, FootSettings(deviation=0.5)),
    }


@pytest.mark.parametrize("name", ["joints", "turns", "feet"])
def test_gradients_are_those_of_the_energy(body, skeleton, name):
    term, state = time_terms(body, skeleton)[name], moving()
    here = term(state)
    generator = torch.Generator().manual_seed(4)
    for _ in range(12):
        step = torch.zeros(6, state.unknowns, dtype=torch.float64)
        step[:, :UNKNOWNS] = torch.randn(6, UNKNOWNS, generator=generator, dtype=torch.float64)
        ahead, behind = (term(state.moved(sign * 1e-6 * step)).energy for sign in (1, -1))
        expected = (here.gradient * step[:, :UNKNOWNS]).sum()
        assert torch.allclose((ahead - behind) / 2e-6, expected, rtol=2e-3, atol=1e-5 * float(here.energy))


@pytest.mark.parametrize("name", ["joints", "turns", "feet"])
def test_hessians_are_those_of_gauss_and_newton(body, skeleton, name):
    """Where errors are small, robust weights are one, and the Hessian is the slope of the gradient near the minimum."""
    still = moving()
    still = BodyState(still.rotations[:1].expand(6, -1, -1, -1), still.translation[:1].expand(6, -1), still.betas)
    turns = torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    terms = {
        "joints": JointAccelerations(skeleton, turns, Accelerations.of(TIMES), 3.0, 5.0),
        "turns": TurnAccelerations(turns, TIMES, 9.0, 5.0),
        "feet": StandingTerm(foot_points(body), turns, TIMES, torch.ones(6, 4, dtype=torch.bool), FootSettings()),
    }
    here = terms[name](still)
    step = torch.zeros(6, still.unknowns, dtype=torch.float64)
    step[:, :UNKNOWNS] = torch.randn(6, UNKNOWNS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slope = (terms[name](still.moved(1e-6 * step)).gradient - terms[name](still.moved(-1e-6 * step)).gradient) / 2e-6
    product = torch.zeros(6, UNKNOWNS, dtype=torch.float64)
    for t in range(6):
        product[t] += here.hessian[t, 0] @ step[t, :UNKNOWNS]
        for k in range(1, min(3, 6 - t)):
            product[t + k] += here.hessian[t, k] @ step[t, :UNKNOWNS]
            product[t] += here.hessian[t, k].T @ step[t + k, :UNKNOWNS]
    assert here.energy.abs() < 1e-9
    assert torch.allclose(slope, product, rtol=1e-4, atol=1e-4 * float(product.abs().max()))


def test_steady_motion_seen_by_a_turning_camera_costs_nothing(skeleton):
    """Everything moves at a constant velocity in the world, at times that are not even."""
    one, turns = moving(1), panning()
    spin = 0.8 * torch.randn(24, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    rotations = turned(one.rotations, TIMES[:, None, None] * spin)
    velocity = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    # Joints of a turning body are accelerated; those of a body that only moves are not.
    rigid = one.rotations.expand(6, -1, -1, -1).clone()
    pelvis = torch.from_numpy(skeleton.rest_joints[0]) + one.betas[0] @ torch.from_numpy(skeleton.joint_shapes[0]).T
    place = pelvis + one.translation + TIMES[:, None] * velocity
    place = (turns @ place[..., None]).squeeze(-1) - pelvis

    def seen(local: torch.Tensor) -> BodyState:
        root = turns @ local[:, 0]
        return BodyState(torch.cat([root[:, None], local[:, 1:]], 1), place, one.betas.expand(6, -1))

    assert JointAccelerations(skeleton, turns, Accelerations.of(TIMES), 3.0, 5.0)(seen(rigid)).energy < 1e-15
    assert TurnAccelerations(turns, TIMES, 9.0, 5.0)(seen(rotations)).energy < 1e-15


def test_the_energy_of_an_acceleration_does_not_depend_on_the_frame_rate(skeleton):
    energies = []
    for count in (21, 41, 81):
        times = torch.linspace(0, 1, count, dtype=torch.float64)
        one = moving(1)
        place = one.translation + 0.5 * times[:, None] ** 2 * torch.tensor([2.0, 0.0, 0.0])
        state = BodyState(one.rotations.expand(count, -1, -1, -1), place, one.betas.expand(count, -1))
        turns = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
        term = JointAccelerations(skeleton, turns, Accelerations.of(times), 2.0, freedom=1e9)
        energies.append(float(term(state).energy))
    # 24 joints, an acceleration of 2 m/s^2 for a second but for its ends, and a deviation of 2.
    assert energies == pytest.approx([12 * (1 - 1 / 20), 12 * (1 - 1 / 40), 12 * (1 - 1 / 80)], rel=1e-6)


def test_without_terms_over_time_frames_are_fitted_as_alone(skeleton):
    state, target = moving(), moving(seed=1)
    target = BodyState(target.rotations, target.translation, state.betas)
    whiten = torch.eye(state.unknowns, dtype=torch.float64)[None].expand(6, -1, -1)
    nearby = Closeness(target, whiten)
    together, final = minimize_coupled([nearby], [], state, 12)
    apart, _ = minimize([nearby], state, 12)
    assert torch.allclose(together.rotations, apart.rotations, atol=1e-6)
    assert torch.allclose(together.translation, target.translation, atol=1e-6)
    assert torch.allclose(final.hessian[:, 0], alone(nearby(together)).hessian[:, 0])


def test_fixed_frames_stay(skeleton):
    state = moving()
    turns = torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    smooth = JointAccelerations(skeleton, turns, Accelerations.of(TIMES), 1.0, 5.0)
    nearby = Closeness(state, 0.1 * torch.eye(state.unknowns, dtype=torch.float64)[None].expand(6, -1, -1))
    after, _ = minimize_coupled([nearby], [smooth], state, 6, fixed=3)
    assert torch.equal(after.rotations[3:], state.rotations[3:])
    assert not torch.equal(after.rotations[:3], state.rotations[:3])
    assert smooth(after).energy < smooth(state).energy


@pytest.mark.parametrize("start", [1, 2, 3])
def test_the_past_tells_of_two_frames_what_the_frames_before_them_do(body, skeleton, start):
    """Steps that minimise a quadratic of six frames minimise that of the later frames and their past."""
    state = moving()
    whole = alone(Closeness(moving(seed=1), torch.eye(state.unknowns, dtype=torch.float64)[None])(state))
    for term in time_terms(body, skeleton).values():
        whole = whole + term(state)
    expected = damped_steps(whole, 6, 0.0)[start:]
    # Blocks of the first frames, and the rest.
    early = torch.zeros_like(whole.hessian)
    early[:start] = whole.hessian[:start]
    gradient = torch.cat([whole.gradient[:start], torch.zeros_like(whole.gradient[start:])])
    part = slice(0, start + BAND)
    past = Past.of(state[part], Coupled(whole.energy, gradient[part], early[part]))
    later = Coupled(whole.energy, whole.gradient[start:], whole.hessian[start:]) + past(state[start:])
    assert torch.allclose(damped_steps(later, 6 - start, 0.0), expected, rtol=1e-5, atol=1e-7)


def test_the_past_is_a_quadratic(skeleton):
    state = moving(3)
    root = torch.randn(150, 150, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    past = Past(moving(2, seed=2), root[0], root @ root.T)
    here = past(state)
    generator = torch.Generator().manual_seed(4)
    step = torch.zeros(3, state.unknowns, dtype=torch.float64)
    step[:, :UNKNOWNS] = torch.randn(3, UNKNOWNS, generator=generator, dtype=torch.float64)
    slope = (past(state.moved(1e-6 * step)).energy - past(state.moved(-1e-6 * step)).energy) / 2e-6
    assert torch.allclose(slope, (here.gradient * step[:, :UNKNOWNS]).sum(), rtol=1e-6)
    at_reference = past(
        BodyState(*(torch.cat([p, q[2:]]) for p, q in zip(past.reference.parts.values(), state.parts.values())))
    )
    dense = torch.zeros(150, 150, dtype=torch.float64)
    dense[:75, :75], dense[75:, 75:], dense[75:, :75] = (
        at_reference.hessian[0, 0],
        at_reference.hessian[1, 0],
        at_reference.hessian[0, 1],
    )
    assert torch.allclose(torch.tril(dense), torch.tril(past.hessian)) and not at_reference.hessian[:, 2].any()


def test_a_linearised_term_is_its_quadratic():
    state = moving(2)
    whiten = torch.randn(2, 20, state.unknowns, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    term = Linearised(state, Closeness(moving(2, seed=1), whiten)(state))
    original = term.quadratic
    step = 0.05 * torch.randn(2, state.unknowns, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = original.energy + (original.gradient * step).sum(1)
    expected = expected + (step[:, None] @ original.hessian @ step[..., None]).flatten() / 2
    ahead = term(state.moved(step))
    assert torch.allclose(ahead.energy, expected)
    for unknown in (0, 40, TRANSLATION.start, state.unknowns - 1):
        tiny = torch.zeros(2, state.unknowns, dtype=torch.float64)
        tiny[:, unknown] = 1e-6
        moved = state.moved(step)
        slope = (term(moved.moved(tiny)).energy - term(moved.moved(-tiny)).energy) / 2e-6
        assert torch.allclose(slope, ahead.gradient[:, unknown], rtol=1e-5, atol=1e-4)


def test_foot_points_lie_at_the_ends_of_the_feet(body):
    one = BodyState(
        torch.eye(3, dtype=torch.float64).expand(1, 24, 3, 3),
        torch.zeros(1, 3, dtype=torch.float64),
        torch.zeros(1, body.num_betas, dtype=torch.float64),
    )
    points = dict(zip(FOOT_POINTS, landmark_positions(foot_points(body), one)[0].numpy()))
    vertices = body.rest(one.betas.float())[0][0].numpy()
    for side, sign in (("left", 1), ("right", -1)):
        heel, toes = points[f"{side}_heel"], points[f"{side}_toes"]
        assert toes[2] - heel[2] > 0.15 and np.sign([heel[0], toes[0]]).tolist() == [sign, sign]
        assert max(heel[1], toes[1]) < vertices[:, 1].min() + 0.08
