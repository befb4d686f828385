"""Augmentation: labels stay those of one body in front of one camera, and the picture moves with them."""

import dataclasses
import math

import numpy as np
import pytest
from helpers.people import JOINTS, SIZE, body_joints, posed_sample, projected

from meshrec import load_body
from meshrec.body import joint_index
from meshrec.data.augmentation import Augmentation, augment, flipped, recoloured, truncated, turned, zoomed
from meshrec.data.sample import Sample, cut, person_sample

BODY = load_body("neutral")
CHANGES = {
    "flip": flipped,
    "turn": lambda s: turned(s, 0.7),
    "zoom": lambda s: zoomed(s, 1.3, (0.1, -0.2)),
    "truncate": lambda s: truncated(s, 0.4, np.random.default_rng(0)),
    "all": lambda s: flipped(turned(zoomed(s, 0.8, (-0.1, 0.1)), -0.5)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_labels_agree_with_each_other_after_a_change(change):
    sample = change(posed_sample(BODY))
    # The changed camera projects the changed joints to the changed keypoints ...
    assert np.abs(projected(sample) - sample.keypoints_2d[:, :2]).max() < 2e-5
    # ... and the changed pose of the same body gives the changed joints. The body is symmetric.
    pelvis = sample.joints_3d[JOINTS.index("pelvis"), :3]
    off = np.linalg.norm(body_joints(BODY, sample) - (sample.joints_3d[:, :3] - pelvis), axis=1)
    assert off.max() < 1e-5, JOINTS[off.argmax()]


def test_changes_do_what_they_say():
    sample = posed_sample(BODY)
    before, knee, other = sample.keypoints_2d, JOINTS.index("left_knee"), JOINTS.index("right_knee")
    assert np.allclose(flipped(sample).keypoints_2d[other, :2], before[knee, :2] * (-1, 1))
    assert np.allclose(zoomed(sample, 2, (0.5, 0)).keypoints_2d[knee, :2], 2 * (before[knee, :2] - (0.5, 0)), atol=1e-6)
    confidence = np.arange(24, dtype=np.float32)
    mirrored = flipped(dataclasses.replace(sample, pose_confidence=confidence)).pose_confidence
    assert mirrored[joint_index("left_wrist", "smpl24")] == joint_index("right_wrist", "smpl24")
    square = dataclasses.replace(sample, focal=np.full(2, 3.0, np.float32))
    x, y = before[knee, :2]
    assert np.allclose(turned(square, math.pi / 2).keypoints_2d[knee, :2], (-y, x), atol=1e-6)  # clockwise: y is down


def test_opposite_changes_cancel():
    sample = posed_sample(BODY)
    for back in (
        flipped(flipped(sample)),
        turned(turned(sample, 0.9), -0.9),
        zoomed(zoomed(sample, 1.25, (0.2, 0.1)), 0.8, (-0.25, -0.125)),
    ):
        for field in dataclasses.fields(Sample):
            before, after = getattr(sample, field.name), getattr(back, field.name)
            if isinstance(before, np.ndarray):
                assert np.allclose(before, after, atol=1e-5), field.name
            else:
                assert before == after, field.name


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_picture_moves_with_its_keypoints(change):
    """A bright spot at one joint is found again where the keypoint says."""
    sample = posed_sample(BODY)
    spot = JOINTS.index("left_hip")
    x, y = ((sample.keypoints_2d[spot, :2] - sample.to_crop[:, 2]) / sample.to_crop[[0, 1], [0, 1]]).tolist()
    columns, rows = np.arange(SIZE[0]), np.arange(SIZE[1])[:, None]
    glow = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3**2))
    image = np.repeat(glow.astype(np.uint8)[..., None], 3, axis=2)
    seen = change(dataclasses.replace(sample, image=image, mask=image[..., 0]))
    if np.linalg.det(seen.to_crop[:, :2]) < 0:
        spot = JOINTS.index("right_hip")
    expected = (seen.keypoints_2d[spot, :2] + 1) * 64 - 0.5
    cropped = cut(seen, 128)
    for picture in (cropped.read_image()[..., 0], cropped.mask):
        weight = picture.astype(float)
        found = np.array([(weight * np.arange(128)).sum(), (weight * np.arange(128)[:, None]).sum()]) / weight.sum()
        assert np.abs(found - expected).max() < 0.25


def test_missing_labels_stay_missing():
    sample = person_sample("bare", np.full((64, 64, 3), 200, np.uint8), (np.full(2, 31.5), 64.0), JOINTS)
    rng = np.random.default_rng(0)
    for _ in range(20):
        changed = augment(sample, 32, Augmentation(), rng)
        assert changed.image.shape == (32, 32, 3)
        assert not changed.keypoints_2d.any() and not changed.joints_3d.any() and not changed.betas.any()
        assert np.allclose(changed.pose, np.eye(3))
        assert changed.pose_confidence.sum() == changed.betas_confidence == changed.camera_confidence == 0


def test_random_changes_keep_labels_together_and_follow_their_generator():
    sample = posed_sample(BODY, image=np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8))
    seen = [augment(sample, 48, Augmentation(), np.random.default_rng(i)) for i in range(30)]
    for one in seen:
        assert np.abs(projected(one) - one.keypoints_2d[:, :2]).max() < 2e-5
    again = augment(sample, 48, Augmentation(), np.random.default_rng(7))
    assert np.array_equal(again.image, seen[7].image) and np.array_equal(again.keypoints_2d, seen[7].keypoints_2d)
    flips = sum(not np.allclose(one.pose[1:], sample.pose[1:]) for one in seen)
    assert 5 < flips < 25


def test_colour():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(recoloured(image, np.ones(3), 1.0), image)
    mean = image.mean((0, 1))
    expected = np.clip(((image - mean) * 0.5 + mean) * (0.6, 1.0, 1.4), 0, 255)
    assert np.abs(recoloured(image, np.array([0.6, 1.0, 1.4]), 0.5) - expected).max() <= 0.51
