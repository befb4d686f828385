"""Bundle adjustment of bodies and cameras: derivatives by finite differences, and exact views give the cameras back."""

import numpy as np
import pytest
import torch
from helpers.views import joints_of, ring, seen_by
from scipy.spatial.transform import Rotation

from meshrec.body.measures import stature
from meshrec.body.state import BodyState
from meshrec.detect.sides import exchanged
from meshrec.errors import InputError
from meshrec.fit import Fitter
from meshrec.fit.bundle import OWN, Bundle, BundleSettings, Shapes, camera_deviations, minimize_bundle, stature_slopes
from meshrec.fit.free_views import UNKNOWNS, FreeView
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.settings import FitSettings
from meshrec.fit.terms import Reprojection
from meshrec.fit.uncalibrated import bundle_adjust
from meshrec.geometry import Camera
from meshrec.geometry.tangent import turned
from meshrec.poses.named_poses import named_pose


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


def people(count: int, seed: int = 0) -> BodyState:
    """Standing and reaching bodies of one shape in the world of ``ring``."""
    generator = torch.Generator().manual_seed(seed)
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    turns = 0.25 * torch.randn(count, 24, 3, generator=generator, dtype=torch.float64)
    turns[:, 0] = torch.tensor([0.0, 0.6, 0.0]) * torch.arange(count)[:, None]
    place = 0.25 * torch.randn(count, 3, generator=generator, dtype=torch.float64) + torch.tensor([0, 0.95, 0])
    betas = torch.tensor([0.8, -0.6, 0.3, *[0.0] * 7], dtype=torch.float64).expand(count, -1)
    return BodyState(turned(rotations, turns), place, betas)


def view(fitter: Fitter, camera: Camera, seen: BodyState, middle: tuple[float, float, float] = (0, 0, 4)) -> FreeView:
    space = ViewSpace.of(camera, fitter.skeleton)
    landmarks = fitter.landmarks("mediapipe33")
    pixels = torch.stack([torch.tensor(p.keypoints[:, :2]) for p in seen_by(fitter, seen, camera)]).double()
    certainty = torch.full(pixels.shape[:2], 0.3, dtype=torch.float64)
    own = Camera(camera.focal, camera.center, camera.size)
    term = Reprojection(landmarks, own, pixels, certainty, pixels.new_zeros(len(pixels), 1, 33), 20.0)
    return FreeView(term, None, space, torch.tensor(middle, dtype=torch.float64))


def estimates(fitter: Fitter, truth: BodyState, cameras, turn: float = 0.25, seed: int = 0) -> list[BodyState]:
    """What a network says in each view: the truth with errors of 10 % in depth, and of ``turn`` radians."""
    generator, found = torch.Generator().manual_seed(seed), []
    for camera in cameras:
        state = ViewSpace.of(camera, fitter.skeleton).from_world(truth)
        errors = turn * torch.randn(state.rotations.shape[:3], generator=generator, dtype=torch.float64)
        place = state.translation * (1 + 0.1 * torch.randn(len(state), 1, generator=generator, dtype=torch.float64))
        found.append(BodyState(turned(state.rotations, errors), place, torch.zeros_like(state.betas)))
    return found


def plain(cameras, factor: float = 1.0) -> list[Camera]:
    return [Camera(c.focal[0] * factor, c.center, c.size) for c in cameras]


def height_of(fitter: Fitter, state: BodyState) -> float:
    return float(stature(fitter.body.rest(state.betas[:1].float())[0])[0])


def off_by(found, cameras) -> tuple[float, float]:
    """Largest error of rotations, degrees, and of places, metres, in the first camera's space."""
    first, origin = (np.array(part) for part in (cameras[0].rotation, cameras[0].translation))
    turns, places = [], []
    for own, camera in zip(found[1:], cameras[1:]):
        rotation = np.array(camera.rotation) @ first.T
        translation = np.array(camera.translation) - rotation @ origin
        ours = np.array(own.rotation)
        turns.append(np.rad2deg(Rotation.from_matrix(ours @ rotation.T).magnitude()))
        places.append(np.linalg.norm(ours.T @ np.array(own.translation) - rotation.T @ translation))
    return max(turns), max(places)


