"""Heatmaps of joints by a network whose operators are searched, for each part of the body by itself.

Sources: Chen et al. 2020, "Towards Part-Aware Monocular 3D Human Pose Estimation: An Architecture Search Approach", and
Zhang, Fang, Wang and Liu 2021, "EfficientPose: Efficient Human Pose Estimation with Neural Architecture Search". A
layer is one of a few operators, here inverted residuals of several kernels and expansions, or nothing at all. A large
network holds all of them, and a logit a_i for each. In a step of the search a layer has one operator, drawn from
softmax(a) (Gumbel-softmax; the gradient of the logits is that of the soft weights, Jang, Gu and Poole 2017,
"Categorical Reparameterization with Gumbel-Softmax"). Weights learn from one half of the people and logits from the
other half, from the network's loss and its expected number of multiplications::

    loss + price * sum over layers of softmax(a)' m / the multiplications of the largest network

The operators of the highest logits are the network, which is then trained from its first weights. Zhang et al. search
the backbone that all parts share. Chen et al. give each part of the body a cell of its own, as parts differ in how
freely they move; here these are trunk, legs and arms. The head is Zhang et al.'s: transposed convolutions of single
channels.

A network of half as many channels learns from true maps and from those of the larger network (distillation, Hinton,
Vinyals and Dean 2015).

Departures: pictures of 64 x 64, maps of 16 x 16 in place of Chen et al.'s volumes, a layer after the other in place of
graphs, multiplications in place of measured times, expansions of 1 and 3 in place of 3 and 6, and no module that
corrects the maps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax, mse_loss

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.efficientnet import InvertedResidual
from meshrec.models.heatmaps import gaussian_maps, picture_values
from meshrec.models.hourglass import in_channels_last, joints_of

JOINTS = "h36m17"
PARTS = {
    "trunk": ("mid_hip", "spine_h36m", "thorax", "head_h36m", "head_top"),
    "legs": ("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle"),
    "arms": ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
}
OPERATORS = ((3, 1), (5, 1), (3, 3), (5, 3), (0, 0))
"""Kernel and expansion of the inverted residuals; the last one is nothing at all, where input and output agree."""
LARGEST_OPERATOR = OPERATORS.index((5, 3))
BACKBONE = ((1, 2, 2), (2, 2, 1), (2, 4, 2), (4, 4, 1), (4, 4, 1))
"""Of each layer that all parts share: channels of input and output, in halves of the network's, and stride."""
CELL = 2  # layers of a part
LAYERS = len(BACKBONE) + CELL * len(PARTS)


@dataclass(frozen=True)
class PartSearchConfig:
    """Settings of the network.

    Attributes:
        channels: channels of the maps of 16 x 16 cells, an even number; those before have half as many, and those of
            8 x 8 cells twice as many.
        deviation: standard deviation of the Gaussians to learn, cells.
        operators: for each of the shared layers, and then for the layers of trunk, legs and arms, the row of
            :data:`OPERATORS`. Without any, all are the largest.
    """

    channels: int = 16
    deviation: float = 1.0
    operators: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_sizes(self, channels=2)
        if self.channels % 2 or self.deviation <= 0:
            raise InputError(f"an even number of channels and a deviation above 0 are needed: {self}")
        chosen = tuple(self.operators) or (LARGEST_OPERATOR,) * LAYERS
        layers = layer_sizes(self.channels)
        if len(chosen) != LAYERS or not all(row in allowed(layer) for row, layer in zip(chosen, layers)):
            raise InputError(
                f"{LAYERS} rows of the {len(OPERATORS)} operators are needed, and a layer whose input and output "
                f"differ cannot be nothing: {self}"
            )
        object.__setattr__(self, "operators", chosen)


@dataclass(frozen=True)
class LayerSize:
    """What a layer maps: channels of input and output, stride, and cells along a side of its input."""

    inputs: int
    outputs: int
    stride: int
    cells: int


