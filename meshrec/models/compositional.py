"""Joints in a picture by a hierarchy of joints, limbs and parts.

Source: Tang, Yu and Wu 2018, "Deeply Learned Compositional Models for Human Pose Estimation". A person is composed of
parts, a part of limbs and a limb of joints. Stages go up the hierarchy, where each sees the maps of the level below,
and down again, where each sees the maps of the level above and those that the way up gave for its own level (section
3.2, equations 3 and 4). Each stage is an hourglass with a loss of its own maps. The map of a limb is a Gaussian of the
distance to it (section 3.3, "bone-based part representation").

Departures: as in :mod:`meshrec.models.hourglass`, pictures, maps and networks are small. A map of a part is the largest
of its limbs' maps, and the orientations and kinds of limbs, for which the paper has more channels, are left out.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.heatmaps import gaussian_maps, picture_values, segment_maps
from meshrec.models.hourglass import MOST, Hourglass, features_after, in_channels_last, joints_of, stem
from meshrec.models.locally_connected import BONES

JOINTS = "h36m17"
PARTS = (
    ("mid_hip", "right_hip", "right_knee", "right_ankle"),
    ("mid_hip", "left_hip", "left_knee", "left_ankle"),
    ("mid_hip", "spine_h36m", "thorax", "head_h36m", "head_top"),
    ("thorax", "left_shoulder", "left_elbow", "left_wrist"),
    ("thorax", "right_shoulder", "right_elbow", "right_wrist"),
)
"""The joints of legs, trunk and arms; the limbs of a part lie between neighbours."""
LEVELS = ("joints", "limbs", "parts", "limbs", "joints")  # of the stages


@dataclass(frozen=True)
class CompositionalConfig:
    """Settings of the network.

    Attributes:
        channels: channels of the features, an even number.
        halvings: how often an hourglass halves its input.
        deviation: standard deviation of the Gaussians to learn, cells.
    """

    channels: int = 24
    halvings: int = 2
    deviation: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self, channels=2, halvings=0)
        if self.channels % 2 or self.halvings > MOST or self.deviation <= 0:
            raise InputError(f"even channels, at most {MOST} halvings and a deviation above 0 are needed: {self}")


class Compositional(nn.Module):
    """The network, for ``h36m17``.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.compositional import Compositional, CompositionalConfig
        >>> network = Compositional(CompositionalConfig(channels=8))
        >>> [maps.shape[1] for maps in network(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))]
        [17, 16, 5, 16, 17]
    """

    def __init__(self, config: CompositionalConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CompositionalConfig()
        counts = {"joints": len(joint_set(JOINTS)), "limbs": len(BONES), "parts": len(PARTS)}
        each, channels = [counts[level] for level in LEVELS], config.channels
        self.stem = stem(channels)
        self.hourglasses = nn.ModuleList(Hourglass(channels, config.halvings) for _ in each)
        self.features = nn.ModuleList(features_after(channels) for _ in each)
        self.maps = nn.ModuleList(nn.Conv2d(channels, count, 1) for count in each)
        self.from_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in each[1:])
        self.from_maps = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in each[:-1])
        down = each[len(each) // 2 + 1 :]
        self.from_way_up = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in down)
        in_channels_last(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps of every stage.

        Args:
            image: (B, 3, S, S) uint8 RGB, S a multiple of four times two for each halving.

        Returns:
            Maps (B, -, S / 4, S / 4) of joints, limbs and parts on the way up, and of limbs and joints on the way down.
        """
        x = self.stem(picture_values(image))
        found: list[Tensor] = []
        top = len(LEVELS) // 2
        for stage, (hourglass, features, head) in enumerate(zip(self.hourglasses, self.features, self.maps)):
            if stage > top:
                x = x + self.from_way_up[stage - top - 1](found[2 * top - stage])
            y = features(hourglass(x))
            found.append(head(y))
            if stage < 2 * top:
                x = x + self.from_features[stage](y) + self.from_maps[stage](found[-1])
        return found

    def loss(self, image: Tensor, places: Tensor) -> Tensor:
        """The squared distance of maps to the true ones, summed over the stages.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            places: (B, 17, 2) joints in the crop, whose edges are -1 and 1.
        """
        found = self(image)
        true = true_maps(places, (found[0].shape[-2], found[0].shape[-1]), self.config.deviation)
        return torch.stack([mse_loss(maps.float(), true[level]) for level, maps in zip(LEVELS, found)]).sum()

    def stages(self, image: Tensor) -> list[Tensor]:
        """The joints after the first stage and after the last.

        Args:
            image: (B, 3, S, S) uint8 RGB.

        Returns:
            For both (B, 17, 3): x and y in the crop, and the height of the heatmap as confidence in [0, 1].
        """
        found = self(image)
        return [joints_of(found[0]), joints_of(found[-1])]


def true_maps(places: Tensor, sizes: tuple[int, int], deviation: float = 1.0) -> dict[str, Tensor]:
    """The maps of a person's joints, limbs and parts.

    Args:
        places: (..., 17, 2) joints of ``h36m17`` in the crop.
        sizes: The maps' numbers of cells (H, W).
        deviation: Standard deviation in cells.

    Returns:
        (..., 17, H, W), (..., 16, H, W) and (..., 5, H, W) by the name of the level.

    Example:
        >>> import torch
        >>> from meshrec.models.compositional import true_maps
        >>> true_maps(torch.zeros(2, 17, 2), (16, 16))["parts"].shape
        torch.Size([2, 5, 16, 16])
    """
    names = joint_set(JOINTS)
    starts, ends = ([names.index(bone[end]) for bone in BONES] for end in (0, 1))
    limbs = segment_maps(places[..., starts, :], places[..., ends, :], sizes, deviation)
    parts = [
        limbs[..., [row for row, bone in enumerate(BONES) if bone in tuple(pairwise(part))], :, :].amax(-3)
        for part in PARTS
    ]
    return {"joints": gaussian_maps(places, sizes, deviation), "limbs": limbs, "parts": torch.stack(parts, dim=-3)}
