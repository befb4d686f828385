"""The inputs of the networks, and the encoders that turn them into one feature vector.

The input may be the picture (HMR), proxy maps (heatmaps of 2D keypoints and a silhouette: Pavlakos et al. 2018,
"Learning to Estimate 3D Human Pose and Shape from a Single Color Image"; STRAPS, Sengupta et al. 2020), both, or the
keypoints alone (Martinez et al. 2017, "A simple yet effective baseline for 3d human pose estimation").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from meshrec.body.joints import JOINT_SETS, joint_set
from meshrec.errors import InputError
from meshrec.models.checks import check_share, check_sizes
from meshrec.models.efficientnet import EfficientNetLite0, lite_rgb
from meshrec.models.resnet import STAGES, ResNet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EFFICIENTNET: Literal["efficientnet_lite0"] = "efficientnet_lite0"
INPUTS = ("rgb", "heatmaps", "silhouette", "keypoints")


@dataclass
class NetworkInput:
    """The input for a batch of B people. Fields that a network does not use may be None.

    Attributes:
        rgb: (B, 3, H, W) square crops, normalised by :func:`normalize_rgb`.
        silhouette: (B, 1, H, W) coverage in [0, 1].
        keypoints: (B, K, 3) x and y in the crop, whose edges are at -1 and 1, and confidence, 0 for a missing keypoint.
        focal: (B,) focal lengths, in half crop sides. None for weak-perspective cameras.
        box: (B, 3) where the crop lies in the photo, for networks that are told; see
            :class:`meshrec.regress.full_frame.FullFrame`.
    """

    rgb: Tensor | None = None
    silhouette: Tensor | None = None
    keypoints: Tensor | None = None
    focal: Tensor | None = None
    box: Tensor | None = None

    def to(self, device: torch.device | str) -> "NetworkInput":
        """Copy all tensors to a device."""
        return NetworkInput(**{name: None if t is None else t.to(device) for name, t in vars(self).items()})

    @staticmethod
    def cat(parts: "Sequence[NetworkInput]") -> "NetworkInput":
        """Concatenate batches, which must have the same fields."""
        values = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
        return NetworkInput(**{name: None if of[0] is None else torch.cat(of) for name, of in values.items()})


torch.export.register_dataclass(NetworkInput)


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of an encoder.

    Attributes:
        inputs: names of the inputs: any of ``rgb``, ``heatmaps`` and ``silhouette``, which are the channels of a ResNet
            in this order, and ``keypoints``, which residual blocks process as a vector.
        resnet: depth of the ResNet, 18, 34 or 50. With 0 there is none, and only the refinements of an iterative
            regressor use the silhouette (:mod:`meshrec.models.silhouette_feedback`). ``efficientnet_lite0`` takes an
            EfficientNet-Lite0 in its place, which takes half of a ResNet-18's time, except in training.
        resnet_width: channels of the ResNet's first stage. Published weights have 64; 32 channels have a quarter of the
            weights.
        joints: name of the joint set of the keypoints and heatmaps.
        resolution: side of the crop and of its maps, pixels.
        width: units in each layer of the residual blocks.
        blocks: number of residual blocks.
        dropout: dropout probability in the residual blocks.
    """

    inputs: tuple[str, ...] = ("rgb",)
    resnet: int | Literal["efficientnet_lite0"] = 50
    resnet_width: int = 64
    joints: str = "coco17"
    resolution: int = 224
    width: int = 1024
    blocks: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if not self.inputs or not set(self.inputs) <= set(INPUTS):
            raise InputError(f"a network's inputs are one or more of {', '.join(INPUTS)}, not {self.inputs}")
        if self.resnet and self.resnet not in (*STAGES, EFFICIENTNET):
            raise InputError(
                f"there is no ResNet-{self.resnet} here; choose of {', '.join(map(str, STAGES))} or {EFFICIENTNET}"
            )
        if self.resnet == EFFICIENTNET and self.resnet_width != 64:
            raise InputError(f"resnet_width is of ResNets; leave it out for {EFFICIENTNET}")
        if not self.resnet and not {"keypoints"} <= set(self.inputs) <= {"keypoints", "silhouette"}:
            raise InputError(f"without a ResNet a network sees keypoints, perhaps a silhouette, not {self.inputs}")
        if self.joints not in JOINT_SETS:
            raise InputError(f"there is no joint set '{self.joints}'; choose of {', '.join(JOINT_SETS)}")
        check_sizes(self, resnet_width=1, resolution=16, width=1, blocks=0)
        check_share(self, "dropout")

    @property
    def channels(self) -> int:
        """Number of input channels of the ResNet; 0 if there is none."""
        if not self.resnet:
            return 0
        sizes = {"rgb": 3, "heatmaps": len(joint_set(self.joints)), "silhouette": 1, "keypoints": 0}
        return sum(sizes[name] for name in set(self.inputs))