def test_a_cameras_derivatives_are_those_of_the_energy(fitter):
    own, state = view(fitter, ring(3)[2], people(2), (0.2, -0.3, 3.5)), people(2, seed=3)
    here = own(state)
    assert here.gradient.shape == (2, state.unknowns + UNKNOWNS)
    for unknown in range(UNKNOWNS):
        step = torch.zeros(UNKNOWNS, dtype=torch.float64)
        step[unknown] = 1e-5
        slope = (own.moved(step)(state).energy - own.moved(-step)(state).energy) / 2e-5
        scale = here.gradient.abs().max()
        assert torch.allclose(slope, here.gradient[:, state.unknowns + unknown], rtol=1e-5, atol=1e-7 * float(scale))


def test_a_camera_turns_about_the_middle(fitter):
    own = view(fitter, ring(2)[1], people(1))
    middle = own.space.rotation.T @ (own.middle - own.space.translation)
    moved = own.moved(torch.tensor([0.3, -0.2, 0.1, 0, 0, 0, 0.1], dtype=torch.float64))
    assert torch.allclose(moved.space.rotation @ middle + moved.space.translation, own.middle)
    assert np.allclose(moved.camera.focal, np.exp(0.1) * np.array(own.camera.focal))
    step = torch.tensor([1.0, -2, 1, 3, 1, -1, 0], dtype=torch.float64) * 1e-6
    places = [-v.space.rotation.T @ v.space.translation for v in (own, own.moved(step))]
    assert torch.allclose(places[1] - places[0], own.place_by_motion() @ step[:6], atol=1e-10)


def test_the_bundles_derivatives_are_those_of_the_energy(fitter):
    cameras = ring(3)
    owner = torch.tensor([0, 1, 0])
    state = people(3, seed=4)
    shapes = Shapes(fitter.body, torch.tensor([1.8, torch.nan]).double(), BundleSettings())
    views = tuple(view(fitter, camera, people(3)) for camera in cameras)
    bundle = Bundle(state, views, owner, [FitSettings().limits], shapes, (False, True, True), 0.1)
    here, generator = bundle.quadratic(), torch.Generator().manual_seed(0)
    assert here.gradient.shape == (3, OWN + bundle.shared) and bundle.shared == 20 + 12 + 1
    for _ in range(8):
        own, shared = (torch.randn(n, generator=generator, dtype=torch.float64) for n in ((3, OWN), (bundle.shared,)))
        ahead, behind = (bundle.moved(s * own, s * shared).quadratic().energy.sum() for s in (1e-4, -1e-4))
        slope = (here.gradient * torch.cat([own, shared.expand(3, -1)], 1)).sum()
        # Statures are float32, and derivatives of SMPL's pose displacements are left out.
        assert torch.allclose((ahead - behind) / 2e-4, slope, rtol=5e-3, atol=5e-3 * float(here.gradient.norm()))


def test_slopes_of_stature_are_finite_differences(fitter):
    betas = people(1).betas
    _, slope = stature_slopes(fitter.body, betas)
    step = torch.zeros_like(betas)
    step[0, 0] = 1e-2
    ahead, behind = (stature_slopes(fitter.body, betas + s * step)[0] for s in (1, -1))
    assert torch.allclose((ahead - behind) / 2e-2, slope[:, 0], rtol=1e-2)


