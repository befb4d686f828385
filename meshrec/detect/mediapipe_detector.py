"""The default detector: MediaPipe Pose over the photo and over tiles of it, then several looks at each person found.

The networks find one large person reliably, small ones in tiles, crowded ones when their neighbours are out of the
way. So the search goes from large to small and paints over whom it has found, and each rough pose must be confirmed
by views of its own, in which the neighbours are not shown.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from meshrec.compiled.threads import over_items
from meshrec.detect.mediapipe_model import Pose, PoseNetwork, load_model
from meshrec.detect.people import Detection, Mask, box_iou, keypoint_box, person_box, photo_edges, pose_distance
from meshrec.detect.views import MIRRORED, SIDE, View, consensus, look_inside, show, to_photo, without_people
from meshrec.errors import InputError
from meshrec.geometry.affine import apply, inverse

SEARCH_SIDE = 1280  # pixels; the search needs no more, a 0.4 tile is still larger than the network's input
TILE_SCALES = (0.6, 0.4)  # side of the search tiles over the photo's longer side, in the order they are tried
TILE_OVERLAP = 0.25
NEIGHBOURHOOD = 1.3  # side of the squares beside a person over the longer side of the person's box
LEAST_NEIGHBOUR = 0.5  # share of such a square from which a pose is a neighbour, and no onlooker far behind
SEED_CERTAINTY = 0.5  # least visibility of a rough pose that is worth a second look
VIEWS = (View(2.0), View(2.0, mirrored=True), View(1.75, 30), View(1.75, -30, mirrored=True), View(2.3))
CROWD_VIEWS = (View(1.3), View(1.5, mirrored=True), View(1.15))
RESCUE = (View(2.0, 90), View(2.0, -90), View(2.0, 180), View(1.3), View(3.0))
AGREEING = 3  # poses that must agree on a person
SAME = 0.1  # pose distance below which two poses are one person
OTHER = 0.13  # pose distance above which a view shows somebody else
OUTSIDE = 0.8  # one minus overlap with the box from which a pose is somebody else's
COVERED = 0.7  # share of a mask inside another person's mask from which it is the same person
CUT = 0.15  # share of a rough pose's keypoints beyond the photo from which its edge is taken to cut the person off
LEAST_SIZE = 8  # pixels of the longer side of a person
LEAST_SCORE = 0.4  # of a person; true ones seen whole have 0.8 and more
LEAST_CRISPNESS = 0.87  # mean of a mask over its inside; lower is not the outline of a person

Seed = tuple[float, Pose]  # certainty in [0, 1] and a rough pose
Square = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels


class MediaPipeDetector:
    """Finds everyone in a photo with MediaPipe Pose, offline. Keypoints are ``mediapipe33``.

    Args:
        model: A pose_landmarker .task file; None takes the networks in MediaPipe's wheel.

    Raises:
        InputError: MediaPipe or its networks are missing.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        bundle = load_model(model)
        self._search = PoseNetwork(bundle, max_poses=4, masks=False, confidence=0.5)
        self._look = PoseNetwork(bundle, max_poses=2, masks=True, confidence=0.1)

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """People in a photo, or in the given boxes, as :class:`meshrec.detect.people.Detector` says."""
        if boxes is not None:
            return [self._in_box(image, box) for box in _checked(boxes)]
        people = self._everyone(image)
        if not people:
            whole = np.array([0, 0, image.shape[1] - 1, image.shape[0] - 1], np.float32)
            people = _clear_people([self._in_box(image, whole)], (image.shape[1], image.shape[0]))
        return people

    def _everyone(self, image: np.ndarray) -> list[Detection]:
        """Everyone in a photo, most certain first.

        Large people first, then closer looks with those already found painted over, so that the ones beside and
        behind them stand out. A photo of one person is done when the first tiles show nobody else; where there are
        several, more of them are sought beside each, until nobody new is found.
        """
        small, scale = _shrink(image)
        people = self._confirmed(image, self._search_whole(small), scale, [])
        for tile_scale in TILE_SCALES:
            squares = tiles((small.shape[1], small.shape[0]), tile_scale)
            while squares:
                people, new = self._more(image, small, scale, people, squares)
                squares = [s for s in squares if any(_overlap(s, person.box / scale) for person in new)]
            if len(people) == 1:
                return people
        new = people
        while new:
            people, new = self._more(image, small, scale, people, beside(new, scale), LEAST_NEIGHBOUR)
        return people

    def _more(
        self,
        image: np.ndarray,
        small: np.ndarray,
        scale: float,
        people: list[Detection],
        squares: list[Square],
        least: float = 0,
    ) -> tuple[list[Detection], list[Detection]]:
        """`people` with those found in squares of the photo shrunk by `scale`, and the new ones among them."""
        to_small = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
        found = _search_squares(without_people(small, to_small, people), squares, self._search, least)
        everyone = self._confirmed(image, found, scale, people)
        return everyone, [person for person in everyone if all(person is not known for known in people)]

    def _confirmed(
        self, image: np.ndarray, found: list[Seed], scale: float, people: list[Detection]
    ) -> list[Detection]:
        """`people` and those of the rough poses, found in the photo shrunk by `scale`, that closer looks confirm."""
        size = image.shape[1], image.shape[0]
        seeds = _distinct([(certainty, _moved(pose, (0, 0), scale)) for certainty, pose in found], people)
        crowded = len(seeds) + len(people) > 1
        views = CROWD_VIEWS if crowded else VIEWS
        boxes = [keypoint_box(seed.keypoints, size) for seed in seeds]
        seen = [(box, seed) for box, seed in zip(boxes, seeds) if (box[2:] - box[:2]).max() >= LEAST_SIZE]
        new = over_items(lambda i: self._person(image, *seen[i], views, people if crowded else None), len(seen))
        return _clear_people(people + [person for person in new if person], size)

    def _in_box(self, image: np.ndarray, box: np.ndarray) -> Detection:
        """The person in a box; with score 0 where there is none."""
        person = self._person(image, box, None, VIEWS) or self._person(image, box, None, RESCUE)
        return person or Detection(box, np.zeros((33, 3), np.float32), "mediapipe33", 0.0)

    def _search_whole(self, image: np.ndarray) -> list[Seed]:
        """Rough poses in a photo as it is; if none, less certain ones, with a margin for people who fill it."""
        size = image.shape[1], image.shape[0]
        found = _search_squares(image, tiles(size, 1.0), self._search)
        return found or _search_squares(image, tiles(size, 1.5), self._look)

    def _person(
        self,
        image: np.ndarray,
        box: np.ndarray,
        seed: Pose | None,
        views: tuple[View, ...],
        others: list[Detection] | None = None,
    ) -> Detection | None:
        """One person from several views of a box, taken until AGREEING poses agree; None when no view shows them.

        Args:
            image: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1 in photo pixels.
            seed: A rough pose that tells the person from others in the box; it counts as one of those that agree.
            views: In the order they are taken.
            others: In a crowd, the people already found; only the box is then shown, without them, and the search ends
                once too few views are left to agree.
        """
        size = image.shape[1], image.shape[0]
        poses = [] if seed is None else [seed]
        cut = seed is not None and _share_outside(seed.keypoints, size) > CUT
        rough = len(poses)
        matrices: list[np.ndarray] = []
        for left, view in zip(range(len(views), 0, -1), views):
            if others is not None and len(poses) + left < AGREEING:
                return None
            matrix = view.matrix(box)
            shown = show(image, matrix, None if others is None else box)
            shown = without_people(shown, matrix, others or [])
            seen = look_inside(self._look, shown, matrix, size) if cut else self._look(shown)
            pose = _choose([to_photo(one, matrix, view) for one in seen], box, seed, size)
            if pose is not None:
                poses.append(pose)
                matrices.append(matrix)
                keypoints, world, members = consensus(poses)
                if len(members) == AGREEING:
                    break
        views_of = [(poses[i].mask, matrices[i - rough]) for i in members if i >= rough] if matrices else []
        masks = [(mask, matrix) for mask, matrix in views_of if mask is not None]
        if not masks:
            return None
        mask = _merge_masks(masks, View(2.0).matrix(box))
        return Detection(
            box=person_box(keypoints, mask, size),
            keypoints=keypoints,
            joint_set="mediapipe33",
            score=_visibility(keypoints) * min(len(members) / AGREEING, 1),
            mask=mask,
            world=world,
        )


