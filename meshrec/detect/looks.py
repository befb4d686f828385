"""Looks at one person: crops of different size, angle and handedness, and the pose on which they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshrec.body.joints import flip_permutation
from meshrec.detect.blazepose import LANDMARKS, NEXT_REGION, LandmarkNetwork, Pose, region_around, turned_world
from meshrec.detect.people import Detection, Region
from meshrec.geometry.affine import apply, inverse, warp

MIRRORED = flip_permutation("mediapipe33")  # (33,) index of each landmark's counterpart on the other side of the body


@dataclass(frozen=True)
class Look:
    """One way to look at the region around a person.

    Attributes:
        scale: Side of the crop, as a multiple of the region's side.
        degrees: Angle by which the crop is turned against the region, clockwise as seen.
        mirrored: Whether the crop is mirrored, so that left and right are exchanged.
    """

    scale: float = 1.0
    degrees: float = 0.0
    mirrored: bool = False

    def matrix(self, region: Region, side: int) -> np.ndarray:
        """(2, 3) affine map from photo pixels to those of a crop of ``side`` pixels; pixel centres are at integers."""
        turn = region.turn + math.radians(self.degrees)
        cos, sin = math.cos(turn), math.sin(turn)
        linear = np.array([[cos, sin], [-sin, cos]]) * (side / (self.scale * region.side))
        if self.mirrored:
            linear[0] = -linear[0]
        center = (side - 1) / 2 - linear @ (region.center - 0.5)
        return np.hstack([linear, center[:, None]])


def look_at(
    network: LandmarkNetwork,
    image: np.ndarray,
    region: Region,
    look: Look = Look(),
    repeat_edge: bool = False,
    only: np.ndarray | None = None,
    hidden: Sequence[Detection] = (),
) -> Pose:
    """Look at a region of a photo.

    If the photo's edge cuts a person off and the network sees black beyond the edge, it finds a small person who squats
    above the edge; the edge is better repeated. A person who is whole and fills the photo is better shown with black
    around, which gives the network the margin that it needs.

    Args:
        network: The landmark network.
        image: (H, W, 3) uint8 RGB.
        region: The region.
        look: How to cut it out.
        repeat_edge: Whether pixels beyond the photo repeat its edge; otherwise they are black.
        only: (4,) x0, y0, x1, y1 in photo pixels; if given, the crop is black outside this box too.
        hidden: People who are painted over.

    Returns:
        The pose in photo pixels, with the person's own left and right. Its mask is that of the crop.
    """
    matrix = look.matrix(region, network.side)
    crop = show(image, matrix, network.side, only, repeat_edge)
    sight = network.look(without_people(crop, matrix, hidden))
    places = apply(inverse(matrix), sight.places * network.side - 0.5)
    keypoints = np.column_stack([places[:LANDMARKS], sight.visibility[:LANDMARKS]]).astype(np.float32)
    world = sight.world
    if look.mirrored:
        keypoints, world = keypoints[MIRRORED], world[MIRRORED] * np.array([-1, 1, 1], np.float32)
    return Pose(
        keypoints=keypoints,
        world=turned_world(world, region.turn + math.radians(look.degrees)),
        mask=sight.mask,
        presence=sight.presence,
        region=region_around(*(places[list(NEXT_REGION)] + 0.5)),
        to_mask=matrix,
    )


def show(
    image: np.ndarray, matrix: np.ndarray, side: int, only: np.ndarray | None = None, repeat_edge: bool = False
) -> np.ndarray:
    """Cut a crop out of a photo.

    Args:
        image: (H, W, 3) uint8 RGB.
        matrix: (2, 3) affine map from photo pixels to pixels of the crop.
        side: Side of the crop, pixels.
        only: (4,) x0, y0, x1, y1 in photo pixels; if given, the crop is black outside this box.
        repeat_edge: Whether pixels beyond the photo repeat its edge; otherwise they are black.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    crop = warp(image, matrix, (side, side), repeat_edge)
    if only is not None:
        import cv2

        x0, y0, x1, y1 = only
        corners = apply(matrix, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        inside = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), np.round(corners).astype(np.int32), 1)
        crop = crop * inside[..., None]
    return crop


