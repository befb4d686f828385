"""One person of motion capture among several cameras, with simulated detections in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.in_view import ViewSpace
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.motion.motion import Motion
from meshrec.motion.retargeting import retarget, retarget_translation
from meshrec.synthetic.clips import NOISE, simulate_detections
from meshrec.synthetic.detector_noise import DetectorNoise


@dataclass(frozen=True)
class SyntheticViews:
    """One person in T frames of V cameras.

    Attributes:
        state: The true bodies in the world, whose y points up; the floor is at about 0.
        cameras: The cameras, with extrinsics.
        times: (T,) seconds.
        detections: For each camera what a detector reports in each frame.
    """

    state: BodyState
    cameras: list[Camera]
    times: np.ndarray
    detections: list[list[Detection]]


@torch.no_grad()
def simulate_views(
    motion: Motion,
    body: BodyModel,
    frames: slice,
    seed: int = 0,
    count: int = 4,
    distance: float = 4.0,
    size: tuple[int, int] = (480, 480),
    noise: DetectorNoise = NOISE,
    joints: str = "mediapipe33",
) -> SyntheticViews:
    """Film a part of a take by cameras that stand around the person.

    Args:
        motion: The take.
        body: The person's body; its betas are random.
        frames: The frames of the take.
        seed: Seed of everything random.
        count: Number V of cameras, 0.8 to 2.2 metres high: the first of four, or all, of a ring around the person, from
            whose even places each is up to 20 degrees away.
        distance: From the middle of the place where the person moves, metres.
        size: (W, H) of the pictures, pixels.
        noise: The detector's errors, which are independent between cameras.
        joints: Joint set of the detections.
    """
    rng = np.random.default_rng(seed)
    betas = torch.from_numpy(rng.normal(0, 0.8, body.num_betas)).float()[None]
    rest = body.rest(betas)[1][0].double().numpy()
    rotations = retarget(motion, rest)
    place = rest[0] + retarget_translation(motion, rotations, rest)[frames]
    rotations = rotations[frames]
    middle = (place.max(0) + place.min(0)) / 2
    place = place - middle + [0.0, 0.95, 0.0]
    state = BodyState(
        torch.from_numpy(rotations), torch.from_numpy(place - rest[0]), betas.double().expand(len(place), -1)
    )
    reach = float(np.ptp(place[:, [0, 2]], axis=0).max()) / 2
    far = max(distance, 2.2 + 2.0 * reach)
    skeleton = LandmarkMoments.of_body(body, "smpl24")
    numbers = np.arange(len(motion))[frames]
    times = (numbers - numbers[0]) * motion.frame_time
    cameras, detections = [], []
    first = rng.uniform(-np.pi, np.pi)
    for number in range(count):
        yaw = first + 2 * np.pi * number / max(count, 4) + np.radians(rng.uniform(-20, 20))
        eye = np.array([far * np.sin(yaw), rng.uniform(0.8, 2.2), far * np.cos(yaw)])
        camera = looking_at(eye, np.array([0.0, 0.95, 0.0]), 0.8 * max(size), size)
        local = ViewSpace.of(camera, skeleton).from_world(state)
        plain = Camera(camera.focal, camera.center, camera.size)
        cameras.append(camera)
        detections.append(simulate_detections(body, local, plain, times, 100 * seed + number, noise, joints))
    return SyntheticViews(state, cameras, times, detections)


def looking_at(eye: np.ndarray, target: np.ndarray, focal: float, size: tuple[int, int]) -> Camera:
    """A level camera at ``eye`` (3,) that looks at ``target`` (3,) in a world whose y points up, metres.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from meshrec.synthetic.views import looking_at
        >>> camera = looking_at(np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 0.0]), 500.0, (101, 101))
        >>> above = torch.tensor([[0.0, 1.4, 0.0]])
        >>> camera.project(camera.world_to_camera(above)).round(decimals=3).tolist()
        [[50.0, 0.0, 4.0]]
    """
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    return Camera(focal, size=size, rotation=rotation, translation=-rotation @ eye)
