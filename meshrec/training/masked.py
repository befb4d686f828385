"""Synthetic people with 2D joints and masks as a detector reports them, for methods that see both."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.models.multimodal_vae import MultimodalConfig, MultimodalVae
from meshrec.synthetic.keypoint_batches import SyntheticKeypoints
from meshrec.synthetic.people import SyntheticPeople
from meshrec.training.lifting import (
    MADE_AT_ONCE,
    POSES,
    LiftedPeople,
    LiftingTraining,
    relative_joints,
    train_network,
    without_missing,
)


@dataclass(frozen=True, eq=False)
class MaskedPeople(LiftedPeople):
    """People to lift with their masks.

    Attributes:
        mask: (N, R, R) bool, the detector's masks in the crops of the keypoints.
    """

    mask: Tensor


def people_with_masks(
    body: BodyModel,
    count: int,
    seed: int = 0,
    joints: str = "h36m17",
    resolution: int = 32,
    split: Literal["train", "held_out"] = "train",
) -> MaskedPeople:
    """Make the people of :func:`meshrec.training.lifting.people_to_lift` with masks.

    Args:
        body: Their body.
        count: Number of people.
        seed: Seed of the people.
        joints: Name of the joint set that is detected and lifted.
        resolution: Side of the masks in pixels.
        split: The poses to draw from.

    Example:
        >>> import meshrec
        >>> from meshrec.training.masked import people_with_masks
        >>> people_with_masks(meshrec.load_body("neutral"), 4, resolution=16).mask.shape
        torch.Size([4, 16, 16])
    """
    people = SyntheticPeople(body, seed, split, resolution, poses=POSES)
    source = SyntheticKeypoints(people, joints, silhouettes=True)
    parts = []
    for number in range(math.ceil(count / MADE_AT_ONCE)):
        batch, seen = source.batch(MADE_AT_ONCE, number)
        mask = seen.silhouette[:, 0] > 0.5
        parts.append((without_missing(seen.keypoints), relative_joints(batch, joints), batch.focal[:, 0], mask))
    return MaskedPeople(*(torch.cat(values)[:count] for values in zip(*parts)))


def train_multimodal(
    config: MultimodalConfig, people: MaskedPeople, training: LiftingTraining
) -> tuple[MultimodalVae, float]:
    """Train the autoencoder of several modalities; results and errors are those of ``train_lifter``.

    Args:
        config: Its settings.
        people: The people to learn from.
        training: How to train.
    """
    return train_network(
        lambda: MultimodalVae(config),
        people,
        training,
        lambda network, batch: network.loss_of(batch.keypoints, batch.mask, batch.joints),
    )