@pytest.mark.parametrize("count", [2, 4])
def test_exact_views_give_the_cameras_back(fitter, count):
    truth, cameras = people(3), ring(count)
    seen = [seen_by(fitter, truth, camera) for camera in cameras]
    guess = estimates(fitter, truth, cameras)
    found = bundle_adjust(fitter, seen, plain(cameras), guess, heights=[height_of(fitter, truth)])
    turn, place = off_by(found.cameras, cameras)
    assert turn < 6 and place < 0.6
    own, true = (
        joints_of(fitter, s) for s in (found.state, ViewSpace.of(cameras[0], fitter.skeleton).from_world(truth))
    )
    assert (own - true).norm(dim=-1).mean() < 0.2
    assert not found.deviations.turn[0] and 0 < found.deviations.turn[1] < 0.2 and 0 < found.deviations.place[1] < 0.5
    assert not found.deviations.focal.any() and not found.exchanged.any()
    assert np.allclose(found.cameras[0].rotation, np.eye(3))


def test_one_focal_length_is_found(fitter):
    truth, cameras = people(4), ring(3)
    seen = [seen_by(fitter, truth, camera) for camera in cameras]
    guess = estimates(fitter, truth, cameras)
    heights = [height_of(fitter, truth)]
    found = bundle_adjust(fitter, seen, plain(cameras, 0.8), guess, heights=heights, guessed=[True] * 3)
    ratio = [own.focal[0] / true.focal[0] for own, true in zip(found.cameras, cameras)]
    assert np.allclose(ratio, ratio[0]) and abs(np.log(ratio[0])) < 0.1
    assert found.deviations.focal.min() > 0


def test_the_world_is_as_large_as_the_stature_says(fitter):
    truth, cameras = people(2), ring(2)
    seen = [seen_by(fitter, truth, camera) for camera in cameras]
    guess = estimates(fitter, truth, cameras)
    places = []
    for height in (1.6, 1.8):
        found = bundle_adjust(fitter, seen, plain(cameras), guess, heights=[height])
        assert abs(height_of(fitter, found.state) - height) < 0.01
        places.append(np.linalg.norm(found.cameras[1].translation))
    assert abs(places[1] / places[0] - 1.8 / 1.6) < 0.05


def test_exchanged_sides_are_found(fitter):
    truth, cameras = people(3), ring(3)
    seen = [seen_by(fitter, truth, camera, noise=0.005, seed=v) for v, camera in enumerate(cameras)]
    seen[1][2] = exchanged(seen[1][2])
    heights = [height_of(fitter, truth)]
    found = bundle_adjust(fitter, seen, plain(cameras), estimates(fitter, truth, cameras), heights=heights)
    assert np.argwhere(found.exchanged).tolist() == [[1, 2]]
    assert off_by(found.cameras, cameras)[0] < 6


def test_people_may_be_missing_but_not_everywhere(fitter):
    truth, cameras = people(4), ring(3)
    seen = [list(seen_by(fitter, truth, camera)) for camera in cameras]
    guess, heights = estimates(fitter, truth, cameras), [height_of(fitter, truth)]
    seen[2][0] = seen[1][3] = None
    found = bundle_adjust(fitter, seen, plain(cameras), guess, heights=heights)
    assert off_by(found.cameras, cameras)[0] < 6
    with pytest.raises(InputError, match="a camera sees nobody whom another camera sees"):
        bundle_adjust(fitter, [seen[0], seen[1], [None] * 4], plain(cameras), guess, heights=heights)
    with pytest.raises(ValueError, match="need as many cameras"):
        bundle_adjust(fitter, seen, plain(cameras[:2]), guess)


def test_uncertainties_shrink_with_what_is_seen(fitter):
    truth, cameras = people(6), ring(3)
    shapes = Shapes(fitter.body, torch.tensor([height_of(fitter, truth)]).double(), BundleSettings(alike=0.0))
    turns = []
    for count in (2, 6):
        own = truth[:count]
        views = tuple(view(fitter, camera, own) for camera in cameras)
        bundle = Bundle(own, views, torch.zeros(count, dtype=torch.long), [FitSettings().limits], shapes, (False,) * 3)
        bundle, _ = minimize_bundle(bundle, 3)
        turns.append(camera_deviations(bundle).turn[1:])
    assert (turns[1] < 0.8 * turns[0]).all() and (turns[1] > 0.3 * turns[0]).all()
