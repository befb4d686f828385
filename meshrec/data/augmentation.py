"""Random changes to samples: first of the crop with all labels, then of the pixels that were cut.

Turning, scaling, shifting and mirroring change the crop's map and every label exactly as a turned, moved or mirrored
camera would; no picture is touched. Colour and occluders change pixels and no label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.data.occluders import Occluder, drawn_occluder, paste
from meshrec.data.sample import Sample, cut
from meshrec.geometry.affine import apply, compose


@dataclass(frozen=True)
class Augmentation:
    """How much to change. The defaults of scale, turn, flip and colour are SPIN's.

    Attributes:
        scale: The person's size is multiplied by a number drawn from 1 - scale to 1 + scale.
        turn: Standard deviation of turns in radians; at most twice that.
        turn_probability: Of a turn.
        flip_probability: Of mirroring.
        colour: Every channel is multiplied by a number drawn from 1 - colour to 1 + colour.
        contrast: Contrast is multiplied by a number drawn from 1 - contrast to 1 + contrast.
        shift: The crop moves by up to this share of half its side in x and y.
        truncation_probability: Of cutting off one side of the crop.
        truncation: At most this share of the crop is cut off.
        occlusion_probability: Of pasting occluders (Sárándi et al. 2018, "How robust is 3D human pose estimation to
            occlusion?").
        occluders: At most this many.
    """

    scale: float = 0.25
    turn: float = math.radians(30)
    turn_probability: float = 0.4
    flip_probability: float = 0.5
    colour: float = 0.4
    contrast: float = 0.2
    shift: float = 0.1
    truncation_probability: float = 0.15
    truncation: float = 0.4
    occlusion_probability: float = 0.5
    occluders: int = 8


def augment(
    sample: Sample,
    resolution: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    occluders: Sequence[Occluder] = (),
) -> Sample:
    """A sample changed at random, with its picture cut.

    Args:
        sample: Any sample.
        resolution: Side of the crop in pixels.
        augmentation: How much to change.
        rng: What the changes depend on.
        occluders: Cut-out objects to paste; without any, shapes are drawn.

    Returns:
        As :func:`meshrec.data.sample.cut`.
    """
    a = augmentation
    if rng.random() < a.truncation_probability:
        sample = truncated(sample, rng.uniform(0, a.truncation), rng)
    sample = zoomed(sample, rng.uniform(1 - a.scale, 1 + a.scale), rng.uniform(-a.shift, a.shift, 2))
    if rng.random() < a.turn_probability:
        sample = turned(sample, float(np.clip(rng.normal(0, a.turn), -2 * a.turn, 2 * a.turn)))
    if rng.random() < a.flip_probability:
        sample = flipped(sample)
    sample = cut(sample, resolution)
    image = recoloured(
        sample.read_image(), rng.uniform(1 - a.colour, 1 + a.colour, 3), 1 + rng.uniform(-1, 1) * a.contrast
    )
    if rng.random() < a.occlusion_probability:
        for _ in range(rng.integers(1, a.occluders, endpoint=True)):
            occluder = occluders[rng.integers(len(occluders))] if occluders else drawn_occluder(rng)
            # Side in crops, and a centre anywhere in the crop, as in the paper.
            image = paste(image, occluder, rng.uniform(0, resolution, 2), rng.uniform(0.1, 0.5) * resolution)
    return replace(sample, image=image)


def zoomed(sample: Sample, scale: float, shift: np.ndarray | Sequence[float] = (0.0, 0.0)) -> Sample:
    """The person ``scale`` times as large, around the point ``shift`` (crop coordinates), which moves to the middle."""
    moved = _moved(sample, np.eye(2) * scale, -scale * np.asarray(shift, float))
    return replace(moved, focal=np.float32(scale) * sample.focal)


def truncated(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """The crop with ``share`` of it cut off on one side, below in half of all cases, and somewhere across."""
    side = rng.choice(4, p=(0.5, 0.15, 0.175, 0.175))
    along, across = ((0, -share), (0, share), (share, 0), (-share, 0))[side], rng.uniform(-share, share) / 2
    shift = (across, along[1]) if side < 2 else (along[0], across)
    return zoomed(sample, 1 / (1 - share), shift)


def turned(sample: Sample, angle: float) -> Sample:
    """The picture turned about the crop's middle, as if the camera rolled; clockwise for positive angles.

    Args:
        sample: Any sample.
        angle: Radians.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    roll = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
    # Where pixels are not quite square, a rolling camera turns what lies behind them: F R F^-1.
    focal = sample.focal.astype(float)
    moved = _moved(sample, roll[:2, :2] * focal[:, None] / focal, np.zeros(2))
    joints_3d, pose = sample.joints_3d.copy(), sample.pose.copy()
    joints_3d[:, :3] = joints_3d[:, :3] @ roll.T
    if sample.pose_confidence[0] > 0:
        pose[0] = roll @ pose[0]
    return replace(moved, joints_3d=joints_3d, pose=pose)


def flipped(sample: Sample) -> Sample:
    """The picture mirrored: left becomes right in joints and pose as well. Bodies are symmetric: shape stays."""
    moved = _moved(sample, np.diag([-1.0, 1.0]), np.zeros(2))
    order, parts = flip_permutation(sample.joints), flip_permutation("smpl24")
    return replace(
        moved,
        keypoints_2d=moved.keypoints_2d[order],
        joints_3d=sample.joints_3d[order] * np.array([-1, 1, 1, 1], np.float32),
        pose=mirror_pose(torch.from_numpy(sample.pose)).numpy(),
        pose_confidence=sample.pose_confidence[parts],
    )


def recoloured(image: np.ndarray, gain: np.ndarray, contrast: float) -> np.ndarray:
    """Channels (H, W, 3) uint8 multiplied by ``gain`` (3,), and differences from the mean by ``contrast``."""
    import cv2

    mean = np.array(cv2.mean(image)[:3])
    # One table of 256 entries per channel does for all pixels.
    table = ((np.arange(256)[:, None] - mean) * contrast + mean) * gain
    return cv2.LUT(image, np.clip(np.round(table), 0, 255).astype(np.uint8)[None])


def _moved(sample: Sample, linear: np.ndarray, offset: np.ndarray) -> Sample:
    """Crop coordinates x -> linear x + offset in everything that lies in the picture's plane."""
    move = np.column_stack([linear, offset])
    keypoints = sample.keypoints_2d.copy()
    known = keypoints[:, 2] > 0
    keypoints[known, :2] = apply(move, keypoints[known, :2])
    return replace(
        sample,
        to_crop=compose(move, sample.to_crop),
        keypoints_2d=keypoints,
        principal=apply(move, sample.principal).astype(np.float32),
    )
