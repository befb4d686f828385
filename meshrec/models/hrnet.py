"""HRNet (Sun et al. 2019, "Deep High-Resolution Representation Learning for Visual Recognition").

Four branches at a quarter to a thirty-second of the picture's size run side by side and exchange what they find. The
weights have the names of the authors' code, so that public checkpoints fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.resnet import BasicBlock, Bottleneck, residual_stage

BRANCHES = 4
MOST_MODULES = 16  # of a stage, and most blocks of a branch: W48 has four


@dataclass(frozen=True)
class HRNetConfig:
    """Settings of an HRNet. The defaults are those of HRNet-W48.

    Attributes:
        width: channels of the first branch, which double in each of the next three.
        stem: channels of the first two convolutions.
        stem_blocks: number of bottleneck blocks after them.
        modules: number of modules with two, three and four branches.
        blocks: number of residual blocks in each branch of a module.
        head: channels of the first block of the head that makes a feature vector, which double in each of the next
            three.
        features: length of that feature vector.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from meshrec.models.hrnet import HRNetConfig
        >>> HRNetConfig(width=32).widths
        (32, 64, 128, 256)
    """

    width: int = 48
    stem: int = 64
    stem_blocks: int = 4
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    head: int = 32
    features: int = 2048

    def __post_init__(self) -> None:
        object.__setattr__(self, "modules", tuple(self.modules))
        check_sizes(self, width=1, stem=1, stem_blocks=1, blocks=1, head=1, features=1)
        counts = (*self.modules, self.blocks, self.stem_blocks)
        if len(self.modules) != BRANCHES - 1 or not all(type(n) is int and 1 <= n <= MOST_MODULES for n in counts):
            raise InputError(f"an HRNet has three stages of 1 to {MOST_MODULES} modules, and so many blocks a branch")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the four branches."""
        return tuple(self.width << branch for branch in range(BRANCHES))


