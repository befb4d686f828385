"""What networks that lift 2D joints to 3D joints share: standardised inputs and outputs."""

from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 1e-3
"""The least standard deviation of an output, metres, and of an input: the root's own is zero."""


class Standardised(nn.Module):
    """A network from 2D joints to 3D joints that sees and gives numbers of mean 0 and standard deviation 1.

    Derived classes define :meth:`standard`.

    Args:
        count: number K of joints.
        seen: number S of keypoints. Default: K.

    Attributes:
        config: settings of the network.
        seen_mean, seen_deviation: (S, 3) of the keypoints.
        mean, deviation: (K, 3) of the joints, metres.
    """

    config: Any
    seen_mean: Tensor
    seen_deviation: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, count: int, seen: int | None = None) -> None:
        super().__init__()
        for name, value in (("seen_mean", 0.0), ("seen_deviation", 1.0), ("mean", 0.0), ("deviation", 1.0)):
            rows = count if seen is None or not name.startswith("seen") else seen
            self.register_buffer(name, torch.full((rows, 3), value))

    def standardise(self, keypoints: Tensor, joints: Tensor) -> None:
        """Take means and standard deviations of training data.

        Args:
            keypoints: (N, S, 3) x and y in the crop, and confidence.
            joints: (N, K, 3) positions relative to the root, metres.
        """
        for values, mean, deviation in (
            (keypoints, self.seen_mean, self.seen_deviation), (joints, self.mean, self.deviation)
        ):  # fmt: skip
            mean.copy_(values.mean(0))
            deviation.copy_(values.std(0).clamp(min=SMALLEST))

    def standard(self, keypoints: Tensor) -> Tensor:
        """Standardised 3D joints (B, K, 3) of standardised keypoints (B, S, 3)."""
        raise NotImplementedError

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift the joints of B people.

        Args:
            keypoints: (B, S, 3) x and y in the crop, whose edges are -1 and 1, and confidence; x and y of missing
                joints are zero.

        Returns:
            (B, K, 3) positions relative to the root, in the space of the camera that looks at the crop's centre,
            metres.
        """
        return self.mean + self.deviation * self.standard((keypoints - self.seen_mean) / self.seen_deviation)

    def loss(self, keypoints: Tensor, joints: Tensor) -> Tensor:
        """What a training makes small: by default the mean squared error of the standardised joints.

        Args:
            keypoints: (B, S, 3) as for a call.
            joints: (B, K, 3) true positions relative to the root, metres.
        """
        return ((self(keypoints) - joints) / self.deviation).square().mean()

    def after_step(self) -> None:
        """Called after each step of an optimizer. By default it does nothing."""

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return sum(weight.numel() for weight in self.parameters())
