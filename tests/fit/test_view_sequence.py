"""One body over instants that several cameras see: one shape, less shaking, gaps, and a camera that is the world."""

import numpy as np
import pytest
import torch
from helpers.views import joints_of, ring, seen_by

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.detect.sides import exchanged
from meshrec.fit import Fitter, Initial, MultiViewSequenceFitter, SequenceSettings
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.smoothness import Accelerations, JointAccelerations
from meshrec.geometry.tangent import turned
from meshrec.metrics import acceleration_error
from meshrec.poses.named_poses import named_pose

RATE = 20.0


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


def wave(count: int) -> BodyState:
    """Someone who turns slowly, sways, and waves the arms."""
    times = torch.arange(count, dtype=torch.float64) / RATE
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    turns = torch.zeros(count, 24, 3, dtype=torch.float64)
    turns[:, 0, 1] = 0.4 * times
    turns[:, 16, 0], turns[:, 17, 0] = -0.6 + 0.5 * torch.sin(2.0 * times), -0.6 + 0.5 * torch.sin(3.0 * times)
    turns[:, 3, 1] = 0.3 * torch.sin(1.5 * times)
    place = torch.tensor([0.0, 0.95, 0.0], dtype=torch.float64).repeat(count, 1)
    place[:, 0] += 0.3 * times
    betas = torch.tensor([0.5, -0.5, *[0.0] * 8], dtype=torch.float64).expand(count, 10)
    return BodyState(turned(rotations, turns), place, betas)


def guesses(fitter, truth, cameras) -> list[Initial | None]:
    generator, found = torch.Generator().manual_seed(1), []
    for camera in cameras:
        state = ViewSpace.of(camera, fitter.skeleton).from_world(truth)
        errors = 0.2 * torch.randn(state.rotations.shape[:3], generator=generator, dtype=torch.float64)
        rough = BodyState(turned(state.rotations, errors), state.translation * 1.05, torch.zeros_like(state.betas))
        found.append(Initial.from_deviations(rough, turn=0.3, beta=1.0))
    return found


def film(fitter, truth, cameras, noise: float = 0.008, masks: bool = False) -> list[list[Detection | None]]:
    return [list(seen_by(fitter, truth, c, noise, masks, seed=v)) for v, c in enumerate(cameras)]


def state_of(fit) -> BodyState:
    parts = (fit.rotations, fit.translation, np.tile(fit.betas, (len(fit.rotations), 1)))
    return BodyState(*(torch.tensor(part, dtype=torch.float64) for part in parts))


def errors_of(fitter, fit, truth) -> torch.Tensor:
    """(T,) mean distance of joints in the world, metres."""
    return (joints_of(fitter, state_of(fit)) - joints_of(fitter, truth)).norm(dim=-1).mean(1)


def times_of(count: int) -> np.ndarray:
    return np.arange(count) / RATE


def test_time_makes_motion_smoother_and_no_worse(fitter):
    truth, cameras = wave(12), ring(3)
    found, initial = film(fitter, truth, cameras), guesses(fitter, truth, cameras)
    fits = {}
    for smooth in (0.0, 0.5):
        settings = SequenceSettings(smooth=smooth, standing=smooth > 0)
        fits[smooth] = MultiViewSequenceFitter(fitter, settings)(found, times_of(12), cameras, initial)
    true = joints_of(fitter, truth)
    shaky, smooth = (acceleration_error(joints_of(fitter, state_of(fits[s])), true) for s in (0.0, 0.5))
    assert smooth < 0.6 * shaky
    assert errors_of(fitter, fits[0.5], truth).mean() < 0.04
    fit = fits[0.5]
    assert fit.betas.shape == (10,) and fit.score.min() > 0.3
    assert fit.reprojection_error.shape == fit.exchanged.shape == (3, 12) and not fit.exchanged.any()
    # The cameras are nearly level, and so is what they take for gravity.
    assert fit.gravity.direction[1] < -0.95


