"""Labels of synthetic people, recomputed from their parameters."""

import numpy as np
import pytest
import torch

from meshrec.body import BodyModel
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople


@pytest.fixture(scope="module")
def source(body: BodyModel) -> SyntheticPeople:
    return SyntheticPeople(body, seed=1, split="held_out", resolution=48)


def test_keypoints_are_the_projected_landmarks_of_the_body(source, body):
    batch, seen = synthetic_batch(source, range(6), "coco17", "coco17", noise=EXACT)
    translation = source.draw(range(6)).translation
    out = body(betas=batch.betas, body_pose=batch.pose[:, 1:], global_orient=batch.pose[:, 0], transl=translation)
    points = np.einsum("kv,bvc->bkc", body.joint_regressor("coco17"), out.vertices.numpy())
    focal, principal = batch.focal.numpy()[:, None], batch.principal.numpy()[:, None]
    place = points[..., :2] / points[..., 2:] * focal + principal
    assert np.allclose(batch.joints_3d[..., :3], points, atol=1e-4)
    assert np.allclose(batch.keypoints_2d[..., :2], place, atol=1e-3)
    assert np.allclose(seen.keypoints[..., :2], place, atol=1e-3)
    assert set(batch.bodies) == {body.hash}


def test_the_labels_agree_with_the_batch_camera(source):
    batch, _ = synthetic_batch(source, range(4))
    pixels = batch.camera(48).project(batch.joints_3d[..., :3])[..., :2]
    assert torch.allclose((2 * pixels + 1) / 48 - 1, batch.keypoints_2d[..., :2], atol=1e-4)
