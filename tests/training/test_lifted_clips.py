"""Clips to lift: takes that are not mixed, a camera that stands still, and errors that last."""

import pytest
import torch
from helpers.projections import best_projections

from meshrec.body import joint_set
from meshrec.synthetic.detector_noise import EXACT
from meshrec.training.lifted_clips import ClipsConfig, clips_to_lift


def test_clips_project_to_their_keypoints_by_one_camera(body):
    """The same translation serves all frames: joints of all of them, relative to the root, plus where it is."""
    clips = clips_to_lift(body, ClipsConfig(clips=20, frames=4, seed=1), noise=EXACT)
    hip = joint_set("h36m17").index("mid_hip")
    assert clips.joints[:, :, hip].abs().max() < 1e-6
    for t in range(4):
        places = clips.keypoints[:, t, :, :2]
        error = best_projections(clips.joints[:, t], places, clips.focal) - places
        assert error.abs().max() < 1e-3


def test_neighbouring_frames_are_of_one_motion_and_one_person(body):
    clips = clips_to_lift(body, ClipsConfig(clips=40, frames=6, every=1, seed=2), noise=EXACT)
    step = (clips.joints[:, 1:] - clips.joints[:, :-1]).norm(dim=-1).mean((1, 2))
    apart = (clips.joints[1:, 0] - clips.joints[:-1, 0]).norm(dim=-1).mean(1)
    assert step.median() < 0.05 < 0.2 < apart.median()
    names = joint_set("h36m17")
    thigh = (clips.joints[:, :, names.index("left_hip")] - clips.joints[:, :, names.index("left_knee")]).norm(dim=-1)
    assert (thigh.std(1) < 0.02).all() and thigh.mean(1).std() > 0.005


def test_errors_of_neighbouring_frames_are_alike(body):
    config = ClipsConfig(clips=200, frames=8, every=2, seed=3)
    seen, exact = (clips_to_lift(body, config, **noise).keypoints for noise in ({}, {"noise": EXACT}))
    error = (seen - exact)[..., 0]
    limit = error.abs().quantile(0.95)
    error = error.clamp(-limit, limit)  # a correlation of heavy tails is one of a few people

    def correlation(apart: int) -> float:
        pairs = torch.stack([error[:, apart:].flatten(), error[:, : error.shape[1] - apart].flatten()])
        return float(torch.corrcoef(pairs)[0, 1])

    assert correlation(1) > correlation(3) > correlation(7) > 0
    assert ((seen[..., 2] > 0) & (seen[..., 2] < 1)).all()


def test_clips_follow_from_their_seed(body):
    first, again, other = (clips_to_lift(body, ClipsConfig(clips=3, frames=2, seed=seed)) for seed in (4, 4, 5))
    assert torch.equal(first.keypoints, again.keypoints) and not torch.equal(first.joints, other.joints)


def test_numbers_of_nothing_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        ClipsConfig(clips=0)
