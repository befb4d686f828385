"""Joints in a picture by a cascade of regressors.

Source: Toshev and Szegedy 2014, "DeepPose: Human Pose Estimation via Deep Neural Networks". The first stage regresses
all joints from the whole picture. Every later one sees a square around each joint's estimate, whose side is a multiple
of the torso's diagonal, and regresses where in it the joint is (section 3.2, equations 5 to 7). Each stage has weights
of its own, and its loss is the squared distance in the coordinates of what it sees.

Departures: small convolutional networks in place of AlexNet, which are shared by the joints of a stage but for the last
two layers; all stages are trained at the same time, each with the estimates of the one before, in place of estimates
that are drawn around the truth. A joint beyond the square has the nearest place at its edge as target.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.heatmaps import cell_centres, picture_values
from meshrec.models.hourglass import Residual, in_channels_last, stem

SHORTEST = 0.2  # of the torso's diagonal, half crop sides: seen from above it is a point
DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


@dataclass(frozen=True)
class CascadeConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set, which has shoulders and hips.
        channels: channels of the first stage's convolutions, an even number.
        width: units between its convolutions and its joints.
        stages: number of stages.
        crop: side of the square around a joint, as a multiple of the torso's diagonal.
        pixels: side of that square in pixels, a multiple of four.
        crop_channels: channels of the later stages' convolutions.
        crop_width: units of each joint between these and its place.
    """

    joints: str = "h36m17"
    channels: int = 48
    width: int = 256
    stages: int = 3
    crop: float = 1.0
    pixels: int = 16
    crop_channels: int = 48
    crop_width: int = 16

    def __post_init__(self) -> None:
        names = joint_set(self.joints)
        if not all(name in names for diagonal in DIAGONALS for name in diagonal):
            raise InputError(f"a cascade needs shoulders and hips, which {self.joints} lacks")
        check_sizes(self, channels=2, width=1, stages=1, pixels=4, crop_channels=2, crop_width=1)
        if self.channels % 2 or self.crop_channels % 2 or self.pixels % 4 or self.crop <= 0:
            raise InputError(f"even channels, a multiple of four pixels and a crop above 0 are needed: {self}")


class Cascade(nn.Module):
    """The network, for pictures of 64 x 64.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.cascade import Cascade, CascadeConfig
        >>> network = Cascade(CascadeConfig(channels=8, width=16))
        >>> [tuple(places.shape) for places in network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))]
        [(2, 17, 2), (2, 17, 2), (2, 17, 2)]
    """

    def __init__(self, config: CascadeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CascadeConfig()
        names = joint_set(config.joints)
        self.diagonals = [[names.index(name) for name in ends] for ends in zip(*DIAGONALS)]
        wide = 2 * config.channels
        self.first = nn.Sequential(
            stem(config.channels), *_halved(config.channels, wide), *_halved(wide, wide),
            nn.Flatten(), nn.Linear(16 * wide, config.width), nn.ReLU(), nn.Linear(config.width, 2 * len(names)),
        )  # fmt: skip
        self.later = nn.ModuleList(Refinement(len(names), config) for _ in range(config.stages - 1))
        in_channels_last(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The joints after every stage.

        Args:
            image: (B, 3, 64, 64) uint8 RGB.

        Returns:
            For each stage (B, K, 2) x and y in the crop, whose edges are -1 and 1. Some lie outside.
        """
        return [centre + side * offset for centre, side, offset in self._steps(image)]

    def loss(self, image: Tensor, places: Tensor) -> Tensor:
        """The mean squared distance of each stage, in the coordinates of what it sees, summed over the stages.

        Args:
            image: (B, 3, 64, 64) uint8 RGB.
            places: (B, K, 2) joints in the crop.
        """
        losses = []
        for stage, (centre, side, offset) in enumerate(self._steps(image)):
            true = (places - centre) / side
            losses.append((offset - (true.clamp(-1, 1) if stage else true)).square().mean())
        return torch.stack(losses).sum()

    def stages(self, image: Tensor) -> list[Tensor]:
        """The joints after every stage with a confidence of 1.

        Args:
            image: (B, 3, 64, 64) uint8 RGB.

        Returns:
            For each stage (B, K, 3): x and y in the crop, and 1.
        """
        return [torch.cat([places, torch.ones_like(places[..., :1])], dim=-1) for places in self(image)]

    def _steps(self, image: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each stage the squares' centres (B, K, 2) and half sides (B, 1, 1), and offsets (B, K, 2) in them."""
        values = picture_values(image)
        offset = self.first(values).float().unflatten(-1, (-1, 2))
        steps = [(torch.zeros_like(offset), torch.ones_like(offset[:, :1, :1]), offset)]
        for stage in self.later:
            centre, side, offset = steps[-1]
            centre = (centre + side * offset).detach()  # a stage learns nothing through the squares of the next
            side = self.half_sides(centre)
            steps.append((centre, side, stage(squares(values, centre, side, self.config.pixels))))
        return steps

    def half_sides(self, places: Tensor) -> Tensor:
        """Half sides (B, 1, 1) of the squares for joints at places (B, K, 2), half crop sides."""
        start, end = (places[:, rows] for rows in self.diagonals)
        torso = (start - end).norm(dim=-1).mean(1).clamp(min=SHORTEST)
        return (self.config.crop / 2 * torso)[:, None, None]


class Refinement(nn.Module):
    """A later stage: from a square around each joint to the joint's place in it.

    Args:
        count: Number K of joints.
        config: Settings.
    """

    def __init__(self, count: int, config: CascadeConfig) -> None:
        super().__init__()
        half, full = config.crop_channels // 2, config.crop_channels
        self.see = nn.Sequential(
            nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, full, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(full), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        inputs = full * (config.pixels // 4) ** 2
        self.hidden = nn.Parameter(torch.randn(count, inputs, config.crop_width) * (2 / inputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(count, 1, config.crop_width))
        self.place = nn.Parameter(torch.zeros(count, config.crop_width, 2))  # at first every joint stays

    def forward(self, seen: Tensor) -> Tensor:
        """Map squares (B, K, 3, N, N) to places (B, K, 2), where the square's edges are -1 and 1."""
        features = self.see(seen.flatten(0, 1)).unflatten(0, seen.shape[:2]).movedim(1, 0)
        return (torch.relu(features @ self.hidden + self.bias) @ self.place).movedim(0, 1).float()


def squares(values: Tensor, centre: Tensor, side: Tensor, pixels: int) -> Tensor:
    """Squares around places of pictures, by linear interpolation; zero beyond the pictures.

    Args:
        values: (B, C, S, S) pictures.
        centre: (B, K, 2) centres, in crops whose edges are -1 and 1.
        side: (B, 1, 1) half sides.
        pixels: Side of the squares in pixels, N.

    Returns:
        (B, K, C, N, N).
    """
    cells = cell_centres(pixels, centre)
    grid = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), dim=-1)
    grid = centre[:, :, None, None] + side[..., None, None] * grid  # (B, K, N, N, 2)
    seen = grid_sample(values.to(grid.dtype), grid.flatten(1, 2), align_corners=False)
    return seen.unflatten(2, (-1, pixels)).movedim(2, 1)


def _halved(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), Residual(outputs), nn.BatchNorm2d(outputs), nn.ReLU()