class Encoder(nn.Module):
    """A ResNet over the maps, residual blocks over the keypoints, or both side by side.

    Args:
        config: the settings.

    Attributes:
        features: length of the feature vector. If there are both, the ResNet's part stands before the keypoints'.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.features = 0
        if config.channels:
            self.backbone: ResNet | EfficientNetLite0
            if config.resnet == EFFICIENTNET:
                self.backbone = EfficientNetLite0(config.channels)
            else:
                self.backbone = ResNet(config.resnet, config.channels, config.resnet_width)
            self.features += self.backbone.features
        if "keypoints" in config.inputs:
            size = 3 * len(joint_set(config.joints))
            blocks = (ResidualBlock(config.width, config.dropout) for _ in range(config.blocks))
            self.lifter = nn.Sequential(nn.Linear(size, config.width), *blocks)
            self.features += config.width

    def forward(self, inputs: NetworkInput) -> Tensor:
        """Encode B people.

        Args:
            inputs: the inputs that the settings name.

        Returns:
            (B, features) feature vectors.

        Raises:
            ValueError: An input is missing.
        """
        parts = []
        if self.config.channels:
            parts.append(self.backbone(self._maps(inputs)))
        if "keypoints" in self.config.inputs:
            parts.append(self.lifter(known_keypoints(inputs).flatten(1)))
        return torch.cat(parts, dim=1)

    def _maps(self, inputs: NetworkInput) -> Tensor:
        maps = []
        if "rgb" in self.config.inputs:
            rgb = _given(inputs.rgb, "rgb")
            lite = isinstance(self.backbone, EfficientNetLite0)
            maps.append(lite_rgb(rgb, IMAGENET_MEAN, IMAGENET_STD) if lite else rgb)
        if "heatmaps" in self.config.inputs:
            maps.append(keypoint_heatmaps(known_keypoints(inputs), self.config.resolution))
        if "silhouette" in self.config.inputs:
            maps.append(_given(inputs.silhouette, "silhouette"))
        return torch.cat(maps, dim=1)


class Crops(nn.Module):
    """What a network sees, for networks whose encoder is a part of themselves.

    Args:
        config: the inputs.

    Attributes:
        features: 0, since it makes no feature vector.
    """

    features: int = 0

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config


class ResidualBlock(nn.Module):
    """Linear layer, normalisation, ReLU and dropout, all twice, and a skip connection (Martinez et al. 2017, figure 1).

    Layer normalisation takes the place of batch normalisation, because the block also runs inside the feedback loop,
    where the statistics of a batch differ between iterations.

    Args:
        width: number of inputs, units and outputs.
        dropout: dropout probability.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        half = (nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        other = (nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(*half, *other)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, width)."""
        return x + self.layers(x)


def normalize_rgb(image: Tensor) -> Tensor:
    """Normalise pictures by the mean and standard deviation of ImageNet, as networks trained on it expect.

    Args:
        image: (B, 3, H, W) RGB in [0, 1].

    Returns:
        (B, 3, H, W).
    """
    mean, std = (image.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


def as_bytes(image: Tensor) -> Tensor:
    """The pictures (B, 3, H, W) uint8 that :func:`normalize_rgb` gave these values."""
    mean, std = (image.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (255 * (image * std + mean)).round().clamp(0, 255).to(torch.uint8)


def keypoint_heatmaps(keypoints: Tensor, resolution: int, sigma: float = 2 / 112) -> Tensor:
    """Draw a Gaussian at each keypoint, with the keypoint's confidence as its height.

    Args:
        keypoints: (B, K, 3) x and y in the crop, whose edges are at -1 and 1, and confidence.
        resolution: side of the maps, pixels.
        sigma: standard deviation, in half crop sides. The default is two pixels in a crop of 224.

    Returns:
        (B, K, resolution, resolution) in [0, 1].
    """
    # Pixel i covers from -1 + 2 i / n to -1 + 2 (i + 1) / n.
    centres = (torch.arange(resolution, dtype=keypoints.dtype, device=keypoints.device) * 2 + 1) / resolution - 1
    x, y = (torch.exp(-((centres - keypoints[..., i, None]) ** 2) / (2 * sigma**2)) for i in (0, 1))
    return (y * keypoints[..., 2:])[..., None] * x[..., None, :]


def known_keypoints(inputs: NetworkInput) -> Tensor:
    """The keypoints (B, K, 3) of an input, with a position of zero for those of confidence 0.

    Raises:
        ValueError: The input has no keypoints.
    """
    keypoints = _given(inputs.keypoints, "keypoints")
    return torch.where(keypoints[..., 2:] > 0, keypoints, torch.zeros_like(keypoints))


def _given(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"this network needs {name}, which the input lacks")
    return value
