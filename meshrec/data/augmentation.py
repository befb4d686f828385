"""Augmentation of samples: random changes to the crop and its labels, then to the pixels of the crop.

Rotating, scaling, shifting and mirroring change the crop's affine map and all labels as a rolled, moved or mirrored
camera would, without resampling the picture. Colour and occluders change the pixels and no label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.data.occluders import Occluder, paste_several
from meshrec.data.sample import Sample, cut
from meshrec.geometry.affine import apply, compose


@dataclass(frozen=True)
class Augmentation:
    """Strengths and probabilities of the changes.

    The defaults of scale, rotation, mirroring and colour are those of SPIN (Kolotouros et al. 2019).

    Attributes:
        scale: The person's size is multiplied by a number drawn uniformly from 1 - scale to 1 + scale.
        turn: Standard deviation of the rotation in radians; angles are clipped to twice that.
        turn_probability: Probability of a rotation.
        flip_probability: Probability of mirroring.
        colour: Each channel is multiplied by a number drawn uniformly from 1 - colour to 1 + colour.
        contrast: Contrast is multiplied by a number drawn uniformly from 1 - contrast to 1 + contrast.
        shift: Largest shift of the crop in x and in y, as a share of half its side.
        truncation_probability: Probability that one side of the crop is cut off.
        truncation: Largest share of the crop that is cut off.
        occlusion_probability: Probability that occluders are pasted (Sárándi et al. 2018, "How robust is 3D human pose
            estimation to occlusion?").
        occluders: Largest number of occluders.
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
    """Change a sample at random and cut out its crop.

    Args:
        sample: A sample whose picture is not yet cut.
        resolution: Side of the crop in pixels.
        augmentation: Strengths and probabilities of the changes.
        rng: The random generator.
        occluders: Objects to paste; without any, random shapes are drawn.

    Returns:
        The changed sample, whose picture is the crop, as :func:`meshrec.data.sample.cut` returns it.
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
        image = paste_several(image, rng, a.occluders, occluders)
    return replace(sample, image=image)


def zoomed(sample: Sample, scale: float, shift: np.ndarray | Sequence[float] = (0.0, 0.0)) -> Sample:
    """Enlarge the person, and move a point to the centre of the crop.

    Args:
        sample: The sample.
        scale: Factor on the person's size in the crop.
        shift: (2,) the point that becomes the centre, in crop coordinates.
    """
    moved = _moved(sample, np.eye(2) * scale, -scale * np.asarray(shift, float))
    return replace(moved, focal=np.float32(scale) * sample.focal)


def truncated(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """Cut off one side of the crop, in half of all cases the lower one; the rest becomes a square crop again.

    Args:
        sample: The sample.
        share: Share of the crop to cut off.
        rng: The random generator, which chooses the side and the place of the new crop across it.
    """
    side = rng.choice(4, p=(0.5, 0.15, 0.175, 0.175))
    along, across = ((0, -share), (0, share), (share, 0), (-share, 0))[side], rng.uniform(-share, share) / 2
    shift = (across, along[1]) if side < 2 else (along[0], across)
    return zoomed(sample, 1 / (1 - share), shift)


def turned(sample: Sample, angle: float) -> Sample:
    """Rotate the picture about the crop's centre, as if the camera rolled.

    Args:
        sample: The sample.
        angle: Radians, clockwise where positive.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    roll = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
    # The camera's roll R acts on viewing rays. Where pixels are not quite square, it acts on the picture as F R F^-1
    # with the focal lengths F.
    focal = sample.focal.astype(float)
    moved = _moved(sample, roll[:2, :2] * focal[:, None] / focal, np.zeros(2))
    joints_3d, pose = sample.joints_3d.copy(), sample.pose.copy()
    joints_3d[:, :3] = joints_3d[:, :3] @ roll.T
    if sample.pose_confidence[0] > 0:
        pose[0] = roll @ pose[0]
    return replace(moved, joints_3d=joints_3d, pose=pose)


def flipped(sample: Sample) -> Sample:
    """Mirror the picture, and exchange left and right in joints and pose. Betas stay: bodies are taken as symmetric."""
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
    """Change contrast and colours of a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        gain: (3,) factors on the channels.
        contrast: Factor on the differences from the picture's mean colour.
    """
    import cv2

    mean = np.array(cv2.mean(image)[:3])
    # A lookup table of 256 entries per channel is much faster than arithmetic on all pixels.
    table = ((np.arange(256)[:, None] - mean) * contrast + mean) * gain
    return cv2.LUT(image, np.clip(np.round(table), 0, 255).astype(np.uint8)[None])


def _moved(sample: Sample, linear: np.ndarray, offset: np.ndarray) -> Sample:
    """Map crop coordinates x to linear x + offset in all that lies in the picture's plane: map, keypoints, principal.

    Args:
        sample: The sample.
        linear: (2, 2).
        offset: (2,).
    """
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
