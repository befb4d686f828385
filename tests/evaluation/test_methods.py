"""Methods side by side on photos: the same detections for all of them, and figures that tell good from bad."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body import joint_set
from meshrec.body.state import BodyState
from meshrec.cli import main
from meshrec.data.sample import Sample, person_sample
from meshrec.detect import Detection
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.evaluation import EvaluationSet, Method, compare, evaluate, methods_of, print_comparison
from meshrec.evaluation.datasets import PHOTOS
from meshrec.evaluation.scores import MISSED_MM
from meshrec.fit import Initial
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.poses.named_poses import named_pose

SIZE = (320, 240)
CAMERA = Camera.from_fov(SIZE)  # the one that photos get


@pytest.fixture(scope="module")
def state() -> BodyState:
    pose = torch.cat([CAMERA_TO_Y_UP[None], named_pose("running")]).double()[None]
    return BodyState(pose, torch.tensor([[0.0, 0.1, 4.0]]).double(), torch.zeros(1, 10).double())


@pytest.fixture(scope="module")
def scene(body, state) -> tuple[np.ndarray, Detection]:
    """Joints (14, 3), and a detection with exact keypoints."""
    pose, place = state.rotations.float(), state.translation.float()
    with torch.no_grad():
        vertices = body(None, pose[:, 1:], pose[:, 0], place).vertices
    seen = body.joints_from(vertices, "openpose25")[0]
    keypoints = np.column_stack([CAMERA.project(seen)[:, :2].numpy(), np.ones(25)]).astype(np.float32)
    box = keypoint_box(keypoints, SIZE)
    detection = Detection(box, keypoints, "openpose25", 0.9, world=(seen - seen.mean(0)).numpy())
    return body.joints_from(vertices, "lsp14")[0].numpy(), detection


@pytest.fixture
def methods(state) -> list[Method]:
    def right(image, detections, camera):
        return Initial(state, 30 * torch.eye(85).double()[None])

    def wrong(image, detections, camera):
        turns = torch.zeros(1, 24, 3).double()
        turns[:, [1, 2, 16, 17], 0] = 1.0
        return Initial(BodyState(state.rotations @ axis_angle_to_matrix(turns), state.translation, state.betas), None)

    return [Method(right), Method(wrong), Method(right, fit=True), Method(None, fit=True), Method("detector")]


class Detector:
    """Finds one person, in black pictures nobody."""

    def __init__(self, detection: Detection) -> None:
        self.detection, self.asked = detection, 0

    def __call__(self, image, boxes=None):
        self.asked += 1
        nobody = image.max() == 0
        if boxes is None:
            return [] if nobody else [self.detection]
        return [replace(self.detection, score=0.0) if nobody else self.detection]


def photo(value: int, joints: np.ndarray, camera: Camera | None) -> Sample:
    """A grey picture of somebody, with 3D labels where it has a camera."""
    known = np.ones((14, 1))
    return person_sample(
        name=f"grey {value}",
        image=np.full((*SIZE[::-1], 3), value, np.uint8),
        crop=((np.array(SIZE) - 1) / 2, float(max(SIZE))),
        joints=joint_set("lsp14"),
        keypoints_2d=np.hstack([CAMERA.project(torch.from_numpy(joints))[:, :2].numpy(), known]),
        joints_3d=None if camera is None else np.hstack([joints, known]),
        camera=camera,
    )


def photos(form: str, scene, camera: Camera | None) -> EvaluationSet:
    """Two photos, scored as a data set of this format; on the second nobody is found."""
    rules, samples = PHOTOS[form], [photo(value, scene[0], camera) for value in (90, 0)]
    rules = {name: getattr(rules, name) for name in ("joints", "least_joints", "search", "marked_as")}
    return EvaluationSet(form, samples, range(2), groups=["camera 0", "camera 3"], **rules)


def test_frames_of_calibrated_cameras(scene, body, methods, capsys):
    detector = Detector(scene[1])
    reports = compare(methods, photos("multiview", scene, CAMERA), body, detections=detector)
    assert detector.asked == 2  # once a photo, for all methods
    names = ["right", "wrong", "right + fit", "fit alone", "detector"]
    assert [report.settings["method"] for report in reports] == names
    for report in reports:
        assert len(report) == 2 and report.found.tolist() == [True, False]
        assert report.mean("pa_mpjpe", "camera 3") == MISSED_MM and report.settings["joints"] == "limb12"
    error = {name: report.mean("pa_mpjpe", "camera 0") for name, report in zip(names, reports)}
    assert error["right"] < 0.1 and abs(reports[0].mean("knee_bias")) < 0.1
    assert error["right + fit"] < 20 and error["wrong"] > 60 and error["detector"] < 0.1
    assert all(report.people["pa_mpjpe_marked"][1] == MISSED_MM for report in reports[:4])
    assert "pa_mpjpe_marked" not in reports[4].people  # its joints are where it marks them
    assert reports[0].people["score"].tolist() == pytest.approx([0.9, 0])
    print_comparison(reports)
    printed = capsys.readouterr().out
    assert "PA-MPJPE by group" in printed and all(name.split()[0] in printed for name in names)


def test_crops_of_sports_photos(scene, body, methods):
    detector = Detector(scene[1])
    data = photos("lspe", scene, None)
    right, wrong, fitted, _, detected = compare(methods, data, body, detections=detector)
    assert detector.asked == 2
    assert right.mean("pck2d") == fitted.mean("pck2d_marked") == 0.5  # one of two was found
    assert wrong.mean("pck2d_marked") < 0.4 and detected.mean("pck2d") == right.mean("detector_pck2d") == 0.5
    assert right.ranking() == pytest.approx({"spearman": 1.0, "auc": 1.0})
    assert right.figures()["score_ranking"]["auc"] == 1.0
    assert "pa_mpjpe" not in right.figures()["measures"]


def test_one_method_is_evaluated_as_among_others(scene, body, methods):
    data, detector = photos("multiview", scene, CAMERA), Detector(scene[1])
    together = compare(methods[:3:2], data, body, detections=detector)
    alone = evaluate(methods[2].checkpoint, data, body, detections=detector, fit=True)
    assert alone.settings == together[1].settings
    for name, values in alone.people.items():
        assert np.array_equal(values, together[1].people[name], equal_nan=True), name


def test_a_detector_without_3d_joints_has_no_errors_in_3d(scene, body):
    flat = replace(scene[1], world=None)
    report = evaluate("detector", photos("multiview", scene, CAMERA), body, detections=Detector(flat))
    assert report.found.tolist() == [True, False] and np.isnan(report.people["pa_mpjpe"]).all()
    assert report.mean("pck2d") == 0.5 and not report.worst and not report.stages


def test_methods_that_the_command_line_names():
    def names(*checkpoints, **given) -> list[str]:
        return [method.name for method in methods_of(checkpoints, **given)]

    assert names("proxy") == ["proxy"] and names("proxy", fit=True) == ["proxy + fit"]
    assert names("none", fit=True) == ["fit alone"] and names("detector") == ["detector"]
    several = methods_of(["proxy", "runs/last.safetensors", "none", "detector"], fit=True, mirror=False)
    assert [method.folder for method in several] == [
        *("proxy", "proxy_fit", "last.safetensors", "last.safetensors_fit", "fit_alone", "detector")
    ]
    assert not any(method.mirror for method in several[:4])
    for wrong, message in (
        ({"checkpoints": ["none"]}, "add --fit"),
        ({"checkpoints": ["proxy", "none"]}, "add --fit"),
        ({"checkpoints": ["detector"], "fit": True}, "leave out --fit"),
        ({"checkpoints": ["a/x.safetensors", "b/x.safetensors"]}, "the same name"),
    ):
        with pytest.raises(InputError, match=message):
            methods_of(**wrong)


def test_several_methods_on_the_command_line(tmp_path, capsys):
    chosen = ["--checkpoint", "keypoints", "detector", "--dataset", "synthetic", "--limit", "2"]
    assert main(["evaluate", *chosen, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Medians" in printed and "detector" in printed
    for name in ("keypoints", "detector"):
        assert {"report.json", "rows.csv"} <= {path.name for path in (tmp_path / name).iterdir()}
