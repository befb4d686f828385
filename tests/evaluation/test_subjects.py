"""Who is evaluated, and what networks see of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.evaluated import KEYPOINTS, RGB, synthetic_people, tiny_network
from helpers.people import CAMERA, SIZE, posed_sample

from meshrec.body import joint_set
from meshrec.data.sample import cut
from meshrec.detect.people import CloseUp, Detection
from meshrec.errors import InputError
from meshrec.evaluation.detections import detect_samples, load_detections, save_detections
from meshrec.evaluation.prediction import FromCrops, FromDetections
from meshrec.evaluation.subjects import (
    Detected,
    Kept,
    Labelled,
    Subject,
    assumed_camera,
    far_camera,
    labelled_box,
    labelled_detection,
)
from meshrec.geometry import procrustes
from meshrec.geometry.crops import look_at
from meshrec.models.encoders import NetworkInput, normalize_rgb
from meshrec.regress.regressor import NetworkRegressor


@pytest.fixture(scope="module")
def people(body) -> list[Subject]:
    return synthetic_people(body)


def test_cameras_project_true_joints_onto_labels(body, people):
    for subject in [*people, Subject(sample := posed_sample(body), None, None, assumed_camera(sample, SIZE))]:
        joints = torch.from_numpy(subject.sample.joints_3d[:, :3])
        labelled = torch.from_numpy(subject.sample.keypoints_2d[:, :2])
        focal, principal = subject.crop_camera
        in_crop = joints[:, :2] / joints[:, 2:] * focal + principal
        assert torch.allclose(in_crop, labelled, atol=1e-3)
        detection = labelled_detection(subject.sample, subject.camera.size)
        pixels = subject.camera.project(joints)[:, :2].numpy()
        order = [subject.sample.joints.index(name) for name in joint_set(detection.joint_set)]
        assert np.allclose(detection.keypoints[:, :2], pixels[order], atol=0.2)


def test_a_labelled_box_is_that_of_mask_keypoints_or_crop(body):
    sample = posed_sample(body)  # its crop: 260 pixels around (160, 118)
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[40:91, 100:131] = 255
    assert labelled_box(replace(sample, mask=mask), SIZE).tolist() == [100, 40, 130, 90]
    empty = replace(sample, mask=0 * mask)
    assert np.array_equal(labelled_box(empty, SIZE), labelled_box(sample, SIZE))  # of the keypoints
    pixels = CAMERA.project(torch.from_numpy(sample.joints_3d[:, :3]))[:, :2].numpy()
    box = labelled_box(sample, SIZE).reshape(2, 2)
    assert (box[0] < pixels.min(0)).all() and box[1, 0] > pixels[:, 0].max()
    assert pixels[:, 1].max() > box[1, 1] == SIZE[1] - 1  # the feet are cut off
    nothing = replace(sample, keypoints_2d=0 * sample.keypoints_2d)
    assert np.allclose(labelled_box(nothing, SIZE), [30, 0, 290, 239])  # the crop's edges, within the picture


def test_a_picture_without_camera_gets_the_photos_usual_one(body):
    sample = replace(posed_sample(body), camera_confidence=0.0)
    camera = assumed_camera(sample, SIZE)
    assert camera.size == SIZE and camera.center == ((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2)
    known = assumed_camera(posed_sample(body), SIZE)
    assert np.allclose(known.focal, CAMERA.focal) and np.allclose(known.center, CAMERA.center, atol=1e-3)


def test_only_the_person_in_the_box_is_detected(body):
    sample = posed_sample(body)
    image, keypoints = sample.read_image(), np.ones((33, 3), np.float32)

    def detector_of(score: float, box: list[float]):
        return lambda image, boxes: [Detection(np.array(box, np.float32), keypoints, "mediapipe33", score)]

    box = labelled_detection(sample, SIZE).box
    assert Detected(detector_of(0.9, box)).of(sample, image) is not None
    assert Detected(detector_of(0.0, box)).of(sample, image) is None
    assert Detected(detector_of(0.9, [0, 0, 5, 5])).of(sample, image) is None


def test_data_sets_say_how_the_detector_is_asked(body):
    sample = posed_sample(body)
    image, box, asked = sample.read_image(), labelled_detection(sample, SIZE).box, []
    keypoints = np.ones((33, 3), np.float32)

    def detector(image, boxes=None):
        asked.append(boxes)
        places = [[0, 0, 5, 5], box + 2, box + 9] if boxes is None else [[0, 0, 5, 5]]
        return [Detection(np.array(place, np.float32), keypoints, "mediapipe33", 0.9) for place in places]

    found = {search: Detected(detector, search).of(sample, image) for search in ("box", "photo", "crop")}
    assert np.array_equal(asked[0], box[None]) and found["box"] is None  # somebody else answers
    assert asked[1] is None and np.array_equal(found["photo"].box, box + 2)  # of three people the nearest
    width, height = SIZE
    assert np.allclose(asked[2], [[width / 6, height / 6, width * 5 / 6, height * 5 / 6]])
    assert found["crop"].box.tolist() == [0, 0, 5, 5]  # a crop shows one person


def test_detections_are_kept_by_name(people, tmp_path):
    found = {s.sample.name: s.detection for s in people} | {"nobody": None}
    save_detections(tmp_path / "detections.npz", found)
    again = load_detections(tmp_path / "detections.npz")
    assert set(again) == set(found) and again["nobody"] is None
    for subject in people:
        own, kept = subject.detection, again[subject.sample.name]
        assert np.array_equal(own.keypoints, kept.keypoints) and np.array_equal(own.box, kept.box)
        assert kept.joint_set == "mediapipe33" and kept.score == own.score
        views = [mask.crop(own.box, (64, 64)) > 0.5 for mask in (own.mask, kept.mask)]
        assert (views[0] & views[1]).sum() / (views[0] | views[1]).sum() > 0.9
    source = Kept(tmp_path / "detections.npz")
    assert source.of(people[0].sample, None) is not None
    with pytest.raises(InputError, match=r"says nothing of .*made for other people"):
        source.of(replace(people[0].sample, name="somebody"), None)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="holds no detections"):
        load_detections(tmp_path / "other.npz")


def test_close_ups_are_kept(people, tmp_path):
    rng = np.random.default_rng(0)
    parts = [("head", 468), ("left_wrist", 21), ("right_wrist", 21)]
    looks = tuple(
        CloseUp(joint, rng.normal(size=(count, 3)).astype(np.float32), rng.normal(size=2).astype(np.float32), 0.75)
        for joint, count in parts
    )
    first, second, third = (person.detection for person in people[:3])
    found = {"one": replace(first, close_ups=looks), "two": second, "three": replace(third, close_ups=looks[1:])}
    path = save_detections(tmp_path / "detections.npz", found)
    for name, own in found.items():
        kept = load_detections(path)[name].close_ups
        assert [close.joint for close in kept] == [close.joint for close in own.close_ups]
        for a, b in zip(kept, own.close_ups):
            assert np.array_equal(a.points, b.points) and np.array_equal(a.center, b.center) and a.score == b.score
    with np.load(path) as arrays:
        old = {key: value for key, value in arrays.items() if not key.startswith("close")}
    np.savez(tmp_path / "old.npz", **old)
    assert all(detection.close_ups == () for detection in load_detections(tmp_path / "old.npz").values())


def test_a_detector_is_asked_only_what_it_has_not_said(body, people, tmp_path):
    samples = [replace(s.sample, image=np.zeros((8, 8, 3), np.uint8)) for s in people]
    asked = []

    def detect(sample, image):
        asked.append(sample.name)
        return people[len(asked) - 1].detection if len(asked) < 3 else None

    path = tmp_path / "detections.npz"
    detect_samples(samples, detect, path, 2)
    found = detect_samples(samples, detect, path, 4)
    assert asked == [sample.name for sample in samples[:4]] == list(found)
    assert list(load_detections(path).values()).count(None) == 2


def test_labels_without_2d_are_no_detection(body):
    sample = posed_sample(body)
    blank = replace(sample, keypoints_2d=np.zeros_like(sample.keypoints_2d))
    assert Labelled().of(blank, sample.read_image()) is None


def test_stages_end_where_the_product_starts(body, people):
    """The last feedback is what the regressor gives the fit."""
    network = tiny_network(body, KEYPOINTS, iterations=3)
    for mirror, last in ((False, "feedback 3"), (True, "mirrored")):
        regressor = NetworkRegressor(network, body, mirror=mirror)
        predictor = FromDetections(regressor, body)
        stages = predictor(people)
        assert tuple(stages) == predictor.stages and predictor.stages[-1] == last
        for i, s in enumerate(people):
            state = regressor(s.image, [s.detection], s.camera).state
            rotations, betas = state.rotations.float(), state.betas.float()
            vertices = body(betas, rotations[:, 1:], rotations[:, :1], state.translation.float()).vertices
            assert torch.allclose(stages[last].vertices[i], vertices[0], atol=2e-4)
            for ours, own in zip(stages[last].state.parts.values(), state.parts.values()):
                assert torch.allclose(ours[i], own[0], atol=1e-5)
            assert stages[last].scores[i] == s.detection.score


def test_published_networks_see_crops_as_they_are(body):
    """Their cameras are weakly perspective."""
    network = tiny_network(body, RGB)
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    sample = posed_sample(body, image=image)
    predictor = FromCrops(network, body, centred=False)
    subject = Subject(sample, image, None, predictor.camera_of(sample, SIZE))
    stages = predictor([subject])
    crop = torch.from_numpy(cut(sample, 64).read_image()).movedim(-1, 0)[None].float() / 255
    with torch.no_grad():
        estimate = network(NetworkInput(rgb=normalize_rgb(crop))).final
        own = body(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1]).vertices
    vertices = stages["feedback 3"].vertices
    assert torch.allclose(vertices - vertices.mean(1, keepdim=True), own - own.mean(1, keepdim=True), atol=1e-4)
    focal, principal = subject.crop_camera
    seen = vertices[..., :2] / vertices[..., 2:] * focal + principal
    assert torch.allclose(seen, estimate.project(own), atol=0.03)
    assert subject.camera.focal[0] > 10 * CAMERA.focal[0] and subject.camera == far_camera(sample, SIZE)


def test_our_networks_see_crops_through_a_camera_of_their_own(body):
    network = tiny_network(body, RGB)
    sample = posed_sample(body)
    predictor = FromCrops(network, body, centred=True)
    camera = predictor.camera_of(sample, SIZE)
    vertices = predictor([Subject(sample, sample.read_image(), None, camera)])["feedback 3"].vertices
    with torch.no_grad():
        estimate = network(NetworkInput(rgb=normalize_rgb(torch.zeros(1, 3, 64, 64)))).final
        own = body(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1]).vertices
    # The same body, turned by the angle between the picture's axis and the crop's centre.
    focal, principal = Subject(sample, None, None, camera).crop_camera
    turn = procrustes(own, vertices, with_scale=False).rotation
    assert torch.allclose(turn, look_at(focal[None], principal[None]).mT, atol=1e-3)