class HRNet(nn.Module):
    """The four branches of an HRNet.

    Args:
        config: the settings. Default: those of HRNet-W48.
    """

    def __init__(self, config: HRNetConfig = HRNetConfig()) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, config.stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(config.stem)
        self.conv2 = nn.Conv2d(config.stem, config.stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(config.stem)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = residual_stage(Bottleneck, config.stem, config.stem, config.stem_blocks, stride=1)
        widths, (two, three, four) = config.widths, config.modules
        self.transition1 = _transition([config.stem * Bottleneck.expansion], widths[:2])
        self.stage2 = nn.Sequential(*(_Module(widths[:2], config.blocks) for _ in range(two)))
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = nn.Sequential(*(_Module(widths[:3], config.blocks) for _ in range(three)))
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = nn.Sequential(*(_Module(widths, config.blocks) for _ in range(four)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # This layout is faster on a CPU. The type hints of torch lack this form of the call.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def branches(self, x: Tensor) -> list[Tensor]:
        """Compute the four branches.

        Args:
            x: (B, 3, H, W); H and W are multiples of 32.

        Returns:
            (B, widths[i], H / 2^(i + 2), W / 2^(i + 2)) for i from 0 to 3.
        """
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer1(self.relu(self.bn2(self.conv2(x))))
        maps = [x]
        stages = ((self.transition1, self.stage2), (self.transition2, self.stage3), (self.transition3, self.stage4))
        for transition, stage in stages:
            # A new branch begins from the coarsest one.
            maps = stage([change(maps[min(i, len(maps) - 1)]) for i, change in enumerate(transition)])
        return maps

    def forward(self, x: Tensor) -> list[Tensor]:
        """The four branches; see :meth:`branches`."""
        return self.branches(x)


class HRNetFeatures(HRNet):
    """An HRNet with the head that its authors train for classification, which makes one feature vector of a picture.

    Args:
        config: the settings. Default: those of HRNet-W48.

    Attributes:
        features: length of the feature vector.
    """

    def __init__(self, config: HRNetConfig = HRNetConfig()) -> None:
        super().__init__(config)
        self.features = config.features
        heads = [config.head << branch for branch in range(BRANCHES)]
        outputs = [head * Bottleneck.expansion for head in heads]
        self.incre_modules = nn.ModuleList(
            residual_stage(Bottleneck, width, head, 1, stride=1) for width, head in zip(config.widths, heads)
        )
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(nn.Conv2d(fine, coarse, 3, stride=2, padding=1), nn.BatchNorm2d(coarse), nn.ReLU())
            for fine, coarse in pairwise(outputs)
        )
        last = nn.Conv2d(outputs[-1], config.features, 1)
        self.final_layer = nn.Sequential(last, nn.BatchNorm2d(config.features), nn.ReLU())
        for module in (self.incre_modules, self.downsamp_modules, self.final_layer):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map pictures to feature vectors.

        Args:
            x: (B, 3, H, W); H and W are multiples of 32.

        Returns:
            (B, features).
        """
        widened = [grow(x) for grow, x in zip(self.incre_modules, self.branches(x))]
        y = widened[0]
        for shrink, finer in zip(self.downsamp_modules, widened[1:]):
            y = finer + shrink(y)
        return self.final_layer(y).mean((2, 3))


def hrnet_config(weights: Mapping[str, Tensor]) -> HRNetConfig:
    """Read the settings of an HRNet off its weights.

    Args:
        weights: the weights by their names in an :class:`HRNet` or :class:`HRNetFeatures`.

    Raises:
        KeyError: A weight that tells a size is missing.
        InputError: A size is out of range.
    """

    def channels(name: str, default: int | None = None) -> int:
        if default is not None and f"{name}.weight" not in weights:
            return default
        return weights[f"{name}.weight"].shape[0]

    return HRNetConfig(
        width=channels("stage2.0.branches.0.0.conv1"),
        stem=channels("conv1"),
        stem_blocks=_count(weights, "layer1."),
        modules=(_count(weights, "stage2."), _count(weights, "stage3."), _count(weights, "stage4.")),
        blocks=_count(weights, "stage2.0.branches.0."),
        head=channels("incre_modules.0.0.conv1", HRNetConfig.head),
        features=channels("final_layer.0", HRNetConfig.features),
    )


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Number of the modules whose names are the prefix and a number."""
    return len({key.removeprefix(prefix).partition(".")[0] for key in weights if key.startswith(prefix)})


class _Module(nn.Module):
    """Residual blocks in each branch, after which each branch gets the sum of all.

    Args:
        widths: channels of the branches.
        blocks: number of blocks in each branch.
    """

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(residual_stage(BasicBlock, width, width, blocks, stride=1) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(widths, target, source) for source in range(len(widths)))
            for target in range(len(widths))
        )
        self.relu = nn.ReLU()

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        fused = []
        for row in self.fuse_layers:
            assert isinstance(row, nn.ModuleList)
            fused.append(self.relu(sum(change(x) for change, x in zip(row, maps))))
        return fused


def _exchange(widths: Sequence[int], target: int, source: int) -> nn.Module:
    """What brings one branch's map to the size of another's."""
    if target == source:
        return nn.Identity()
    if target < source:
        convolution = nn.Conv2d(widths[source], widths[target], 1, bias=False)
        enlarge = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(convolution, nn.BatchNorm2d(widths[target]), enlarge)
    kept = [_convolution(widths[source], widths[source], 2, nn.ReLU()) for _ in range(target - source - 1)]
    return nn.Sequential(*kept, _convolution(widths[source], widths[target], 2))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """What makes the branches of the next stage: those that stay, and a new one of half the size."""
    stay = (
        nn.Identity() if inputs == outputs else _convolution(inputs, outputs, 1, nn.ReLU())
        for inputs, outputs in zip(before, after)
    )
    return nn.ModuleList([*stay, nn.Sequential(_convolution(before[-1], after[-1], 2, nn.ReLU()))])


def _convolution(inputs: int, outputs: int, stride: int, *then: nn.Module) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), *then)
