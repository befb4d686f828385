"""The default detector: BlazePose on the photo and on tiles of it, then several looks at each person found.

The networks find a single large person reliably, small people in tiles, and people in a crowd if their neighbours are
hidden. So the search goes from large to small and paints over the people it has found, and each rough pose has to be
confirmed by looks at the person alone, which do not show the neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from meshrec.compiled.threads import over_items, require_own_threads
from meshrec.detect.blazepose import LOOKS_AT_ONCE, Pose, PoseNetwork, load_networks
from meshrec.detect.blazepose_settings import BlazePoseSettings
from meshrec.detect.candidate import Candidate, apart, nobody, visibility
from meshrec.detect.close_ups import CloseUps
from meshrec.detect.looks import Look, in_photo, inside, look_at, show, without_people
from meshrec.detect.people import Detection, Mask, Region, box_iou, keypoint_box, photo_edges
from meshrec.detect.tiles import Square, beside, cut_out, overlaps, share_inside, tiles
from meshrec.errors import InputError

Seed = tuple[float, Pose]  # certainty in [0, 1] and a rough pose


class BlazePoseDetector:
    """Finds people in a photo with BlazePose, offline. Keypoints are ``mediapipe33``.

    Args:
        model: A MediaPipe pose_landmarker .task file. Default: the shipped networks.
        settings: Thresholds and looks of the search.

    Raises:
        InputError: The file is not a MediaPipe .task file.
        MissingDependency: ai-edge-litert is not installed.
    """

    def __init__(self, model: str | Path | None = None, settings: BlazePoseSettings = BlazePoseSettings()) -> None:
        self.settings = settings
        self._networks = load_networks(model)
        self._threads = self._networks.look.network.threads
        find = partial(PoseNetwork, self._networks.persons, presence=settings.least_presence, masks=False)
        self._search = find(self._networks.search, settings.search_poses, settings.search_confidence)
        self._close_ups = settings.close_ups and CloseUps(settings.close_ups)
        self._search_closely = find(self._networks.look, settings.look_poses, settings.look_confidence)

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
            MeshrecError: This process was forked from one that has used meshrec.
        """
        require_own_threads()
        people = self._everyone(image) if boxes is None else self._in_boxes(image, _checked(boxes))
        if not people and boxes is None:
            whole = np.array([[0, 0, image.shape[1] - 1, image.shape[0] - 1]], np.float32)
            people = _clear_people(self._in_boxes(image, whole), (image.shape[1], image.shape[0]), self.settings)
        return self._close_ups(image, people) if self._close_ups else people

    def follow(
        self, image: np.ndarray, people: Sequence[Detection], hidden: Sequence[Detection] = ()
    ) -> list[Detection]:
        """Find people again who were seen in the frame before of a video, by two looks at each.

        Looks at people whose boxes overlap are those of a crowd, which show the box alone.

        Args:
            image: (H, W, 3) uint8 RGB.
            people: The people where they should be in this frame, such as where they were in the frame before, with
                :attr:`meshrec.detect.Detection.region`.
            hidden: Others, already found in this frame, who are painted over; all looks are then those of a crowd.

        Returns:
            One detection for each person, in their order; its score is 0 if the person is not seen there.

        Raises:
            MeshrecError: This process was forked from one that has used meshrec.
        """
        require_own_threads()
        boxes = np.array([person.box for person in people]).reshape(-1, 4)
        overlap = box_iou(boxes, boxes) - np.eye(len(boxes))
        crowded = (overlap > self.settings.followed_crowd).any(1) | bool(hidden)
        found = [nobody(person.box) for person in people]
        for crowd, others in ((False, None), (True, list(hidden))):
            group = np.flatnonzero(crowded == crowd)
            candidates = [self._followed(people[i], image, crowd) for i in group]
            for i, person in zip(group, self._looked_at(image, candidates, others)):
                found[i] = person or found[i]
        return self._close_ups(image, found) if self._close_ups else found

    def glance(self, image: np.ndarray) -> list[Detection]:
        """Find the people whom the photo as it is and its largest tiles show; if some are small, smaller tiles, too.

        That is half of the work of a whole search. It is enough where pictures of other cameras tell who is missed.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Everyone found, highest score first.

        Raises:
            MeshrecError: This process was forked from one that has used meshrec.
        """
        require_own_threads()
        settings = self.settings
        small, scale = _resized(image, settings.search_side, settings.longest_enlarged)
        people = self._confirmed(image, self._search_whole(small), scale, [], quick=True)
        for tile_scale in settings.tile_scales:
            squares = self._tiles(small, tile_scale)
            people, new = self._more(image, small, scale, people, squares, quick=True)
            if not any(self._is_small(person, small, scale, tile_scale) for person in new):
                break
        return self._close_ups(image, people) if self._close_ups else people

    def find_more(self, image: np.ndarray, people: Sequence[Detection]) -> list[Detection]:
        """Find everyone in a photo of which some people are known: search all its tiles, and beside everyone.

        Args:
            image: (H, W, 3) uint8 RGB.
            people: The people who are known.

        Returns:
            The others, highest score first.

        Raises:
            MeshrecError: This process was forked from one that has used meshrec.
        """
        require_own_threads()
        known = list(people)
        if not known:
            return self(image)
        small, scale = _resized(image, self.settings.search_side, self.settings.longest_enlarged)
        everyone = known
        for tile_scale in self.settings.tile_scales:
            everyone = self._in_tiles(image, small, scale, everyone, tile_scale)
        everyone = self._besides(image, small, scale, everyone)
        new = [person for person in everyone if all(person is not other for other in known)]
        return self._close_ups(image, new) if self._close_ups else new

    def _followed(self, person: Detection, image: np.ndarray, crowded: bool) -> Candidate:
        """Somebody who is to be seen again."""
        settings = self.settings
        world = np.zeros((len(person.keypoints), 3), np.float32) if person.world is None else person.world
        return Candidate(
            seed=Pose(person.keypoints, world, mask=None, region=person.region),
            box=keypoint_box(person.keypoints) if crowded else person.box,
            views=settings.crowd_looks[: settings.confirming] if crowded else settings.followed_looks,
            settings=settings,
            cut=_share_outside(person.keypoints, (image.shape[1], image.shape[0])) > settings.cut,
            followed=True,
        )

    def _everyone(self, image: np.ndarray) -> list[Detection]:
        """Everyone in a photo, highest score first.

        The photo as it is shows large people. Tiles show smaller ones; in them the people already found are painted
        over, so that those beside and behind them are seen. If the first tiles show nobody else, a photo of one person
        is finished, unless that person is so small that others of the size may be missed there. In a photo of several,
        squares beside each person are searched until nobody new is found.
        """
        settings = self.settings
        small, scale = _resized(image, settings.search_side, settings.longest_enlarged)
        people = self._confirmed(image, self._search_whole(small), scale, [])
        for tile_scale in settings.tile_scales:
            people = self._in_tiles(image, small, scale, people, tile_scale)
            if len(people) == 1 and not self._is_small(people[0], small, scale, tile_scale):
                return people
        return self._besides(image, small, scale, people)

    def _in_tiles(
        self, image: np.ndarray, small: np.ndarray, scale: float, people: list[Detection], tile_scale: float
    ) -> list[Detection]:
        """Everyone known after a search of tiles; those that overlap somebody new are searched again."""
        squares = self._tiles(small, tile_scale)
        while squares:
            people, new = self._more(image, small, scale, people, squares)
            squares = [s for s in squares if any(overlaps(s, person.box / scale) for person in new)]
        return people

    def _besides(self, image: np.ndarray, small: np.ndarray, scale: float, people: list[Detection]) -> list[Detection]:
        """Everyone known after a search beside each person, until nobody new is found."""
        settings, new = self.settings, people
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
        quick: bool = False,
    ) -> tuple[list[Detection], list[Detection]]:
        """Search squares of a photo for more people.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            small: The same, resized.
            scale: Photo pixels per pixel of ``small``.
            people: The people already found.
            squares: Squares in pixels of ``small``.
            least: Least size of a person, as a share of the square's side.
            quick: Whether to look only where somebody surely is, and a look that shows the person surely ends the
                search of its view.

        Returns:
            Everyone known now, and those among them who were not in ``people``.
        """
        to_small = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
        found = _search_squares(without_people(small, to_small, people), squares, self._search, least)
        everyone = self._confirmed(image, found, scale, people, quick)
        return everyone, [person for person in everyone if all(person is not known for known in people)]

    def _confirmed(
        self, image: np.ndarray, found: list[Seed], scale: float, people: list[Detection], quick: bool = False
    ) -> list[Detection]:
        """Look at rough poses more closely.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            found: Rough poses in pixels of the resized photo.
            scale: Photo pixels per pixel of the resized photo.
            people: The people already found.
            quick: As for :meth:`_more`.

        Returns:
            ``people`` and those whom the closer looks confirm.
        """
        size = image.shape[1], image.shape[0]
        rough = [(certainty, _moved(pose, (0, 0), scale)) for certainty, pose in found]
        if quick:
            rough = [seed for seed in rough if seed[1].presence >= self.settings.quick_presence]
        seeds = _distinct(rough, people, self.settings)
        boxes = [keypoint_box(seed.keypoints, size) for seed in seeds]
        seen = [(seed, box) for seed, box in zip(seeds, boxes) if (box[2:] - box[:2]).max() >= self.settings.least_size]
        crowded = len(seen) + len(people) > 1
        views = self.settings.crowd_looks if crowded else self.settings.looks
        candidates = [
            Candidate(seed, box, views, self.settings, share > self.settings.cut, crowded, quick=quick)
            for seed, box in seen
            for share in [_share_outside(seed.keypoints, size)]
        ]
        new = self._looked_at(image, candidates, people if crowded else None)
        return _clear_people(people + [person for person in new if person], size, self.settings)

    def _in_boxes(self, image: np.ndarray, boxes: np.ndarray) -> list[Detection]:
        """The person in each box; the score is 0 if there is none."""
        settings = self.settings
        people: list[Detection | None] = [None] * len(boxes)
        for views in (settings.looks, settings.rescue_looks):
            missing = [i for i, person in enumerate(people) if person is None]
            candidates = [Candidate(None, boxes[i], views, settings) for i in missing]
            for i, person in zip(missing, self._looked_at(image, candidates, None)):
                people[i] = person
        return [person or nobody(box) for box, person in zip(boxes, people)]

    def _regions(
        self,
        image: np.ndarray,
        box: np.ndarray,
        view: Look,
        cut: bool = False,
        only: np.ndarray | None = None,
        hidden: Sequence[Detection] = (),
    ) -> list[Region]:
        """Regions of the people whom the person detector finds in a view of a box, in the photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1 in photo pixels.
            view: Scale and turn of the view, against the square around the box.
            cut: Whether the photo's edge cuts the person off; the part of the view beyond is then left out.
            only, hidden: As for :func:`meshrec.detect.looks.look_at`.
        """
        side = self.settings.view_side
        square = Region((box[:2] + box[2:]) / 2 + 0.5, float((box[2:] - box[:2]).max()), 0.0)
        matrix = replace(view, mirrored=False).matrix(square, side)
        shown = without_people(show(image, matrix, side, only), matrix, hidden)
        low, high = inside(matrix, (image.shape[1], image.shape[0]), side) if cut else (np.zeros(2, int), [side, side])
        part = shown[low[1] : high[1], low[0] : high[0]]
        found = self._networks.persons(part, self.settings.look_confidence, self.settings.look_poses)
        return [in_photo(replace(region, center=region.center + low), matrix) for region in found]

    def _search_whole(self, image: np.ndarray) -> list[Seed]:
        """Rough poses in the whole photo; if there are none, less certain ones in the photo with a margin."""
        found = _search_squares(image, self._tiles(image, 1.0), self._search)
        return found or _search_squares(image, self._tiles(image, self.settings.wide_scale), self._search_closely)

    def _tiles(self, image: np.ndarray, scale: float) -> list[Square]:
        """Squares of a photo to search, whose side is ``scale`` times that of the first square."""
        size = image.shape[1], image.shape[0]
        first = min(max(size), self.settings.longest * min(size))
        return tiles(size, round(scale * first), self.settings.tile_overlap)

    def _is_small(self, person: Detection, small: np.ndarray, scale: float, tile_scale: float) -> bool:
        """Whether smaller tiles than those of this scale may show more people of the person's size."""
        x0, _, x1, _ = self._tiles(small, tile_scale)[0]
        return bool((person.box[2:] - person.box[:2]).max() < self.settings.small * scale * (x1 - x0))

    def _looked_at(
        self, image: np.ndarray, candidates: Sequence[Candidate], others: list[Detection] | None
    ) -> list[Detection | None]:
        """Look at people a few times each, until enough poses agree.

        Args:
            image: (H, W, 3) uint8 RGB.
            candidates: The people.
            others: In a crowd, the people already found. The looks then show only the person's box, and these people
                painted over.

        Returns:
            Each person, or None if no look shows them.
        """

        def look(candidate: Candidate, view: Look) -> Pose | None:
            box, cut = candidate.box, candidate.cut
            only = None if others is None else box
            regions = self._regions(image, box, view, cut, only, others or ())
            hand = Look(mirrored=view.mirrored)
            poses: list[Pose] = []
            for region in candidate.likely(regions):
                poses.append(look_at(self._networks.look, image, region, hand, cut, only, others or ()))
                if candidate.is_sure(poses[-1]):
                    break
            return min(poses, key=candidate.distance, default=None)

        def all_looks(jobs: list[tuple[Candidate, Look]]) -> list[Pose | None]:
            return over_items(lambda i: look(*jobs[i]), len(jobs), self._threads)

        while jobs := [(c, view) for c in candidates for view in c.next_views(LOOKS_AT_ONCE)]:
            for (candidate, _), pose in zip(jobs, all_looks(jobs)):
                if pose is not None:
                    candidate.add(pose)
        return [candidate.detection((image.shape[1], image.shape[0])) for candidate in candidates]


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


