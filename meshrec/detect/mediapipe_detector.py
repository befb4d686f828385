"""The default detector: MediaPipe Pose on the photo and on tiles of it, then on several views of each person found.

The networks find a single large person reliably, small people in tiles, and people in a crowd if their neighbours are
hidden. So the search goes from large to small and paints over the people it has found, and each rough pose has to be
confirmed in views of its own that do not show the neighbours.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from meshrec.compiled.threads import over_items
from meshrec.detect.mediapipe_model import Pose, PoseNetwork, load_model
from meshrec.detect.mediapipe_settings import MediaPipeSettings
from meshrec.detect.people import Detection, Mask, box_iou, keypoint_box, person_box, photo_edges, pose_distance
from meshrec.detect.views import MIRRORED, View, consensus, look_inside, show, to_photo, without_people
from meshrec.errors import InputError
from meshrec.geometry.affine import apply, inverse

MASK_VIEW = View(2.0)  # the grid on which the masks of a person's views are averaged

Seed = tuple[float, Pose]  # certainty in [0, 1] and a rough pose
Square = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels


class MediaPipeDetector:
    """Finds people in a photo with MediaPipe Pose, offline. Keypoints are ``mediapipe33``.

    Args:
        model: A pose_landmarker .task file. Default: the networks in MediaPipe's wheel.
        settings: Thresholds and views of the search.

    Raises:
        InputError: The file is not a MediaPipe .task file.
        MissingDependency: MediaPipe or its networks are missing.
    """

    def __init__(self, model: str | Path | None = None, settings: MediaPipeSettings = MediaPipeSettings()) -> None:
        self.settings = settings
        network = partial(PoseNetwork, load_model(model), presence=settings.least_presence)
        self._search = network(max_poses=settings.search_poses, masks=False, confidence=settings.search_confidence)
        self._look = network(max_poses=settings.look_poses, masks=True, confidence=settings.look_confidence)

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """Find everyone in a photo, or one person in each box.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (N, 4) x0, y0, x1, y1 in photo pixels, where people are known to be.

        Returns:
            Without boxes everyone found, highest score first. With boxes one detection for each, in their order; its
            score is 0 if the box shows nobody.

        Raises:
            InputError: The boxes have another shape, or one is empty or not finite.
        """
        if boxes is not None:
            return [self._in_box(image, box) for box in _checked(boxes)]
        people = self._everyone(image)
        if not people:
            whole = np.array([0, 0, image.shape[1] - 1, image.shape[0] - 1], np.float32)
            people = _clear_people([self._in_box(image, whole)], (image.shape[1], image.shape[0]), self.settings)
        return people

    def _everyone(self, image: np.ndarray) -> list[Detection]:
        """Everyone in a photo, highest score first.

        The photo as it is shows large people. Tiles show smaller ones; in them the people already found are painted
        over, so that those beside and behind them are seen. If the first tiles show nobody else, a photo of one person
        is finished. In a photo of several, squares beside each person are searched until nobody new is found.
        """
        settings = self.settings
        small, scale = _shrink(image, settings.search_side)
        people = self._confirmed(image, self._search_whole(small), scale, [])
        for tile_scale in settings.tile_scales:
            squares = tiles((small.shape[1], small.shape[0]), tile_scale, settings.tile_overlap)
            while squares:
                people, new = self._more(image, small, scale, people, squares)
                squares = [s for s in squares if any(_overlap(s, person.box / scale) for person in new)]
            if len(people) == 1:
                return people
        new = people
        while new:
            squares = beside(new, scale, settings.neighbourhood, settings.least_size)
            people, new = self._more(image, small, scale, people, squares, settings.least_neighbour)
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
        """Search squares of a photo for more people.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            small: The same, shrunk by ``scale``.
            scale: Photo pixels per pixel of ``small``.
            people: The people already found.
            squares: Squares in pixels of ``small``.
            least: Least size of a person, as a share of the square's side.

        Returns:
            Everyone known now, and those among them who were not in ``people``.
        """
        to_small = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
        found = _search_squares(without_people(small, to_small, people), squares, self._search, least)
        everyone = self._confirmed(image, found, scale, people)
        return everyone, [person for person in everyone if all(person is not known for known in people)]

    def _confirmed(
        self, image: np.ndarray, found: list[Seed], scale: float, people: list[Detection]
    ) -> list[Detection]:
        """Look at rough poses more closely.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            found: Rough poses in pixels of the photo shrunk by ``scale``.
            scale: Photo pixels per pixel of the shrunk photo.
            people: The people already found.

        Returns:
            ``people`` and those whom the closer views confirm.
        """
        settings, size = self.settings, (image.shape[1], image.shape[0])
        in_photo = [(certainty, _moved(pose, (0, 0), scale)) for certainty, pose in found]
        seeds = _distinct(in_photo, people, settings)
        crowded = len(seeds) + len(people) > 1
        views = settings.crowd_views if crowded else settings.views
        boxes = [keypoint_box(seed.keypoints, size) for seed in seeds]
        seen = [(box, seed) for box, seed in zip(boxes, seeds) if (box[2:] - box[:2]).max() >= settings.least_size]
        new = over_items(lambda i: self._person(image, *seen[i], views, people if crowded else None), len(seen))
        return _clear_people(people + [person for person in new if person], size, settings)

    def _in_box(self, image: np.ndarray, box: np.ndarray) -> Detection:
        """The person in a box; the score is 0 if there is none."""
        views, rescue = self.settings.views, self.settings.rescue_views
        person = self._person(image, box, None, views) or self._person(image, box, None, rescue)
        return person or Detection(box, np.zeros((33, 3), np.float32), "mediapipe33", 0.0)

    def _search_whole(self, image: np.ndarray) -> list[Seed]:
        """Rough poses in the whole photo; if there are none, less certain ones in the photo with a margin."""
        size, overlap = (image.shape[1], image.shape[0]), self.settings.tile_overlap
        found = _search_squares(image, tiles(size, 1.0, overlap), self._search)
        return found or _search_squares(image, tiles(size, self.settings.wide_scale, overlap), self._look)

    def _person(
        self,
        image: np.ndarray,
        box: np.ndarray,
        seed: Pose | None,
        views: tuple[View, ...],
        others: list[Detection] | None = None,
    ) -> Detection | None:
        """Look at one person in several views, until enough poses agree.

        Args:
            image: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1 in photo pixels.
            seed: A rough pose that tells the person from others in the box; it counts as one of the poses that agree.
            views: The views in the order in which they are taken.
            others: In a crowd, the people already found. The views then show only the box, and these people painted
                over, and the search ends when too few views are left for enough poses to agree.

        Returns:
            The person, or None if no view shows them.
        """
        settings, size = self.settings, (image.shape[1], image.shape[0])
        poses = [] if seed is None else [seed]
        cut = seed is not None and _share_outside(seed.keypoints, size) > settings.cut
        rough = len(poses)
        matrices: list[np.ndarray] = []
        for left, view in zip(range(len(views), 0, -1), views):
            if others is not None and len(poses) + left < settings.agreeing:
                return None
            matrix = view.matrix(box, settings.view_side)
            shown = show(image, matrix, settings.view_side, None if others is None else box)
            shown = without_people(shown, matrix, others or [])
            seen = look_inside(self._look, shown, matrix, size) if cut else self._look(shown)
            pose = _choose([to_photo(one, matrix, view) for one in seen], box, seed, size, settings)
            if pose is not None:
                poses.append(pose)
                matrices.append(matrix)
                keypoints, world, members = consensus(poses, settings.near)
                if len(members) == settings.agreeing:
                    break
        views_of = [(poses[i].mask, matrices[i - rough]) for i in members if i >= rough] if matrices else []
        masks = [(mask, matrix) for mask, matrix in views_of if mask is not None]
        if not masks:
            return None
        mask = _merge_masks(masks, MASK_VIEW.matrix(box, settings.view_side))
        return Detection(
            box=person_box(keypoints, mask, size),
            keypoints=keypoints,
            joint_set="mediapipe33",
            score=_visibility(keypoints) * min(len(members) / settings.agreeing, 1),
            mask=mask,
            world=world,
        )


def _share_outside(keypoints: np.ndarray, size: tuple[int, int]) -> float:
    """Share of the keypoints that lie outside a photo of (width, height)."""
    outside = (keypoints[:, :2] < 0) | (keypoints[:, :2] > np.array(size) - 1)
    return float(outside.any(1).mean())


def _checked(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float32)
    if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
        raise InputError(f"boxes are (N, 4), x0, y0, x1, y1 in pixels, but these are of shape {boxes.shape}.")
    if not np.isfinite(boxes).all() or (boxes.reshape(-1, 4)[:, 2:] <= boxes.reshape(-1, 4)[:, :2]).any():
        raise InputError("a box is empty or not a number; boxes are x0, y0, x1, y1 in pixels with x0 < x1, y0 < y1.")
    return boxes


def _shrink(image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """A photo (H, W, 3) with a longer side of at most ``longest`` pixels, and photo pixels per pixel of it."""
    import cv2

    scale = max(1.0, max(image.shape[:2]) / longest)
    size = round(image.shape[1] / scale), round(image.shape[0] / scale)
    return (cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale > 1 else image), scale


def _moved(pose: Pose, origin: tuple[int, int], scale: float) -> Pose:
    """A pose in photo pixels, from one in a part that begins at ``origin`` of the photo shrunk by ``scale``."""
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] + origin + 0.5) * scale - 0.5
    return replace(pose, keypoints=keypoints)


def _choose(
    poses: list[Pose], box: np.ndarray, seed: Pose | None, size: tuple[int, int], settings: MediaPipeSettings
) -> Pose | None:
    """The pose of the rough pose's person, or without one of the box's; None if all poses belong to other people."""
    if seed is not None:
        ranked = [(_apart(pose.keypoints, seed.keypoints), pose) for pose in poses]
        far = settings.other
    else:
        ranked = [
            (1 - float(box_iou(keypoint_box(pose.keypoints, size)[None], box[None])[0, 0]), pose) for pose in poses
        ]
        far = settings.outside
    distance, best = min(ranked, key=lambda r: r[0], default=(np.inf, None))
    return best if distance < far else None


def _search_squares(image: np.ndarray, squares: list[Square], network: PoseNetwork, least: float = 0) -> list[Seed]:
    """Rough poses in squares of a photo, in its pixels, except those smaller than ``least`` times the square's side."""
    size = image.shape[1], image.shape[0]
    found = []
    for square, poses in zip(squares, over_items(lambda i: network(_cut(image, squares[i])), len(squares))):
        for pose in poses:
            pose = _moved(pose, square[:2], 1)
            if np.ptp(pose.keypoints[:, :2], axis=0).max() >= least * (square[2] - square[0]):
                found.append((_visibility(pose.keypoints) * _share_inside(pose.keypoints, square, size), pose))
    return found


