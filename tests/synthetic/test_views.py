"""Simulated cameras around a person: all see the whole person, where the person is."""

import numpy as np
import torch

from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.synthetic.clips import read_take
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.views import looking_at, simulate_views


def test_all_cameras_see_the_person(body, shared):
    take = read_take(shared / "mocap" / "everyday" / "walking_extra_test_6.bvh")
    views = simulate_views(take, body, slice(2, 42, 20), seed=3, count=3, noise=EXACT, joints="coco17")
    assert len(views.detections) == len(views.cameras) == 3 and len(views.state) == len(views.times) == 2
    hips = landmark_positions(LandmarkMoments.of_body(body, "smpl24"), views.state)[:, [1, 2]]
    for camera, found in zip(views.cameras, views.detections):
        pixels = camera.project(camera.world_to_camera(hips))[..., :2].numpy()
        for seen, person in zip(pixels, found):
            assert (person.keypoints[:, :2] > 0).all() and (person.keypoints[:, :2] < camera.size).all()
            size = float((person.box[2:] - person.box[:2]).max())
            assert np.linalg.norm(person.keypoints[[11, 12], :2] - seen, axis=1).max() < 0.1 * size
            assert size > 0.25 * camera.size[1]


def test_people_stand_upright_in_pictures_of_level_cameras():
    for eye in ([3.0, 1.5, 0.0], [-1.0, 2.0, -3.0]):
        camera = looking_at(np.array(eye), np.array([0.0, 1.0, 0.0]), 400.0, (300, 300))
        heights = torch.tensor([[0.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 1.8, 0.0]])
        x, y, depth = camera.project(camera.world_to_camera(heights)).T
        assert (x - 149.5).abs().max() < 1e-3 and (y.diff() < 0).all() and (depth > 0).all()
        assert abs(float(y[1]) - 149.5) < 1e-3
