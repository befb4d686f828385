"""Clips of motion capture in front of a camera that stands still, with simulated detections whose errors last.

The errors of a detector are alike in neighbouring frames: an elbow that is placed too low stays too low for a while.
Simulated errors are therefore a first-order autoregressive process with the time constant :data:`LASTING`, whose
distribution in each frame is close to that of :mod:`meshrec.synthetic.detector_noise`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.model import BodyOutput
from meshrec.body.state import BodyState
from meshrec.data.streams import Streams
from meshrec.detect.people import Detection, Mask, keypoint_box
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.motion.acclaim import read_acclaim
from meshrec.motion.bvh import read_bvh
from meshrec.motion.motion import Motion
from meshrec.motion.retargeting import retarget, retarget_translation
from meshrec.synthetic.detector_noise import DetectorNoise, detected, detected_masks, detector_offsets
from meshrec.synthetic.visibility import behind_surface, visible_faces

HELD_OUT_TAKES = {
    "bvh/martial_09.bvh": 120, "everyday/walking_extra_test_14.bvh": 2, "everyday/running_test_1.bvh": 3,
    "everyday/jumping_test_1a.bvh": 10, "bvh/indian_13.bvh": 200, "amc/03_03.amc": 40,
}  # fmt: skip
"""Takes of motion capture that no shipped network or prior was trained on, and a frame of each to begin at."""


LASTING = 0.5  # seconds in which the correlation of errors falls by the factor e
CAPTURE_RATE = 30.0  # frames per second of the takes
MARGIN = 1.15  # side of the picture, as a multiple of what the person covers in the whole clip
NOISE = DetectorNoise(swapped=0.0, fewer=0.0)  # exchanged sides are for the detector's own treatment


@dataclass(frozen=True)
class SyntheticClip:
    """One person in T frames.

    Attributes:
        state: The true bodies in camera space.
        camera: The camera.
        up: (3,) direction against gravity in camera space.
        times: (T,) seconds.
        detections: What a detector reports.
    """

    state: BodyState
    camera: Camera
    up: np.ndarray
    times: np.ndarray
    detections: list[Detection]


def read_take(path: str | Path) -> Motion:
    """Read a take of CMU's motion capture by its suffix, ``.bvh`` or ``.amc`` with its skeleton beside it.

    Raises:
        InputError: It cannot be read.
    """
    path = Path(path)
    if path.suffix == ".bvh":
        return read_bvh(path)
    return read_acclaim(path.with_name(path.stem.split("_")[0] + ".asf"), path, 1 / CAPTURE_RATE)


@torch.no_grad()
def simulate_clip(
    motion: Motion,
    body: BodyModel,
    frames: slice,
    seed: int = 0,
    size: tuple[int, int] = (480, 480),
    noise: DetectorNoise = NOISE,
    joints: str = "mediapipe33",
) -> SyntheticClip:
    """Film a part of a take.

    The camera stands at a random side, looks down by up to 20 degrees and sees the person in all frames.

    Args:
        motion: The take.
        body: The person's body; its betas are random.
        frames: The frames of the take.
        seed: Seed of everything random.
        size: (W, H) of the picture, pixels.
        noise: The detector's errors.
        joints: Joint set of the detections.
    """
    rng = np.random.default_rng(seed)
    betas = torch.from_numpy(rng.normal(0, 0.8, body.num_betas)).float()[None]
    rest = body.rest(betas)[1][0].double().numpy()
    rotations = retarget(motion, rest)
    translation = retarget_translation(motion, rotations, rest)[frames]
    rotations = rotations[frames]
    yaw, pitch = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, np.radians(20))
    level = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0], dtype=torch.float64))
    look = axis_angle_to_matrix(torch.tensor([-pitch, 0.0, 0.0], dtype=torch.float64)) @ CAMERA_TO_Y_UP.double()
    turn = (look @ level).numpy()
    # A body turns about its pelvis, the world about its origin.
    place = (rest[0] + translation) @ turn.T
    rotations[:, 0] = turn @ rotations[:, 0]
    focal = 1.1 * max(size)
    camera = Camera(focal, size=size)
    place -= (place.max(0) + place.min(0)) / 2
    state = BodyState(
        torch.from_numpy(rotations), torch.from_numpy(place - rest[0]), betas.double().expand(len(place), -1)
    )
    out = _posed(body, state)
    wide = MARGIN * torch.tensor([1.1 * max(size) / size[0], 1.1 * max(size) / size[1]])
    points = out.vertices
    depth = float(((points[..., :2].abs() * 2 * wide) - points[..., 2:]).max())
    state = replace(state, translation=state.translation + torch.tensor([0.0, 0.0, depth]))
    numbers = np.arange(len(motion))[frames]
    times = (numbers - numbers[0]) * motion.frame_time
    detections = simulate_detections(body, state, camera, times, seed, noise, joints)
    return SyntheticClip(state, camera, turn @ [0.0, 1.0, 0.0], times, detections)


@torch.no_grad()
def simulate_detections(
    body: BodyModel,
    state: BodyState,
    camera: Camera,
    times: np.ndarray,
    seed: int = 0,
    noise: DetectorNoise = NOISE,
    joints: str = "mediapipe33",
) -> list[Detection]:
    """What a detector would report of one person in T frames.

    Args:
        body: The body.
        state: T bodies in camera space.
        camera: The camera.
        times: (T,) seconds.
        seed: Seed of the errors.
        noise: Sizes and frequencies of the errors.
        joints: Joint set of the detections.
    """
    streams = Streams(seed, range(len(times)), "clip")
    found, masks = [], []
    out = _posed(body, state)
    offsets = detector_offsets(joints, out.rotations.float())
    points = body.joints_from(out.vertices, joints) + offsets
    pixels = camera.project(points)[..., :2]
    for t in range(len(times)):
        faces, depth = visible_faces(out.vertices[t : t + 1], body.faces, camera)
        found.append(behind_surface(pixels[t : t + 1], points[t : t + 1, :, 2], faces, body.faces, depth))
        masks.append(faces >= 0)
    hidden, exact = torch.cat(found), torch.cat(masks)
    side = (pixels.amax(1) - pixels.amin(1)).amax(1)
    reported = detected(pixels, hidden, side, joints, streams, noise)
    share = np.exp(-np.diff(times) / LASTING)
    errors = lasting((reported[..., :2] - pixels) / side[:, None, None], share)
    # Confidence lasts too: its logit does.
    logit = reported[..., 2].clamp(0.01, 0.99).logit()
    mean = logit.mean(0)
    confidence = (mean + lasting(logit - mean, share)).sigmoid()
    keypoints = torch.cat([pixels + errors * side[:, None, None], confidence[..., None]], -1).numpy()
    blocks = (times // LASTING).astype(int)  # the outlines' errors stay the same for a while
    inside = torch.ones_like(exact[0])
    result = []
    for t, points_of in enumerate(keypoints):
        box = keypoint_box(points_of, camera.size)
        cut = detected_masks(exact[t : t + 1], inside, Streams(seed, [int(blocks[t])], "clip mask"), noise.mask)[0]
        edges = np.array([-0.5, -0.5, camera.size[0] - 0.5, camera.size[1] - 0.5])
        result.append(Detection(box, points_of, joints, 0.9, Mask((255 * cut).byte().numpy(), edges)))
    return result


def lasting(values: Tensor, share: np.ndarray) -> Tensor:
    """Make independent values (T, ...) a first-order autoregressive process of the same variance.

    Args:
        values: T independent draws.
        share: (T - 1,) correlation of each value with the one before it.
    """
    result = values.clone()
    for t, r in enumerate(share.tolist(), start=1):
        result[t] = r * result[t - 1] + (1 - r**2) ** 0.5 * values[t]
    return result


def _posed(body: BodyModel, state: BodyState) -> BodyOutput:
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    return body(*(part.float() for part in parts))