def tiles(size: tuple[int, int], scale: float, overlap: float) -> list[Square]:
    """Overlapping squares that cover a photo. Along a side shorter than the squares they are centred on it.

    Args:
        size: (width, height) of the photo, pixels.
        scale: Side of the squares as a share of the photo's longer side.
        overlap: Least overlap of neighbouring squares, as a share of their side.

    Returns:
        Squares in photo pixels; parts of them may lie outside the photo.
    """
    side = round(scale * max(size))
    starts = []
    for length in size:
        slack = length - side
        count = int(np.ceil(max(slack, 0) / (side * (1 - overlap)))) + 1
        starts.append(np.linspace(0, slack, count).astype(int).tolist() if slack > 0 else [slack // 2])
    return [(x, y, x + side, y + side) for y in starts[1] for x in starts[0]]


def beside(people: list[Detection], scale: float, side: float, least: int) -> list[Square]:
    """Squares to the left and right of people, centred on the edges of their boxes.

    Args:
        people: The people, in photo pixels.
        scale: Photo pixels per pixel of the shrunk photo.
        side: Side of the squares, as a multiple of the longer side of the person's box.
        least: Least side of the squares, pixels of the shrunk photo.

    Returns:
        Two squares for each person, in pixels of the shrunk photo.
    """
    squares = []
    for x0, y0, x1, y1 in (person.box / scale for person in people):
        length = max(round(float(side * max(x1 - x0, y1 - y0))), least)
        top = round(float(y0 + y1 - length) / 2)
        for left in (round(float(edge) - length / 2) for edge in (x0, x1)):
            squares.append((left, top, left + length, top + length))
    return squares


def _cut(image: np.ndarray, tile: Square) -> np.ndarray:
    """A square of a photo (H, W, 3), black outside the photo."""
    x0, y0, x1, y1 = tile
    height, width = image.shape[:2]
    part = image[max(y0, 0) : y1, max(x0, 0) : x1]
    return np.pad(part, ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)), (0, 0)))


