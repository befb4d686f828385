"""The fit of a track: one shape, smooth motion, bridged gaps, standing feet, and windows that leave no trace."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, Mask, keypoint_box
from meshrec.fit import Fitter, Initial
from meshrec.fit.feet import foot_points
from meshrec.fit.sequence import SequenceFitter, SequenceSettings, weighted_median
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.geometry.tangent import turned
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.metrics import acceleration_error
from meshrec.poses.named_poses import named_pose
from meshrec.render import silhouette

CAMERA = Camera(900.0, size=(640, 720))
RATE = 20.0


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body.truncated(10))


def wave(count: int) -> BodyState:
    """Someone who stands with both feet, sways, and waves the arms."""
    times = torch.arange(count, dtype=torch.float64) / RATE
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    turns = torch.zeros(count, 24, 3, dtype=torch.float64)
    turns[:, 16, 0] = -0.6 + 0.5 * torch.sin(2.0 * times)
    turns[:, 17, 0] = -0.6 + 0.5 * torch.sin(3.0 * times)
    turns[:, 3, 1] = 0.3 * torch.sin(1.5 * times)
    rotations = turned(rotations, turns)
    rotations[:, 0] = CAMERA_TO_Y_UP.double()
    place = torch.tensor([0.0, 0.1, 4.0], dtype=torch.float64).expand(count, 3)
    betas = torch.tensor([0.5, -0.5, *[0.0] * 8], dtype=torch.float64).expand(count, 10)
    return BodyState(rotations, place, betas)


def seen(fitter, state: BodyState, noise: float = 0.004, camera: Camera = CAMERA, seed: int = 0) -> list[Detection]:
    pixels = camera.project(landmark_positions(fitter.landmarks("mediapipe33"), state))[..., :2].numpy()
    rng, found = np.random.default_rng(seed), []
    for points in pixels:
        keypoints = np.concatenate([points, np.ones((33, 1))], 1).astype(np.float32)
        box = keypoint_box(keypoints, camera.size)
        keypoints[:, :2] += noise * (box[2:] - box[:2]).max() * rng.normal(size=(33, 2))
        found.append(Detection(box, keypoints, "mediapipe33", 0.9))
    return found


def guesses(state: BodyState, seed: int = 1) -> Initial:
    """What a regressor estimates: the truth with errors in each frame."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    count = len(state)
    place = state.translation + torch.tensor([0.02, 0.02, 0.15]) * random(count, 3)
    rough = BodyState(
        turned(state.rotations, 0.15 * random(count, 24, 3)), place, state.betas + 0.4 * random(count, 10)
    )
    return Initial.from_deviations(rough, turn=0.2, beta=0.5)


def state_of(fit) -> BodyState:
    parts = (fit.rotations, fit.translation, np.tile(fit.betas, (len(fit.rotations), 1)))
    return BodyState(*(torch.tensor(part, dtype=torch.float64) for part in parts))


def joints_of(fitter, state: BodyState) -> torch.Tensor:
    return landmark_positions(fitter.skeleton, state)


def times_of(count: int) -> np.ndarray:
    return np.arange(count) / RATE


def test_motion_is_smoother_and_nearer_the_truth_than_frames_alone(fitter):
    truth = wave(16)
    detections, initial = seen(fitter, truth), guesses(truth)
    alone = fitter(detections, CAMERA, initial)
    apart = BodyState(
        *(
            torch.tensor(np.stack([getattr(r, name) for r in alone]), dtype=torch.float64)
            for name in ("rotations", "translation", "betas")
        )
    )
    fit = SequenceFitter(fitter)(detections, times_of(16), CAMERA, initial)
    true = joints_of(fitter, truth)
    shaky, smooth = (joints_of(fitter, state) for state in (apart, state_of(fit)))
    assert acceleration_error(smooth, true) < 0.3 * acceleration_error(shaky, true)
    assert (smooth - true).norm(dim=-1).mean() < 0.8 * (shaky - true).norm(dim=-1).mean()
    assert fit.betas.shape == (10,) and fit.score.min() > 0.3 and fit.reprojection_error.max() < 0.02
    assert np.isnan(fit.mask_iou).all()
    # Gravity is that of a level camera.
    assert fit.gravity.direction[1] > 0.97