def without_people(view: np.ndarray, matrix: np.ndarray, people: Sequence[Detection]) -> np.ndarray:
    """Paint people over in grey, so that the network finds others.

    Args:
        view: (H, W, 3) uint8 RGB.
        matrix: (2, 3) affine map from photo pixels to pixels of the view.
        people: Those to paint over; people without a mask are left as they are.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    view = view.copy()
    for mask in (person.mask for person in people if person.mask is not None):
        step = (mask.box[2:] - mask.box[:2]) / mask.values.shape[::-1]
        to_view = np.hstack([matrix[:, :2] * step, apply(matrix, mask.box[:2] + step / 2)[:, None]])
        x0, y0, x1, y1 = mask.box
        corners = apply(matrix, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        low = np.clip(np.floor(corners.min(0)).astype(int), 0, view.shape[1::-1])
        high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, view.shape[1::-1])
        if (high > low).all():
            to_view[:, 2] -= low
            part = view[low[1] : high[1], low[0] : high[0]]
            part[warp(mask.values, to_view, (part.shape[1], part.shape[0])) > 127] = 128
    return view


def inside(matrix: np.ndarray, size: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel of a view that shows the photo, and the one after the last: (2,) x, y each.

    Args:
        matrix: (2, 3) affine map from photo pixels to pixels of the view.
        size: (width, height) of the photo.
        side: Side of the view, pixels.
    """
    ends = apply(matrix, np.array([[-0.5, -0.5], [size[0] - 0.5, -0.5], [-0.5, size[1] - 0.5], np.array(size) - 0.5]))
    low = np.clip(np.ceil(ends.min(0)).astype(int), 0, side - 1)
    return low, np.clip(np.floor(ends.max(0)).astype(int) + 1, low + 1, side)


def in_photo(region: Region, matrix: np.ndarray) -> Region:
    """A region of a view in the photo.

    Args:
        region: In a view that is not mirrored.
        matrix: (2, 3) affine map from photo pixels to pixels of the view: a turn, a scale and a shift.
    """
    back = inverse(matrix)
    across = back[:, :2] @ [math.cos(region.turn), math.sin(region.turn)]
    center = apply(back, region.center - 0.5) + 0.5
    return Region(center, region.side * float(np.linalg.norm(across)), math.atan2(across[1], across[0]))


def consensus(
    poses: Sequence[Pose], near: float, before: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Combine the poses of several looks at one person.

    In single looks the network now and then exchanges left and right or misplaces a limb, but seldom in the same way.
    The result is the median over the pose that agrees best with the others, weighted by visibility, and those near it.
    So left and right are decided for the whole body at once. Rough poses of the search, which have no mask, only vote.

    Args:
        poses: Poses in photo pixels, at least one.
        near: Mean landmark distance up to which two poses agree, as a share of the body's extent.
        before: (33, 3) the person's keypoints in the frame before, of a video. They vote where poses disagree, but are
            no part of the result.

    Returns:
        Keypoints (33, 3) in photo pixels, whose confidence is the median visibility times the share of all poses,
        weighted by visibility, that have the landmark there; world landmarks (33, 3) of the pose that agrees best,
        metres; and the indices of the poses that agree with it, the best one first.
    """
    points = np.stack([p.keypoints for p in poses])
    extent = np.median(np.linalg.norm(np.ptp(points[..., :2], axis=1), axis=-1))
    distance = np.linalg.norm(points[:, None, :, :2] - points[None, :, :, :2], axis=-1) / max(extent, 1e-6)
    support = np.exp(-np.square(distance.mean(-1) / near)) @ points[..., 2].mean(1)
    if before is not None:
        moved = np.linalg.norm(points[..., :2] - before[:, :2], axis=-1).mean(-1) / max(extent, 1e-6)
        support += np.exp(-np.square(moved / near)) * before[:, 2].mean()
    best = int(support.argmax())
    members = np.flatnonzero(distance[best].mean(-1) <= near)
    close = [i for i in members if poses[i].mask is not None] or members
    middle = np.median(points[close], axis=0)
    apart = np.linalg.norm(points[..., :2] - middle[:, :2], axis=-1) / max(extent, 1e-6)
    weight = points[..., 2] + 1e-3
    middle[:, 2] *= (np.exp(-np.square(apart / near)) * weight).sum(0) / weight.sum(0)
    return middle.astype(np.float32), poses[best].world, sorted(members.tolist(), key=lambda i: i != best)
