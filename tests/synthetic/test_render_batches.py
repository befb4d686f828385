"""Batches of detected renders: the same people as in the renders, with the same errors of the detector."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body import flip_permutation, joint_index, joint_set, load_body
from meshrec.data.centred import centred
from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.landmarks.placements import FACE
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detected_renders import DetectedRenders
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.render_batches import DetectedKeypoints, Variation
from meshrec.synthetic.simulated_detector import observe

STILL = Variation(mirrored=0, perturbed=0, turn=0, shape=0, roll=0, scale=0, shift=0, fewer=0, face=0)


def _people(body) -> SyntheticPeople:
    return SyntheticPeople(body, seed=2, split="held_out", resolution=48)


@pytest.fixture(scope="module")
def renders(body) -> DetectedRenders:
    """Six people with simulated detections, of whom the detector did not find the third."""
    source = _people(body)
    people = source.draw(range(6))
    keypoints = observe(people, body, source.streams(range(6), "detector")).keypoints
    arrays = {
        name: getattr(people, name).numpy() for name in ("kind", "rotations", "betas", "translation", "photo", "box")
    }
    return DetectedRenders(
        **arrays,
        index=np.arange(6),
        focal=people.camera.focal.numpy(),
        center=people.camera.center.numpy(),
        score=np.array([1, 1, 0, 1, 1, 1], np.float32),
        keypoints=keypoints.numpy(),
        world=np.zeros((6, 33, 3), np.float32),
        mask=np.zeros((6, 8, 8), np.uint8),
        seed=np.array(2),
        resolution=np.array(48),
        joint_set=np.array("mediapipe33"),
        body=np.array(body.hash),
        dressed=np.array(False),
    )


def errors(batch, seen):
    """Errors of detections (B, 33, 2) in crop coordinates, and their confidences (B, 33)."""
    order = [joint_index(name, batch.joint_set) for name in joint_set("mediapipe33")]
    points = batch.joints_3d[:, order, :3]
    place = points[..., :2] / points[..., 2:] * batch.focal[:, None]
    return seen.keypoints[..., :2] - place, seen.keypoints[..., 2]


def test_rows_are_the_people_whom_the_detector_found(renders, body):
    source = DetectedKeypoints([renders, renders], body)
    assert len(source) == 10
    batch, seen = source.rows([8, 2])
    truth, detections = centred(*synthetic_batch(_people(body), [4, 3]))
    for name in ("pose", "betas", "joints_3d", "keypoints_2d", "focal", "principal"):
        assert torch.allclose(getattr(batch, name), getattr(truth, name), atol=1e-4), name
    assert torch.allclose(seen.keypoints, detections.keypoints, atol=1e-4)


def test_varied_people_are_bodies_and_keep_their_detections_errors(renders, body):
    source = DetectedKeypoints(
        [renders], body, variation=replace(Variation(), mirrored=0, roll=0, scale=0, shift=0, fewer=0, face=0)
    )
    batch, seen = source.batch(40, 0)
    originals, confidences = errors(*source.rows(range(len(source))))
    varied, confidence = errors(batch, seen)
    distance = (varied[:, None] - originals).abs().amax((2, 3)) + (confidence[:, None] - confidences).abs().amax(2)
    assert distance.amin(1).max() < 1e-3
    assert len(batch.betas.unique(dim=0)) == 40
    vertices = body(batch.betas, batch.pose[:, 1:], batch.pose[:, 0]).vertices
    moved = batch.joints_3d[..., :3] - body.joints_from(vertices, batch.joint_set)
    assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-3)


def test_mirrored_people_are_seen_in_a_mirror(renders, body):
    source = DetectedKeypoints([renders], body, variation=replace(STILL, mirrored=1))
    batch, seen = source.batch(30, 0)
    originals, confidences = errors(*source.rows(range(len(source))))
    flip = flip_permutation("mediapipe33")
    mirrored, confidence = errors(batch, seen)
    mirrored, confidence = mirrored[:, flip] * torch.tensor([-1.0, 1.0]), confidence[:, flip]
    distance = (mirrored[:, None] - originals).abs().amax((2, 3)) + (confidence[:, None] - confidences).abs().amax(2)
    assert distance.amin(1).max() < 1e-3


def test_of_some_people_only_other_detectors_landmarks_are_kept(renders, body):
    common = torch.tensor(
        [name in joint_set("coco17") or name in joint_set("openpose25") for name in joint_set("mediapipe33")]
    )
    everything = DetectedKeypoints([renders], body, variation=STILL).batch(200, 0)[1].keypoints[..., 2]
    kept = DetectedKeypoints([renders], body, variation=replace(STILL, fewer=0.5)).batch(200, 0)[1].keypoints[..., 2]
    lost = (everything > 0) & (kept == 0)
    assert lost[:, ~common].any(1).float().mean() == pytest.approx(0.5, abs=0.12)
    assert (
        torch.equal(kept[~lost], everything[~lost]) and not lost[:, joint_set("mediapipe33").index("left_knee")].any()
    )


def test_rolled_and_recropped_pictures_keep_labels_and_detections_together(renders, body):
    source = DetectedKeypoints([renders], body, variation=replace(STILL, roll=20, scale=0.2, shift=0.2))
    batch, seen = source.batch(30, 0)
    lengths = errors(*source.rows(range(len(source))))[0].norm(dim=-1)
    varied = errors(batch, seen)[0].norm(dim=-1)
    # Recropped errors are longer or shorter, all of a person nearly alike.
    ratio = varied[:, None] / lengths
    spread = ratio.std(2) / ratio.mean(2)
    assert spread.amin(1).max() < 0.1
    assert (batch.principal == 0).all()


def test_a_batch_depends_on_seed_number_and_process_alone(renders, body):
    first, again = (DetectedKeypoints([renders], body, seed=1).batch(4, 2, 1) for _ in range(2))
    assert torch.equal(first[0].pose, again[0].pose) and torch.equal(first[1].keypoints, again[1].keypoints)
    for seed, number, process in ((0, 2, 1), (1, 1, 1), (1, 2, 0)):
        other = DetectedKeypoints([renders], body, seed=seed).batch(4, number, process)
        assert not torch.equal(other[1].keypoints, first[1].keypoints)


def test_renders_that_cannot_be_used_are_refused(renders, body):
    with pytest.raises(InputError, match="another body"):
        DetectedKeypoints([renders], load_body("male"))
    with pytest.raises(InputError, match="found nobody"):
        DetectedKeypoints([replace(renders, score=0 * renders.score)], body)


def test_only_faces_are_as_in_photos_and_only_where_that_is_wanted(renders, body):
    names = joint_set("mediapipe33")
    face = torch.tensor([any(part in name for part in FACE) for name in names])
    source = DetectedKeypoints([renders], body, variation=replace(STILL, face=0.01))
    rows = range(3)
    still, moved = (source.rows(rows, streams=s)[1].keypoints for s in (None, Streams(0, rows, "test")))
    assert torch.equal(still[:, ~face], moved[:, ~face]) and (still != moved)[:, face].any(2).any(0).all()
    plain = DetectedKeypoints([renders], body, variation=STILL).rows(rows, streams=Streams(0, rows, "test"))
    assert torch.equal(plain[1].keypoints, still)
