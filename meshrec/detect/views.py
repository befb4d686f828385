"""Several views of one person, cut out at different sizes, angles and handedness, and the pose on which they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meshrec.body.joints import flip_permutation
from meshrec.detect.mediapipe_model import Pose
from meshrec.detect.people import Detection
from meshrec.geometry.affine import apply, inverse, warp

MIRRORED = flip_permutation("mediapipe33")  # (33,) index of each landmark's counterpart on the other side of the body


@dataclass(frozen=True)
class View:
    """One way to cut a person out of a photo.

    Attributes:
        side: Side of the square, as a multiple of the longer side of the person's box.
        degrees: Angle by which the photo is turned about the box's centre.
        mirrored: Whether the view is mirrored, so that left and right are exchanged.
    """

    side: float
    degrees: float = 0.0
    mirrored: bool = False

    def matrix(self, box: np.ndarray, side: int) -> np.ndarray:
        """Affine map from photo pixels to the pixels of the view.

        Args:
            box: (4,) x0, y0, x1, y1 of the person in photo pixels.
            side: Side of the view, pixels.

        Returns:
            (2, 3).
        """
        turn = np.radians(self.degrees)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        flip = np.diag([-1.0, 1.0]) if self.mirrored else np.eye(2)
        linear = flip @ rotation * (side / (self.side * max(box[2:] - box[:2])))
        center = (box[:2] + box[2:]) / 2
        return np.hstack([linear, ((side - 1) / 2 - linear @ center)[:, None]])


def show(image: np.ndarray, matrix: np.ndarray, side: int, only: np.ndarray | None = None) -> np.ndarray:
    """Cut a view out of a photo; it is black outside the photo.

    Args:
        image: (H, W, 3) uint8 RGB.
        matrix: (2, 3) affine map from photo pixels to pixels of the view.
        side: Side of the view, pixels.
        only: (4,) x0, y0, x1, y1 in photo pixels; if given, the view is black outside this box too.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    view = warp(image, matrix, (side, side))
    if only is not None:
        import cv2

        x0, y0, x1, y1 = only
        corners = apply(matrix, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        inside = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), np.round(corners).astype(np.int32), 1)
        view = view * inside[..., None]
    return view


def without_people(view: np.ndarray, matrix: np.ndarray, people: list[Detection]) -> np.ndarray:
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


def look_inside(
    network: Callable[[np.ndarray], list[Pose]], view: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> list[Pose]:
    """Find poses in the part of a view that lies inside the photo.

    If the photo's edge cuts a person off and the network sees black beyond the edge, it finds a small person who squats
    above the edge. A person who is whole and fills the photo is better shown with the black around it, which gives the
    network the margin that it needs.

    Args:
        network: Finds poses in a picture (H, W, 3) uint8 RGB; it has to compute masks.
        view: (S, S, 3) uint8 RGB.
        matrix: (2, 3) affine map from photo pixels to pixels of the view.
        size: (width, height) of the photo.

    Returns:
        Poses in pixels of the view, with masks (S, S).
    """
    side = len(view)
    ends = apply(matrix, np.array([[-0.5, -0.5], [size[0] - 0.5, -0.5], [-0.5, size[1] - 0.5], np.array(size) - 0.5]))
    low = np.clip(np.ceil(ends.min(0)).astype(int), 0, side - 1)
    high = np.clip(np.floor(ends.max(0)).astype(int) + 1, low + 1, side)
    poses = []
    for pose in network(view[low[1] : high[1], low[0] : high[0]]):
        keypoints, mask = pose.keypoints.copy(), np.zeros((side, side), np.float32)
        keypoints[:, :2] += low
        mask[low[1] : high[1], low[0] : high[0]] = pose.mask
        poses.append(Pose(keypoints, pose.world, mask))
    return poses


def to_photo(pose: Pose, matrix: np.ndarray, view: View) -> Pose:
    """Transform a pose from a view to the photo.

    Args:
        pose: A pose in pixels of the view.
        matrix: (2, 3) affine map from photo pixels to pixels of the view.
        view: The view. Its turn and mirroring are undone.

    Returns:
        The pose with keypoints in photo pixels; its mask stays that of the view.
    """
    keypoints, world = pose.keypoints.copy(), pose.world.copy()
    keypoints[:, :2] = apply(inverse(matrix), keypoints[:, :2])
    turn = np.radians(-view.degrees)
    if view.mirrored:
        keypoints, world = keypoints[MIRRORED], world[MIRRORED] * (-1, 1, 1)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    world[:, :2] = world[:, :2] @ rotation.T
    return Pose(keypoints.astype(np.float32), world.astype(np.float32), pose.mask)


def consensus(poses: list[Pose], near: float) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Combine poses found in several views of one person.

    In single views the network now and then exchanges left and right or misplaces a limb, but seldom in the same way.
    The result is the median over the pose that agrees best with the others, weighted by visibility, and those near it.
    So left and right are decided for the whole body at once.

    Args:
        poses: Poses in photo pixels, at least one.
        near: Mean landmark distance up to which two poses agree, as a share of the body's extent.

    Returns:
        Keypoints (33, 3) in photo pixels, whose confidence is the median visibility times the share of all poses,
        weighted by visibility, that have the landmark there; world landmarks (33, 3) of the pose that agrees best,
        metres; and the indices of the poses that agree with it.
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
