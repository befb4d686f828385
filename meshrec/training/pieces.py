"""Pieces of batches: samples with what a network sees of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import convert_joints, flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch, concatenate
from meshrec.models.encoders import NetworkInput
from meshrec.models.mirrored import mirror_input

Piece = tuple[Batch, NetworkInput]
"""Centred samples; their pictures are ``Batch.image`` in bytes, from which the network's are made where it runs."""

Source = Callable[[range], Piece]
"""Makes the people at some places in the source's own endless sequence of people, the same every time."""


@dataclass(frozen=True)
class Needs:
    """What a training needs of every sample besides labels and keypoints.

    Attributes:
        joints: The set of the keypoints that the network sees.
        resolution: Side of pictures and masks in pixels.
        pictures, silhouettes: Whether the network sees them.
        masks: Whether a loss compares with them.
    """

    joints: str
    resolution: int
    pictures: bool
    silhouettes: bool
    masks: bool

    @property
    def keypoints_only(self) -> bool:
        """Whether nothing has to be drawn or read from pictures."""
        return not (self.pictures or self.silhouettes or self.masks)

    def piece(self, batch: Batch, seen: Proxies, joints: str) -> Piece:
        """A centred batch and what a detector says, as the network sees it.

        Args:
            batch: Labels, centred.
            seen: Detected keypoints and silhouettes of the batch, centred.
            joints: Name of the joint set of the detected keypoints.
        """
        nothing = batch.image.new_empty(0)
        keypoints = converted(seen.keypoints, joints, self.joints)
        silhouette = seen.silhouette if self.silhouettes else None
        batch = replace(
            batch, image=batch.image if self.pictures else nothing, mask=batch.mask if self.masks else nothing
        )
        return batch, NetworkInput(silhouette=silhouette, keypoints=keypoints, focal=batch.focal[:, 0])


def joined(pieces: Sequence[Piece]) -> Piece:
    """Pieces as one, in their order."""
    batches, inputs = zip(*pieces)
    return concatenate(batches), NetworkInput.cat(inputs)


def converted(keypoints: Tensor, source: str, target: str) -> Tensor:
    """Keypoints (B, K, 3) of one joint set in another; those that it lacks get the confidence 0."""
    if source == target:
        return keypoints
    return torch.from_numpy(convert_joints(keypoints.numpy(), source, target)[0].astype(np.float32))


def mirrored(piece: Piece, joints: str) -> Piece:
    """People as a mirror shows them. Shapes are taken to be symmetric.

    Args:
        piece: People on the CPU.
        joints: Name of the joint set of the input's keypoints.
    """
    batch, inputs = piece
    order, parts = (torch.from_numpy(flip_permutation(name)) for name in (batch.joint_set, "smpl24"))
    mirror = torch.tensor([-1.0, 1, 1, 1])
    return replace(
        batch,
        image=batch.image.flip(-1),
        mask=batch.mask.flip(-1),
        keypoints_2d=batch.keypoints_2d[:, order] * mirror[:3],
        joints_3d=batch.joints_3d[:, order] * mirror,
        pose=mirror_pose(batch.pose),
        pose_confidence=batch.pose_confidence[:, parts],
    ), mirror_input(inputs, joints)
