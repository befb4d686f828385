"""One body in all views of an instant: exact views give it back, and views may be missing, wrong or exchanged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.views import joints_of, ring, seen_by

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.detect.sides import exchanged
from meshrec.errors import InputError
from meshrec.fit import Fitter, Initial, MultiViewFit, MultiViewFitter
from meshrec.fit.in_view import ViewSpace
from meshrec.geometry.tangent import turned
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.observations import joined


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


@pytest.fixture(scope="module")
def method(fitter):
    return MultiViewFitter(fitter)


def reaching() -> BodyState:
    """Someone who reaches forward with the left arm and lifts a knee."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(1, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    turns = torch.zeros(1, 24, 3, dtype=torch.float64)
    turns[:, 16, 1], turns[:, 16, 2] = -0.9, 0.8
    turns[:, 2, 0], turns[:, 5, 0], turns[:, 0, 1] = -0.7, 0.8, 0.4
    betas = torch.tensor([[0.8, -0.6, 0.3, *[0.0] * 7]], dtype=torch.float64)
    return BodyState(turned(rotations, turns), torch.tensor([[0.1, 0.95, -0.1]], dtype=torch.float64), betas)


def guesses(fitter: Fitter, truth: BodyState, cameras, seed: int = 0) -> list[Initial | None]:
    """What a regressor estimates in each view: the truth with errors, much of them in depth."""
    generator, found = torch.Generator().manual_seed(seed), []
    for camera in cameras:
        state = ViewSpace.of(camera, fitter.skeleton).from_world(truth)
        errors = 0.25 * torch.randn(state.rotations.shape[:3], generator=generator, dtype=torch.float64)
        place = state.translation * (1 + 0.1 * torch.randn(1, 1, generator=generator, dtype=torch.float64))
        rough = BodyState(turned(state.rotations, errors), place, torch.zeros_like(state.betas))
        found.append(Initial.from_deviations(rough, turn=0.3, beta=1.0))
    return found


def state_of(fit: MultiViewFit) -> BodyState:
    return BodyState(*(torch.from_numpy(part).double()[None] for part in (fit.rotations, fit.translation, fit.betas)))


def error_of(fitter: Fitter, fit: MultiViewFit, truth: BodyState) -> float:
    """Mean distance of joints in the world, metres."""
    return float((joints_of(fitter, state_of(fit)) - joints_of(fitter, truth)).norm(dim=-1).mean())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_exact_views_give_the_body_back(fitter, method, count):
    truth, cameras = reaching(), ring(count)
    people = [seen_by(fitter, truth, camera)[0] for camera in cameras]
    fit = method(people, cameras, guesses(fitter, truth, cameras))
    assert error_of(fitter, fit, truth) < 0.015
    assert fit.reprojection_error.shape == (count,) and fit.reprojection_error.max() < 0.01
    assert np.isnan(fit.mask_iou).all() and not fit.exchanged.any() and fit.score > 0.3
    assert 0 < fit.joint_deviation[1:].max() < 0.1


def test_opposed_cameras_see_a_body(fitter, method):
    truth, cameras = reaching(), ring(3)[::2]
    fit = method([seen_by(fitter, truth, c)[0] for c in cameras], cameras, guesses(fitter, truth, cameras))
    assert error_of(fitter, fit, truth) < 0.05


def test_starts_need_no_regressor(fitter, method):
    truth, cameras = reaching(), ring(3)
    fit = method([seen_by(fitter, truth, camera)[0] for camera in cameras], cameras)
    assert error_of(fitter, fit, truth) < 0.03


def test_more_views_know_more(fitter, method):
    truth, cameras = reaching(), ring(4)
    people = [seen_by(fitter, truth, camera, noise=0.01, seed=v)[0] for v, camera in enumerate(cameras)]
    starts = guesses(fitter, truth, cameras)
    few, many = (method(people[:n], cameras[:n], starts[:n]) for n in (2, 4))
    assert many.joint_deviation.mean() < 0.9 * few.joint_deviation.mean()
    assert error_of(fitter, many, truth) < 0.04


def test_a_camera_may_miss_the_person(fitter, method):
    truth, cameras = reaching(), ring(3)
    people: list[Detection | None] = [seen_by(fitter, truth, camera)[0] for camera in cameras]
    people[1] = None
    starts = guesses(fitter, truth, cameras)
    starts[1] = None
    fit = method(people, cameras, starts)
    assert error_of(fitter, fit, truth) < 0.05
    assert np.isnan(fit.reprojection_error).tolist() == [False, True, False]


