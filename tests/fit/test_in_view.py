"""Terms of cameras in the world: derivatives, the identity, and that both spaces show the same body."""

from dataclasses import replace

import pytest
import torch
from helpers.views import ring

from meshrec.body.state import BodyState
from meshrec.fit import Fitter, Initial
from meshrec.fit.in_view import SeenInViews, ViewSpace, ViewTerm, in_view
from meshrec.fit.solver import total
from meshrec.fit.terms import Closeness, Reprojection, ShapeTerm, UprightTerm
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.landmarks.numba_backend import landmark_positions

PLAIN = Camera(500.0, size=(480, 480))


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


def around_the_origin(count: int, seed: int = 0) -> BodyState:
    generator = torch.Generator().manual_seed(seed)
    turns = 0.4 * torch.randn(count, 24, 3, generator=generator, dtype=torch.float64)
    place = 0.2 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    betas = torch.randn(count, 10, generator=generator, dtype=torch.float64)
    return BodyState(axis_angle_to_matrix(turns), place + torch.tensor([0, 0.9, 0]), betas)


def reprojection(fitter: Fitter, camera: Camera, state: BodyState) -> Reprojection:
    """What ``camera`` sees of other bodies, as a term of bodies in its space."""
    local = ViewSpace.of(camera, fitter.skeleton).from_world(state)
    landmarks = fitter.landmarks("mediapipe33")
    pixels = camera.project(landmark_positions(landmarks, local))[..., :2]
    certainty = torch.full(pixels.shape[:2], 0.1, dtype=torch.float64)
    return Reprojection(landmarks, camera, pixels, certainty, pixels.new_zeros(len(pixels), 1, 33), 5.0)


@pytest.mark.parametrize("name", ["reprojection", "closeness", "upright"])
def test_gradients_are_those_of_the_energy(fitter, name):
    camera, state = ring(3)[2], around_the_origin(2)
    space = ViewSpace.of(camera, fitter.skeleton)
    generator = torch.Generator().manual_seed(2)
    whiten = torch.randn(2, 20, 85, generator=generator, dtype=torch.float64)
    term = {
        "reprojection": reprojection(fitter, camera, around_the_origin(2, 5)),
        "closeness": Closeness(space.from_world(around_the_origin(2, 6)), whiten),
        "upright": UprightTerm(),
    }[name]
    own = in_view(term, camera, fitter.skeleton)
    here = own(state)
    for unknown in range(state.unknowns):
        step = torch.zeros(2, state.unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-5
        slope = (own(state.moved(step)).energy - own(state.moved(-step)).energy) / 2e-5
        assert torch.allclose(slope, here.gradient[:, unknown], rtol=1e-4, atol=1e-4 * float(here.energy.max()))


def test_hessians_are_those_of_a_quadratic_energy(fitter):
    """The change of the gradient by translation and betas, on which the body's place in the camera depends linearly."""
    camera, state = ring(3)[1], around_the_origin(1)
    whiten = torch.randn(1, 30, 85, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = in_view(Closeness(ViewSpace.of(camera, fitter.skeleton).from_world(state), whiten), camera, fitter.skeleton)
    here = own(state)
    assert torch.allclose(here.hessian, here.hessian.mT)
    for unknown in range(72, state.unknowns):
        step = torch.zeros(1, state.unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-3
        change = (own(state.moved(step)).gradient - own(state.moved(-step)).gradient) / 2e-3
        assert torch.allclose(change, here.hessian[:, unknown], atol=1e-6 * float(here.hessian.max()))


def test_a_camera_that_is_the_world_changes_nothing(fitter):
    state = around_the_origin(2)
    state = replace(state, translation=state.translation + torch.tensor([0.0, 0.0, 4.0]))
    term = reprojection(fitter, PLAIN, replace(state, translation=state.translation + 0.1))
    plain, own = term(state), in_view(term, PLAIN, fitter.skeleton)(state)
    for name in ("energy", "gradient", "hessian"):
        torch.testing.assert_close(getattr(own, name), getattr(plain, name))


def test_both_spaces_show_the_same_landmarks(fitter):
    state = around_the_origin(3)
    points = landmark_positions(fitter.skeleton, state)
    for camera in ring(3):
        space = ViewSpace.of(camera, fitter.skeleton)
        local = space.from_world(state)
        torch.testing.assert_close(landmark_positions(fitter.skeleton, local), camera.world_to_camera(points))
        back = space.to_world(local)
        torch.testing.assert_close(back.rotations, state.rotations)
        torch.testing.assert_close(back.translation, state.translation)


def test_estimates_mean_the_same_in_the_world(fitter):
    camera, state = ring(2)[1], around_the_origin(2)
    space = ViewSpace.of(camera, fitter.skeleton)
    whiten = torch.randn(2, 20, 85, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    local = Initial(space.from_world(around_the_origin(2, 3)), whiten)
    there = space.estimates_in_world(local)
    wrapped = ViewTerm(Closeness(local.state, whiten), space)(state)
    plain = Closeness(there.state, there.whiten)(state)
    for name in ("energy", "gradient", "hessian"):
        torch.testing.assert_close(getattr(plain, name), getattr(wrapped, name))


def test_sums_over_views_are_cut_and_repeated_as_one_term(fitter):
    cameras, state = ring(3), around_the_origin(2)
    other = around_the_origin(2, 4)
    terms = [in_view(reprojection(fitter, camera, other), camera, fitter.skeleton) for camera in cameras]
    seen = SeenInViews(terms).with_cutoff(3.0)
    assert len(seen) == 2 and seen.views[1].term.cutoff == 3.0
    together, each = seen(state), total(seen.views, state)  # posed once for all views, and once for each
    torch.testing.assert_close(together.gradient, each.gradient, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.hessian, each.hessian, rtol=1e-4, atol=1e-3)
    whole = together.energy
    assert torch.allclose(whole, each.energy)
    assert torch.allclose(seen[1:](state[1:]).energy, whole[1:])
    assert torch.allclose(seen.repeated(2)(state.repeated(2)).energy, whole.repeat_interleave(2))


def test_a_term_without_a_place_stays_as_it_is(fitter):
    state = around_the_origin(1)
    own = in_view(ShapeTerm(), ring(1)[0], fitter.skeleton)(state)
    torch.testing.assert_close(own.hessian, ShapeTerm()(state).hessian)
