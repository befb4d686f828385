"""The default detector: MediaPipe Pose over the whole photo, over tiles where there are several people, and once more
per person on crops of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshrec.detect.mediapipe_model import Pose, PoseNetwork, load_model
from meshrec.detect.people import Detection, Mask, box_iou, keypoint_box, pose_distance
from meshrec.detect.views import MIRRORED, SIDE, View, consensus, inverse, show, to_photo

SEARCH_SIDE = 1280  # pixels; the search needs no more, a 0.4 tile is still larger than the network's input
TILE_SCALES = (0.6, 0.4)
TILE_OVERLAP = 0.4
CLEAR_SIZE = 0.4  # a person this large in the photo, and alone in it, needs no tiles
VIEWS = (View(2.0), View(2.0, mirrored=True), View(1.75, 30), View(1.75, -30, mirrored=True))
RESCUE = (View(2.0, 90), View(2.0, -90), View(2.0, 180), View(1.3), View(3.0))
SAME = 0.1  # pose distance below which two poses are one person
OTHER = 0.25  # pose distance above which a view shows somebody else
LEAST_SCORE = 0.5


class MediaPipeDetector:
    """Finds everyone in a photo with MediaPipe Pose, offline (keypoints "mediapipe33").

    model: a pose_landmarker .task file; None takes the networks in MediaPipe's wheel.
    Raises InputError where MediaPipe or its networks are missing.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        bundle = load_model(model)
        self._search = PoseNetwork(bundle, max_poses=10, masks=False, confidence=0.3)
        self._look = PoseNetwork(bundle, max_poses=3, masks=True, confidence=0.1)

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """People in an (H, W, 3) uint8 RGB photo, or in the given boxes (N, 4); see `people.Detector`."""
        size = image.shape[1], image.shape[0]
        if boxes is not None:
            found = [self._person(image, np.asarray(box, np.float64), None, VIEWS) for box in boxes]
            return [d or _nobody(box) for d, box in zip(found, boxes)]
        seeds = self._find(image)
        views = VIEWS[: max(1, 8 // max(len(seeds), 1))]
        found = [self._person(image, keypoint_box(seed, size), seed, views) for seed in seeds]
        people = sorted((d for d in found if d and d.score >= LEAST_SCORE), key=lambda d: -d.score)
        return _without_repeats(people)

    def _find(self, image: np.ndarray) -> list[np.ndarray]:
        """Rough keypoints (33, 3) of everyone, in photo pixels."""
        import cv2

        scale = min(1.0, SEARCH_SIDE / max(image.shape[:2]))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        size = image.shape[1], image.shape[0]
        found = [(_certainty(p.keypoints), p.keypoints) for p in self._search(image)]
        if not _one_clear_person([k for _, k in found], size):
            for x0, y0, x1, y1 in (t for s in TILE_SCALES for t in tiles(size, s)):
                for pose in self._search(image[y0:y1, x0:x1]):
                    keypoints = pose.keypoints + np.array([x0, y0, 0], np.float32)
                    found.append((_certainty(keypoints) * _share_inside(keypoints, (x0, y0, x1, y1), size), keypoints))
        kept: list[np.ndarray] = []
        for certainty, keypoints in sorted(found, key=lambda f: -f[0]):
            if certainty > 0.3 and all(_apart(keypoints, k) > SAME for k in kept):
                kept.append(keypoints)
        to_photo_pixels = np.array([1 / scale, 1 / scale, 1], np.float32)
        return [(k + (0.5, 0.5, 0)) * to_photo_pixels - (0.5, 0.5, 0) for k in kept]

    def _person(
        self, image: np.ndarray, box: np.ndarray, seed: np.ndarray | None, views: tuple[View, ...]
    ) -> Detection | None:
        """One person from several views of a box; None when no view shows them."""
        seen = [found for view in views if (found := self._view(image, box, seed, view))]
        for view in RESCUE if not seen else ():
            if found := self._view(image, box, seed, view):
                seen.append(found)
        if not seen:
            return None
        poses = [pose for pose, _ in seen]
        keypoints, world, members = consensus(poses)
        mask = _merge_masks([(poses[i].mask, seen[i][1]) for i in members], VIEWS[0].matrix(box))
        agreement = len(members) / len(seen)
        return Detection(
            box=keypoint_box(keypoints, (image.shape[1], image.shape[0])),
            keypoints=keypoints,
            joint_set="mediapipe33",
            score=float(_certainty(keypoints) * agreement**0.5),
            mask=mask,
            world=world,
        )

    def _view(
        self, image: np.ndarray, box: np.ndarray, seed: np.ndarray | None, view: View
    ) -> tuple[Pose, np.ndarray] | None:
        """The pose in one view that belongs to the person, in photo pixels, and the view's matrix."""
        matrix = view.matrix(box)
        size = image.shape[1], image.shape[0]
        poses = [to_photo(p, matrix, view) for p in self._look(show(image, matrix))]
        if not poses:
            return None
        if seed is not None:
            distance, pose = min(((_apart(p.keypoints, seed), p) for p in poses), key=lambda found: found[0])
            return (pose, matrix) if distance < OTHER else None
        overlap, pose = max(
            ((box_iou(keypoint_box(p.keypoints, size)[None], box[None])[0, 0], p) for p in poses), key=lambda f: f[0]
        )
        return (pose, matrix) if overlap > 0.2 else None


def tiles(size: tuple[int, int], scale: float) -> list[tuple[int, int, int, int]]:
    """Overlapping squares that cover a photo.

    size: (width, height). scale: side of the squares over the photo's longer side.
    Returns x0, y0, x1, y1 of each, in whole pixels.
    """
    side = round(scale * max(size))
    starts = []
    for length in size:
        count = int(np.ceil(max(length - side, 0) / (side * (1 - TILE_OVERLAP)))) + 1
        starts.append(np.linspace(0, max(length - side, 0), count).round().astype(int).tolist())
    return [(x, y, min(x + side, size[0]), min(y + side, size[1])) for y in starts[1] for x in starts[0]]


def _one_clear_person(poses: list[np.ndarray], size: tuple[int, int]) -> bool:
    if len(poses) != 1:
        return False
    box = keypoint_box(poses[0], size)
    return max(box[2:] - box[:2]) >= CLEAR_SIZE * max(size) and _certainty(poses[0]) > 0.6


def _certainty(keypoints: np.ndarray) -> float:
    """Mean visibility of the better half of the keypoints, so that people cut off by the photo count too."""
    return float(np.sort(keypoints[:, 2])[len(keypoints) // 2 :].mean())


def _share_inside(keypoints: np.ndarray, tile: tuple[int, int, int, int], size: tuple[int, int]) -> float:
    """Share of the visible keypoints inside the tile; beyond the photo's own border is not held against a pose."""
    low = np.where(np.array(tile[:2]) > 0, tile[:2], -np.inf)
    high = np.where(np.array(tile[2:]) < size, tile[2:], np.inf)
    inside = ((keypoints[:, :2] >= low) & (keypoints[:, :2] < high)).all(1)
    return float((inside * keypoints[:, 2]).sum() / max(keypoints[:, 2].sum(), 1e-6))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two poses with left and right as they are or exchanged: the same person seen from behind."""
    return min(pose_distance(a, b), pose_distance(a, b[MIRRORED]))


def _without_repeats(people: list[Detection]) -> list[Detection]:
    """Leave out people who repeat a more certain one. people: most certain first."""
    kept: list[Detection] = []
    for person in people:
        if all(_apart(person.keypoints, other.keypoints) > SAME for other in kept):
            kept.append(person)
    return kept


def _merge_masks(masks: list[tuple[np.ndarray, np.ndarray]], target: np.ndarray) -> Mask:
    """Mean of masks (SIDE, SIDE) that were found under several affine maps, on the grid of another, trimmed."""
    import cv2

    total = np.zeros((SIDE, SIDE), np.float32)
    for values, matrix in masks:
        back = inverse(matrix)
        chain = np.hstack([target[:, :2] @ back[:, :2], target[:, :2] @ back[:, 2:] + target[:, 2:]])
        total += cv2.warpAffine(values, chain, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    values = np.round(255 * total / len(masks)).astype(np.uint8)
    rows, columns = (np.flatnonzero((values > 2).any(axis)) for axis in (1, 0))
    if not len(rows):
        rows = columns = np.array([0])
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    back = inverse(target)
    edges = np.array([[x0 - 0.5, y0 - 0.5], [x1 - 0.5, y1 - 0.5]]) @ back[:, :2].T + back[:, 2]
    return Mask(values[y0:y1, x0:x1].copy(), edges.reshape(4).astype(np.float32))


def _nobody(box: np.ndarray) -> Detection:
    return Detection(np.asarray(box, np.float32), np.zeros((33, 3), np.float32), "mediapipe33", 0.0)
