"""Look at one person several times: crops of different size, angle and handedness, and what they agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meshrec.body.joints import flip_permutation
from meshrec.detect.mediapipe_model import Pose
from meshrec.detect.people import Detection
from meshrec.geometry.affine import apply, inverse, warp

SIDE = 448  # pixels of a view: the person is then about as large as in the network's own 256-pixel input

MIRRORED = flip_permutation("mediapipe33")


@dataclass(frozen=True)
class View:
    """One way to cut a person out.

    Attributes:
        side: Of the square, over the longer side of the box.
        degrees: By which it is turned.
        mirrored: Whether left and right are exchanged.
    """

    side: float
    degrees: float = 0.0
    mirrored: bool = False

    def matrix(self, box: np.ndarray) -> np.ndarray:
        """(2, 3) affine map from photo pixels to this view's pixels, for a box (4,) x0, y0, x1, y1."""
        turn = np.radians(self.degrees)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        flip = np.diag([-1.0, 1.0]) if self.mirrored else np.eye(2)
        linear = flip @ rotation * (SIDE / (self.side * max(box[2:] - box[:2])))
        center = (box[:2] + box[2:]) / 2
        return np.hstack([linear, ((SIDE - 1) / 2 - linear @ center)[:, None]])


def show(image: np.ndarray, matrix: np.ndarray, only: np.ndarray | None = None) -> np.ndarray:
    """The view of a photo under an affine map, black where the photo ends.

    Args:
        image: (H, W, 3) uint8 RGB.
        matrix: (2, 3) from photo pixels to the view's.
        only: (4,) x0, y0, x1, y1 in photo pixels; the view is black outside this box too.

    Returns:
        (SIDE, SIDE, 3) uint8 RGB.
    """
    view = warp(image, matrix, (SIDE, SIDE))
    if only is not None:
        import cv2

        x0, y0, x1, y1 = only
        corners = apply(matrix, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        inside = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), np.round(corners).astype(np.int32), 1)
        view = view * inside[..., None]
    return view


def without_people(view: np.ndarray, matrix: np.ndarray, people: list[Detection]) -> np.ndarray:
    """A view (H, W, 3) of a photo under an affine map, with people painted over in grey so that others stand out."""
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


def look_inside(
    network: Callable[[np.ndarray], list[Pose]], view: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> list[Pose]:
    """The poses a network sees in a view of a photo of `size` (width, height), shown no black beyond the photo.

    Of a person whom the photo's edge cuts off, black beyond makes a small one who squats above the edge. For a person
    who is whole and fills the photo, the black is better: it gives the network the margin that it needs.
    """
    ends = apply(matrix, np.array([[-0.5, -0.5], [size[0] - 0.5, -0.5], [-0.5, size[1] - 0.5], np.array(size) - 0.5]))
    low = np.clip(np.ceil(ends.min(0)).astype(int), 0, SIDE - 1)
    high = np.clip(np.floor(ends.max(0)).astype(int) + 1, low + 1, SIDE)
    poses = []
    for pose in network(view[low[1] : high[1], low[0] : high[0]]):
        keypoints, mask = pose.keypoints.copy(), np.zeros((SIDE, SIDE), np.float32)
        keypoints[:, :2] += low
        mask[low[1] : high[1], low[0] : high[0]] = pose.mask
        poses.append(Pose(keypoints, pose.world, mask))
    return poses


def to_photo(pose: Pose, matrix: np.ndarray, view: View) -> Pose:
    """A pose found in a view, in photo pixels and the person's own left and right. The mask stays the view's."""
    keypoints, world = pose.keypoints.copy(), pose.world.copy()
    keypoints[:, :2] = apply(inverse(matrix), keypoints[:, :2])
    turn = np.radians(-view.degrees)
    if view.mirrored:
        keypoints, world = keypoints[MIRRORED], world[MIRRORED] * (-1, 1, 1)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    world[:, :2] = world[:, :2] @ rotation.T
    return Pose(keypoints.astype(np.float32), world.astype(np.float32), pose.mask)


def consensus(poses: list[Pose], near: float = 0.08) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """What several looks at one person agree on.

    Single looks now and then exchange left and right or lose a limb; they seldom err alike. The pose with most
    support from the others, weighted by visibility, is taken, and the median over those near it. So left and right are
    decided for the whole body at once.

    Args:
        poses: In photo pixels.
        near: Mean distance, as a share of the body's extent, within which two poses agree.

    Returns:
        Keypoints (33, 3), whose confidence is the median visibility times the share of all looks, weighted by
        visibility, that put the joint there; world (33, 3) of the most supported pose; and the indices of the poses
        that agree.
    """
    points = np.stack([p.keypoints for p in poses])
    extent = np.median(np.linalg.norm(np.ptp(points[..., :2], axis=1), axis=-1))
    distance = np.linalg.norm(points[:, None, :, :2] - points[None, :, :, :2], axis=-1) / max(extent, 1e-6)
    support = np.exp(-np.square(distance.mean(-1) / near)) @ points[..., 2].mean(1)
    best = int(support.argmax())
    members = np.flatnonzero(distance[best].mean(-1) <= near)
    middle = np.median(points[members], axis=0)
    apart = np.linalg.norm(points[..., :2] - middle[:, :2], axis=-1) / max(extent, 1e-6)
    weight = points[..., 2] + 1e-3
    middle[:, 2] *= (np.exp(-np.square(apart / near)) * weight).sum(0) / weight.sum(0)
    return middle.astype(np.float32), poses[best].world, members.tolist()
