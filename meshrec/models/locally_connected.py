"""3D joints from 2D joints by a network whose layers connect only joints that are near in the skeleton.

Source: Ci, Wang, Ma and Wang 2019, "Optimizing Network Structure for 3D Human Pose Estimation" (LCN), equations 3 to 5.
Each joint has C numbers in each layer, and a layer is a linear map whose block from joint j to joint i is zero unless j
is among the joints that are at most k bones away from i. In contrast to a graph convolution, each pair of joints
has a block of weights of its own. As in the paper, layers stand in the residual blocks of the fully connected baseline
(:mod:`meshrec.models.lifting_baseline`).

Departures: the first and the last layer are masked as the others are, as in the paper's figure 3, but the paper's last
fully connected layer for its pixel space is left out; inputs have a confidence as a third number. ``reach=None``
connects all joints, which is the fully connected network of the same layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.standardised import Standardised

BONES = (
    *(("mid_hip", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle")),
    *(("mid_hip", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle")),
    *(("mid_hip", "spine_h36m"), ("spine_h36m", "thorax"), ("thorax", "head_h36m"), ("head_h36m", "head_top")),
    *(("thorax", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
    *(("thorax", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist")),
)
"""The bones of ``h36m17``, from the root outwards."""


@dataclass(frozen=True)
class LocallyConnectedConfig:
    """Settings of the network.

    Attributes:
        channels: numbers of each joint in each layer.
        blocks: number of residual blocks, each of two layers.
        reach: the largest number of bones between joints that are connected; None connects all.
        dropout: dropout probability after each layer but the last.
    """

    channels: int = 64
    blocks: int = 2
    reach: int | None = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= 512 and 0 <= self.blocks <= 64 and 0 <= self.dropout < 1):
            raise InputError(f"1 to 512 channels, 0 to 64 blocks and a dropout in [0, 1) are needed: {self}")
        if self.reach is not None and self.reach < 0:
            raise InputError(f"the reach must be at least 0 bones, not {self.reach}")


def bones_between(names: Sequence[str], bones: Sequence[tuple[str, str]] = BONES) -> Tensor:
    """The number of bones on the shortest way between each two joints, by breadth-first search.

    Args:
        names: K names of joints.
        bones: Pairs of names.

    Returns:
        (K, K) int64.

    Raises:
        ValueError: Two joints are not connected.

    Example:
        >>> from meshrec.models.locally_connected import bones_between
        >>> bones_between(["hip", "knee", "ankle"], [("hip", "knee"), ("knee", "ankle")])[0].tolist()
        [0, 1, 2]
    """
    count = len(names)
    near = torch.eye(count, dtype=torch.float64)
    for one, other in bones:
        i, j = names.index(one), names.index(other)
        near[i, j] = near[j, i] = 1
    reached, distances = torch.eye(count, dtype=torch.bool), torch.zeros(count, count, dtype=torch.int64)
    for step in range(1, count):
        further = (near @ reached.double() > 0) & ~reached
        distances[further] = step
        reached |= further
    if not reached.all():
        raise ValueError("some joints are not connected by bones")
    return distances


class MaskedLinear(nn.Module):
    """A linear layer between the numbers of K joints, in which each joint sees only some of the joints.

    Args:
        mask: (K, K) bool, whether the joint of the row sees the joint of the column.
        inputs, outputs: numbers of each joint.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, inputs: int, outputs: int) -> None:
        super().__init__()
        blocks = mask.repeat_interleave(outputs, 0).repeat_interleave(inputs, 1)
        self.register_buffer("mask", blocks.float(), persistent=False)
        # As He et al. 2015, with the number of inputs that each output really has.
        deviation = (2 / blocks.sum(1, keepdim=True)).sqrt()
        self.weight = nn.Parameter(torch.randn(blocks.shape) * deviation * self.mask)
        self.bias = nn.Parameter(torch.zeros(len(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, K * inputs) to (B, K * outputs)."""
        return linear(x, self.weight * self.mask, self.bias)


class LocallyConnected(Standardised):
    """The network, for the joints of ``h36m17``.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.locally_connected import LocallyConnected, LocallyConnectedConfig
        >>> LocallyConnected(LocallyConnectedConfig(channels=4))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: LocallyConnectedConfig

    def __init__(self, config: LocallyConnectedConfig | None = None) -> None:
        names = joint_set("h36m17")
        super().__init__(len(names))
        self.config = config = config or LocallyConnectedConfig()
        distances = bones_between(names)
        self.near = distances <= (len(names) if config.reach is None else config.reach)
        self.enter = self._layer(3)
        self.blocks = nn.ModuleList(
            nn.Sequential(self._layer(config.channels), self._layer(config.channels)) for _ in range(config.blocks)
        )
        self.leave = MaskedLinear(self.near, config.channels, 3)

    def standard(self, keypoints: Tensor) -> Tensor:
        """Standardised 3D joints (B, K, 3) of standardised keypoints (B, K, 3)."""
        x = self.enter(keypoints.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x).unflatten(1, (-1, 3))

    def count_weights(self) -> int:
        """The number of weights that training changes: masked ones stay zero."""
        masked = sum(int((module.mask == 0).sum()) for module in self.modules() if isinstance(module, MaskedLinear))
        return super().count_weights() - masked

    def _layer(self, inputs: int) -> nn.Sequential:
        channels = self.config.channels
        return nn.Sequential(
            *(MaskedLinear(self.near, inputs, channels), nn.BatchNorm1d(channels * len(self.near))),
            *(nn.ReLU(), nn.Dropout(self.config.dropout)),
        )


def equal_weights(config: LocallyConnectedConfig) -> LocallyConnectedConfig:
    """The settings of the fully connected network of the same layout that has about as many weights.

    Example:
        >>> from meshrec.models.locally_connected import LocallyConnectedConfig, equal_weights
        >>> equal_weights(LocallyConnectedConfig(channels=8, reach=2))
        LocallyConnectedConfig(channels=4, blocks=2, reach=None, dropout=0.1)
    """
    wanted = LocallyConnected(config).count_weights()
    alike = [replace(config, reach=None, channels=channels) for channels in range(1, config.channels + 1)]
    return min(alike, key=lambda other: abs(LocallyConnected(other).count_weights() - wanted))
