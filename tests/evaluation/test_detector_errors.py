"""Errors of detectors on renders: errors that were put into detections are found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.evaluation.detector_errors import FAR, render_errors
from meshrec.synthetic.detected_renders import DetectedRenders
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.simulated_detector import observe

PEOPLE = 96
PLACED = replace(EXACT, scale=1e-9)


@pytest.fixture(scope="module")
def source(body):
    return SyntheticPeople(body, seed=31, resolution=96, views=ViewMix(truncated=0, occluded=0))


def _renders(source, noise):
    """What a detector with known errors reports of the people of a data set."""
    indices = range(PEOPLE)
    people = source.draw(indices)
    seen = observe(people, source.body, source.streams(indices, "known"), "mediapipe33", noise)
    mask = torch.nn.functional.interpolate(seen.silhouette, (112, 112), mode="bilinear")
    return DetectedRenders(
        index=np.array(indices), kind=people.kind.numpy(), rotations=people.rotations.numpy(),
        betas=people.betas.numpy(), translation=people.translation.numpy(), focal=people.camera.focal.numpy(),
        center=people.camera.center.numpy(), photo=people.photo.numpy(), box=people.box.numpy(),
        score=np.ones(PEOPLE), keypoints=seen.keypoints.numpy(), world=np.zeros((PEOPLE, 33, 3)),
        mask=(255 * mask[:, 0]).round().byte().numpy(), seed=np.array(31), resolution=np.array(96),
        joint_set=np.array("mediapipe33"), body=np.array(source.body.hash), dressed=np.array(False),
    )  # fmt: skip


def test_a_perfect_detector_has_no_errors(source):
    real, _ = render_errors(_renders(source, PLACED), source, PLACED)
    assert np.abs(real.error[real.confidence > 0]).max() < 1e-4
    figures = real.figures()
    assert figures["exchanged, all"] == 0 and figures["mask IoU, lowest tenth"] > 0.9


def test_known_errors_are_found(source):
    """A face that is displaced by a tenth of the box, and exchanged legs of half the people."""
    exact = _renders(source, PLACED)
    people = source.draw(range(PEOPLE))
    sides = (people.box[:, 2:] - people.box[:, :2]).amax(1).numpy() * 2 / 96
    wrong = exact.keypoints.copy()
    wrong[:, 0, 0] += 0.1 * sides
    legs = np.array([*range(23, 33)])
    wrong[::2, legs] = exact.keypoints[::2][:, [k + 1 if k % 2 else k - 1 for k in legs]]
    real, simulated = render_errors(replace(exact, keypoints=wrong), source, PLACED)
    assert np.allclose(np.linalg.norm(real.error[:, 0], axis=-1), 0.1, atol=1e-3)
    figures = real.figures()
    # Legs that are seen from the side look the same when they are exchanged: fewer are found than there are.
    assert 0.3 < figures["exchanged, legs alone"] <= 0.5
    assert figures["face, visible: displaced"] == pytest.approx(1 / 11, abs=0.03)
    assert simulated.figures()["face, visible: displaced"] == 0


def test_equal_errors_have_equal_figures(source):
    """The figures of two draws of the same noise agree, and differ from those of twice the noise."""
    noise = replace(EXACT, scale=1.5)
    real, simulated = render_errors(_renders(source, noise), source, noise)
    _, twice = render_errors(_renders(source, noise), source, replace(noise, scale=3.0))
    name = "knees, visible: error, median"
    first, second, third = (errors.figures()[name] for errors in (real, simulated, twice))
    assert second == pytest.approx(first, rel=0.25) and third > 1.5 * first
    assert first < FAR
