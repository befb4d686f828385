"""Cameras around one person, and what a detector without errors sees in them."""

import numpy as np
import torch

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, Mask, keypoint_box, photo_edges
from meshrec.fit import Fitter
from meshrec.fit.in_view import ViewSpace
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.render import silhouette
from meshrec.synthetic.views import looking_at

SIZE = (480, 480)


def ring(count: int, of: int = 4, first: float = 20.0) -> list[Camera]:
    """``count`` of the ``of`` cameras of a ring, 4 m around a person whose pelvis is 0.95 m above the origin."""
    cameras = []
    for number in range(count):
        angle = np.radians(first + 360 * number / of)
        eye = np.array([4 * np.sin(angle), 1.2 + 0.3 * (number % 2), 4 * np.cos(angle)])
        cameras.append(looking_at(eye, np.array([0.0, 0.95, 0.0]), 400.0 + 10 * number, SIZE))
    return cameras


def seen_by(
    fitter: Fitter, state: BodyState, camera: Camera, noise: float = 0.0, masks: bool = False, seed: int = 0
) -> list[Detection]:
    """What a detector with MediaPipe's landmarks sees of bodies in the world; noise: share of the box."""
    local = ViewSpace.of(camera, fitter.skeleton).from_world(state)
    pixels = camera.project(landmark_positions(fitter.landmarks("mediapipe33"), local))[..., :2].numpy()
    rng, found = np.random.default_rng(seed), []
    for i, points in enumerate(pixels):
        keypoints = np.concatenate([points, np.ones((33, 1))], 1).astype(np.float32)
        box = keypoint_box(keypoints, camera.size)
        keypoints[:, :2] += noise * (box[2:] - box[:2]).max() * rng.normal(size=(33, 2))
        found.append(Detection(box, keypoints, "mediapipe33", 0.9, drawn(fitter, local[i : i + 1], camera, masks)))
    return found


def drawn(fitter: Fitter, local: BodyState, camera: Camera, masks: bool) -> Mask | None:
    if not masks:
        return None
    parts = (local.betas, local.rotations[:, 1:], local.rotations[:, 0], local.translation)
    vertices = fitter.body(*(part.float() for part in parts)).vertices
    coverage = silhouette(vertices, fitter.body.faces, Camera(camera.focal, camera.center, camera.size))[0]
    return Mask((255 * coverage).byte().numpy(), photo_edges(camera.size))


def joints_of(fitter: Fitter, state: BodyState) -> torch.Tensor:
    return landmark_positions(fitter.skeleton, state)