def _overlap(a: Square, b: np.ndarray) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _visibility(keypoints: np.ndarray) -> float:
    return float(keypoints[:, 2].mean())


def _distinct(found: list[Seed], people: list[Detection], settings: MediaPipeSettings) -> list[Pose]:
    """The most certain rough pose of each person who is not among ``people``."""
    kept: list[Pose] = []
    for certainty, pose in sorted(found, key=lambda f: -f[0]):
        known = [other.keypoints for other in kept + people]
        if certainty >= settings.seed_certainty and all(_apart(pose.keypoints, k) > settings.same for k in known):
            kept.append(pose)
    return kept


def _share_inside(keypoints: np.ndarray, tile: Square, size: tuple[int, int]) -> float:
    """Share of the visible keypoints inside a tile, where keypoints beyond the photo's own edge count as inside."""
    low = np.where(np.array(tile[:2]) > 0, tile[:2], -np.inf)
    high = np.where(np.array(tile[2:]) < size, tile[2:], np.inf)
    inside = ((keypoints[:, :2] >= low) & (keypoints[:, :2] < high)).all(1)
    return float((inside * keypoints[:, 2]).sum() / max(keypoints[:, 2].sum(), 1e-6))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two poses, left and right exchanged if that brings them closer: the networks confuse the two."""
    return min(pose_distance(a, b), pose_distance(a, b[MIRRORED]))


def _clear_people(people: list[Detection], size: tuple[int, int], settings: MediaPipeSettings) -> list[Detection]:
    """People by falling score, without unclear ones and without those who repeat one of a higher score."""
    scale = 160 / max(size)  # a coarse grid is enough to compare areas
    grid = max(round(size[1] * scale), 1), max(round(size[0] * scale), 1)
    kept: list[tuple[Detection, np.ndarray]] = []
    for person in sorted(people, key=lambda p: -p.score):
        mask = person.mask
        if person.score < settings.least_score or mask is None or not _is_crisp(mask, settings.least_crispness):
            continue
        area = mask.crop(photo_edges(size), grid) > 0.5
        if not any(
            _apart(person.keypoints, other.keypoints) < settings.same
            or (area & taken).sum() > settings.covered * min(area.sum(), taken.sum())
            for other, taken in kept
        ):
            kept.append((person, area))
    return [person for person, _ in kept]


def _is_crisp(mask: Mask, least: float) -> bool:
    """Whether the mean of a mask over its inside is at least ``least``, in [0, 1]."""
    inside = mask.values[mask.values > 127]
    return len(inside) > 0 and inside.mean() >= 255 * least


def _merge_masks(masks: list[tuple[np.ndarray, np.ndarray]], target: np.ndarray) -> Mask:
    """Average the masks of several views.

    Args:
        masks: The mask (S, S) of each view in [0, 1], and the affine map (2, 3) from photo pixels to its pixels.
        target: (2, 3) affine map from photo pixels to the grid (S, S) of the mean.

    Returns:
        The mean, trimmed to the rows and columns that are not empty.
    """
    import cv2

    side = len(masks[0][0])
    total = np.zeros((side, side), np.float32)
    for values, matrix in masks:
        back = inverse(matrix)
        chain = np.hstack([target[:, :2] @ back[:, :2], target[:, :2] @ back[:, 2:] + target[:, 2:]])
        total += cv2.warpAffine(values, chain, (side, side), flags=cv2.INTER_LINEAR)
    values = np.round(255 * total / len(masks)).astype(np.uint8)
    rows, columns = (np.flatnonzero((values > 2).any(axis)) for axis in (1, 0))
    if not len(rows):
        rows = columns = np.array([0])
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    edges = apply(inverse(target), np.array([[x0 - 0.5, y0 - 0.5], [x1 - 0.5, y1 - 0.5]]))
    return Mask(values[y0:y1, x0:x1].copy(), edges.reshape(4).astype(np.float32))
