"""People who walk about among several cameras, whose trackers lose and exchange them where they cover each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from helpers.around import SIZE, noisy, posed
from meshrec.detect import Detection
from meshrec.detect.people import box_iou
from meshrec.detect.tracking import Sighting
from meshrec.geometry import Camera


def walkers(paths: np.ndarray, seed: int, step: int = 3) -> np.ndarray:
    """Keypoints (T, N, 17, 3) of people of random shapes who move as the captured people of the pose bank do.

    Args:
        paths: (T, N, 2) x and z, metres.
        seed: Of poses and shapes.
        step: Captured poses from one instant to the next; there are about 30 in a second.
    """
    random = np.random.default_rng(seed)
    times, count = paths.shape[:2]
    first = random.integers(0, 400, count)
    poses = (first + step * np.arange(times)[:, None]).ravel()
    betas = np.tile(random.normal(0, 1, (count, 10)), (times, 1))
    moved = posed(poses, betas, paths.reshape(-1, 2), np.tile(random.uniform(0, 6, count), times))
    return moved.reshape(times, count, 17, 3)


def crossing_paths(times: np.ndarray, apart: float = 0.6, way: float = 1.5) -> np.ndarray:
    """Two people who walk past each other along x, (T, 2, 2)."""
    share = (times - times[0]) / (times[-1] - times[0]) * 2 - 1
    half = np.full_like(share, apart / 2)
    return np.stack([np.stack([way * share, half], 1), np.stack([-way * share, -half], 1)], 1)


def wandering_paths(times: np.ndarray, count: int, seed: int, reach: float = 1.6, apart: float = 0.55) -> np.ndarray:
    """People who walk on ellipses of their own and keep clear of each other, (T, N, 2)."""
    random = np.random.default_rng(seed)
    size, speed = random.uniform(0.4, reach, (count, 2)), random.uniform(0.3, 0.9, (count, 2))
    start = random.uniform(0, 2 * np.pi, (count, 2))
    paths = size * np.sin(start + speed * times[:, None, None])
    for _ in range(50):  # push apart who comes too close
        between = paths[:, :, None] - paths[:, None]
        distance = np.linalg.norm(between, axis=-1) + 10 * np.eye(count)
        push = np.maximum(apart - distance, 0) / 2
        paths = paths + ((push / distance)[..., None] * between).sum(2)
    return paths


@dataclass
class PoorTracker:
    """A camera's tracker that does not see who is covered by somebody nearer, gives them a new number when it has
    lost them for long, and may exchange two people after one has covered the other."""

    camera: Camera
    random: np.random.Generator
    noise: float = 0.03
    covered: float = 0.55
    exchange: float = 0.5
    missing: float = 0.03
    memory: int = 10
    numbers: dict[int, int] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    met: set[frozenset[int]] = field(default_factory=set)
    next: int = 0

    def step(self, points: np.ndarray, present: np.ndarray) -> tuple[list[Sighting], list[int]]:
        """Sightings of people (N, 17, 3) of whom some are present, and whom each shows."""
        names = np.flatnonzero(present)
        found: list[Detection] = noisy(points[names], self.camera, self.random, self.noise)
        center = -np.array(self.camera.rotation).T @ np.array(self.camera.translation)
        far = np.linalg.norm(points[names].mean(1) - center, axis=1)
        boxes = np.array([one.box for one in found]).reshape(-1, 4)
        overlap = box_iou(boxes, boxes)
        seen = []
        for i, name in enumerate(names):
            middle = (boxes[i, :2] + boxes[i, 2:]) / 2
            hidden = any(far[k] < far[i] and overlap[i, k] > self.covered for k in range(len(names)) if k != i)
            if hidden:
                self.met |= {
                    frozenset((int(name), int(names[k]))) for k in range(len(names)) if overlap[i, k] > 0 and k != i
                }
            inside = (middle > 0).all() and (middle < SIZE).all()
            if inside and not hidden and self.random.random() >= self.missing:
                seen.append(i)
        for pair in list(self.met):
            a, b = pair
            rows = [i for i in seen if names[i] in pair]
            if len(rows) == 2 and overlap[rows[0], rows[1]] < 0.2:
                self.met.discard(pair)
                if a in self.numbers and b in self.numbers and self.random.random() < self.exchange:
                    self.numbers[a], self.numbers[b] = self.numbers[b], self.numbers[a]
        for name in list(self.numbers):
            self.lost[name] = 0 if name in names[seen] else self.lost.get(name, 0) + 1
            if self.lost[name] > self.memory:
                del self.numbers[name]
        result = []
        for i in seen:
            name = int(names[i])
            if name not in self.numbers:
                self.numbers[name], self.next = self.next, self.next + 1
            result.append((Sighting(self.numbers[name], found[i]), name))
        result.sort(key=lambda pair: pair[0].track)
        return [sighting for sighting, _ in result], [name for _, name in result]
