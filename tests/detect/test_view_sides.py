"""Exchanged sides among views: found where views disagree, and left alone where they agree."""

from itertools import combinations

import pytest
import torch
from helpers.views import ring, seen_by

from meshrec.body.state import BodyState
from meshrec.detect.sides import exchanged
from meshrec.detect.view_sides import side_candidates
from meshrec.fit import Fitter
from meshrec.poses.named_poses import named_pose


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


def standing() -> BodyState:
    rotations = torch.eye(3, dtype=torch.float64).repeat(1, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    return BodyState(rotations, torch.tensor([[0.0, 0.95, 0.0]]).double(), torch.zeros(1, 10).double())


@pytest.mark.parametrize("count", [2, 3, 4, 12])
def test_views_that_agree_stay_as_they_are(fitter, count):
    cameras = ring(count, of=max(count, 4))
    for seed in range(5):
        people = [seen_by(fitter, standing(), c, noise=0.01, seed=10 * seed + v)[0] for v, c in enumerate(cameras)]
        assert side_candidates(people, cameras) == [(False,) * count]
    assert side_candidates(people[:1], cameras[:1]) == [(False,)]


@pytest.mark.parametrize("count", [2, 3, 4, 12])
def test_views_that_disagree_are_found(fitter, count):
    cameras = ring(count, of=max(count, 4), first=30.0)
    people = [seen_by(fitter, standing(), c, noise=0.006, seed=v)[0] for v, c in enumerate(cameras)]
    for wrong in [(v,) for v in range(count)] + list(combinations(range(count), 2))[:3]:
        if len(wrong) == count:
            continue
        given = [exchanged(person) if v in wrong else person for v, person in enumerate(people)]
        candidates = side_candidates(given, cameras)
        truth = tuple(v in wrong for v in range(count))
        assert truth in candidates[:2] and candidates[2] == (False,) * count
        if len(wrong) < count / 2:  # the minority is the likelier one to be wrong
            assert candidates[0] == truth
