"""How far away a person stands, from the size of the box around the person and from the picture.

Source: Moon, Chang and Lee 2019, "Camera Distance-aware Top-down Approach for 3D Multi-person Pose Estimation from a
Single RGB Image", sections 4 and 5. A person who fills the area A_real in space and A_img in the picture of a camera
with focal lengths fx and fy stands at the depth k = sqrt(fx fy A_real / A_img) (equation 1), for which A_real is one
constant, 2 m x 2 m. People who are small, sit or bend break that. RootNet therefore sees the picture and gives a factor
on k, from the mean of its features, and the root's place in the picture, from a heatmap by soft-argmax.

Departures: the box that DetectNet gives is the crop itself, here with the crop's margin; the backbone is small and the
heatmap is at the size of its features; and the loss of the depth is that of depth / k, so that far people count no more
than near ones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.heatmaps import picture_values, soft_argmax
from meshrec.models.hourglass import Residual, in_channels_last, stem

REAL_AREA = 4.0  # square metres, the paper's 2 m x 2 m
CROP_AREA = 4.0  # of a crop in half crop sides


def depth_of_box(focal: Tensor, area: Tensor, real_area: float = REAL_AREA) -> Tensor:
    """The depth k = sqrt(fx fy A_real / A_img) of a person who fills a box.

    Args:
        focal: (..., 2) focal lengths along x and y, in any unit of the picture such as pixels.
        area: (...) area of the box in that unit, squared.
        real_area: Area that a person fills in space, square metres.

    Returns:
        (...) metres.

    Example:
        >>> import torch
        >>> from meshrec.models.root_depth import depth_of_box
        >>> depth_of_box(torch.tensor([1000.0, 1000.0]), torch.tensor(400.0 * 400.0))
        tensor(5.)
    """
    return (focal.prod(-1) * real_area / area).sqrt()


@dataclass(frozen=True)
class RootNetConfig:
    """Settings of the network.

    Attributes:
        channels: channels of the first convolutions, an even number, which double for the factor.
        real_area: area that a person fills in space, square metres.
    """

    channels: int = 48
    real_area: float = REAL_AREA

    def __post_init__(self) -> None:
        check_sizes(self, channels=2)
        if self.channels % 2 or self.real_area <= 0:
            raise InputError(f"even channels and an area above 0 are needed: {self}")


class RootNet(nn.Module):
    """The network.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.root_depth import RootNet, RootNetConfig
        >>> RootNet(RootNetConfig(channels=8))(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.ones(2)).shape
        torch.Size([2, 3])
    """

    def __init__(self, config: RootNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RootNetConfig()
        channels = config.channels
        self.see = nn.Sequential(stem(channels), Residual(channels))
        self.map = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 1, 1))
        self.deeper = nn.Sequential(
            *_halved(channels, 2 * channels), *_halved(2 * channels, 2 * channels),
            nn.BatchNorm2d(2 * channels), nn.ReLU(),
        )  # fmt: skip
        self.factor = nn.Linear(2 * channels, 1)
        nn.init.zeros_(self.factor.weight)  # at first the depth is k
        nn.init.zeros_(self.factor.bias)
        in_channels_last(self)

    def forward(self, image: Tensor, focal: Tensor) -> Tensor:
        """The roots of B people.

        Args:
            image: (B, 3, S, S) uint8 RGB, S a multiple of 16.
            focal: (B,) focal lengths, in half crop sides.

        Returns:
            (B, 3) positions in the space of the camera that looks at the crop's centre, metres.
        """
        place, factor = self.place_and_factor(image)
        depth = (factor * self.depth_of_crop(focal))[:, None]
        return torch.cat([place / focal[:, None] * depth, depth], dim=-1)

    def loss(self, image: Tensor, root: Tensor, focal: Tensor) -> Tensor:
        """The distances of the root in the picture, half crop sides, and of its depth, as a share of k.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            root: (B, 3) true positions of the roots, metres.
            focal: (B,) focal lengths, in half crop sides.
        """
        place, factor = self.place_and_factor(image)
        true = root[:, :2] / root[:, 2:] * focal[:, None]
        return l1_loss(place, true) + l1_loss(factor, root[:, 2] / self.depth_of_crop(focal))

    def place_and_factor(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Places (B, 2) of the root in the crop, and factors (B,) on the depth of the box."""
        features = self.see(picture_values(image))
        place = soft_argmax(self.map(features).float())[:, 0]
        return place, self.factor(self.deeper(features).mean((2, 3))).float().exp()[:, 0]

    def depth_of_crop(self, focal: Tensor) -> Tensor:
        """Depths (B,) of people who fill their crops, metres; focal lengths (B,) are in half crop sides."""
        area = torch.full_like(focal, CROP_AREA)
        return depth_of_box(torch.stack([focal, focal], dim=-1), area, self.config.real_area)


def _halved(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), Residual(outputs)
