"""People of the open body around whom several cameras stand, and what detectors of these cameras would see."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

import meshrec
from meshrec.data.streams import Streams
from meshrec.detect import Detection
from meshrec.detect.people import keypoint_box
from meshrec.detect.sides import exchanged
from meshrec.geometry import Camera
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.synthetic.detector_noise import DetectorNoise, detected

JOINTS = "coco17"
SIZE = (1280, 720)


def ring(count: int, radius: float = 4.5, seed: int = 0, step: float | None = None) -> list[Camera]:
    """Cameras around the origin of a world with y up, at different heights, that look at a place 1 m above it.

    They stand evenly all around, two of them at a right angle, or about ``step`` radians from each other.
    """
    random = np.random.default_rng((seed, count))
    step = 2 * np.pi / max(count, 4 if count == 2 else 1) if step is None else step
    cameras = []
    for i in range(count):
        angle = step * i + random.normal(0, 0.1)
        place = np.array([radius * np.sin(angle), random.uniform(1.2, 2.2), radius * np.cos(angle)])
        cameras.append(looking(place, np.array([0, 1.0, 0]), 900 + 40 * i))
    return cameras


def looking(place: np.ndarray, at: np.ndarray, focal: float) -> Camera:
    """An upright camera at a place of a world with y up."""
    forward = (at - place) / np.linalg.norm(at - place)
    right = np.cross(forward, [0, 1.0, 0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return Camera(focal, size=SIZE, rotation=rotation, translation=-rotation @ place)


@cache
def _bank():
    return load_pose_bank("held_out", upright=True)


def posed(poses: np.ndarray, betas: np.ndarray, places: np.ndarray, headings: np.ndarray) -> np.ndarray:
    """Keypoints of people in a world with y up, their feet at height 0.

    Args:
        poses: (N,) indices of held-out poses.
        betas: (N, 10).
        places: (N, 2) x and z, metres.
        headings: (N,) further turn about the vertical, radians.

    Returns:
        (N, 17, 3) metres.
    """
    body = meshrec.load_body("neutral")
    rotations = _bank().rotations(torch.as_tensor(poses))
    with torch.no_grad():
        vertices = body(torch.as_tensor(betas, dtype=torch.float32), rotations[:, 1:], rotations[:, 0]).vertices
        points = body.joints_from(vertices, JOINTS).double().numpy()
    low = vertices[..., 1].amin(1).numpy()
    middle = points[:, [11, 12]].mean(1)
    points = points - np.stack([middle[:, 0], low, middle[:, 2]], 1)[:, None]
    cos, sin, zero = np.cos(headings), np.sin(headings), np.zeros(len(headings))
    turn = np.stack([cos, zero, sin, zero, zero + 1, zero, -sin, zero, cos], 1).reshape(-1, 3, 3)
    return points @ turn.swapaxes(1, 2) + np.stack([places[:, 0], zero, places[:, 1]], 1)[:, None]


def standing_around(count: int, seed: int, apart: float = 0.7, reach: float = 1.5) -> np.ndarray:
    """Keypoints (N, 17, 3) of people of random shapes in random upright poses, at least some distance apart."""
    random = np.random.default_rng((seed, count))
    places: list[np.ndarray] = []
    while len(places) < count:
        place = random.uniform(-reach, reach, 2)
        if all(np.linalg.norm(place - other) >= apart for other in places):
            places.append(place)
    poses = random.integers(len(_bank()), size=count)
    return posed(poses, random.normal(0, 1, (count, 10)), np.array(places), random.uniform(0, 2 * np.pi, count))


def pixels_of(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) of the world."""
    flat = torch.from_numpy(points.reshape(-1, 3))
    return camera.project(camera.world_to_camera(flat))[:, :2].numpy().reshape(*points.shape[:-1], 2)


def detection(pixels: np.ndarray, confidence: np.ndarray) -> Detection:
    """A detection at exact pixels (17, 2)."""
    keypoints = np.concatenate([pixels, confidence[:, None]], 1).astype(np.float32)
    return Detection(keypoint_box(keypoints), keypoints, JOINTS, 0.9)


def noisy(points: np.ndarray, camera: Camera, random: np.random.Generator, noise: float = 0.03) -> list[Detection]:
    """Detections of all people with Gaussian errors, a share of the longer side of the box; a fifth of the keypoints is
    doubtful, and has twice the error."""
    found = []
    for pixels in pixels_of(points, camera):
        side = np.ptp(pixels, axis=0).max()
        doubtful = random.random(len(pixels)) < 0.2
        error = random.normal(0, noise * side, pixels.shape) * np.where(doubtful, 2, 1)[:, None]
        confidence = np.where(doubtful, random.uniform(0.2, 0.6, len(pixels)), random.uniform(0.7, 1, len(pixels)))
        found.append(detection(pixels + error, confidence))
    return found


def simulated(points: np.ndarray, camera: Camera, seed: int, noise: DetectorNoise = DetectorNoise()) -> list[Detection]:
    """Detections of all people with the errors of a real detector; keypoints are hidden at random."""
    pixels = torch.from_numpy(pixels_of(points, camera)).float()
    random = np.random.default_rng(seed)
    hidden = torch.from_numpy(random.random(pixels.shape[:2]) < 0.2)
    side = (pixels.amax(1) - pixels.amin(1)).amax(1)
    keypoints = detected(pixels, hidden, side, JOINTS, Streams(seed, range(len(points)), "around"), noise).numpy()
    return [Detection(keypoint_box(k), k, JOINTS, 0.9) for k in keypoints]


def shuffled(
    seen: list[list[Detection]], random: np.random.Generator, missing: float = 0.0, swapped: float = 0.0
) -> tuple[list[list[Detection]], list[list[int]], list[list[bool]]]:
    """The detections of each camera in random order, some of them missing or with left and right exchanged.

    Args:
        seen: Of each camera all people, in the same order.
        random: Decides.
        missing, swapped: Shares of detections.

    Returns:
        Of each camera the detections, whom each shows, and whether its sides are exchanged.
    """
    people, names, turned = [], [], []
    for found in seen:
        order = [int(i) for i in random.permutation(len(found)) if random.random() >= missing]
        turns = [bool(random.random() < swapped) for _ in order]
        people.append([exchanged(found[i]) if turn else found[i] for i, turn in zip(order, turns)])
        names.append(order)
        turned.append(turns)
    return people, names, turned
