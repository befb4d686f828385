"""Centred batches: labels still agree with each other, and masks with what the centred camera sees."""

from dataclasses import replace

import pytest
import torch

from meshrec.body import load_body
from meshrec.data.centred import centred
from meshrec.data.sample import FAR
from meshrec.render import silhouette
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople

SIZE = 160


@pytest.fixture(scope="module")
def source():
    return SyntheticPeople(load_body("neutral"), seed=3, resolution=SIZE)


@pytest.fixture(scope="module")
def pair(source):
    return synthetic_batch(source, range(24), noise=EXACT)


def _project(batch, points):
    return points[..., :2] / points[..., 2:] * batch.focal[:, None] + batch.principal[:, None]


def test_labels_agree_before_and_after(pair):
    batch, seen = pair
    assert batch.principal.abs().max() > 1
    after, seen_after = centred(batch, seen)
    assert (after.principal == 0).all() and (after.focal[:, 0] == after.focal[:, 1]).all()
    for one in (batch, after):
        off = (_project(one, one.joints_3d[..., :3]) - one.keypoints_2d[..., :2]).abs()
        assert off[one.joints_3d[..., 2] > 0.5].max() < 1e-4
    assert (seen_after.keypoints[..., 2] == seen.keypoints[..., 2]).all()


def test_pose_turns_with_the_joints(pair, source):
    after, _ = centred(pair[0])
    out = source.body(after.betas, after.pose[:, 1:], after.pose[:, 0])
    joints = source.body.joints_from(out.vertices, after.joint_set)
    expected = after.joints_3d[..., :3]
    torch.testing.assert_close(joints - joints[:, :1], expected - expected[:, :1], atol=1e-4, rtol=0)


def test_masks_are_those_that_the_centred_camera_draws(source):
    batch, _ = synthetic_batch(source, range(24), noise=EXACT)
    body, people = source.body, source.draw(range(24))
    batch = replace(batch, mask=(255 * silhouette(people.vertices, body.faces, people.camera)).to(torch.uint8))
    after, _ = centred(batch)
    turn = after.pose[:, 0] @ batch.pose[:, 0].mT
    drawn = silhouette(people.vertices @ turn.mT, body.faces, after.camera(SIZE)) > 0.5
    warped = after.mask > 127
    # Nothing is known beyond the crop: the warped mask ends there.
    inside = centred(replace(batch, mask=torch.full_like(batch.mask, 255)))[0].mask > 127
    drawn, warped = drawn & inside, warped & inside
    overlap = (drawn & warped).flatten(1).sum(1) / (drawn | warped).flatten(1).sum(1)
    assert overlap.min() > 0.97


def test_samples_without_a_camera_keep_their_labels(pair):
    batch, seen = pair
    far = torch.full_like(batch.focal, FAR)
    unknown = replace(batch, focal=far, principal=batch.principal * 0.1, camera_confidence=torch.zeros(len(batch)))
    after, seen_after = centred(unknown, seen)
    for name in ("pose", "joints_3d", "keypoints_2d", "focal"):
        torch.testing.assert_close(getattr(after, name), getattr(unknown, name), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen_after.keypoints, seen.keypoints, atol=1e-5, rtol=0)
    assert (after.principal == 0).all()


def test_missing_keypoints_stay_at_the_middle(pair):
    batch, _ = pair
    gone = batch.keypoints_2d.clone()
    gone[:, 3] = 0
    assert centred(replace(batch, keypoints_2d=gone))[0].keypoints_2d[:, 3].abs().max() < 1e-6


def test_only_pictures_of_turned_cameras_change(pair):
    batch, _ = pair
    picture = torch.randint(0, 256, (len(batch), 3, 24, 24), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    known = (torch.arange(len(batch)) % 2).float()
    mixed = centred(replace(batch, image=picture, camera_confidence=known))[0].image
    turned = centred(replace(batch, image=picture))[0].image
    assert torch.equal(mixed[known == 0], picture[known == 0])
    assert torch.equal(mixed[known == 1], turned[known == 1]) and not torch.equal(turned, picture)
