"""From 2D joints to 3D joints by way of depths of which only the order was learned.

Source: Pavlakos, Zhou and Daniilidis 2018, "Ordinal Depth Supervision for 3D Human Pose Estimation", sections 3.1 and
3.4. A first network estimates a depth for each joint. Its labels are pairs of joints, of which a person who looks at a
photo can tell which is nearer; so its depths have an order and no scale. A second network completes them to 3D joints.
It sees 2D joints and depths, and learns from motion capture alone: projected joints, and true depths with noise.

Departures: the first network sees 2D joints in place of a picture, and both are the fully connected network of Martinez
et al. 2017 (the paper's second one has bilinear units of that kind). The second network sees the depths of each person
with a mean of zero and a standard deviation of one, in training too, since an order has no scale.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from meshrec.errors import InputError
from meshrec.models.lifting_baseline import BaselineConfig, LiftingBaseline

FLAT = 1e-3
"""The least standard deviation of a person's depths by which they are divided."""


@dataclass(frozen=True)
class DepthOrderConfig:
    """Settings of both networks.

    Attributes:
        network: settings of each of the two networks.
        noise: standard deviation of the noise on the depths from which the second network learns, as a share of the
            standard deviation of a person's depths.
        tolerance: difference up to which depths count as equal in the labels, metres.
    """

    network: BaselineConfig = field(default_factory=lambda: BaselineConfig(dropout=0.0))
    noise: float = 0.3
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if self.noise < 0 or self.tolerance < 0:
            raise InputError(f"noise and tolerance must be at least 0: {self}")


class Depths(LiftingBaseline):
    """The network of depths, whose labels have no mean and no scale that its outputs could be given."""

    def standardise(self, keypoints: Tensor, joints: Tensor) -> None:
        """Take means and standard deviations of keypoints (N, K, 3) alone."""
        super().standardise(keypoints, joints)
        self.mean.zero_()
        self.deviation.fill_(1.0)


class DepthOrder(nn.Module):
    """Both networks.

    Args:
        config: their settings.

    Attributes:
        depths: the network of depths: the third coordinate of its output counts.
        complete: the network that completes 2D joints and depths to 3D joints; it sees depths in place of confidences.

    Example:
        >>> import torch
        >>> from meshrec.models.depth_order import DepthOrder, DepthOrderConfig
        >>> from meshrec.models.lifting_baseline import BaselineConfig
        >>> DepthOrder(DepthOrderConfig(BaselineConfig(width=64)))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    def __init__(self, config: DepthOrderConfig | None = None) -> None:
        super().__init__()
        self.config = config or DepthOrderConfig()
        self.depths = Depths(self.config.network)
        self.complete = LiftingBaseline(self.config.network)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift the joints of B people.

        Args:
            keypoints: (B, K, 3) x and y in the crop, and confidence; x and y of missing joints are zero.
                has them.

        Returns:
            (B, K, 3) positions relative to the root, metres.
        """
        return self.complete(with_depths(keypoints, self.depths(keypoints)[..., 2]))

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return self.depths.count_weights() + self.complete.count_weights()


def with_depths(keypoints: Tensor, depths: Tensor) -> Tensor:
    """Joints as the second network sees them.

    Args:
        keypoints: (..., K, 3) x and y in the crop, and confidence.
        depths: (..., K) depths, in any unit and from any origin.

    Returns:
        (..., K, 3) x, y, and the depth with a mean of 0 and a standard deviation of 1 over the joints.

    Example:
        >>> with_depths(torch.zeros(2, 3), torch.tensor([3.0, 5.0]))[:, 2].tolist()
        [-1.0, 1.0]
    """
    depths = depths - depths.mean(-1, keepdim=True)
    depths = depths / depths.std(-1, keepdim=True, correction=0).clamp(min=FLAT)
    return torch.cat([keypoints[..., :2], depths[..., None]], dim=-1)
