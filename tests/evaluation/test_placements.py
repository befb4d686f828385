"""Where landmarks are seen on the body: tables with both sides, and what photos of known bodies tell."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from meshrec.body import LIMB_JOINTS, joint_index, joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.detect import Detection
from meshrec.evaluation.placements import measure_annotators
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import LSP, MEDIAPIPE, Placement, offsets, placement
from meshrec.poses.pose_bank import load_pose_bank

PEOPLE = 120


@pytest.mark.parametrize("joints, table", [("mediapipe33", MEDIAPIPE), ("lsp14", LSP)])
def test_right_mirrors_left(joints, table):
    for name, left in table.items():
        if name.startswith("left_"):
            right = placement(name.replace("left", "right"), joints)
            assert right.deviation == left.deviation
            for joint, (x, y, z) in left.offsets.items():
                assert right.offsets[joint.replace("left", "right")] == (-x, y, z)


def test_what_was_not_measured_lies_where_the_body_has_it():
    assert placement("neck", "lsp14") is None and offsets("lsp14")[joint_set("lsp14").index("neck")] == {}
    assert not any(offsets("coco17"))


def test_annotators_are_measured_beside_wrong_labels(monkeypatch):
    body = load_body("neutral")
    marked = {name: Placement(dict.fromkeys(LSP[name].offsets, (20, 10 * i, -15)), 0.0) for i, name in enumerate(LSP)}
    monkeypatch.setattr("meshrec.landmarks.placements.PLACEMENTS", {"lsp14": marked})
    rng = np.random.default_rng(0)
    pose = load_pose_bank("held_out").rotations(torch.arange(0, 40 * PEOPLE, 40) % 2000).double()
    yaw = torch.zeros(PEOPLE, 3, dtype=torch.float64)
    yaw[:, 1] = torch.from_numpy(rng.uniform(0, 6.28, PEOPLE))
    facing = CAMERA_TO_Y_UP.double()
    pose[:, 0] = facing @ axis_angle_to_matrix(yaw) @ pose[:, 0]
    place = torch.tensor([[0.0, 0.0, 4.0]], dtype=torch.float64).expand(PEOPLE, 3)
    states = BodyState(pose, place, torch.zeros(PEOPLE, 10, dtype=torch.float64))
    landmarks = LandmarkMoments.of_body(body, "lsp14", offsets("lsp14"))
    camera = Camera.from_fov((200, 200))
    labels = camera.project(landmark_positions(landmarks, states)).numpy()[..., :2]
    exact = labels.copy()
    labels = labels + rng.normal(0, 1, labels.shape)
    wrong = rng.random(labels.shape[:2]) < 0.2
    labels[wrong] += rng.uniform(-60, 60, (int(wrong.sum()), 2))
    labels = np.concatenate([labels, np.ones((*labels.shape[:2], 1))], -1)

    class People:
        keypoints_2d = labels
        __len__ = lambda self: PEOPLE  # noqa: E731
        __getitem__ = lambda self, row: SimpleNamespace(  # noqa: E731
            read_image=lambda: np.full((200, 200, 3), row, np.uint8)
        )

    def detector(image, boxes):
        seen = np.zeros((33, 3), np.float32)
        for k, name in enumerate(LIMB_JOINTS):
            seen[joint_index(name, "mediapipe33"), :2] = exact[image[0, 0, 0], k]
        return [Detection(np.array([40, 40, 160, 160], np.float32), seen, "mediapipe33", 0.9)]

    def fitter(detections, camera):
        row = int(
            np.abs(exact[:, 0] - detections[0].keypoints[joint_index("right_ankle", "mediapipe33"), :2]).sum(1).argmin()
        )
        return [SimpleNamespace(**{name: part[row].numpy() for name, part in states.parts.items()})]

    fitter.body = body
    found = measure_annotators(People(), detector, fitter)
    for name, truth in marked.items():
        for joint, offset in truth.offsets.items():
            apart = np.abs(np.array(found[name].offsets[joint]) - offset)
            # Along a limb, the frames of an elbow share the offset between them.
            assert apart.max() < 8 or (name == "left_elbow" and apart[[1, 2]].max() < 12), (name, found[name])
        assert 0.005 < found[name].deviation < 0.015