def layer_sizes(channels: int, cells: int = 32) -> list[LayerSize]:
    """The sizes of all layers, in the order of their operators.

    Args:
        channels: As :class:`PartSearchConfig` has it.
        cells: Cells along a side after the first convolution, half of the picture's pixels.
    """
    found = []
    for inputs, outputs, stride in BACKBONE:
        found.append(LayerSize(inputs * channels // 2, outputs * channels // 2, stride, cells))
        cells = -(-cells // stride)
    return found + [LayerSize(channels, channels, 1, 2 * cells)] * (CELL * len(PARTS))


def allowed(layer: LayerSize) -> list[int]:
    """The rows of :data:`OPERATORS` that a layer can have."""
    same = layer.stride == 1 and layer.inputs == layer.outputs
    return [row for row, (kernel, _) in enumerate(OPERATORS) if kernel or same]


def multiplications(layer: LayerSize, row: int) -> int:
    """The multiplications of an operator for one picture.

    Example:
        >>> from meshrec.models.part_search import LayerSize, multiplications
        >>> multiplications(LayerSize(4, 8, 2, 16), 2)  # 256 cells to 12 channels, 64 by 3 x 3, and 64 to 8 channels
        25344
    """
    kernel, expansion = OPERATORS[row]
    inner, cells = layer.inputs * expansion, layer.cells**2
    after = (-(-layer.cells // layer.stride)) ** 2
    return (cells * layer.inputs * inner if expansion > 1 else 0) + after * inner * (kernel**2 + layer.outputs)


def total_multiplications(config: PartSearchConfig) -> int:
    """The multiplications of all layers for one picture."""
    return sum(map(multiplications, layer_sizes(config.channels), config.operators))


def random_operators(config: PartSearchConfig, generator: torch.Generator, draws: int = 2000) -> tuple[int, ...]:
    """Operators drawn at random, of many draws those with about as many multiplications as the network's.

    Args:
        config: The network.
        generator: The random generator.
        draws: How many networks are drawn.
    """
    layers, wanted = layer_sizes(config.channels), total_multiplications(config)

    def drawn() -> tuple[int, ...]:
        rows = torch.rand(LAYERS, generator=generator).tolist()
        return tuple(allowed(layer)[int(value * len(allowed(layer)))] for layer, value in zip(layers, rows))

    others = (found for found in (drawn() for _ in range(draws)) if found != config.operators)
    return min(others, key=lambda found: abs(sum(map(multiplications, layers, found)) - wanted))


class Choice(nn.Module):
    """A layer of a network that is searched: one of its operators, drawn in training, and the likeliest otherwise.

    Args:
        layer: what it maps.
        logits: (O,) of the operators that the layer can have; layers may share them.

    Attributes:
        compares: whether operators that are not drawn are computed too, so that their logits have a gradient.
    """

    def __init__(self, layer: LayerSize, logits: nn.Parameter) -> None:
        super().__init__()
        self.logits, self.compares = logits, False
        self.operators = nn.ModuleList(operator(layer, row) for row in allowed(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, N, N) to (B, outputs, N / stride, N / stride)."""
        if not self.training:
            return self.operators[int(self.logits.argmax())](x)
        weights = gumbel_softmax(self.logits.float(), hard=True)
        if self.compares:
            return torch.stack([weight.to(x) * each(x) for weight, each in zip(weights, self.operators)]).sum(0)
        return self.operators[int(weights.argmax())](x)


class PartNetwork(nn.Module):
    """The network of some operators, or that of all of them, which is searched.

    Args:
        config: its settings.
        search: whether to hold all operators.
        by_part: whether each part is searched by itself; otherwise all parts get the same operators.

    Example:
        >>> import torch
        >>> from meshrec.models.part_search import PartNetwork, PartSearchConfig
        >>> PartNetwork(PartSearchConfig(channels=8))(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([1, 17, 16, 16])
    """

    def __init__(self, config: PartSearchConfig | None = None, search: bool = False, by_part: bool = True) -> None:
        super().__init__()
        self.config = config = config or PartSearchConfig()
        sizes, channels = layer_sizes(config.channels), config.channels
        layers: list[nn.Module]
        if search:
            own = len(BACKBONE) + CELL * (len(PARTS) if by_part else 1)
            self.logits = nn.ParameterList(nn.Parameter(torch.zeros(len(allowed(size)))) for size in sizes[:own])
            layers = [Choice(size, self.logits[_shared(row, own)]) for row, size in enumerate(sizes)]
        else:
            layers = [operator(size, row) for size, row in zip(sizes, config.operators)]
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels // 2, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels // 2), nn.ReLU()
        )
        self.fine, self.coarse = nn.Sequential(*layers[:2]), nn.Sequential(*layers[2 : len(BACKBONE)])
        self.widen = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels),
        )  # fmt: skip
        first = range(len(BACKBONE), LAYERS, CELL)
        self.cells = nn.ModuleList(nn.Sequential(*layers[start : start + CELL]) for start in first)
        self.maps = nn.ModuleList(nn.Conv2d(channels, len(part), 1) for part in PARTS.values())
        names = [name for part in PARTS.values() for name in part]
        self.order = [names.index(name) for name in joint_set(JOINTS)]
        in_channels_last(self)

    def forward(self, image: Tensor) -> Tensor:
        """Heatmaps (B, 17, S / 4, S / 4) of pictures (B, 3, S, S), uint8 RGB, S a multiple of eight."""
        # In bfloat16, convolutions of single channels take twice as long on a CPU.
        with torch.autocast(image.device.type, enabled=False):
            fine = self.fine(self.stem(picture_values(image)))
            x = fine + self.widen(self.coarse(fine))
            return torch.cat([head(cell(x)) for cell, head in zip(self.cells, self.maps)], dim=1)[:, self.order]

    def loss(self, image: Tensor, places: Tensor) -> Tensor:
        """The squared distance of heatmaps to Gaussians.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            places: (B, 17, 2) joints in the crop, whose edges are -1 and 1.
        """
        found = self(image).float()
        return mse_loss(found, gaussian_maps(places, found.shape[-2:], self.config.deviation))

    def distilled_loss(self, image: Tensor, places: Tensor, teacher: "PartNetwork", share: float = 0.5) -> Tensor:
        """As :meth:`loss`, but a share of it is the squared distance to the heatmaps of another network.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            places: (B, 17, 2) joints in the crop.
            teacher: The other network.
            share: Share of its loss.
        """
        found = self(image).float()
        true = gaussian_maps(places, found.shape[-2:], self.config.deviation)
        with torch.no_grad():
            taught = teacher(image).float()
        return (1 - share) * mse_loss(found, true) + share * mse_loss(found, taught)

    def stages(self, image: Tensor) -> list[Tensor]:
        """The joints of the only stage, (B, 17, 3): x and y in the crop, and the height of the map as confidence."""
        return [joints_of(self(image))]

    def compare(self, every: bool) -> None:
        """Whether the layers of a network that is searched compute operators that they do not draw."""
        for layer in self.modules():
            if isinstance(layer, Choice):
                layer.compares = every

    def price(self) -> Tensor:
        """The expected multiplications () of a network that is searched, as a share of the largest network's."""
        sizes, total, most = layer_sizes(self.config.channels), torch.zeros(()), 0
        for row, size in enumerate(sizes):
            each = torch.tensor([float(multiplications(size, of)) for of in allowed(size)])
            total = total + self.logits[_shared(row, len(self.logits))].softmax(0) @ each
            most += multiplications(size, LARGEST_OPERATOR)
        return total / most

    def likeliest(self) -> tuple[int, ...]:
        """The operators of the highest logits, of a network that is searched."""
        sizes = layer_sizes(self.config.channels)
        return tuple(
            allowed(size)[int(self.logits[_shared(row, len(self.logits))].argmax())] for row, size in enumerate(sizes)
        )


def operator(layer: LayerSize, row: int) -> nn.Module:
    """An operator of :data:`OPERATORS`."""
    kernel, expansion = OPERATORS[row]
    return InvertedResidual(layer.inputs, layer.outputs, kernel, layer.stride, expansion) if kernel else nn.Identity()


def _shared(row: int, own: int) -> int:
    """The logits of a layer: its own, or where parts share theirs, those of the same layer of the first part."""
    return row if row < own else own - CELL + (row - own) % CELL
