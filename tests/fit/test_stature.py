"""Bodies of a given stature that look the same."""

import pytest
import torch
from helpers.standing import CAMERA, standing

from meshrec.body.measures import body_measures
from meshrec.errors import InputError
from meshrec.fit.stature import with_stature
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions


def pixels(body, state) -> torch.Tensor:
    return CAMERA.project(landmark_positions(LandmarkMoments.of_body(body, "smpl24"), state))[0, :, :2]


@pytest.mark.parametrize("height", [1.2, 1.5, 1.8, 2.0])
@pytest.mark.parametrize("betas", [0.0, 0.8])
def test_stature_is_exact_and_the_projection_stays(body, height, betas):
    before = standing(betas)
    after = with_stature(body, before, torch.tensor([height]))
    assert body_measures(body, after.betas.float())["height"].item() == pytest.approx(1000 * height, abs=1)
    assert torch.equal(after.rotations, before.rotations)
    moved = (pixels(body, after) - pixels(body, before)).norm(dim=-1)
    size = (pixels(body, before).amax(0) - pixels(body, before).amin(0)).max()
    assert moved.max() < (0.03 if height < 1.5 else 0.01) * size
    scale = 1000 * height / body_measures(body, before.betas.float())["height"].item()
    assert float(after.translation[0, 2]) == pytest.approx(scale * float(before.translation[0, 2]), rel=0.03)


def test_the_same_stature_changes_nothing(body):
    before = standing(0.5)
    height = body_measures(body, before.betas.float())["height"] / 1000
    after = with_stature(body, before, height)
    assert (after.betas - before.betas).abs().max() < 1e-3
    assert (after.translation - before.translation).abs().max() < 1e-4


def test_everyone_gets_their_own(body):
    states = standing(0.0).repeated(2)
    after = with_stature(body, states, torch.tensor([1.6, 1.9]))
    heights = body_measures(body, after.betas.float())["height"] / 1000
    assert heights.tolist() == pytest.approx([1.6, 1.9], abs=1e-3)


def test_a_stature_that_the_body_cannot_have_is_refused(body):
    with pytest.raises(InputError, match=r"no shape that is 0\.05 m tall"):
        with_stature(body, standing(), torch.tensor([0.05]))
