"""Tests of the errors of bodies from depth maps."""

from dataclasses import replace

import pytest
import torch

from meshrec.evaluation.depth import JOINTS, errors_of
from meshrec.synthetic.depth_maps import DepthMap, SyntheticDepthMaps


@pytest.fixture
def seen(body) -> DepthMap:
    return SyntheticDepthMaps(body, size=(80, 60)).draw([0])[0]


def test_a_body_beside_the_true_one_has_only_absolute_errors(body, seen):
    beside = seen.vertices[None] + torch.tensor([0.0, 0.03, 0.04])
    joints = {"network": body.joints_from(seen.vertices[None], JOINTS), "depth fit": body.joints_from(beside, JOINTS)}
    errors = errors_of(body, seen, joints, {"depth fit": beside})
    assert errors.absolute == pytest.approx({"network": 0.0, "depth fit": 50.0}, abs=0.01)
    assert errors.mpve == pytest.approx({"depth fit": 50.0}, abs=0.01)
    assert max(*errors.mpjpe.values(), *errors.pa_mpjpe.values()) < 0.1


def test_people_whom_the_maps_edge_cuts_are_not_whole(body, seen):
    aside = torch.tensor([0.5 * seen.camera.size[0] / float(seen.camera.focal[0]) * float(seen.translation[2]), 0, 0])
    for person, whole in ((seen, True), (replace(seen, vertices=seen.vertices + aside), False)):
        joints = {"network": body.joints_from(person.vertices[None], JOINTS)}
        assert errors_of(body, person, joints, {}).whole is whole