def test_smoothness_is_one_knob(fitter):
    truth = wave(12)
    detections, initial = seen(fitter, truth, noise=0.01), guesses(truth)
    shaking = []
    for smooth in (0.0, 0.3, 0.7):
        settings = SequenceSettings(smooth=smooth, standing=False)
        fit = SequenceFitter(fitter, settings)(detections, times_of(12), CAMERA, initial)
        joints = joints_of(fitter, state_of(fit))
        shaking.append(float(acceleration_error(joints, torch.zeros_like(joints))))
    assert all(after < before for before, after in pairwise(shaking))
    with pytest.raises(ValueError, match="smooth is a number from 0 to 1"):
        SequenceSettings(smooth=1.5)


def test_windows_leave_no_trace(fitter):
    """The result hardly depends on where windows begin."""
    truth = wave(40)
    detections, initial = seen(fitter, truth), guesses(truth)
    places = []
    for window in (40, 16, 21):
        settings = SequenceSettings(window=window)
        fit = SequenceFitter(fitter, settings)(detections, times_of(40), CAMERA, initial)
        places.append(joints_of(fitter, state_of(fit)))
    apart = [(other - places[0]).norm(dim=-1) for other in places[1:]]
    assert max(float(gap.mean()) for gap in apart) < 0.0003
    assert max(float(gap.max()) for gap in apart) < 0.0015


def test_gaps_are_bridged(fitter):
    truth = wave(30)
    found: list[Detection | None] = list(seen(fitter, truth))
    initial = guesses(truth)
    whole = SequenceFitter(fitter)(found, times_of(30), CAMERA, initial)
    found[10:18] = [None] * 8
    initial.state.rotations[10:18] = torch.nan  # these are not read
    fit = SequenceFitter(fitter)(found, times_of(30), CAMERA, initial)
    joints, true = joints_of(fitter, state_of(fit)), joints_of(fitter, truth)
    gap = slice(10, 18)
    assert (joints[gap] - true[gap]).norm(dim=-1).mean() < 0.1
    moves = (joints[1:] - joints[:-1]).norm(dim=-1).amax(1)
    assert moves.max() < 0.06  # no jump where the gap begins or ends
    assert (fit.score[gap] == 0).all() and np.isnan(fit.reprojection_error[gap]).all() and fit.score[:10].min() > 0
    assert fit.joint_deviation[14].mean() > 1.2 * whole.joint_deviation[14].mean()


def test_frames_beyond_the_ends_and_long_gaps_are_filled(fitter):
    truth = wave(50)
    found: list[Detection | None] = list(seen(fitter, truth))
    for gap in (slice(0, 2), slice(8, 42), slice(48, 50)):
        found[gap] = [None] * len(range(50)[gap])
    fit = SequenceFitter(fitter)(found, times_of(50), CAMERA, guesses(truth))
    assert np.isfinite(fit.rotations).all() and np.isfinite(fit.translation).all()
    np.testing.assert_allclose(fit.translation[0], fit.translation[2], atol=1e-5)
    assert (fit.score > 0).tolist() == [detection is not None for detection in found]
    assert (fit.joint_deviation[20] == 1).all()  # unknown


def test_feet_that_stand_do_not_slide(fitter):
    truth = wave(16)
    detections, initial = seen(fitter, truth, noise=0.008), guesses(truth)
    slides = {}
    for standing in (False, True):
        settings = SequenceSettings(standing=standing)
        fit = SequenceFitter(fitter, settings)(detections, times_of(16), CAMERA, initial)
        assert fit.contacts.mean() > 0.9
        points = landmark_positions(foot_points(fitter.body), state_of(fit))
        slides[standing] = float((points[1:] - points[:-1]).norm(dim=-1).mean())
    assert slides[True] < 0.003 and slides[True] < 0.6 * slides[False]


