"""The benchmark of photos: the same detections for every method, and figures that tell good from bad."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from meshrec.benchmarks import photos
from meshrec.benchmarks.methods import Method
from meshrec.body import joint_set
from meshrec.body.state import BodyState
from meshrec.detect import Detection
from meshrec.detect.people import keypoint_box
from meshrec.fit import Fitter, Initial
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.poses.named_poses import named_pose

SIZE = (320, 240)
CAMERA = Camera(300.0, size=SIZE)


@pytest.fixture(scope="module")
def state() -> BodyState:
    pose = torch.cat([CAMERA_TO_Y_UP[None], named_pose("running")]).double()[None]
    return BodyState(pose, torch.tensor([[0.0, 0.1, 4.0]]).double(), torch.zeros(1, 10).double())


@pytest.fixture(scope="module")
def scene(body, state):
    """Joints (14, 3), and one detection with exact keypoints."""
    pose, place = state.rotations.float(), state.translation.float()
    with torch.no_grad():
        vertices = body(None, pose[:, 1:], pose[:, 0], place).vertices
    screen = CAMERA.project(body.joints_from(vertices, "openpose25"))[0].numpy()
    keypoints = np.column_stack([screen[:, :2], np.ones(25)]).astype(np.float32)
    detection = Detection(keypoint_box(keypoints, SIZE), keypoints, "openpose25", 0.9)
    return body.joints_from(vertices, "lsp14")[0].numpy(), detection


@pytest.fixture
def methods(body, state):
    def knows(image, detections, camera):
        return Initial(state, 30 * torch.eye(85).double()[None])

    def is_wrong(image, detections, camera):
        turns = torch.zeros(1, 24, 3).double()
        turns[:, [1, 2, 16, 17], 0] = 1.0
        return Initial(BodyState(state.rotations @ axis_angle_to_matrix(turns), state.translation, state.betas), None)

    fitter = Fitter(body)
    return {
        "right": Method(knows, fitter, refine=False),
        "wrong": Method(is_wrong, fitter, refine=False),
        "right + fit": Method(knows, fitter),
        "fit": Method(None, fitter),
    }


class Detector:
    """Finds one person, in the second picture nobody."""

    def __init__(self, detection: Detection) -> None:
        self.detection, self.asked = detection, 0

    def __call__(self, image, boxes=None):
        self.asked += 1
        nobody = image.max() == 0
        if boxes is None:
            return [] if nobody else [self.detection]
        return [SimpleNamespace(**(vars(self.detection) | {"score": 0.0}))] if nobody else [self.detection]


def picture(value: int) -> SimpleNamespace:
    pixels = np.full((*SIZE[::-1], 3), value, np.uint8)
    return SimpleNamespace(read_image=lambda: pixels)


class People(SimpleNamespace):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, row: int) -> SimpleNamespace:
        return picture(90 if row == 0 else 0)


def test_multiview(monkeypatch, scene, methods, state):
    joints, detection = scene
    known = np.column_stack([joints, np.ones(14)])
    truth = People(
        joints=joint_set("lsp14"),
        joints_3d=np.stack([known, known]),
        cameras=np.array([0, 3]),
        calibration=np.stack([CAMERA.matrix.numpy()] * 2),
        boxes=np.stack([detection.box] * 2),
    )
    monkeypatch.setattr(photos, "read_multiview", lambda folder: truth)
    detector = Detector(detection)
    figures = photos.benchmark_multiview(None, detector, methods)
    assert detector.asked == 2  # once a photo, for all methods
    assert all((f["rows"], f["missed"], f["pa_mpjpe_mm_camera_3"]) == (2, 1, 250.0) for f in figures.values())
    assert figures["right"]["pa_mpjpe_mm_camera_0"] < 0.1 and abs(figures["right"]["knee_bias_degrees"]) < 0.1
    assert figures["right + fit"]["pa_mpjpe_mm_camera_0"] < 20
    assert figures["wrong"]["pa_mpjpe_mm_camera_0"] > 60
    photos._print("multiview", figures)


def test_lspe(monkeypatch, scene, methods):
    joints, detection = scene
    labels = np.column_stack([CAMERA.project(torch.from_numpy(joints)).numpy()[:, :2], np.ones(14)])
    monkeypatch.setattr(photos, "read_lspe", lambda archive: People(keypoints_2d=np.stack([labels, labels])))
    camera = lambda size: CAMERA  # noqa: E731
    monkeypatch.setattr(photos.Camera, "from_fov", camera)
    figures = photos.benchmark_lspe(None, Detector(detection), methods)
    assert figures["right"]["pck_own_joints"] == figures["right + fit"]["pck"] == 0.5  # one of two was found
    assert figures["wrong"]["pck"] < 0.4
    assert figures["right"]["score_auc"] == 1.0