def test_cameras_miss_the_person_and_exchange_sides(fitter):
    truth, cameras = wave(10), ring(4)
    found, initial = film(fitter, truth, cameras, noise=0.005), guesses(fitter, truth, cameras)
    found[0][2:5] = [None] * 3
    found[1][3] = None  # in the fourth instant one camera alone sees the person
    found[3] = [None] * 10  # and this one never does
    for t in (6, 7):
        person = found[2][t]
        assert person is not None
        found[2][t] = exchanged(person)
    initial[0].state.rotations[2:5] = torch.nan  # these are not read
    initial[3] = None
    fit = MultiViewSequenceFitter(fitter)(found, times_of(10), cameras, initial)
    assert np.argwhere(fit.exchanged).tolist() == [[2, 6], [2, 7]]
    assert errors_of(fitter, fit, truth).max() < 0.08
    missing = [[person is None for person in view] for view in found]
    assert np.isnan(fit.reprojection_error).tolist() == missing
    assert fit.score.min() > 0


def test_instants_that_no_camera_sees_are_bridged(fitter):
    truth, cameras = wave(12), ring(2)
    found = film(fitter, truth, cameras, noise=0.004)
    for view in found:
        view[5:8] = [None] * 3
    fit = MultiViewSequenceFitter(fitter)(found, times_of(12), cameras, guesses(fitter, truth, cameras))
    assert errors_of(fitter, fit, truth)[5:8].max() < 0.1
    assert (fit.score[5:8] == 0).all() and (fit.score[:5] > 0).all()


def test_somebody_who_is_away_for_longer_than_the_fit_looks_at_once(fitter):
    truth, cameras = wave(48), ring(2)
    found = film(fitter, truth, cameras, noise=0.004)
    for view in found:
        view[3:45] = [None] * 42
    fit = MultiViewSequenceFitter(fitter, SequenceSettings(prior=1.0, chunk=8))(found, times_of(48), cameras)
    assert (errors_of(fitter, fit, truth)[[0, 1, 2, 45, 46, 47]] < 0.06).all()
    assert (fit.score[3:45] == 0).all() and np.isfinite(fit.rotations).all() and np.isfinite(fit.translation).all()


def test_masks_and_gravity(fitter):
    truth, cameras = wave(5), ring(2)
    found = film(fitter, truth, cameras, masks=True)
    up = np.array([0.0, 1.0, 0.0])
    fit = MultiViewSequenceFitter(fitter)(found, times_of(5), cameras, guesses(fitter, truth, cameras), up)
    assert fit.mask_iou.min() > 0.85
    assert fit.gravity.direction.tolist() == [0, -1, 0]
    assert errors_of(fitter, fit, truth).mean() < 0.05


def test_accelerations_in_the_world_have_the_gradient_of_their_energy(fitter):
    """As the time terms of one camera, but bodies of the world have no turns."""
    state = wave(5)
    turns = torch.eye(3, dtype=torch.float64).expand(5, 3, 3)
    differences = Accelerations.of(torch.from_numpy(times_of(5)))
    term = JointAccelerations(fitter.skeleton, turns, differences, 2.0, 9.0)
    here = term(state)
    for unknown in (0, 1, 50, 72, 74):
        step = torch.zeros(5, state.unknowns, dtype=torch.float64)
        step[2, unknown] = 1e-5
        slope = (term(state.moved(step)).energy - term(state.moved(-step)).energy) / 2e-5
        assert torch.allclose(slope, here.gradient[2, unknown], rtol=1e-4, atol=1e-6 * float(here.energy))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"detections": [[None, None], [None, None]]}, "a track needs a detection"),
        ({"times": np.zeros(2)}, "times must ascend"),
        ({"times": np.arange(3.0)}, "3 times need as many detections"),
        ({"cameras": ring(3)}, "detections of 2 views need as many cameras"),
    ],
)
def test_wrong_arguments_are_refused(fitter, change, message):
    truth, cameras = wave(2), ring(2)
    given = {"detections": film(fitter, truth, cameras), "times": times_of(2), "cameras": cameras}
    with pytest.raises(ValueError, match=message):
        MultiViewSequenceFitter(fitter)(**{**given, **change})
