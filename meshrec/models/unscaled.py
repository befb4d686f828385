"""What networks share that learn to lift 2D joints without 3D labels: nothing that they see tells how large people are.

Joints are seen up to a translation and a scale, since a crop is as large as what it shows. What comes out has the form
of a person, and is brought to the sum of the bones' lengths of a usual person, which has to be given.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from meshrec.body.joints import joint_set, root_indices
from meshrec.models.locally_connected import BONES

TINY = 1e-6
JOINTS = joint_set("h36m17")


def centred_places(keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """2D joints without translation and scale.

    Args:
        keypoints: (B, K, 3) x and y, and confidence, 0 for missing joints.

    Returns:
        (B, K, 2) x and y, whose mean over a person's seen joints is zero and their mean square distance from it one,
        zero for missing joints; and (B, K) 1 for seen joints and 0 for missing ones.

    Example:
        >>> import torch
        >>> from meshrec.models.unscaled import centred_places
        >>> centred_places(torch.tensor([[[3.0, 5, 1], [7, 5, 1]]]))[0].tolist()
        [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    seen = (keypoints[..., 2] > 0).to(keypoints)
    places = centred_at(keypoints[..., :2], seen)
    square = places.square().sum((1, 2)) / seen.sum(1).clamp(min=1)
    return places / square.clamp(min=TINY**2).sqrt()[:, None, None], seen


def centred_at(points: Tensor, seen: Tensor) -> Tensor:
    """Points (B, K, D) less the mean of those that are seen (B, K), zero for those that are not."""
    mean = (points * seen[..., None]).sum(1) / seen.sum(1, keepdim=True).clamp(min=1)
    return (points - mean[:, None]) * seen[..., None]


def bone_vectors(points: Tensor, joints: Sequence[str] = JOINTS) -> Tensor:
    """The vectors (..., E, D) along the bones :data:`meshrec.models.locally_connected.BONES` of joints (..., K, D)."""
    first, second = zip(*((joints.index(one), joints.index(other)) for one, other in BONES))
    return points[..., list(second), :] - points[..., list(first), :]


def handedness(points: Tensor) -> Tensor:
    """Whether people bend their knees and hold their faces as people do, or as in a mirror.

    Triple products, which change their sign when a pose is mirrored: thigh x shin . (from right hip to left hip), for
    each leg, and (from right to left shoulder) x (from hips to thorax) . (from the middle between thorax and head's top
    to the face). They are above zero for 97 and 99 % of people.

    Args:
        points: (..., K, 3) joints of ``h36m17`` of any scale.

    Returns:
        (..., 3) for left knee, right knee and face, within [-1, 1].
    """

    def between(one: str, other: str) -> Tensor:
        return points[..., JOINTS.index(other), :] - points[..., JOINTS.index(one), :]

    def triple(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        a, b, c = (normalize(v, dim=-1, eps=1e-6) for v in (a, b, c))
        return (torch.linalg.cross(a, b) * c).sum(-1)

    across = between("right_hip", "left_hip")
    knees = [
        triple(between(f"{s}_hip", f"{s}_knee"), between(f"{s}_knee", f"{s}_ankle"), across) for s in ("left", "right")
    ]
    face = (between("thorax", "head_h36m") + between("head_top", "head_h36m")) / 2
    return torch.stack(
        [*knees, triple(between("right_shoulder", "left_shoulder"), between("mid_hip", "thorax"), face)], -1
    )


class Unscaled(nn.Module):
    """A network from 2D joints to 3D joints of ``h36m17`` whose form is learned and whose size is given.

    Derived classes define :meth:`shape`.

    Attributes:
        config: settings of the network.
        length: () sum of the lengths of a usual person's bones, metres.
    """

    config: Any
    length: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("length", torch.ones(()))

    def shape(self, keypoints: Tensor) -> Tensor:
        """Joints (B, K, 3) in camera space up to translation and scale, of keypoints (B, K, 3)."""
        raise NotImplementedError

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift the joints of B people.

        Args:
            keypoints: (B, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence, 0 for missing joints.

        Returns:
            (B, K, 3) positions relative to the root, in the space of the camera that looks at the crop's centre,
            metres.
        """
        points = self.shape(keypoints)
        points = points - points[:, root_indices("h36m17")].mean(1, keepdim=True)
        lengths = bone_vectors(points).norm(dim=-1).sum(1)
        return points * (self.length / lengths.clamp(min=TINY))[:, None, None]

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return sum(weight.numel() for weight in self.parameters())


class Residual(nn.Module):
    """A fully connected network of residual blocks ``x + g(g(x))`` of ``g(x) = leaky_relu(W x + b)``.

    Args:
        inputs, outputs: sizes of what comes in and out.
        width: units in each layer.
        blocks: number of residual blocks, each of two layers.
        norm: whether layers but the last are followed by batch norm.
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, norm: bool = False) -> None:
        super().__init__()

        def layer(size: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(size, width), *([nn.BatchNorm1d(width)] if norm else []), nn.LeakyReLU(0.1))

        self.enter = layer(inputs)
        self.blocks = nn.ModuleList(nn.Sequential(layer(width), layer(width)) for _ in range(blocks))
        self.leave = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        x = self.enter(x)
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x)