def _share_outside(keypoints: np.ndarray, size: tuple[int, int]) -> float:
    """Share of the keypoints beyond the photo's edges."""
    outside = (keypoints[:, :2] < 0) | (keypoints[:, :2] > np.array(size) - 1)
    return float(outside.any(1).mean())


def _checked(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float32)
    if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
        raise InputError(f"boxes are (N, 4), x0, y0, x1, y1 in pixels, but these are of shape {boxes.shape}.")
    if not np.isfinite(boxes).all() or (boxes.reshape(-1, 4)[:, 2:] <= boxes.reshape(-1, 4)[:, :2]).any():
        raise InputError("a box is empty or not a number; boxes are x0, y0, x1, y1 in pixels with x0 < x1, y0 < y1.")
    return boxes


def _shrink(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The photo at a size fit for searching, and photo pixels per pixel of it."""
    import cv2

    scale = max(1.0, max(image.shape[:2]) / SEARCH_SIDE)
    size = round(image.shape[1] / scale), round(image.shape[0] / scale)
    return (cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale > 1 else image), scale


def _moved(pose: Pose, origin: tuple[int, int], scale: float) -> Pose:
    """A pose in a part that begins at `origin` of a photo shrunk by `scale`, in photo pixels."""
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] + origin + 0.5) * scale - 0.5
    return replace(pose, keypoints=keypoints)


def _choose(poses: list[Pose], box: np.ndarray, seed: Pose | None, size: tuple[int, int]) -> Pose | None:
    """The pose that belongs to the seed, or without one to the box; None when all are somebody else's."""
    if seed is not None:
        ranked = [(_apart(pose.keypoints, seed.keypoints), pose) for pose in poses]
        far = OTHER
    else:
        ranked = [
            (1 - float(box_iou(keypoint_box(pose.keypoints, size)[None], box[None])[0, 0]), pose) for pose in poses
        ]
        far = OUTSIDE
    distance, best = min(ranked, key=lambda r: r[0], default=(np.inf, None))
    return best if distance < far else None


def _search_squares(image: np.ndarray, squares: list[Square], network: PoseNetwork, least: float = 0) -> list[Seed]:
    """Rough poses in squares of a photo, in its pixels; without those smaller than the share `least` of one."""
    size = image.shape[1], image.shape[0]
    found = []
    for square, poses in zip(squares, over_items(lambda i: network(_cut(image, squares[i])), len(squares))):
        for pose in poses:
            pose = _moved(pose, square[:2], 1)
            if np.ptp(pose.keypoints[:, :2], axis=0).max() >= least * (square[2] - square[0]):
                found.append((_visibility(pose.keypoints) * _share_inside(pose.keypoints, square, size), pose))
    return found


def tiles(size: tuple[int, int], scale: float) -> list[Square]:
    """Overlapping squares that cover a photo; larger than it, they are centred on it.

    Args:
        size: (width, height).
        scale: Side of the squares over the photo's longer side.
    """
    side = round(scale * max(size))
    starts = []
    for length in size:
        slack = length - side
        count = int(np.ceil(max(slack, 0) / (side * (1 - TILE_OVERLAP)))) + 1
        starts.append(np.linspace(0, slack, count).astype(int).tolist() if slack > 0 else [slack // 2])
    return [(x, y, x + side, y + side) for y in starts[1] for x in starts[0]]


def beside(people: list[Detection], scale: float) -> list[Square]:
    """Squares to the left and right of people, a little larger than they are, in a photo shrunk by `scale`."""
    squares = []
    for x0, y0, x1, y1 in (person.box / scale for person in people):
        side = max(round(float(NEIGHBOURHOOD * max(x1 - x0, y1 - y0))), LEAST_SIZE)
        top = round(float(y0 + y1 - side) / 2)
        for left in (round(float(edge) - side / 2) for edge in (x0, x1)):
            squares.append((left, top, left + side, top + side))
    return squares


def _cut(image: np.ndarray, tile: Square) -> np.ndarray:
    """A square of a photo, black where it reaches beyond."""
    x0, y0, x1, y1 = tile
    height, width = image.shape[:2]
    part = image[max(y0, 0) : y1, max(x0, 0) : x1]
    return np.pad(part, ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)), (0, 0)))


