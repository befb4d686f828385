"""Clips of synthetic people with 2D joints as a detector reports them, for methods that lift whole sequences.

Frames are those of the pose bank's takes. A person turns and moves the limbs but stays in place, since the bank has no
translations, in front of a camera that stands still, and the crop is the same in all frames of a clip. The detector's
errors last for a while, as in :mod:`meshrec.synthetic.clips`; it reports all joints, some of them with low confidence.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import root_indices
from meshrec.body.kinematics import mirror_pose
from meshrec.data.streams import BatchStream
from meshrec.geometry.crops import centre_points, look_at
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.synthetic.clips import CAPTURE_RATE, LASTING, NOISE, lasting
from meshrec.synthetic.detector_noise import DetectorNoise, detected
from meshrec.synthetic.keypoint_batches import CROP, JOINTS
from meshrec.synthetic.people import to_normalized
from meshrec.synthetic.random_cameras import ViewMix, draw_orientations, draw_views
from meshrec.synthetic.random_shapes import draw_shapes, heaviness
from meshrec.synthetic.visibility import behind_limbs
from meshrec.training.lifting import LiftedPeople

MADE_AT_ONCE = 256  # clips; a fixed number, since a batch of random numbers is a function of its size too
VIEWS = ViewMix(truncated=0.0, occluded=0.0)


@dataclass(frozen=True)
class ClipsConfig:
    """Clips to learn from.

    Attributes:
        clips: number of clips.
        frames: frames of each.
        every: frames of the takes, of which there are 30 a second, from one frame of a clip to the next.
        seed: seed of the clips.
        batch_size: number of clips in a step of a training.
        steps: number of steps.
    """

    clips: int = 8192
    frames: int = 16
    every: int = 2
    seed: int = 0
    batch_size: int = 32
    steps: int = 3000

    def __post_init__(self) -> None:
        if min(self.clips, self.frames, self.every, self.batch_size, self.steps) < 1:
            raise ValueError("clips, frames, every, batch_size and steps must be above 0")


@dataclass(frozen=True, eq=False)
class LiftedClips(LiftedPeople):
    """N clips of T frames: keypoints (N, T, K, 3), joints (N, T, K, 3) and focal lengths (N,), as of people to lift."""


@torch.no_grad()
def clips_to_lift(
    body: BodyModel,
    config: ClipsConfig,
    joints: str = "h36m17",
    noise: DetectorNoise = NOISE,
    split: Literal["train", "held_out"] = "train",
) -> LiftedClips:
    """Make clips.

    Args:
        body: Body of the people, whose shapes are random.
        config: How many clips, and of which frames.
        joints: Name of the joint set that is detected and lifted.
        noise: Errors of the detector in each frame.
        split: The takes to draw from.

    Example:
        >>> import meshrec
        >>> from meshrec.training.lifted_clips import ClipsConfig, clips_to_lift
        >>> clips_to_lift(meshrec.load_body("neutral"), ClipsConfig(clips=2, frames=5)).joints.shape
        torch.Size([2, 5, 17, 3])
    """
    bank, landmarks = load_pose_bank(split), TorchLandmarks(LandmarkMoments.of_body(body, JOINTS))
    span = (config.frames - 1) * config.every
    starts = torch.nonzero(bank.take[: len(bank) - span] == bank.take[span:])[:, 0]
    heavier = heaviness(body)
    names = joint_set(JOINTS)
    rows, root = [names.index(name) for name in joint_set(joints)], root_indices(joints)
    share = np.full(config.frames - 1, math.exp(-config.every / CAPTURE_RATE / LASTING))
    parts = []
    for number in range(math.ceil(config.clips / MADE_AT_ONCE)):

        def stream(purpose: str, count: int = MADE_AT_ONCE, number: int = number) -> BatchStream:
            return BatchStream(count, (config.seed, number), f"clips, {purpose}")

        drawn, view = stream("pose"), stream("view")
        index = starts[drawn.whole(len(starts))][:, None] + config.every * torch.arange(config.frames)
        pose = bank.rotations(index.flatten())
        mirrored = drawn.happens(0.5).repeat_interleave(config.frames)
        pose = torch.where(mirrored[:, None, None, None], mirror_pose(pose), pose)
        pose[:, 0] = draw_orientations(view, VIEWS).repeat_interleave(config.frames, 0) @ pose[:, 0]
        betas, _ = draw_shapes(stream("shape"), heavier)
        points = landmarks(pose, betas.repeat_interleave(config.frames, 0))
        views = draw_views(points.unflatten(0, (-1, config.frames)).flatten(1, 2), view, CROP, VIEWS)
        points = points + views.translation.repeat_interleave(config.frames, 0)[:, None]
        seen = points[:, rows]
        pixels = views.camera.project(seen.unflatten(0, (-1, config.frames)).flatten(1, 2))[..., :2]
        pixels = pixels.unflatten(1, (config.frames, -1)).flatten(0, 1)
        side = (pixels.amax(1) - pixels.amin(1)).amax(1)
        reported = detected(pixels, behind_limbs(seen, points), side, joints, stream("detector", len(pixels)), noise)
        keypoints = _errors_that_last(reported, pixels, side, share, config.frames)
        focal = torch.as_tensor(views.camera.focal) * (2 / CROP)
        principal = to_normalized(torch.as_tensor(views.camera.center), CROP)
        places, centred = centre_points(to_normalized(keypoints[..., :2], CROP).flatten(1, 2), focal, principal)
        places = places.unflatten(1, keypoints.shape[1:3])
        seen = (seen - seen[:, root].mean(1, keepdim=True)).unflatten(0, (-1, config.frames))
        turned = seen @ look_at(focal, principal).mT[:, None]
        parts.append((torch.cat([places, keypoints[..., 2:]], dim=-1), turned, centred))
    return LiftedClips(*(torch.cat(values)[: config.clips] for values in zip(*parts)))


def _errors_that_last(reported: Tensor, pixels: Tensor, side: Tensor, share: np.ndarray, frames: int) -> Tensor:
    """Detections (N, T, K, 3) whose errors and confidences are alike in neighbouring frames.

    Args:
        reported: (N T, K, 3) detections of single frames.
        pixels: (N T, K, 2) true places.
        side: (N T) sizes of the people.
        share: (T - 1) correlation of each frame with the one before it.
        frames: Number T.
    """
    errors = (reported[..., :2] - pixels) / side[:, None, None]
    logit = reported[..., 2:].clamp(0.01, 0.99).logit()
    both = torch.cat([errors, logit], dim=-1).unflatten(0, (-1, frames)).movedim(1, 0)
    middle = torch.cat([torch.zeros_like(both[..., :2]), both[..., 2:].mean(0).expand_as(both[..., 2:])], dim=-1)
    lasted = (middle + lasting(both - middle, share)).movedim(0, 1)
    places = pixels.unflatten(0, (-1, frames)) + lasted[..., :2] * side.unflatten(0, (-1, frames))[..., None, None]
    return torch.cat([places, lasted[..., 2:].sigmoid()], dim=-1)
