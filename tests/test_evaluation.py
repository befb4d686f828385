"""Evaluation against known bodies, explicit arrays and closed forms."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import CAMERA, posed_sample
from torch.utils.data import Subset

from meshrec.body import BodyModel, joint_index, joint_set, load_body
from meshrec.cli import main
from meshrec.data.sample import Sample, cut
from meshrec.data.shards import write_shards
from meshrec.data.synthetic.benchmark import SyntheticBenchmark
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.evaluation import EvaluationSet, evaluate, open_evaluation_set, synthetic_set
from meshrec.evaluation.prediction import Bodies, FromCrops, FromDetections
from meshrec.evaluation.report import PCK_MM
from meshrec.evaluation.run import use_h36m_rows
from meshrec.evaluation.scores import MISSED_MM, SHAPE, acceleration_of, score
from meshrec.evaluation.subjects import (
    Detected,
    Kept,
    Labelled,
    Subject,
    assumed_camera,
    far_camera,
    labelled_detection,
    load_detections,
    load_subjects,
    save_detections,
)
from meshrec.evaluation.truth import truth_of
from meshrec.metrics import mpjpe, pa_mpjpe
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.models.encoders import NetworkInput, normalize_rgb
from meshrec.regressor import NetworkRegressor

SIZE = (320, 240)
KEYPOINTS = {"inputs": ["keypoints"], "joints": "mediapipe33", "width": 32, "blocks": 1}
RGB = {"inputs": ["rgb"], "resnet": 18, "resolution": 64}


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body("neutral")


@pytest.fixture(scope="module")
def people(body) -> list[Subject]:
    """Two of each group but the last, as the benchmark simulates their detections."""
    data = synthetic_set(body)
    return load_subjects(data, [0, 1, 1000, 1001, 1350, 1351], None, assumed_camera, looks=False)


def _network(body: BodyModel, encoder: dict, **settings) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_network("iterative", {"encoder": encoder, "width": 32, **settings}, body).eval()
    with torch.no_grad():  # away from the mean body, so that nothing is symmetric by chance
        network.update.bias.normal_(std=0.1)
    return network


@pytest.fixture(scope="module")
def checkpoint(body, tmp_path_factory) -> Path:
    network = _network(body, KEYPOINTS, iterations=2, feedback="residuals")
    return save_checkpoint(tmp_path_factory.mktemp("networks") / "tiny.safetensors", network, body.hash)


def _true_bodies(body: BodyModel, samples: list[Sample]) -> Bodies:
    """The bodies that samples show, where they stand."""
    pose, betas = (torch.from_numpy(np.stack([getattr(s, n) for s in samples])) for n in ("pose", "betas"))
    out = body(betas, pose[:, 1:], pose[:, :1])
    true = torch.from_numpy(
        np.stack([s.joints_3d[[s.joints.index(n) for n in joint_set("lsp14")], :3] for s in samples])
    )
    return Bodies(out.vertices + (true - body.joints_from(out.vertices, "lsp14")).mean(1, keepdim=True), betas)


def _score(body: BodyModel, subjects: list[Subject], bodies: Bodies, found=None, joints: str = "lsp14", **rules):
    data = EvaluationSet("test", [], range(len(subjects)), joints=joints, **rules)
    truth = truth_of([s.sample for s in subjects], data, body, {body.hash: body})
    found = np.ones(len(subjects), bool) if found is None else np.array(found)
    return score(subjects, found, bodies, truth, body, joints)


# Scores


@pytest.mark.parametrize("joints_of", ["labels", "mesh"])
def test_the_true_bodies_have_no_error(body, people, joints_of):
    scores = _score(body, people, _true_bodies(body, [s.sample for s in people]), joints_of=joints_of)
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve", "height", "waist", "volume"):
        assert np.abs(scores.people[name]).max() < 0.05, name
    for name in ("trunk", "lean", "knee", "knee_bias"):
        assert np.abs(scores.people[name]).max() < 0.1, name
    assert (scores.people["pck3d"] == 1).all() and (scores.people["pck2d"] == 1).all()
    assert (scores.people["mask_iou"] > 0.98).all() and (scores.people["mask_accuracy"] > 0.99).all()
    assert max(values.max() for values in (*scores.joints.values(), *scores.parts.values())) < 0.05


def test_where_bodies_stand_and_their_size_count_as_the_measures_say(body, people):
    truth = _true_bodies(body, [s.sample for s in people])
    pelvis = torch.from_numpy(body.data.joint_regressor[0]) @ truth.vertices
    larger = 1.1 * (truth.vertices - pelvis[:, None]) + pelvis[:, None] + torch.tensor([0.3, 0.0, 0.2])
    scores = _score(body, people, Bodies(larger, truth.betas))
    assert np.abs(scores.people["pa_mpjpe"]).max() < 0.05 and np.abs(scores.people["n_mpjpe"]).max() < 0.05
    joints = body.joints_from(truth.vertices, "lsp14").numpy()
    hips = [joint_index(f"{side}_hip", "lsp14") for side in ("left", "right")]
    distances = np.linalg.norm(joints - joints[:, hips].mean(1, keepdims=True), axis=-1)
    assert np.allclose(scores.people["mpjpe"], 100 * distances.mean(1), rtol=1e-3)
    assert np.allclose(scores.joints["mpjpe"], 100 * distances, atol=0.05)
    from_pelvis = (truth.vertices - pelvis[:, None]).norm(dim=-1).numpy()
    assert np.allclose(scores.people["mpve"], 100 * from_pelvis.mean(1), rtol=1e-3)


def test_scores_are_those_of_the_metrics(body, people):
    generator = torch.Generator().manual_seed(1)
    bodies = _true_bodies(body, [s.sample for s in people])
    bodies = Bodies(bodies.vertices + 0.2 * torch.randn(len(people), 1, 3, generator=generator), bodies.betas + 0.5)
    pose = torch.from_numpy(people[0].sample.pose)[None].expand(len(people), -1, -1, -1)
    wrong = body(bodies.betas, pose[:, 1:], pose[:, :1]).vertices
    scores = _score(body, people, Bodies(wrong, bodies.betas), joints="h36m17")
    true = np.stack([s.sample.joints_3d[[s.sample.joints.index(n) for n in joint_set("h36m17")]] for s in people])
    points = body.joints_from(wrong, "h36m17")
    for i in range(len(people)):
        expected = torch.from_numpy(true[i, :, :3])
        assert scores.people["pa_mpjpe"][i] == pytest.approx(float(pa_mpjpe(points[i], expected)), rel=1e-4)
        assert scores.people["mpjpe"][i] == pytest.approx(float(mpjpe(points[i], expected, joints="h36m17")), rel=1e-4)


def test_a_person_not_found_counts_as_said_and_has_no_shape(body, people):
    bodies = _true_bodies(body, [s.sample for s in people])
    scores = _score(body, people, bodies, found=[False] + [True] * 5)
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve"):
        assert scores.people[name][0] == MISSED_MM and scores.people[name][1] < 0.05
    assert scores.people["pck2d"][0] == scores.people["pck3d"][0] == scores.people["mask_iou"][0] == 0
    assert all(np.isnan(scores.people[name][0]) for name in (*SHAPE, "knee", "lean"))
    assert (scores.joints["pa_mpjpe"][0] == MISSED_MM).all() and np.isnan(scores.predicted[0]).all()


def test_what_has_no_label_is_left_out(body, people):
    def without(subject: Subject, **labels) -> Subject:
        return replace(subject, sample=replace(subject.sample, **labels))

    sample = people[1].sample
    few = sample.joints_3d.copy()
    few[[sample.joints.index(f"left_{part}") for part in ("knee", "wrist")], 3] = 0
    rest = people[0]
    subjects = [
        without(rest, betas_confidence=0.0),
        without(people[1], joints_3d=few),
        without(people[2], joints_3d=np.zeros_like(few), keypoints_2d=0 * sample.keypoints_2d),
        without(people[3], mask=None, body="another"),
    ]
    bodies = _true_bodies(body, [s.sample for s in people[:4]])
    scores = _score(body, subjects, bodies, found=[False, True, False, True])
    known = {name: (~np.isnan(values)).tolist() for name, values in scores.people.items()}
    assert known["pa_mpjpe"] == known["mpjpe"] == [True, True, False, True]
    assert known["mpve"] == [False, True, True, False] and known["waist"] == [False, True, False, False]
    assert known["pck2d"] == [True, True, False, True] and known["mask_iou"] == [True, True, True, False]
    assert known["knee"] == [False, False, False, True]
    assert np.isnan(scores.joints["mpjpe"][1]).sum() == 2
    strict = _score(body, subjects, bodies, least_joints=13)
    assert (~np.isnan(strict.people["pa_mpjpe"])).tolist() == [True, False, False, True]


def test_acceleration_counts_three_frames_in_a_row(body):
    count = len(joint_set("lsp14"))
    times = np.array([0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1, 0.0])
    true = np.ones((8, count, 4), np.float32)
    predicted = true[..., :3].copy()
    wrist = joint_index("left_wrist", "lsp14")
    predicted[:, wrist, 0] += 0.01 * (10 * times) ** 2  # 20 mm a frame^2
    sequences = ["a"] * 7 + ["b"]
    found = acceleration_of(predicted, true, "lsp14", sequences, times)
    # The gap before 0.9 s splits the motion; single pictures have none.
    assert np.isnan(found).tolist() == [True, False, False, True, True, False, True, True]
    assert np.allclose(found[[1, 2, 5]], 20 / count, atol=1e-3)
    predicted[2] = np.nan  # nobody found: the first run falls apart
    again = acceleration_of(predicted, true, "lsp14", sequences, times)
    assert np.flatnonzero(~np.isnan(again)).tolist() == [5]


# Who is evaluated


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


def test_labels_without_2d_are_no_detection(body):
    sample = posed_sample(body)
    blank = replace(sample, keypoints_2d=np.zeros_like(sample.keypoints_2d))
    assert Labelled().of(blank, sample.read_image()) is None


# What is evaluated


def test_stages_end_where_the_product_starts(body, people):
    """The last feedback is what the regressor gives the fit."""
    network = _network(body, KEYPOINTS, iterations=3)
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


def test_published_networks_see_crops_as_they_are(body):
    """Their cameras are weakly perspective."""
    network = _network(body, RGB)
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    sample = posed_sample(body, image=image)
    predictor = FromCrops(network, body, centred=False)
    subject = Subject(sample, image, None, predictor.camera_of(sample, SIZE))
    stages = predictor([subject])
    crop = torch.from_numpy(cut(sample, 64).read_image()).movedim(-1, 0)[None].float() / 255
    with torch.no_grad():
        estimate = network(NetworkInput(rgb=normalize_rgb(crop)))[-1]
        own = body(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1]).vertices
    vertices = stages["feedback 3"].vertices
    assert torch.allclose(vertices - vertices.mean(1, keepdim=True), own - own.mean(1, keepdim=True), atol=1e-4)
    focal, principal = subject.crop_camera
    seen = vertices[..., :2] / vertices[..., 2:] * focal + principal
    assert torch.allclose(seen, estimate.project(own), atol=0.03)
    assert subject.camera.focal[0] > 10 * CAMERA.focal[0] and subject.camera == far_camera(sample, SIZE)


def test_our_networks_see_crops_through_a_camera_of_their_own(body):
    network = _network(body, RGB)
    sample = posed_sample(body)
    predictor = FromCrops(network, body, centred=True)
    camera = predictor.camera_of(sample, SIZE)
    vertices = predictor([Subject(sample, sample.read_image(), None, camera)])["feedback 3"].vertices
    with torch.no_grad():
        estimate = network(NetworkInput(rgb=normalize_rgb(torch.zeros(1, 3, 64, 64))))[-1]
        own = body(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1]).vertices
    # The same body, turned by the angle between the picture's axis and the crop's centre.
    from meshrec.geometry import procrustes
    from meshrec.geometry.crops import look_at

    focal, principal = Subject(sample, None, None, camera).crop_camera
    turn = procrustes(own, vertices, with_scale=False).rotation
    assert torch.allclose(turn, look_at(focal[None], principal[None]).mT, atol=1e-3)


# Data sets


def test_protocols_pick_their_rows(body, tmp_path):
    names = [f"{s}_Walking.{c}_000001.jpg" for s in ("S1", "S9", "S11") for c in ("54138969", "60457274")]
    rows = len(names)
    columns = {"imgname": np.array(names), "center": np.full((rows, 2), 100.0), "scale": np.ones(rows)}
    np.savez(tmp_path / "h36m.npz", **columns, S=np.ones((rows, 24, 4)))
    first, second = (open_evaluation_set(f"h36m-p{i}:{tmp_path / 'h36m.npz'}", body, tmp_path) for i in (1, 2))
    assert list(first.rows) == [2, 3, 4, 5] and list(second.rows) == [3, 5]
    assert first.joints == "lsp14" and "protocol 1" in first.source
    np.savez(tmp_path / "other.npz", **columns | {"imgname": np.array(["a.jpg"] * rows)})
    with pytest.raises(InputError, match="no picture's name fits this protocol"):
        open_evaluation_set(f"h36m-p1:{tmp_path / 'other.npz'}", body, tmp_path)
    with pytest.raises(InputError, match="--male and --female"):
        open_evaluation_set(f"3dpw-test:{tmp_path}", body, tmp_path)


def test_sets_are_thinned_evenly_with_their_groups(body):
    data = synthetic_set(body).thinned(41)
    assert len(data) == 41 and data.rows[0] == 0 and data.rows[-1] == 1999
    members = data.members()
    assert list(members) == ["usual", "floor", "turned", "truncated", "heavy", "hard"]
    assert len(members["usual"]) + len(members["hard"]) == 41
    with pytest.raises(InputError, match="at least 1"):
        data.thinned(0)


def test_the_fields_regressor_gives_both_sets(body, tmp_path):
    own = load_body("neutral")
    rows = np.zeros((17, len(own.v_template)))
    rows[np.arange(17), 100 * np.arange(17)] = 1
    np.save(tmp_path / "J_regressor_h36m.npy", rows)
    use_h36m_rows(own, tmp_path / "J_regressor_h36m.npy")
    points = own.joints_from(own.v_template[None], "lsp14")[0]
    for name, theirs in (("left_knee", "left_knee"), ("neck", "thorax"), ("head_top", "head_top")):
        expected = own.v_template[100 * joint_index(theirs, "h36m17")]
        assert torch.allclose(points[joint_index(name, "lsp14")], expected)


# Whole runs


@pytest.fixture(scope="module")
def report(checkpoint):
    return evaluate(checkpoint, "synthetic", limit=8)


def test_a_network_on_eight_people(report, people):
    assert len(report) == 8 and report.found.all()
    assert list(report.stages) == ["feedback 1", "feedback 2", "mirrored"]
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve", "pck2d", "mask_iou", *SHAPE):
        assert np.isfinite(report.people[name]).all(), name
    assert "acceleration" not in report.people
    assert np.array_equal(report.stages["mirrored"]["pa_mpjpe"], report.people["pa_mpjpe"])
    assert not np.allclose(report.stages["feedback 1"]["pa_mpjpe"], report.people["pa_mpjpe"])
    assert (report.people["pa_mpjpe"] <= report.people["mpjpe"]).all()
    assert report.settings["detections"] == "simulated" and report.settings["joints"] == "lsp14"
    worst = [case.value for case in report.worst]
    assert worst == sorted(report.people["pa_mpjpe"], reverse=True)


def test_files_say_what_the_report_says(report, tmp_path):
    from PIL import Image

    written = {path.name: path for path in report.write(tmp_path)}
    assert set(written) == {"report.json", "rows.csv", "worst.png", "pck.png"}
    figures = json.loads(written["report.json"].read_text())
    assert figures["people"] == 8 and figures["missed"] == 0
    values = report.people["pa_mpjpe"]
    assert figures["measures"]["pa_mpjpe"] == pytest.approx(
        {"mean": values.mean(), "median": np.median(values), "people": 8}
    )
    assert figures["groups"]["hard"]["people"] == len(report.groups["hard"])
    assert figures["groups"]["hard"]["mpve"] == pytest.approx(report.people["mpve"][report.groups["hard"]].mean())
    assert figures["stages"]["feedback 1"]["mpjpe"] == pytest.approx(report.stages["feedback 1"]["mpjpe"].mean())
    assert figures["joints"]["mpjpe"]["left_knee"] == pytest.approx(
        report.joints["mpjpe"][:, joint_index("left_knee", "lsp14")].mean()
    )
    assert figures["mean_shape"]["waist"] == pytest.approx(report.baseline["waist"].mean())

    rows = list(csv.DictReader(io.StringIO(written["rows.csv"].read_text())))
    assert [row["name"] for row in rows] == list(report.names)
    assert np.allclose([float(row["waist"]) for row in rows], report.people["waist"], rtol=1e-4)
    assert {row["group"] for row in rows} <= {"usual", "floor", "turned", "truncated", "heavy"}
    for name in ("worst.png", "pck.png"):
        assert min(Image.open(written[name]).size) > 300


def test_an_open_set_is_the_same(body, checkpoint, report):
    again = evaluate(checkpoint, synthetic_set(body).thinned(8), body)
    assert again.settings == report.settings and np.array_equal(again.people["mpjpe"], report.people["mpjpe"])


def test_the_curve_is_the_share_of_joints_within_a_distance(report):
    errors = report.joints["mpjpe"]
    expected = [(errors < threshold).mean() for threshold in PCK_MM]
    assert np.allclose(report.pck(), expected)
    assert report.pck()[30] == pytest.approx(report.people["pck3d"].mean())  # at 150 mm


def test_the_mean_shape_is_the_baseline(body, report):
    from meshrec.metrics.shape import body_measures

    benchmark = SyntheticBenchmark(body, resolution=32)
    rows = synthetic_set(body).thinned(8).rows
    betas = torch.from_numpy(np.stack([benchmark[i].betas for i in rows]))
    true, mean = body_measures(body, betas), body_measures(body, torch.zeros(1, 10))
    for name in SHAPE:
        assert np.allclose(report.baseline[name], (true[name] - mean[name]).abs().numpy(), rtol=1e-3, atol=0.01)


def test_the_fit_follows_the_network_and_stands_alone(checkpoint):
    both = evaluate(checkpoint, "synthetic", limit=2, fit=True)
    assert list(both.stages)[-1] == "fit"
    assert both.mean("pa_mpjpe") < np.mean(both.stages["mirrored"]["pa_mpjpe"])
    alone = evaluate(None, "synthetic", limit=1, fit=True)
    assert list(alone.stages) == ["fit"] and alone.mean("pck2d") > 0.8


def test_a_set_of_ones_own_with_labels_for_detections(body):
    samples = [posed_sample(body, seed) for seed in range(3)]
    samples[1] = replace(samples[1], keypoints_2d=np.zeros_like(samples[1].keypoints_2d))
    data = EvaluationSet("mine", samples, range(3), joints="smpl24", groups=["a", "a", ""])
    regressor = NetworkRegressor(_network(body, KEYPOINTS), body, mirror=False)
    report = evaluate(regressor, data, body, detections="labels", joints="coco17")
    assert report.found.tolist() == [True, False, True] and report.people["mpjpe"][1] == MISSED_MM
    assert report.groups == {"a": [0, 1]} and report.joint_names == joint_set("coco17")
    assert list(report.stages) == ["feedback 1", "feedback 2", "feedback 3"]
    assert report.people["detector_pck2d"][0] == 1
    nobody = evaluate(regressor, replace(data, rows=[1], groups=["a"]), body, detections="labels")
    assert nobody.mean("pa_mpjpe") == MISSED_MM and not nobody.worst


def test_networks_that_see_pictures_need_no_detections(body, tmp_path):
    network = _network(body, RGB)
    ours = save_checkpoint(tmp_path / "ours.safetensors", network, body.hash)
    published = save_checkpoint(tmp_path / "spin.safetensors", network, body.hash, {"converted_from": "spin.pt"})
    reports = [evaluate(path, "synthetic", limit=2) for path in (ours, published)]
    assert all(report.settings["detections"] == "none" and not report.settings["mirror"] for report in reports)
    # They see other pictures: one turned to the crop's centre, the other as it is.
    assert not np.allclose(reports[0].people["mpjpe"], reports[1].people["mpjpe"], atol=0.01)


def test_meshes_are_a_stage_before_their_bodies(body, tmp_path):
    torch.manual_seed(0)
    encoder = {"inputs": ["heatmaps", "silhouette"], "joints": "coco17", "resnet": 18, "resolution": 32}
    network = build_network("graph", {"encoder": encoder, "width": 32, "channels": 16, "blocks": 1}, body)
    path = save_checkpoint(tmp_path / "graph.safetensors", network, body.hash)
    report = evaluate(path, "synthetic", limit=2, mirror=False)
    assert list(report.stages) == ["mesh", "body"]
    assert np.array_equal(report.stages["body"]["mpve"], report.people["mpve"])
    assert not np.allclose(report.stages["mesh"]["mpve"], report.people["mpve"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checkpoint": None}, "add --fit"),
        ({"checkpoint": "nothing"}, "there is no regressor 'nothing'"),
        ({"dataset": "coco"}, "there is no data set 'coco'; give synthetic, or one of spin:PATH"),
        ({"dataset": "spin:missing.npz"}, "folder of their pictures"),
        ({"dataset": "lspe:missing.tar"}, "missing.tar"),
        ({"joints": "lsp15"}, "unknown joint set 'lsp15'"),
        ({"limit": 0}, "at least 1"),
        ({"detections": "mine.npz"}, "there are no detections 'mine.npz'"),
        ({"h36m_regressor": "mine.npy"}, "mine.npy"),
        ({"body": "smpl"}, "there is no body 'smpl'"),
        ({"body": "male"}, "was made with the body"),
    ],
)
def test_bad_input_is_named(checkpoint, arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate(**{"checkpoint": checkpoint, "dataset": "synthetic"} | arguments)


def test_only_the_benchmark_is_simulated(body, checkpoint):
    data = EvaluationSet("mine", [posed_sample(body)], [0])
    with pytest.raises(InputError, match="simulated for 'synthetic' alone"):
        evaluate(checkpoint, data, body, detections="simulated")


def test_nobody_and_nothing_to_compare_with(body):
    regressor = NetworkRegressor(_network(body, KEYPOINTS), body)
    sample = posed_sample(body)
    with pytest.raises(InputError, match="mine holds nobody"):
        evaluate(regressor, EvaluationSet("mine", [sample], []), body, detections="labels")
    blank = replace(sample, keypoints_2d=0 * sample.keypoints_2d, joints_3d=0 * sample.joints_3d, body="another")
    with pytest.raises(InputError, match="mine has no label to compare with"):
        evaluate(regressor, EvaluationSet("mine", [blank], [0]), body, detections="labels")


def test_command_line(checkpoint, tmp_path, capsys):
    arguments = ["evaluate", "--checkpoint", str(checkpoint), "--dataset", "synthetic", "--limit", "2"]
    assert main([*arguments, "--no-mirror", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "PA-MPJPE" in printed and "feedback 2" in printed and "mirrored" not in printed
    assert (tmp_path / "out" / "rows.csv").is_file()
    assert main(["evaluate", "--checkpoint", "none", "--dataset", "synthetic"]) == 1
    assert "add --fit" in capsys.readouterr().err


def test_the_benchmark_as_shards_scores_the_same(body, checkpoint, tmp_path):
    """What ``tools/build_synthetic_benchmark.py`` writes is the benchmark."""
    data = synthetic_set(body, resolution=128).thinned(2)
    list(write_shards(Subset(data.samples, data.rows), tmp_path, resolution=128, margin=1.0))
    drawn = evaluate(checkpoint, data, body, detections="labels", mirror=False)
    read = evaluate(checkpoint, f"shards:{tmp_path}", body, detections="labels", mirror=False)
    assert read.names == drawn.names
    for name in ("mpjpe", "pa_mpve", "waist", "pck2d"):
        assert np.allclose(read.people[name], drawn.people[name], rtol=2e-2), name
    assert np.allclose(read.people["mask_iou"], drawn.people["mask_iou"], atol=0.02)
