"""People with keypoints alone, compared with the posed mesh and with people who are rendered."""

import pytest
import torch

from meshrec.body import BodyModel, joint_index, joint_set
from meshrec.data.centred import centred
from meshrec.render import rasterize
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.keypoint_batches import SyntheticKeypoints
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix

OPEN = ViewMix(truncated=0, occluded=0)


@pytest.fixture(scope="module")
def people(body: BodyModel) -> SyntheticPeople:
    return SyntheticPeople(body, seed=3, split="held_out", resolution=64, views=OPEN)


def test_keypoints_are_the_projected_landmarks_of_the_body(people, body):
    batch, seen = SyntheticKeypoints(people, noise=EXACT).batch(8, 0)
    at_origin = body(batch.betas, batch.pose[:, 1:], batch.pose[:, 0]).vertices
    joints = body.joints_from(at_origin, batch.joint_set)
    moved = (batch.joints_3d[..., :3] - joints)[:, :1]
    assert torch.allclose(joints + moved, batch.joints_3d[..., :3], atol=1e-4)
    vertices = at_origin + moved
    points = body.joints_from(vertices, "mediapipe33")
    place = points[..., :2] / points[..., 2:] * batch.focal[:, None]
    assert torch.allclose(seen.keypoints[..., :2], place, atol=1e-3)
    assert (batch.principal == 0).all() and batch.mask.numel() == batch.image.numel() == 0
    assert batch.bodies == (body.hash,) * 8


def test_a_batch_depends_on_seed_number_and_process_alone(people, body):
    source = SyntheticKeypoints(people)
    first = source.batch(4, 7, 1)
    again = SyntheticKeypoints(SyntheticPeople(body, 3, "held_out", 32, views=OPEN)).batch(4, 7, 1)
    assert torch.equal(first[0].pose, again[0].pose) and torch.equal(first[1].keypoints, again[1].keypoints)
    others = source.batch(4, 8, 1), source.batch(4, 7, 0), SyntheticKeypoints(SyntheticPeople(body, 4)).batch(4, 7, 1)
    for batch, seen in others:
        assert not torch.equal(batch.pose, first[0].pose) and not torch.equal(seen.keypoints, first[1].keypoints)
    assert len(first[0].pose.flatten(1).unique(dim=0)) == 4


def test_detections_are_as_far_off_and_as_sure_as_those_of_people_who_are_drawn(body):
    source = SyntheticPeople(body, seed=5, split="held_out", resolution=64)
    names = joint_set("mediapipe33")
    limbs = [i for i, name in enumerate(names) if "knee" in name or "wrist" in name]

    def statistics(batch, seen):
        order = [joint_index(name, batch.joint_set) for name in names]
        error = (seen.keypoints[..., :2] - batch.keypoints_2d[:, order, :2]).norm(dim=-1)[:, limbs]
        confidence = seen.keypoints[..., 2]
        return torch.stack([error.median(), error.quantile(0.9), confidence.mean(), (confidence == 0).float().mean()])

    fast = statistics(*SyntheticKeypoints(source).batch(1500, 0))
    drawn = statistics(*centred(*synthetic_batch(source, range(200))))
    assert torch.allclose(fast, drawn, rtol=0.25, atol=0.02)


def test_masks_lie_where_the_body_and_its_keypoints_are(people, body):
    source = SyntheticKeypoints(people, noise=EXACT, silhouettes=True, masks=True)
    batch, seen = source.batch(24, 3)
    alone, keypoints = SyntheticKeypoints(people, noise=EXACT).batch(24, 3)
    assert torch.allclose(batch.joints_3d, alone.joints_3d, atol=1e-5)
    assert torch.allclose(batch.pose, alone.pose, atol=1e-5)
    assert torch.allclose(seen.keypoints, keypoints.keypoints, atol=1e-5)
    # The whole body, posed by the labels and drawn by the centred camera, is what the masks show.
    at_origin = body(batch.betas, batch.pose[:, 1:], batch.pose[:, 0]).vertices
    moved = (batch.joints_3d[..., :3] - body.joints_from(at_origin, batch.joint_set))[:, :1]
    drawn = rasterize(at_origin + moved, body.faces, batch.camera(people.resolution)).face_id >= 0
    for mask in (seen.silhouette[:, 0] > 0.5, batch.mask > 127):
        overlap = (mask & drawn).sum((1, 2)) / (mask | drawn).sum((1, 2))
        assert overlap.median() > 0.93 and overlap.min() > 0.8
    assert batch.mask_confidence.all()


def test_masks_are_cut_off_covered_and_imperfect_as_those_of_people_who_are_drawn(body):
    views = ViewMix(truncated=0.5, occluded=0.5)
    source = SyntheticPeople(body, seed=5, split="held_out", resolution=64, views=views)
    fast = SyntheticKeypoints(source, silhouettes=True, masks=True).batch(400, 0)
    drawn = centred(*synthetic_batch(source, range(200)))
    statistics = []
    for batch, seen in (fast, drawn):
        mask, exact = seen.silhouette[:, 0] > 0.5, batch.mask > 127
        wrong = (mask ^ exact).float().mean((1, 2))
        statistics.append(torch.stack([exact.float().mean(), wrong.mean(), wrong.median()]))
    assert torch.allclose(*statistics, rtol=0.25)
