"""Scores of methods that lift joints: exact joints, turned and scaled ones, and the bodies that are fitted to them."""

import numpy as np
import pytest
import torch

from meshrec.evaluation.lifting import (
    AT_ONCE,
    LiftingSet,
    benchmark_to_lift,
    bodies_from_joints,
    group_means,
    lifting_errors,
    network_errors,
)
from meshrec.evaluation.prediction import FromDetections
from meshrec.geometry import procrustes
from meshrec.regress import load_regressor


@pytest.fixture(scope="module")
def people(body) -> LiftingSet:
    return benchmark_to_lift(body, limit=10)


def test_people_are_bodies_in_the_cameras_of_their_crops(body, people):
    posed = body(people.betas, people.pose[:, 1:], people.pose[:, :1]).vertices
    points = body.joints_from(posed, "h36m17")
    assert torch.allclose(points - points[:, :1], people.true[..., :3], atol=1e-4)
    assert (people.keypoints[people.keypoints[..., 2] == 0] == 0).all()


def test_exact_joints_have_no_error_and_nearly_the_true_mesh(body, people):
    errors = lifting_errors(lambda keypoints: people.true[..., :3] + 1.0, people, body)
    assert max(errors[name].max() for name in ("mpjpe", "n_mpjpe", "pa_mpjpe")) < 0.1
    # Joints do not show how bones turn about themselves, nor the girths.
    assert errors["pa_mpve"].mean() < 60 and errors["mpve"].mean() < 80
    assert errors["mpve"].shape == (len(people),)


def test_measures_forgive_what_their_names_say(people):
    size = lifting_errors(lambda keypoints: 1.3 * people.true[..., :3], people)
    assert size["n_mpjpe"].max() < 0.1 < size["mpjpe"].min()
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = lifting_errors(lambda keypoints: people.true[..., :3] @ turn, people)
    assert turned["pa_mpjpe"].max() < 0.1 < turned["n_mpjpe"].min()


def test_errors_are_those_of_the_closed_form(people):
    noise = 0.1 * torch.randn(people.true[..., :3].shape, generator=torch.Generator().manual_seed(0))
    noise[:, 0] = 0  # the root
    predicted = people.true[..., :3] + noise
    errors = lifting_errors(lambda keypoints: predicted, people)
    assert np.allclose(errors["mpjpe"], 1e3 * noise.norm(dim=-1).mean(1), atol=1e-2)
    moved = procrustes(predicted, people.true[..., :3]).apply(predicted)
    assert np.allclose(errors["pa_mpjpe"], 1e3 * (moved - people.true[..., :3]).norm(dim=-1).mean(1), atol=1e-2)


def test_fitted_bodies_pass_through_the_joints(body, people):
    points = people.true[..., :3]
    again = body.joints_from(bodies_from_joints(body, points), "h36m17")
    assert (again - points).norm(dim=-1).mean() < 0.03  # the priors of pose and shape pull
    assert len(people) < AT_ONCE


def test_a_network_is_scored_on_the_same_people(body, people):
    regressor = load_regressor("keypoints", body=body, mirror=False)
    errors = network_errors(FromDetections(regressor, body), body, limit=10)
    assert set(errors) == {"mpjpe", "n_mpjpe", "pa_mpjpe", "mpve", "pa_mpve"}
    assert all(of.shape == (10,) and of.min() > 0 and of.max() < 1000 for of in errors.values())
    assert (errors["pa_mpjpe"] < errors["mpjpe"]).all()


def test_means_of_groups():
    means = group_means({"mpjpe": np.array([1.0, 2.0, 6.0])}, {"one": [0], "others": [1, 2]})
    assert means == {"one": {"mpjpe": 1.0}, "others": {"mpjpe": 4.0}}