def _overlap(a: Square, b: np.ndarray) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _visibility(keypoints: np.ndarray) -> float:
    return float(keypoints[:, 2].mean())


def _distinct(found: list[Seed], people: list[Detection]) -> list[Pose]:
    """The most certain pose of everyone who is not among `people`."""
    kept: list[Pose] = []
    for certainty, pose in sorted(found, key=lambda f: -f[0]):
        known = [other.keypoints for other in kept + people]
        if certainty >= SEED_CERTAINTY and all(_apart(pose.keypoints, k) > SAME for k in known):
            kept.append(pose)
    return kept


def _share_inside(keypoints: np.ndarray, tile: Square, size: tuple[int, int]) -> float:
    """Share of the visible keypoints inside the tile; beyond the photo's own border is not held against a pose."""
    low = np.where(np.array(tile[:2]) > 0, tile[:2], -np.inf)
    high = np.where(np.array(tile[2:]) < size, tile[2:], np.inf)
    inside = ((keypoints[:, :2] >= low) & (keypoints[:, :2] < high)).all(1)
    return float((inside * keypoints[:, 2]).sum() / max(keypoints[:, 2].sum(), 1e-6))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two poses with left and right as they are or exchanged: the same person seen from behind."""
    return min(pose_distance(a, b), pose_distance(a, b[MIRRORED]))


def _clear_people(people: list[Detection], size: tuple[int, int]) -> list[Detection]:
    """Most certain first, without those who are no clear person or repeat a more certain one."""
    scale = 160 / max(size)  # a coarse grid is enough to compare areas
    grid = max(round(size[1] * scale), 1), max(round(size[0] * scale), 1)
    kept: list[tuple[Detection, np.ndarray]] = []
    for person in sorted(people, key=lambda p: -p.score):
        if person.score < LEAST_SCORE or person.mask is None or not _is_crisp(person.mask):
            continue
        area = person.mask.crop(photo_edges(size), grid) > 0.5
        if not any(
            _apart(person.keypoints, other.keypoints) < SAME
            or (area & taken).sum() > COVERED * min(area.sum(), taken.sum())
            for other, taken in kept
        ):
            kept.append((person, area))
    return [person for person, _ in kept]


def _is_crisp(mask: Mask) -> bool:
    """Whether a mask is sure of its inside, as it is for people and seldom for what only resembles one."""
    inside = mask.values[mask.values > 127]
    return len(inside) > 0 and inside.mean() >= 255 * LEAST_CRISPNESS


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
    edges = apply(inverse(target), np.array([[x0 - 0.5, y0 - 0.5], [x1 - 0.5, y1 - 0.5]]))
    return Mask(values[y0:y1, x0:x1].copy(), edges.reshape(4).astype(np.float32))