def _resized(image: np.ndarray, shortest: int, most_times: float) -> tuple[np.ndarray, float]:
    """Resize a photo for the search.

    Small photos are enlarged: whom the search finds must not depend on the photo's resolution.

    Args:
        image: (H, W, 3) uint8 RGB.
        shortest: Shorter side of the result, pixels.
        most_times: Longer side of the result over ``shortest``, at most; longer photos get a smaller shorter side.

    Returns:
        The resized photo, and photo pixels per pixel of it.
    """
    import cv2

    scale = min(image.shape[:2]) / shortest
    scale = max(scale, max(image.shape[:2]) / (most_times * shortest))
    size = max(round(image.shape[1] / scale), 1), max(round(image.shape[0] / scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR), scale


def _moved(pose: Pose, origin: tuple[int, int], scale: float) -> Pose:
    """A pose in photo pixels, from one in a part that begins at ``origin`` of the photo shrunk by ``scale``."""
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] + origin + 0.5) * scale - 0.5
    region = pose.region
    if region is not None:
        region = Region((region.center + origin) * scale, region.side * scale, region.turn)
    return replace(pose, keypoints=keypoints, region=region)


def _search_squares(image: np.ndarray, squares: list[Square], network: PoseNetwork, least: float = 0) -> list[Seed]:
    """Rough poses in squares of a photo, in its pixels, except those smaller than ``least`` times the square's side."""
    size = image.shape[1], image.shape[0]
    found = []
    seen = over_items(lambda i: network(cut_out(image, squares[i])), len(squares), network.threads)
    for square, poses in zip(squares, seen):
        for pose in poses:
            pose = _moved(pose, square[:2], 1)
            if np.ptp(pose.keypoints[:, :2], axis=0).max() >= least * (square[2] - square[0]):
                found.append((visibility(pose.keypoints) * share_inside(pose.keypoints, square, size), pose))
    return found


def _distinct(found: list[Seed], people: list[Detection], settings: BlazePoseSettings) -> list[Pose]:
    """The most certain rough pose of each person who is not among ``people``."""
    kept: list[Pose] = []
    for certainty, pose in sorted(found, key=lambda f: -f[0]):
        known = [other.keypoints for other in kept + people]
        if certainty >= settings.seed_certainty and all(apart(pose.keypoints, k) > settings.same for k in known):
            kept.append(pose)
    return kept


def _clear_people(people: list[Detection], size: tuple[int, int], settings: BlazePoseSettings) -> list[Detection]:
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
            apart(person.keypoints, other.keypoints) < settings.same
            or (area & taken).sum() > settings.covered * min(area.sum(), taken.sum())
            for other, taken in kept
        ):
            kept.append((person, area))
    return [person for person, _ in kept]


def _is_crisp(mask: Mask, least: float) -> bool:
    """Whether the mean of a mask over its inside is at least ``least``, in [0, 1]."""
    inside = mask.values[mask.values > 127]
    return len(inside) > 0 and inside.mean() >= 255 * least
