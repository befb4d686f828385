"""Somebody who may be a person: the looks at them, and whether these agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from meshrec.detect.blazepose import Pose
from meshrec.detect.blazepose_settings import BlazePoseSettings
from meshrec.detect.looks import MIRRORED, Look, consensus
from meshrec.detect.people import Detection, Mask, Region, box_iou, keypoint_box, person_box, pose_distance
from meshrec.geometry.affine import apply, compose, inverse


@dataclass
class Candidate:
    """Somebody who may be a person, and the looks at them so far.

    Attributes:
        seed: A rough pose in photo pixels, by which the person is told from others; it is one of those that agree,
            unless the person is followed. Without one, the person is told by the box.
        box: (4,) x0, y0, x1, y1 of the person, photo pixels.
        views: Views of the square around the box that are still to be looked at.
        settings: The detector's settings.
        cut: Whether the photo's edge cuts the person off.
        crowded: Whether to give up as soon as too few views are left to confirm the person.
        followed: Whether the seed is where the person should be after the frame before, of a video. It then only
            decides between looks that disagree.
        quick: Whether a look that shows the person surely is enough of its view. In photos, of which no other camera
            tells who is missed, it is not.
        poses: The poses so far.
        members: Indices of the poses that agree, the one with most support first.
    """

    seed: Pose | None
    box: np.ndarray
    views: tuple[Look, ...]
    settings: BlazePoseSettings
    cut: bool = False
    crowded: bool = False
    followed: bool = False
    quick: bool = False
    poses: list[Pose] = field(default_factory=list)
    members: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.seed is not None and not self.followed:
            self._take(self.seed)

    def next_views(self, count: int) -> tuple[Look, ...]:
        """Take up to ``count`` views; none if enough poses agree, or if in a crowd too few are left to confirm."""
        enough = len(self.members) >= self.settings.agreeing
        hopeless = self.crowded and len(self.poses) + len(self.views) < self.settings.confirming
        if enough or hopeless:
            return ()
        taken, self.views = self.views[:count], self.views[count:]
        return taken

    def distance(self, pose: Pose) -> float:
        """How far a pose is from the person's rough pose, or without one from the box; from 1 it is another's."""
        if self.seed is not None:
            most = self.settings.followed_other if self.followed else self.settings.other
            return apart(pose.keypoints, self.seed.keypoints) / most
        overlap = float(box_iou(keypoint_box(pose.keypoints)[None], self.box[None])[0, 0])
        return (1 - overlap) / self.settings.outside

    def is_sure(self, pose: Pose) -> bool:
        """Whether a look of a quick search shows the person of a rough pose so surely that no other is compared."""
        if self.seed is None or not self.quick or pose.presence < self.settings.least_presence:
            return False
        return self.distance(pose) < self.settings.sure

    def likely(self, regions: list[Region]) -> list[Region]:
        """The regions that may be this person's, as far as the rough pose tells, the nearest first; that of a
        followed one for none."""
        if self.seed is None or self.seed.region is None:
            return regions
        own = self.seed.region
        away = [float(np.linalg.norm(region.center - own.center)) for region in regions]
        near = [regions[i] for i in np.argsort(away, kind="stable") if away[i] < self.settings.elsewhere * own.side]
        return near or ([own] if self.followed else [])

    def add(self, pose: Pose) -> None:
        """Take another look's pose, unless it shows nobody or somebody else."""
        least = self.settings.followed_presence if self.followed else self.settings.least_presence
        if pose.presence >= least and self.distance(pose) < 1:
            self._take(pose)

    def _take(self, pose: Pose) -> None:
        self.poses.append(pose)
        before = self.seed.keypoints if self.followed and self.seed is not None else None
        self.keypoints, self.world, self.members = consensus(self.poses, self.settings.near, before)

    def detection(self, size: tuple[int, int]) -> Detection | None:
        """The person, or None without any close look, in a photo of ``size`` (width, height)."""
        masks = [
            (pose.mask, pose.to_mask)
            for pose in (self.poses[i] for i in self.members)
            if pose.mask is not None and pose.to_mask is not None
        ]
        region = self.poses[self.members[0]].region if self.members else None
        if not masks or region is None:
            return None
        mask = _merge_masks(
            masks, Look().matrix(replace(region, turn=0.0), self.settings.mask_side), self.settings.mask_side
        )
        agreement = min(len(self.members) / self.settings.confirming, 1.0)
        return Detection(
            box=person_box(self.keypoints, mask, size),
            keypoints=self.keypoints,
            joint_set="mediapipe33",
            score=visibility(self.keypoints) * agreement,
            mask=mask,
            world=self.world,
            region=region,
        )


def nobody(box: np.ndarray) -> Detection:
    """The detection, with score 0, for a box that shows nobody."""
    return Detection(box, np.zeros((33, 3), np.float32), "mediapipe33", 0.0)


def visibility(keypoints: np.ndarray) -> float:
    """Mean confidence of keypoints (K, 3)."""
    return float(keypoints[:, 2].mean())


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two poses, left and right exchanged if that brings them closer: the networks confuse the two."""
    return min(pose_distance(a, b), pose_distance(a, b[MIRRORED]))


def _merge_masks(masks: list[tuple[np.ndarray, np.ndarray]], target: np.ndarray, side: int) -> Mask:
    """Average the masks of several looks.

    Args:
        masks: The mask of each look in [0, 1], and the affine map (2, 3) from photo pixels to its pixels.
        target: (2, 3) affine map from photo pixels to the grid of the mean.
        side: Side of that grid.

    Returns:
        The mean, trimmed to the rows and columns that are not empty.
    """
    import cv2

    total = np.zeros((side, side), np.float32)
    for values, matrix in masks:
        total += cv2.warpAffine(values, compose(target, inverse(matrix)), (side, side), flags=cv2.INTER_LINEAR)
    values = np.round(255 * total / len(masks)).astype(np.uint8)
    rows, columns = (np.flatnonzero((values > 2).any(axis)) for axis in (1, 0))
    if not len(rows):
        rows = columns = np.array([0])
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    edges = apply(inverse(target), np.array([[x0 - 0.5, y0 - 0.5], [x1 - 0.5, y1 - 0.5]]))
    return Mask(values[y0:y1, x0:x1].copy(), edges.reshape(4).astype(np.float32))