def test_people_together_are_fitted_as_each_alone(fitter, method):
    truth, cameras = reaching(), ring(3)
    everyone = [replace(truth, translation=truth.translation + torch.tensor([x, 0, 0])) for x in (0, 0.6, -0.6)]
    people = [[seen_by(fitter, one, camera, 0.01, True, n)[0] for n, one in enumerate(everyone)] for camera in cameras]
    rough = [guesses(fitter, one, cameras, seed=n) for n, one in enumerate(everyone)]
    starts = [joined([own[v] for own in rough]) for v in range(3)]
    people[1][1] = people[1][2] = people[2][2] = None
    together = method.everyone(people, cameras, starts)
    alone = [
        method([view[n] for view in people], cameras, [own[n : n + 1] for own in starts]) for n in range(len(everyone))
    ]
    for n in (0, 2):
        for name in ("rotations", "translation", "betas", "reprojection_error", "mask_iou", "joint_deviation"):
            np.testing.assert_allclose(getattr(together[n], name), getattr(alone[n], name), atol=1e-4)
    # Of the second person, the estimate of the camera that misses them is a further start.
    assert error_of(fitter, together[1], state_of(alone[1])) < 0.01
    assert [np.isnan(fit.reprojection_error).tolist() for fit in together[1:]] == [
        [False, True, False],
        [False, True, True],
    ]


def test_one_view_alone_is_a_photo(fitter, method):
    truth, cameras = reaching(), ring(2)
    (person,) = seen_by(fitter, truth, cameras[1])
    starts = guesses(fitter, truth, cameras)
    fit = method([None, person], cameras, [None, starts[1]])
    (photo,) = fitter([person], cameras[1], starts[1])
    local = ViewSpace.of(cameras[1], fitter.skeleton).from_world(state_of(fit))
    np.testing.assert_allclose(local.translation[0].numpy(), photo.translation, atol=1e-5)
    np.testing.assert_allclose(local.rotations[0].numpy(), photo.rotations, atol=1e-5)
    assert fit.score == photo.score and np.isnan(fit.reprojection_error[0])


def test_outlines_of_all_views_are_matched(fitter, method):
    truth, cameras = reaching(), ring(2)
    plain = [seen_by(fitter, truth, camera, noise=0.01, seed=v)[0] for v, camera in enumerate(cameras)]
    masked = [seen_by(fitter, truth, camera, 0.01, True, v)[0] for v, camera in enumerate(cameras)]
    starts = guesses(fitter, truth, cameras)
    without, with_masks = (method(people, cameras, starts) for people in (plain, masked))
    assert with_masks.mask_iou.min() > 0.85 and np.isnan(without.mask_iou).all()
    assert error_of(fitter, with_masks, truth) < error_of(fitter, without, truth) + 0.005


@pytest.mark.parametrize("wrong", [(1,), (0, 2), (0, 1)])
def test_the_body_tells_which_sides_are_right(fitter, method, wrong):
    truth, cameras = reaching(), ring(3)
    people = [seen_by(fitter, truth, camera, noise=0.005, seed=v)[0] for v, camera in enumerate(cameras)]
    given = [exchanged(person) if v in wrong else person for v, person in enumerate(people)]
    fit = method(given, cameras, guesses(fitter, truth, cameras))
    assert np.flatnonzero(fit.exchanged).tolist() == list(wrong)
    assert error_of(fitter, fit, truth) < 0.04


def test_gravity_is_used_where_it_is_known(fitter, method):
    truth, cameras = reaching(), ring(2)
    people = [seen_by(fitter, truth, camera)[0] for camera in cameras]
    starts = guesses(fitter, truth, cameras)
    tilts = []
    for up in (None, np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.866, 0.0])):
        spine = method(people, cameras, starts, up).rotations[0] @ [0, 1, 0]
        tilts.append(float(spine @ [0.5, 0.866, 0.0]))
    assert tilts[2] > tilts[1]


def test_wrong_arguments_are_refused(fitter, method):
    truth, cameras = reaching(), ring(2)
    people = [seen_by(fitter, truth, camera)[0] for camera in cameras]
    with pytest.raises(ValueError, match="no camera sees the person"):
        method([None, None], cameras)
    with pytest.raises(ValueError, match="2 detections need as many cameras"):
        method(people, cameras[:1])
    other = Detection(people[1].box, people[1].keypoints[:17], "coco17", 0.9)
    with pytest.raises(InputError, match="all views of a person need keypoints of the same joint set"):
        method([people[0], other], cameras)