def test_a_turning_camera_sees_the_same_motion(fitter):
    truth = wave(16)
    detections, initial = seen(fitter, truth), guesses(truth)
    still = SequenceFitter(fitter)(detections, times_of(16), CAMERA, initial)
    angles = torch.zeros(16, 3, dtype=torch.float64)
    angles[:, 1] = torch.linspace(0, 0.25, 16)
    turns = axis_angle_to_matrix(angles)
    pelvis = torch.from_numpy(LandmarkMoments.of_body(fitter.body, "smpl24").rest_joints[0])
    # The pelvis of the mean shape is near enough that of the true one: both clips show nearly the same.

    def turn(state: BodyState) -> BodyState:
        lever = pelvis + torch.from_numpy(fitter.skeleton.joint_shapes[0]) @ state.betas[0]
        place = (turns @ (lever + state.translation)[..., None]).squeeze(-1) - lever
        root = turns @ state.rotations[:, 0]
        return BodyState(torch.cat([root[:, None], state.rotations[:, 1:]], 1), place, state.betas)

    panned = turn(truth)
    there = seen(fitter, panned)
    moved = Initial(guesses(panned).state, initial.whiten)
    fit = SequenceFitter(fitter)(there, times_of(16), CAMERA, moved, turns=turns.numpy())
    world = joints_of(fitter, state_of(fit)) @ turns
    true = joints_of(fitter, truth)
    assert acceleration_error(world, true) < 2 * acceleration_error(joints_of(fitter, state_of(still)), true)
    assert (world - true).norm(dim=-1).mean() < 0.1


def test_a_zoom_is_no_motion(fitter):
    truth = wave(16)
    cameras = [replace(CAMERA, focal=(900.0 + 10 * t, 900.0 + 10 * t)) for t in range(16)]
    detections = [seen(fitter, truth[t : t + 1], 0.002, camera, seed=t)[0] for t, camera in enumerate(cameras)]
    fit = SequenceFitter(fitter)(detections, times_of(16), cameras, guesses(truth))
    joints = joints_of(fitter, state_of(fit))
    depth = joints[:, 0, 2]
    assert float(depth.max() - depth.min()) < 0.1 and fit.reprojection_error.max() < 0.02


def test_masks_are_matched(fitter):
    truth = wave(6)
    vertices = fitter.body(
        *(p.float() for p in (truth.betas, truth.rotations[:, 1:], truth.rotations[:, 0], truth.translation))
    ).vertices
    edges = np.array([-0.5, -0.5, CAMERA.size[0] - 0.5, CAMERA.size[1] - 0.5])
    detections = [
        replace(d, mask=Mask((255 * silhouette(v[None], fitter.body.faces, CAMERA)[0]).byte().numpy(), edges))
        for d, v in zip(seen(fitter, truth), vertices)
    ]
    fit = SequenceFitter(fitter)(detections, times_of(6), CAMERA, guesses(truth))
    assert fit.mask_iou.min() > 0.85


def test_the_shape_is_that_of_frames_that_are_seen(fitter):
    truth = wave(6)
    found: list[Detection | None] = list(seen(fitter, truth))
    found[0] = found[4] = None
    fit = SequenceFitter(fitter)(found, times_of(6), CAMERA, guesses(truth))
    assert np.abs(fit.betas - truth.betas[0].numpy()).mean() < 0.6
    assert np.isfinite(fit.translation).all()


def test_one_frame_is_a_track(fitter):
    truth = wave(1)
    fit = SequenceFitter(fitter)(seen(fitter, truth), np.zeros(1), CAMERA, guesses(truth))
    assert (joints_of(fitter, state_of(fit)) - joints_of(fitter, truth)).norm(dim=-1).mean() < 0.1
    assert not fit.contacts.any()


def test_the_median_leaves_outliers_out():
    values = torch.tensor([[1.0, 5.0], [2.0, 6.0], [100.0, -90.0]])
    assert weighted_median(values, torch.ones(3, 2)).tolist() == [2.0, 5.0]
    # Weights of whole numbers are repetitions.
    generator = torch.Generator().manual_seed(0)
    values, counts = torch.randn(7, 1, generator=generator), torch.tensor([1, 2, 1, 3, 1, 2, 1])
    repeated = values[:, 0].repeat_interleave(counts).median()
    assert weighted_median(values, counts[:, None].double()).item() == repeated


@pytest.mark.parametrize(
    "change, message",
    [
        ({"detections": [None, None]}, "a track needs a detection"),
        ({"times": np.zeros(2)}, "times must ascend"),
        ({"times": np.arange(3.0)}, "2 detections need as many times"),
    ],
)
def test_wrong_arguments_are_refused(fitter, change, message):
    truth = wave(2)
    given = {"detections": seen(fitter, truth), "times": times_of(2), "camera": CAMERA, "initial": guesses(truth)}
    with pytest.raises(ValueError, match=message):
        SequenceFitter(fitter)(**{**given, **change})
