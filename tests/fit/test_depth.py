"""The fit to depth maps, on maps of bodies that are known."""

import numpy as np
import pytest
import torch

from meshrec.body.state import BodyState
from meshrec.detect.depth_people import map_points
from meshrec.fit.depth import DepthFitter, DepthView, PlacesTerm, match_surface
from meshrec.geometry import Camera
from meshrec.render import depth as rendered_depth

CAMERA = Camera(280.0, size=(320, 240))


@pytest.fixture(scope="module")
def fitter(body):
    return DepthFitter(body)


@pytest.fixture(scope="module")
def person(body):
    """Somebody who walks, turned by 30 degrees, 2.6 m away; the state, the vertices and the view without errors."""
    from meshrec.geometry import CAMERA_TO_Y_UP, axis_angle_to_matrix
    from meshrec.poses.everyday_poses import everyday_poses

    rotations = everyday_poses("held_out")[:1].double()
    heading = axis_angle_to_matrix(torch.tensor([[0.0, 0.5, 0.0]]))[0].double()
    rotations[:, 0] = CAMERA_TO_Y_UP.double() @ heading
    betas = torch.tensor([[1.0, -1.2, 0.5, 0.8, 0, 0, 0, 0, 0, 0]], dtype=torch.float64)
    state = BodyState(rotations, torch.tensor([[0.1, 0.2, 2.6]], dtype=torch.float64), betas)
    vertices = body(
        betas.float(), rotations[:, 1:].float(), rotations[:, 0].float(), state.translation.float()
    ).vertices
    seen = rendered_depth(vertices[0], body.faces, CAMERA).numpy()
    points = map_points(seen, CAMERA, 2)
    return state, vertices, DepthView(seen, CAMERA, points[points[..., 2] > 0])


def posed(body, state):
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    return body(*(part.float() for part in parts)).vertices


def test_the_term_of_places_has_its_gradient(body, fitter, person):
    state, vertices, _ = person
    places = body.joints_from(vertices, "union55").double() + 0.05
    term = PlacesTerm(fitter.landmarks, places, torch.full(places.shape[:2], 20.0, dtype=torch.float64))
    quadratic = term(state)
    step = 1e-5 * torch.randn(1, state.unknowns, generator=torch.Generator().manual_seed(0)).double()
    slope = float((term(state.moved(step)).energy - term(state.moved(-step)).energy) / 2)
    assert np.isclose(slope, float((quadratic.gradient * step).sum()), rtol=1e-3)


def test_the_true_body_explains_its_map(body, fitter, person):
    state, _, view = person
    matches = match_surface(body, fitter.landmarks, state, view, 0.1)
    assert matches.explained > 0.98 and matches.matched > 0.98


def test_a_moved_body_is_shown_empty(body, fitter, person):
    state, _, view = person
    moved = BodyState(state.rotations, state.translation + torch.tensor([0.25, 0, -0.3]).double(), state.betas)
    view = DepthView(np.where(view.depth > 0, view.depth, 5.0).astype(np.float32), view.camera, view.points)
    matches = match_surface(body, fitter.landmarks, moved, view, 0.5)
    assert len(matches.terms) == 2 and matches.explained < 0.5


@pytest.mark.parametrize("way", range(4))
def test_the_map_corrects_landmarks(body, fitter, person, way):
    """From landmarks that are 5 cm off, and of some of which left and right are exchanged, to the body of the map."""
    _, vertices, view = person
    places = body.joints_from(vertices, "union55")[0].numpy()
    noise = np.random.default_rng(0).normal(0, 0.03, places.shape)
    places = (places + noise).astype(np.float32)
    places = places[fitter.ways[way]]
    fit = fitter(places, np.full(len(places), 0.1, np.float32), view)
    truth = body.joints_from(vertices, "lsp14")
    errors = [
        float((body.joints_from(posed(body, state), "lsp14") - truth).norm(dim=-1).mean())
        for state in (fit.landmarks_only, fit.state)
    ]
    assert errors[1] < 0.03 and errors[1] < errors[0]
    assert float((posed(body, fit.state) - vertices).norm(dim=-1).mean()) < 0.03
    assert fit.explained > 0.9 and np.array_equal(fit.way, fitter.ways[way])


def test_without_points_the_landmarks_decide(body, fitter, person):
    _, vertices, view = person
    places = body.joints_from(vertices, "union55")[0].numpy()
    nothing = DepthView(np.zeros_like(view.depth), view.camera, np.zeros((0, 3), np.float32))
    fit = fitter(places, np.full(len(places), 0.05, np.float32), nothing)
    assert fit.explained == 0 and torch.equal(fit.state.betas, fit.landmarks_only.betas)
    assert float((posed(body, fit.state) - vertices).norm(dim=-1).mean()) < 0.03
