"""Clips of motion capture: people who stay in the picture, and errors that last."""

import numpy as np
import torch

from meshrec.body import joint_index
from meshrec.body.state import BodyState
from meshrec.geometry import CAMERA_TO_Y_UP, Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.motion.motion import Motion, Skeleton
from meshrec.motion.retargeting import DAZ_JOINTS, retarget, retarget_translation
from meshrec.synthetic.clips import LASTING, read_take, simulate_clip, simulate_detections
from meshrec.synthetic.detector_noise import EXACT


def test_a_walk_stays_in_the_picture_and_on_its_feet(body, shared):
    take = shared / "mocap" / "everyday" / "walking_extra_test_6.bvh"
    clip = simulate_clip(read_take(take), body, slice(2, 42, 4), noise=EXACT)
    assert len(clip.detections) == len(clip.state) == 10
    for detection in clip.detections:
        assert (detection.keypoints[:, :2] > 0).all() and (detection.keypoints[:, :2] < clip.camera.size).all()
    joints = landmark_positions(LandmarkMoments.of_body(body, "smpl24"), clip.state).numpy()
    lowest = (joints[:, [7, 8, 10, 11]] @ clip.up).min(1)
    assert np.ptp(lowest) < 0.08  # the lower foot stays on one floor
    walked = np.linalg.norm(joints[-1, 0] - joints[0, 0])
    assert 0.8 < walked / clip.times[-1] < 2.5  # metres per second


def test_hips_go_where_those_of_the_take_do(body):
    """A skeleton of twice the body's size moves twice as far."""
    rest = body.rest()[1][0].double().numpy()
    places = {source.joints[-1]: 2 * rest[joint_index(name, "smpl24")] for name, source in DAZ_JOINTS.items()}
    places |= {f"{side[0]}Mid1": 2 * rest[joint_index(f"{side}_hand", "smpl24")] for side in ("left", "right")}
    parents = np.array([-1] + [0] * (len(places) - 1))
    skeleton = Skeleton(tuple(places), parents, np.array(list(places.values())) - places["hip"])
    path = np.linspace([0, 2.0, 0], [1.0, 2.0, 3.0], 5)
    motion = Motion(skeleton, np.tile(np.eye(3), (5, len(places), 1, 1)), path, frame_time=1 / 30)
    rotations = retarget(motion, rest)
    translation = retarget_translation(motion, rotations, rest)
    np.testing.assert_allclose(np.diff(translation, axis=0), np.diff(path, axis=0) / 2, atol=1e-9)
    np.testing.assert_allclose(translation[0] + rest[0], path[0] / 2, atol=1e-9)


def test_errors_last(body):
    """The correlation of a keypoint's errors falls as that of a first-order autoregressive process."""
    count, rate = 90, 30.0
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 24, 1, 1)
    rotations[:, 0] = CAMERA_TO_Y_UP.double()
    place = torch.tensor([0.0, 0.2, 4.0], dtype=torch.float64).expand(count, 3)
    state = BodyState(rotations, place, torch.zeros(count, body.num_betas, dtype=torch.float64))
    camera, times = Camera(150.0, size=(128, 128)), np.arange(count) / rate
    noisy, exact = (
        np.stack([d.keypoints[:, :2] for d in simulate_detections(body, state, camera, times, **noise)])
        for noise in ({}, {"noise": EXACT})
    )
    errors = noisy - exact.mean(0)
    errors = errors - np.median(errors, 0)
    step = np.median(np.abs(np.diff(errors, axis=0))) / np.median(np.abs(errors))
    assert step < 2 * np.sqrt(2 * (1 - np.exp(-1 / rate / LASTING)))
