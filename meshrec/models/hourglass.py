"""Joints in a picture by stacked hourglasses.

Source: Newell, Yang and Deng 2016, "Stacked Hourglass Networks for Human Pose Estimation". An hourglass halves the size
of its input a few times and doubles it again, and adds what it had at each size before, all with residual blocks
(section 3.1). Each stack ends in heatmaps of the joints and hands on x + W1 y + W2 h, its input x, its features y and
its heatmaps h (section 3.2). The loss is the squared distance of every stack's heatmaps to Gaussians of one cell
(intermediate supervision); the paper's figure 8 compares it with the last stack's alone.

Departures: pictures of 64 x 64 and heatmaps of 16 x 16 instead of 256 and 64, hourglasses of two halvings instead of
four, fewer channels, and two 3 x 3 convolutions in place of the 7 x 7 one and its residual blocks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, mse_loss

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.heatmaps import argmax_places, gaussian_maps, picture_values

SHRINKS = 4  # pixels along a side for each cell of a heatmap
MOST = 8  # stacks and halvings


@dataclass(frozen=True)
class HourglassConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set.
        channels: channels of the features, an even number.
        halvings: how often an hourglass halves its input.
        stacks: number of hourglasses.
        deviation: standard deviation of the Gaussians to learn, cells.
        intermediate: whether every stack has a loss, and not only the last.
    """

    joints: str = "h36m17"
    channels: int = 64
    halvings: int = 2
    stacks: int = 2
    deviation: float = 1.0
    intermediate: bool = True

    def __post_init__(self) -> None:
        joint_set(self.joints)
        if not (2 <= self.channels <= LARGEST and self.channels % 2 == 0 and self.deviation > 0):
            raise InputError(f"an even number of 2 to {LARGEST} channels and a deviation above 0 are needed: {self}")
        if not (1 <= self.stacks <= MOST and 0 <= self.halvings <= MOST):
            raise InputError(f"1 to {MOST} stacks and 0 to {MOST} halvings are needed: {self}")


class StackedHourglass(nn.Module):
    """The network.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.hourglass import HourglassConfig, StackedHourglass
        >>> network = StackedHourglass(HourglassConfig(channels=8))
        >>> [tuple(maps.shape) for maps in network(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))]
        [(1, 17, 16, 16), (1, 17, 16, 16)]
    """

    def __init__(self, config: HourglassConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HourglassConfig()
        count, channels = len(joint_set(config.joints)), config.channels
        self.stem = stem(channels)
        self.hourglasses = nn.ModuleList(Hourglass(channels, config.halvings) for _ in range(config.stacks))
        self.features = nn.ModuleList(features_after(channels) for _ in range(config.stacks))
        self.maps = nn.ModuleList(nn.Conv2d(channels, count, 1) for _ in range(config.stacks))
        self.from_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(config.stacks - 1))
        self.from_maps = nn.ModuleList(nn.Conv2d(count, channels, 1) for _ in range(config.stacks - 1))
        in_channels_last(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The heatmaps of every stack.

        Args:
            image: (B, 3, S, S) uint8 RGB, S a multiple of four times two for each halving.

        Returns:
            For each stack (B, K, S / 4, S / 4), near 1 where a joint is and near 0 elsewhere.
        """
        x, found = self.stem(picture_values(image)), []
        for stack, (hourglass, features, head) in enumerate(zip(self.hourglasses, self.features, self.maps)):
            y = features(hourglass(x))
            found.append(head(y))
            if stack < len(self.from_maps):
                x = x + self.from_features[stack](y) + self.from_maps[stack](found[-1])
        return found

    def loss(self, image: Tensor, places: Tensor) -> Tensor:
        """The squared distance of heatmaps to Gaussians, summed over the supervised stacks.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            places: (B, K, 2) joints in the crop, whose edges are -1 and 1.
        """
        found = self(image)
        true = gaussian_maps(places, found[0].shape[-2:], self.config.deviation)
        stages = found if self.config.intermediate else found[-1:]
        return torch.stack([mse_loss(maps.float(), true) for maps in stages]).sum()

    def stages(self, image: Tensor) -> list[Tensor]:
        """The joints after every stack.

        Args:
            image: (B, 3, S, S) uint8 RGB.

        Returns:
            For each stack (B, K, 3): x and y in the crop, and the height of the heatmap as confidence in [0, 1].
        """
        return [joints_of(maps) for maps in self(image)]


class Hourglass(nn.Module):
    """Halve the input, compute at the smaller size, double it and add what was kept at the larger size.

    Args:
        channels: Channels of input and output.
        halvings: How often the input is halved; without any, a residual block is left.
    """

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.kept = Residual(channels) if halvings else None
        self.down = Residual(channels)
        self.inner = Hourglass(channels, halvings - 1) if halvings > 1 else None
        self.up = Residual(channels) if halvings else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, N, N) to the same shape."""
        if self.kept is None or self.up is None:
            return self.down(x)
        low = self.down(max_pool2d(x, 2))
        if self.inner is not None:
            low = self.inner(low)
        return self.kept(x) + interpolate(self.up(low), scale_factor=2.0)


class Residual(nn.Module):
    """x + f(x) with f of 1 x 1, 3 x 3 and 1 x 1 convolutions, each after batch norm and ReLU (He et al. 2016b).

    Args:
        channels: Channels of input and output; the inner convolutions have half as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.change = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, half, 1, bias=False),
            nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, N, N) to the same shape."""
        return x + self.change(x)


def stem(channels: int) -> nn.Sequential:
    """The first layers, from (B, 3, S, S) to (B, channels, S / 4, S / 4)."""
    half = channels // 2
    return nn.Sequential(
        nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
        nn.Conv2d(half, channels, 3, stride=2, padding=1), Residual(channels),
    )  # fmt: skip


def features_after(channels: int) -> nn.Sequential:
    """The layers between an hourglass and its heatmaps."""
    return nn.Sequential(
        Residual(channels), nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


def joints_of(maps: Tensor) -> Tensor:
    """Places and confidences (B, K, 3) of the joints of heatmaps (B, K, N, N)."""
    maps = maps.float()
    return torch.cat([argmax_places(maps, quarter=True), maps.amax((-2, -1))[..., None].clamp(0, 1)], dim=-1)


def in_channels_last(network: nn.Module) -> None:
    """Store weights in the layout in which convolutions on a CPU are faster."""
    # The type hints of torch lack this form of the call.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
