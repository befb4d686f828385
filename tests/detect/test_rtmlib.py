"""RTMPose through rtmlib: with networks of the same layout that answer what the test says, and without the package."""

import sys

import numpy as np
import pytest
import torch

from meshrec import Camera, InputError, MissingDependency, Reconstructor, load_detector
from meshrec.detect.rtmlib_detector import RtmlibDetector

SIZE = 640, 480  # of the photo, pixels


class Answers:
    """What rtmlib's networks would say: people as boxes, and COCO keypoints at fixed places of each box."""

    def __init__(self, boxes, scores, more: int = 0):
        self.boxes, self.scores, self.more = np.array(boxes, float).reshape(-1, 4), scores, more
        self.places = np.random.default_rng(0).uniform(0.2, 0.8, (17 + more, 2))
        self.seen = None

    def det_model(self, image):
        self.seen = image
        return self.boxes

    def pose_model(self, image, bboxes):
        bboxes = np.asarray(bboxes, float)
        keypoints = bboxes[:, None, :2] + self.places * (bboxes[:, None, 2:] - bboxes[:, None, :2])
        return keypoints, np.repeat(np.array(self.scores)[: len(bboxes), None], 17 + self.more, 1)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)


@pytest.mark.parametrize("more", [0, 6, 116])  # body, with feet, whole body
def test_people_come_best_first_and_those_without_a_pose_are_left_out(image, more):
    answers = Answers([[0, 0, 100, 200], [300, 100, 500, 400], [10, 10, 20, 20]], [0.6, 1.2, 0.1], more)
    people = RtmlibDetector(answers)(image)
    assert (answers.seen == image[..., ::-1]).all()  # BGR, as OpenCV reads pictures
    assert [p.score for p in people] == pytest.approx([1, 0.6])
    assert people[0].joint_set == "coco17" and people[0].keypoints.shape == (17, 3)
    assert np.allclose(people[0].keypoints[:, :2], [300, 100] + answers.places[:17] * [200, 300], atol=1e-3)
    for person in people:
        low, high = person.keypoints[:, :2].min(0), person.keypoints[:, :2].max(0)
        assert (person.box[:2] <= low).all() and (person.box[2:] >= high).all()


def test_boxes_that_are_given_keep_their_order(image):
    boxes = np.array([[10, 10, 20, 20], [0, 0, 100, 200]], np.float32)
    first, second = RtmlibDetector(Answers([], [0.1, 0.6]))(image, boxes)
    assert first.score == 0 and second.score == pytest.approx(0.6)
    assert (second.box == boxes[1]).all()


def test_nobody_is_a_result(image):
    assert RtmlibDetector(Answers([], []))(image) == []
    assert RtmlibDetector(Answers([[0, 0, 9, 9]], [0.1]))(image) == []


def test_a_body_is_fitted_to_what_it_finds(image, body):
    """The keypoints of a standing body are given; the fit puts a body where it stood."""
    camera = Camera.from_fov(SIZE)
    upright = torch.tensor([[torch.pi, 0, 0]])
    vertices = body(global_orient=upright, transl=torch.tensor([[0.3, 0, 3.5]])).vertices
    places = camera.project(body.joints_from(vertices, "coco17"))[0, :, :2].numpy()

    class Seen(Answers):
        def pose_model(self, image, bboxes):
            return places[None], np.ones((1, 17))

    detector = RtmlibDetector(Seen([[0, 0, 640, 480]], [1]))
    (found,) = Reconstructor(regressor="none", detector=detector)(image)
    seen = camera.project(body.joints_from(torch.as_tensor(found.vertices, dtype=torch.float32)[None], "coco17"))[
        0, :, :2
    ].numpy()
    assert np.linalg.norm(seen - places, axis=1).mean() < 0.03 * np.ptp(places[:, 1])


def test_with_the_package_and_networks_of_the_same_layout(tmp_path, image):
    """The person network answers two boxes, one of them too uncertain; the pose network one place for each keypoint."""
    rtmlib = pytest.importorskip("rtmlib", reason="needs rtmlib")
    onnx = pytest.importorskip("onnx", reason="needs rtmlib and onnx")
    boxes = np.array([[[64, 32, 164, 232, 0.9], [0, 0, 50, 50, 0.1]]], np.float32)
    x, y = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
    columns, rows = np.arange(17) * 10 + 100, np.arange(17) * 20 + 100
    x[0, np.arange(17), columns], y[0, np.arange(17), rows] = 0.8, 0.9

    def network(name: str, shape: list[int], **answers: np.ndarray) -> str:
        kind, helper = onnx.TensorProto.FLOAT, onnx.helper
        nodes = [
            helper.make_node("Constant", [], [key], value=onnx.numpy_helper.from_array(value))
            for key, value in answers.items()
        ]
        outputs = [helper.make_tensor_value_info(key, kind, value.shape) for key, value in answers.items()]
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("input", kind, shape)], outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, tmp_path / f"{name}.onnx")
        return str(tmp_path / f"{name}.onnx")

    persons = network("persons", [1, 3, 640, 640], dets=boxes)
    poses = network("poses", [1, 3, 256, 192], simcc_x=x, simcc_y=y)
    body = rtmlib.Body(det=persons, det_input_size=(640, 640), pose=poses, pose_input_size=(192, 256))
    (person,) = RtmlibDetector(body)(image)
    # The box around (114, 132) has the ratio 3 : 4 of the pose network's input and a margin of a quarter.
    side = np.array([0.75, 1]) * 200 * 1.25
    expected = np.array([114, 132]) + (np.stack([columns, rows], 1) / [384, 512] - 0.5) * side
    assert np.allclose(person.keypoints[:, :2], expected, atol=0.01)
    assert np.allclose(person.keypoints[:, 2], 0.85)  # the mean of both axes


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(MissingDependency, match="pip install rtmlib"):
        load_detector("rtmlib")


def test_networks_that_cannot_be_downloaded(monkeypatch):
    class Offline:
        @staticmethod
        def Body():
            print("load nothing")
            raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "rtmlib", Offline)
    with pytest.raises(InputError, match=r"cannot be loaded \(no route to host\)"):
        load_detector("rtmlib")
