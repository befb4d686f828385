"""Samples and batches: coordinates, missing labels, joint sets."""

import numpy as np
import pytest
import torch
from helpers.people import CAMERA, JOINTS, posed_sample, projected

from meshrec import load_body
from meshrec.body import joint_index, joint_set
from meshrec.data.sample import box_crop, collate, concatenate, crop_map, cut, person_sample
from meshrec.errors import InputError
from meshrec.files.picture import Picture
from meshrec.geometry.affine import apply

BODY = load_body("neutral")


def test_crop_coordinates_are_one_at_the_edges():
    to_crop = crop_map(np.array([99.5, 49.5]), 100)
    assert np.allclose(apply(to_crop, np.array([[49.5, -0.5], [149.5, 99.5]])), [[-1, -1], [1, 1]])
    center, side = box_crop(np.array([10.0, 20, 50, 120]))
    assert center.tolist() == [30, 70] and side == pytest.approx(120)


def test_cutting_keeps_pixels_and_labels_in_place():
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    keypoint = np.array([[12.0, 30.0, 1.0]])
    sample = person_sample("noise", image, (np.array([12.0, 30.0]), 41.0), ("nose",), keypoint, mask=image[..., 0])
    native = cut(sample, 41)  # as many pixels as the picture has: no resampling
    expected = np.zeros((41, 41, 3), np.uint8)
    expected[:40, 8:] = image[10:50, :33]
    assert np.array_equal(native.image, expected) and np.array_equal(native.mask, expected[..., 0])
    assert np.array_equal(native.image[20, 20], image[30, 12]) and not native.keypoints_2d[0, :2].any()
    assert np.array_equal(cut(native, 41).image, native.image)


def test_a_batch_has_every_label_and_the_crops_camera():
    batch = collate([cut(posed_sample(BODY, seed), 96) for seed in range(3)], "union55")
    assert len(batch) == 3 and batch.image.shape == (3, 3, 96, 96)
    points = batch.joints_3d[..., :3]
    pixels = batch.camera(96).project(points)[..., :2]
    assert torch.allclose((pixels + 0.5) / 48 - 1, batch.keypoints_2d[..., :2], atol=1e-5)
    # The same camera as geometry's crop of the photo's.
    crop = CAMERA.crop((160.0, 118.0), 260.0, 96)
    assert torch.allclose(crop.project(points)[..., :2], pixels, atol=1e-3)
    assert batch.bodies == (BODY.hash,) * 3
    assert batch.betas_confidence_for(BODY.hash).tolist() == [1, 1, 1]
    assert batch.betas_confidence_for("another").tolist() == [0, 0, 0]


def test_labels_of_a_smaller_set_and_middles_of_both_sides():
    whole = posed_sample(BODY)
    limbs = joint_set("lsp14")
    chosen = [JOINTS.index(name) for name in limbs]
    sample = person_sample(
        "fourteen", np.zeros((8, 8, 3), np.uint8), (np.zeros(2), 1.0), limbs, None, whole.joints_3d[chosen]
    )
    batch = collate([cut(sample, 8)], "union55")
    known = {JOINTS[k] for k in torch.nonzero(batch.joints_3d[0, :, 3])[:, 0].tolist()}
    assert known == {*limbs, "mid_hip", "thorax"}
    hips = [limbs.index("left_hip"), limbs.index("right_hip")]
    middle = batch.joints_3d[0, joint_index("mid_hip", "union55"), :3].numpy()
    assert np.allclose(middle, sample.joints_3d[hips, :3].mean(0))
    assert not batch.keypoints_2d.any()


def test_labels_without_confidence_are_zero_whatever_stood_there():
    keypoints = np.full((14, 3), np.nan, np.float32)
    keypoints[:, 2] = 0
    keypoints[0] = (3, 4, 1)
    sample = person_sample(
        "nan", np.zeros((8, 8, 3), np.uint8), (np.full(2, 3.5), 8.0), joint_set("lsp14"), keypoints, betas=np.ones(10)
    )
    assert not sample.keypoints_2d[1:].any() and np.allclose(sample.keypoints_2d[0], (-0.125, 0.125, 1))
    assert sample.betas_confidence == 0  # of no known body


def test_batches_join():
    one, other = (collate([cut(posed_sample(BODY, seed), 32)], "coco17") for seed in (0, 1))
    both = concatenate([one, other])
    assert len(both) == 2 and both.names == one.names + other.names
    assert torch.equal(both.pose[1], other.pose[0])
    with pytest.raises(ValueError, match="different joint sets"):
        concatenate([one, collate([cut(posed_sample(BODY), 32)], "lsp14")])


def test_a_missing_picture_is_named_with_its_sample(tmp_path):
    sample = person_sample("x.npz row 3", Picture(tmp_path / "gone.jpg"), (np.zeros(2), 2.0), ("nose",))
    with pytest.raises(InputError, match=r"gone\.jpg.*x\.npz row 3"):
        cut(sample, 8)
    (tmp_path / "gone.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"gone\.jpg: this is not a picture"):
        cut(sample, 8)


def test_projection_of_the_known_body():
    sample = posed_sample(BODY)
    assert np.abs(projected(sample) - sample.keypoints_2d[:, :2]).max() < 1e-5
