"""Whole evaluations: data sets, reports, files and commands."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.evaluated import KEYPOINTS, RGB, tiny_network
from helpers.people import posed_sample
from torch.utils.data import Subset

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import LIMB_JOINTS, BodyModel, joint_index, joint_set, load_body
from meshrec.body.files import body_from_arrays
from meshrec.cli import main
from meshrec.datasets.lspe import LspeSamples
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.datasets.shards import write_shards
from meshrec.errors import InputError
from meshrec.evaluation import EvaluationSet, evaluate, open_evaluation_set, synthetic_set, write_report
from meshrec.evaluation.report import PCK_MM
from meshrec.evaluation.run import with_h36m_rows
from meshrec.evaluation.scores import MISSED_MM, SHAPE
from meshrec.files.folder_lock import locked
from meshrec.metrics import SILHOUETTE_PARTS
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.regress.regressor import NetworkRegressor
from meshrec.synthetic.benchmark import SyntheticBenchmark


@pytest.fixture(scope="module")
def checkpoint(body, tmp_path_factory) -> Path:
    network = tiny_network(body, KEYPOINTS, iterations=2, feedback="residuals")
    return save_checkpoint(tmp_path_factory.mktemp("networks") / "tiny.safetensors", network, body.hash)


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


def test_photos_are_scored_where_their_labels_allow(body, monkeypatch):
    """Frames with ten limb joints and both hips, crops with a shoulder and the opposite hip."""
    known = np.ones((4, len(LIMB_JOINTS), 4))
    for row, missing in enumerate(("", "left_wrist right_wrist left_elbow", "left_hip", "left_wrist right_ankle")):
        for name in missing.split():
            known[row, LIMB_JOINTS.index(name), 3] = 0
    empty, points = np.zeros(4), np.ones((4, len(LIMB_JOINTS), 3))
    frames = MultiviewSamples(Path(), *[empty] * 9, LIMB_JOINTS, known, points)
    labels = np.random.default_rng(0).uniform(0, 99, (3, 14, 3))
    labels[..., 2] = 1
    labels[1, [LIMB_JOINTS.index(name) for name in ("left_hip", "right_shoulder")], 2] = 0  # one diagonal is known
    labels[2, [LIMB_JOINTS.index(name) for name in ("left_hip", "right_hip")], 2] = 0
    crops = LspeSamples(Path(), np.zeros(3), np.zeros((3, 2)), np.zeros(3), labels)
    read = {"multiview": frames, "lspe": crops}
    monkeypatch.setattr("meshrec.evaluation.datasets.read_samples", lambda form, *given: read[form])
    data = open_evaluation_set("multiview:frames", body)
    assert list(data.rows) == [0, 3] and (data.joints, data.search) == ("limb12", "photo")
    assert data.groups == ["camera 0.0"] * 2 and data.marked_as == "mediapipe33"
    data = open_evaluation_set("lspe:crops", body)
    assert list(data.rows) == [0, 1] and (data.joints, data.search, data.marked_as) == ("limb12", "crop", "lsp14")


def test_sets_are_thinned_evenly_with_their_groups(body):
    data = synthetic_set(body).thinned(41)
    assert len(data) == 41 and data.rows[0] == 0 and data.rows[-1] == 1999
    members = data.members()
    assert list(members) == ["usual", "floor", "turned", "truncated", "heavy", "hard"]
    assert len(members["usual"]) + len(members["hard"]) == 41
    with pytest.raises(InputError, match="at least 1"):
        data.thinned(0)


def h36m_file(folder: Path, body: BodyModel) -> Path:
    """A regressor whose joints are every hundredth vertex."""
    rows = np.zeros((17, len(body.v_template)))
    rows[np.arange(17), 100 * np.arange(17)] = 1
    np.save(folder / "J_regressor_h36m.npy", rows)
    return folder / "J_regressor_h36m.npy"


def test_the_fields_regressor_gives_both_sets(body, tmp_path):
    own = with_h36m_rows(body, h36m_file(tmp_path, body))
    points = own.joints_from(own.v_template[None], "lsp14")[0]
    for name, theirs in (("left_knee", "left_knee"), ("neck", "thorax"), ("head_top", "head_top")):
        expected = own.v_template[100 * joint_index(theirs, "h36m17")]
        assert torch.allclose(points[joint_index(name, "lsp14")], expected)
    assert torch.equal(own.joints_from(own.v_template[None], "limb12")[0], points[:12])


def test_an_evaluation_leaves_the_callers_body_as_it_was(checkpoint, tmp_path):
    body = load_body("neutral")
    before = {joints: body.joint_regressor(joints) for joints in ("h36m17", "lsp14")}
    with_theirs = evaluate(checkpoint, "synthetic", body, limit=2, h36m_regressor=h36m_file(tmp_path, body))
    for joints, rows in before.items():
        assert np.array_equal(body.joint_regressor(joints), rows)
    own = evaluate(checkpoint, "synthetic", body, limit=2)
    assert not np.allclose(own.people["mpjpe"], with_theirs.people["mpjpe"], rtol=0.01)


@pytest.fixture(scope="module")
def report(checkpoint):
    return evaluate(checkpoint, "synthetic", limit=8)


def test_a_network_on_eight_people(report):
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

    written = {path.name: path for path in write_report(report, tmp_path)}
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
    parts = figures["silhouette_parts"]
    assert set(parts) == {"background", *SILHOUETTE_PARTS, "all"}
    pixels = report.pixels
    assert parts["head"]["f1"] == pytest.approx(
        float(2 * pixels.hit[:, 1].sum() / (2 * pixels.hit + pixels.extra + pixels.missed)[:, 1].sum())
    )
    assert parts["all"]["f1"] == pytest.approx(np.mean([parts[n]["f1"] for n in ("background", *SILHOUETTE_PARTS)]))
    assert 0 < parts["head"]["f1"] < parts["head"]["accuracy"] < 1
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
    from meshrec.body.measures import body_measures

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
    regressor = NetworkRegressor(tiny_network(body, KEYPOINTS), body, mirror=False)
    report = evaluate(regressor, data, body, detections="labels", joints="coco17")
    assert report.found.tolist() == [True, False, True] and report.people["mpjpe"][1] == MISSED_MM
    assert report.groups == {"a": [0, 1]} and report.joint_names == joint_set("coco17")
    assert list(report.stages) == ["feedback 1", "feedback 2", "feedback 3"]
    assert report.people["detector_pck2d"][0] == 1
    nobody = evaluate(regressor, replace(data, rows=[1], groups=["a"]), body, detections="labels")
    assert nobody.mean("pa_mpjpe") == MISSED_MM and not nobody.worst


def test_networks_that_see_pictures_need_no_detections(body, tmp_path):
    network = tiny_network(body, RGB)
    ours = save_checkpoint(tmp_path / "ours.safetensors", network, body.hash)
    published = save_checkpoint(tmp_path / "spin.safetensors", network, body.hash, {"converted_from": "spin.pt"})
    reports = [evaluate(path, "synthetic", limit=2) for path in (ours, published)]
    assert all(report.settings["detections"] == "none" and not report.settings["mirror"] for report in reports)
    # They see other pictures: one turned to the crop's centre, the other as it is.
    assert not np.allclose(reports[0].people["mpjpe"], reports[1].people["mpjpe"], atol=0.01)


@pytest.mark.parametrize("sees", [RGB, KEYPOINTS])
def test_networks_for_smpls_body_see_people_of_the_open_one(body, sees, tmp_path):
    """SMPL's own files have no texture layout, so nobody of them can be painted; spin.safetensors is such a network."""
    smpl = load_body(body_from_arrays(random_arrays(6890), ""))
    network = tiny_network(smpl, sees)
    path = save_checkpoint(tmp_path / "spin.safetensors", network, smpl.hash, {"converted_from": "spin.pt"})
    report = evaluate(path, "synthetic", smpl, limit=2)
    for name in ("mpjpe", "pa_mpjpe", "pck2d"):
        assert np.isfinite(report.people[name]).all()
    assert np.isnan(report.people["mpve"]).all()
    truth = evaluate("keypoints", "synthetic", body, limit=2, mirror=False)
    assert {case.subject.sample.name for case in report.worst} == {case.subject.sample.name for case in truth.worst}
    assert (tmp_path / "worst.png") in write_report(report, tmp_path)


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
        ({"dataset": "coco"}, "there is no data set 'coco'; give synthetic, synthetic-dressed, or one of spin:PATH"),
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
    regressor = NetworkRegressor(tiny_network(body, KEYPOINTS), body)
    sample = posed_sample(body)
    with pytest.raises(InputError, match="mine holds nobody"):
        evaluate(regressor, EvaluationSet("mine", [sample], []), body, detections="labels")
    blank = replace(sample, keypoints_2d=0 * sample.keypoints_2d, joints_3d=0 * sample.joints_3d, body="another")
    with pytest.raises(InputError, match="mine has no label to compare with"):
        evaluate(regressor, EvaluationSet("mine", [blank], [0]), body, detections="labels")


def test_one_evaluation_at_a_time_in_a_folder(tmp_path, capsys):
    command = ["evaluate", "--checkpoint", "none", "--dataset", "synthetic", "--out", str(tmp_path / "out")]
    with locked(tmp_path / "out"):
        assert main(command) == 1
        assert f"another run is writing into {tmp_path / 'out'}; wait until it ends" in capsys.readouterr().err
    assert main(command) == 1  # there is neither network nor fit
    assert "another run" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
    write_shards(Subset(data.samples, data.rows), tmp_path, resolution=128, margin=1.0)
    drawn = evaluate(checkpoint, data, body, detections="labels", mirror=False)
    read = evaluate(checkpoint, f"shards:{tmp_path}", body, detections="labels", mirror=False)
    assert read.names == drawn.names
    for name in ("mpjpe", "pa_mpve", "waist", "pck2d"):
        assert np.allclose(read.people[name], drawn.people[name], rtol=2e-2), name
    assert np.allclose(read.people["mask_iou"], drawn.people["mask_iou"], atol=0.02)
