"""What a network sees of a person, and the encoders that turn it into one feature vector.

A network may see the picture (HMR), proxy maps, that is heatmaps of 2D keypoints and a silhouette (Pavlakos et al.
2018, "Learning to Estimate 3D Human Pose and Shape from a Single Color Image"; STRAPS, Sengupta et al. 2020), both, or
the keypoints alone (Martinez et al. 2017, "A simple yet effective baseline for 3d human pose estimation").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import JOINT_SETS, joint_set
from meshrec.errors import InputError
from meshrec.models.resnet import STAGES, ResNet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INPUTS = ("rgb", "heatmaps", "silhouette", "keypoints")
LARGEST = 16384  # of any size in a network: two such layers fill a gigabyte


@dataclass
class NetworkInput:
    """A batch of people; what a network does not use may be left out.

    Attributes:
        rgb: (B, 3, H, W) square crops, normalised by :func:`normalize_rgb`.
        silhouette: (B, 1, H, W) coverage in [0, 1].
        keypoints: (B, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence, 0 for a missing keypoint.
        focal: (B,) focal length over half the crop's side. Without it, cameras are weakly perspective.
    """

    rgb: Tensor | None = None
    silhouette: Tensor | None = None
    keypoints: Tensor | None = None
    focal: Tensor | None = None

    def to(self, device: torch.device | str) -> "NetworkInput":
        """The same on another device."""
        return NetworkInput(**{name: None if t is None else t.to(device) for name, t in vars(self).items()})

    @staticmethod
    def cat(parts: "Sequence[NetworkInput]") -> "NetworkInput":
        """Several batches as one, in their order; all have the same fields."""
        values = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
        return NetworkInput(**{name: None if of[0] is None else torch.cat(of) for name, of in values.items()})


torch.export.register_dataclass(NetworkInput)


@dataclass(frozen=True)
class EncoderConfig:
    """Which encoder.

    Attributes:
        inputs: what the network sees: any of ``rgb``, ``heatmaps``, ``silhouette``, which a ResNet sees as channels in
            this order, and ``keypoints``, which residual blocks see as a vector.
        resnet: depth 18, 34 or 50; 0 for none, where only refinements see the silhouette
            (:mod:`meshrec.models.silhouette_feedback`).
        resnet_width: channels of its first stage; published weights have 64; half has a quarter of the weights.
        joints: the joint set of the keypoints and heatmaps.
        resolution: side of heatmaps in pixels, the crop's own.
        width, blocks: of the keypoints' residual blocks.
        dropout: in the keypoints' residual blocks.
    """

    inputs: tuple[str, ...] = ("rgb",)
    resnet: int = 50
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
        if self.resnet and self.resnet not in STAGES:
            raise InputError(f"there is no ResNet-{self.resnet} here; choose of {', '.join(map(str, STAGES))}")
        if not self.resnet and not {"keypoints"} <= set(self.inputs) <= {"keypoints", "silhouette"}:
            raise InputError(f"without a ResNet a network sees keypoints, perhaps a silhouette, not {self.inputs}")
        if self.joints not in JOINT_SETS:
            raise InputError(f"there is no joint set '{self.joints}'; choose of {', '.join(JOINT_SETS)}")
        check_sizes(self, resnet_width=1, resolution=16, width=1, blocks=0)
        check_share(self, "dropout")

    @property
    def channels(self) -> int:
        """How many channels the ResNet sees; 0 where there is none."""
        if not self.resnet:
            return 0
        sizes = {"rgb": 3, "heatmaps": len(joint_set(self.joints)), "silhouette": 1, "keypoints": 0}
        return sum(sizes[name] for name in set(self.inputs))


def check_sizes(config: object, **least: int) -> None:
    """Refuse a network's sizes that are no whole numbers from the least to what a machine can hold.

    Raises:
        InputError: The message names the setting.
    """
    for name, low in least.items():
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= LARGEST:
            raise InputError(f"a network's {name} is a whole number from {low} to {LARGEST}, not {value!r:.40}")


def check_share(config: object, name: str) -> None:
    """Refuse a network's setting that is no share, or everything."""
    share = getattr(config, name)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise InputError(f"a network's {name} is a share from 0 to below 1, not {share!r:.40}")


class Encoder(nn.Module):
    """A ResNet over the maps, residual blocks over the keypoints, or both side by side.

    Attributes:
        features: length of the feature vector.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.features = 0
        if config.channels:
            self.backbone = ResNet(config.resnet, config.channels, config.resnet_width)
            self.features += self.backbone.features
        if "keypoints" in config.inputs:
            size = 3 * len(joint_set(config.joints))
            blocks = (ResidualBlock(config.width, config.dropout) for _ in range(config.blocks))
            self.lifter = nn.Sequential(nn.Linear(size, config.width), *blocks)
            self.features += config.width

    def forward(self, inputs: NetworkInput) -> Tensor:
        """(B, features)."""
        parts = []
        if self.config.channels:
            parts.append(self.backbone(self._maps(inputs)))
        if "keypoints" in self.config.inputs:
            parts.append(self.lifter(known_keypoints(inputs).flatten(1)))
        return torch.cat(parts, dim=1)

    def _maps(self, inputs: NetworkInput) -> Tensor:
        maps = []
        if "rgb" in self.config.inputs:
            maps.append(_given(inputs.rgb, "rgb"))
        if "heatmaps" in self.config.inputs:
            maps.append(keypoint_heatmaps(known_keypoints(inputs), self.config.resolution))
        if "silhouette" in self.config.inputs:
            maps.append(_given(inputs.silhouette, "silhouette"))
        return torch.cat(maps, dim=1)


class ResidualBlock(nn.Module):
    """Twice linear, normalise, ReLU, dropout, and a skip connection (Martinez et al. 2017, figure 1).

    Layer normalisation in place of batch normalisation: the same block also runs inside the feedback loop, where every
    iteration has statistics of its own.
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
    """RGB in [0, 1], (B, 3, H, W), to what networks trained on ImageNet expect."""
    mean, std = (image.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


def keypoint_heatmaps(keypoints: Tensor, resolution: int, sigma: float = 2 / 112) -> Tensor:
    """A Gaussian at every keypoint, as high as the keypoint is certain.

    Args:
        keypoints: (B, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence.
        resolution: side of the maps in pixels.
        sigma: standard deviation in the same units; the default is two pixels of 224.

    Returns:
        (B, K, resolution, resolution).
    """
    # Pixel i covers from -1 + 2 i / n to -1 + 2 (i + 1) / n.
    centres = (torch.arange(resolution, dtype=keypoints.dtype, device=keypoints.device) * 2 + 1) / resolution - 1
    x, y = (torch.exp(-((centres - keypoints[..., i, None]) ** 2) / (2 * sigma**2)) for i in (0, 1))
    return (y * keypoints[..., 2:])[..., None] * x[..., None, :]


def known_keypoints(inputs: NetworkInput) -> Tensor:
    """The keypoints, (B, K, 3), with zeros wherever one is missing, whatever position it came with."""
    keypoints = _given(inputs.keypoints, "keypoints")
    return torch.where(keypoints[..., 2:] > 0, keypoints, torch.zeros_like(keypoints))


def _given(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"this network needs {name}, which the input lacks")
    return value
