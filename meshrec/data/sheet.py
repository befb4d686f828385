"""Contact sheets that show the labels of a batch, to check data by eye before training on it."""

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.joints import joint_set
from meshrec.data.sample import Batch

LEFT, RIGHT, MIDDLE = (255, 70, 40), (40, 120, 255), (60, 220, 60)  # RGB; left and right are the person's own
BONES = (
    ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("left_hip", "left_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("left_ankle", "left_big_toe"),
    ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "right_shoulder"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("right_ankle", "right_big_toe"),
    ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"), ("neck", "head_top"), ("nose", "left_ear"),
    ("nose", "right_ear"),
)  # fmt: skip
METRES = 2.2  # height that a side view shows


def labelled_sheet(batch: Batch, columns: int = 6) -> ndarray:
    """Draw the labels of all people of a batch.

    The crop of a person shows 2D keypoints as lines and dots, the mask as an outline, and the projections of the 3D
    joints as white rings, which must lie around the dots. Beside it are the 3D joints from the side, with the camera on
    the left.

    Args:
        batch: The batch, with pictures.
        columns: Number of people in a row.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    tiles = [_tile(batch, i) for i in range(len(batch))]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _tile(batch: Batch, index: int) -> ndarray:
    """Draw one person: crop and side view, (R, 2 R, 3) uint8 RGB."""
    import cv2

    picture = np.ascontiguousarray(batch.image[index].permute(1, 2, 0).cpu().numpy())
    side = len(picture)
    names = joint_set(batch.joint_set)
    keypoints, joints = (labels[index].cpu().numpy() for labels in (batch.keypoints_2d, batch.joints_3d))
    if batch.mask_confidence[index] > 0:
        mask = (batch.mask[index] > 127).to(torch.uint8).cpu().numpy()
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, (255, 255, 0), 1)
    _draw(picture, (keypoints[:, :2] + 1) * side / 2 - 0.5, keypoints[:, 2] > 0, names)
    view = np.full_like(picture, 30)
    known = joints[:, 3] > 0
    if known.any():
        if batch.camera_confidence[index] > 0:
            seen = joints[:, :2] / np.where(known, joints[:, 2], 1)[:, None]
            seen = seen * batch.focal[index].cpu().numpy() + batch.principal[index].cpu().numpy()
            for x, y in _whole((seen[known] + 1) * side / 2 - 0.5):
                cv2.circle(picture, (x, y), 4, (255, 255, 255), 1, cv2.LINE_AA)
        middle = (joints[known, :3].min(0) + joints[known, :3].max(0)) / 2
        _draw(view, (joints[:, [2, 1]] - middle[[2, 1]]) * side / METRES + side / 2, known, names)
    return np.concatenate([picture, view], axis=1)


def _draw(picture: ndarray, points: ndarray, known: ndarray, names: tuple[str, ...]) -> None:
    """Draw joints and the bones between them into a picture.

    Args:
        picture: (H, W, 3) uint8 RGB, which is changed.
        points: (K, 2) joints in pixels.
        known: (K,) bool, which joints to draw.
        names: Names of the K joints.
    """
    import cv2

    places = _whole(points)
    for ends in BONES:
        if set(ends) <= set(names):
            start, end = (names.index(name) for name in ends)
            if known[start] and known[end]:
                side = ends[0] if ends[0][:4] == ends[1][:4] else "middle"
                cv2.line(picture, places[start], places[end], _colour(side), 2, cv2.LINE_AA)
    for name, place, is_known in zip(names, places, known):
        if is_known:
            cv2.circle(picture, place, 2, _colour(name), -1, cv2.LINE_AA)


def _colour(name: str) -> tuple[int, int, int]:
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


def _whole(points: ndarray) -> list[tuple[int, int]]:
    """Round points (K, 2) to pixels, and clip those that lie too far outside for OpenCV."""
    return [(int(x), int(y)) for x, y in np.round(points).clip(-10_000, 10_000)]
