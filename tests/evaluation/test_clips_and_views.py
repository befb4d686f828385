"""Clips and several cameras, evaluated on a made folder of frames whose person a stub detector sees exactly."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from meshrec import Camera, Detection, InputError, Reconstructor, load_body
from meshrec.body import joint_index
from meshrec.datasets.multiview import read_multiview
from meshrec.detect.people import keypoint_box
from meshrec.evaluation import compare_clips, evaluate_clips, methods_of, synthetic_set
from meshrec.evaluation.uncalibrated import evaluate_uncalibrated, print_uncalibrated
from meshrec.evaluation.views import evaluate_views
from meshrec.poses.named_poses import named_pose

INSTANTS, RATE, SIZE, SPEED = 5, 20, (320, 240), 0.05
LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = tuple(f"{side}_{limb}" for side in ("left", "right") for limb in LIMBS)


def cameras() -> list[Camera]:
    """Two cameras a quarter turn apart, 4 m from the origin of a world with y up."""
    front = np.diag([1.0, -1.0, -1.0])
    side = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    return [Camera(300.0, size=SIZE, rotation=turn, translation=(0, 0, 4)) for turn in (front, side)]


class Scene:
    """A person who walks, in a folder as :func:`meshrec.datasets.multiview.read_multiview` reads it."""

    def __init__(self, folder: Path) -> None:
        body = load_body("neutral")
        places = torch.tensor([[SPEED * i, 0.0, 0.0] for i in range(INSTANTS)])
        with torch.no_grad():
            vertices = body(
                body_pose=named_pose("arms down")[None].expand(INSTANTS, -1, -1, -1), transl=places
            ).vertices
        self.folder = folder
        self._keypoints = body.joints_from(vertices, "coco17").double()
        joints = body.joints_from(vertices, "lsp14").numpy()
        limbs = joints[:, [joint_index(name, "lsp14") for name in NAMES]]
        rows = [(c, t) for c in (0, 1) for t in range(INSTANTS)]
        (folder / "images").mkdir()
        for c, t in rows:  # the brightness tells the stub which picture it sees
            picture = np.full((SIZE[1], SIZE[0], 3), 20 + 10 * (c * INSTANTS + t), np.uint8)
            cv2.imwrite(str(folder / f"images/{c}_{t}.png"), picture)
        placed = cameras()
        matrix = placed[0].matrix.double().numpy()
        np.savez(
            folder / "gt.npz",
            image=np.array([f"images/{c}_{t}.png" for c, t in rows]),
            camera=np.array([c + 1 for c, _ in rows]),
            time_s=np.array([t / RATE for _, t in rows]),
            wh=np.tile(SIZE, (len(rows), 1)),
            K=np.tile(matrix, (len(rows), 1, 1)),
            dist=np.zeros((len(rows), 5)),
            R=np.stack([np.asarray(placed[c].rotation, float) for c, _ in rows]),
            t=np.stack([np.asarray(placed[c].translation, float) for c, _ in rows]),
            joint_names=np.array([name.replace("left_", "l_").replace("right_", "r_") for name in NAMES]),
            joints_3d=np.stack([limbs[t] for _, t in rows]),
            valid=np.ones((len(rows), len(NAMES)), bool),
            box2d=np.stack([self._seen(c, t).box for c, t in rows]),
        )

    def detect(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """The person in a picture, as the camera sees their true keypoints."""
        row = round((float(image.mean()) - 20) / 10)
        return [self._seen(row // INSTANTS, row % INSTANTS)]

    def _seen(self, number: int, instant: int) -> Detection:
        camera = cameras()[number]
        seen = camera.project(camera.world_to_camera(self._keypoints[instant])).numpy()
        keypoints = np.column_stack([seen[:, :2], np.ones(17)]).astype(np.float32)
        return Detection(keypoint_box(keypoints), keypoints, "coco17", 0.9)


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path)


def test_frames_of_a_camera_are_a_clip_beside_each_frame_alone(scene):
    (method,) = methods_of(["proxy"], fit=True)
    source, body = f"multiview:{scene.folder}", load_body("neutral")
    alone, together = compare_clips([method], source, body, detections=scene.detect, detector=scene.detect)
    assert (alone.settings["method"], together.settings["method"]) == ("proxy + fit", "proxy + fit, clips")
    for report in (alone, together):
        assert len(report.names) == 2 * INSTANTS and report.found.all() and report.mean("pa_mpjpe") < 60
    assert together.mean("acceleration_camera") < 15


def test_single_pictures_are_no_clips():
    body = load_body("neutral")
    data = synthetic_set(body, resolution=64).thinned(2)
    with pytest.raises(InputError, match="they name no sequences"):
        evaluate_clips(Reconstructor(detector=lambda image, boxes=None: []), data)


def test_two_cameras_place_the_person_in_the_world(scene):
    reports = evaluate_views(Reconstructor(detector=scene.detect), read_multiview(scene.folder), [2])
    assert [(report.cameras, report.takes, report.fits) for report in reports] == [
        (2, False, INSTANTS),
        (2, True, INSTANTS),
    ]
    for report in reports:
        assert report.absolute < 30 and report.aligned < 30
    assert reports[1].acceleration < 5


def test_cameras_are_found_from_the_person(scene, capsys):
    samples = read_multiview(scene.folder)
    reports = evaluate_uncalibrated(Reconstructor(detector=scene.detect), samples, [2], instants=2)
    assert [(r.instants, r.guessed, r.bodies) for r in reports] == [
        (1, False, 2),
        (2, False, 2),
        (1, True, 2),
        (2, True, 2),
    ]
    for report in reports:
        assert report.turn < 15 and report.aligned < 40 and report.aligned < report.similar + 1 < report.first + 2
        assert report.guessed or report.focal < 1e-6
    print_uncalibrated(reports)
    assert "cameras found from one person" in capsys.readouterr().out
