"""3D joints in a picture by volumes of scores, read by their highest cell or by their mean.

Sources: Pavlakos, Zhou, Derpanis and Daniilidis 2017, "Coarse-to-Fine Volumetric Prediction for Single-Image 3D Human
Pose"; Sun, Xiao, Wei, Liang and Wei 2018, "Integral Human Pose Regression". Stacked hourglasses end in a volume for
each joint, whose x and y are those of the picture and whose third axis is the depth from the root; earlier stacks may
have fewer cells in depth (coarse to fine, section 3.2 of the first paper). The place of a joint is the highest cell, or
the mean under the volume's softmax (soft-argmax, equation 2 of the second one), which has a derivative: so it can be
trained by the distance of the joints, its L1 norm as in the second paper, instead of by a target volume.

Departures: a target volume is the distribution over the cells that follows from a Gaussian around the joint, with the
cross-entropy in place of the squared error, which a short training hardly lowers where nearly all cells are zero. The
papers take the distance of the root, or the size of the skeleton, as known. Here two more outputs say how many metres
half a side of the crop is at the root, and how near the camera is, from which positions in space follow. Joints outside
the picture are sought at its edge. Pictures are of 64 x 64 pixels and volumes have 16 x 16 cells for each depth.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from meshrec.body.joints import joint_set, root_indices
from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.heatmaps import argmax_places, gaussian_maps, picture_values, soft_argmax
from meshrec.models.hourglass import Hourglass, features_after, in_channels_last, stem

LARGEST_DEPTHS = 256  # cells


@dataclass(frozen=True)
class VolumetricConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set.
        landmarks: number of further points, which follow the joints.
        channels: channels of the features, an even number.
        halvings: how often an hourglass halves its input.
        depths: for each stack the number of cells in depth.
        reach: depth from the root of the first and the last cell's outer edge, metres.
        deviation: standard deviation of the Gaussians to learn, cells of 1/16 of the volume's sides.
        integral: whether the mean places are trained, by their distance, or the volumes, by target volumes.
        soft: whether joints are read by the mean, or by the highest cell.
    """

    joints: str = "h36m17"
    landmarks: int = 0
    channels: int = 64
    halvings: int = 2
    depths: tuple[int, ...] = (16,)
    reach: float = 1.0
    deviation: float = 1.0
    integral: bool = True
    soft: bool = True

    def __post_init__(self) -> None:
        joint_set(self.joints)
        check_sizes(self, landmarks=0, channels=2, halvings=0)
        if self.channels % 2 or self.halvings > 8 or not (self.reach > 0 and self.deviation > 0):
            raise InputError(f"even channels, at most 8 halvings, and reach and deviation above 0 are needed: {self}")
        if not self.depths or not all(1 <= depth <= LARGEST_DEPTHS for depth in self.depths):
            raise InputError(f"each stack needs 1 to {LARGEST_DEPTHS} cells in depth: {self.depths}")


class Volumetric(nn.Module):
    """The network.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.volumetric import Volumetric, VolumetricConfig
        >>> network = Volumetric(VolumetricConfig(channels=8, depths=(8,)))
        >>> network.points(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([2, 17, 3])
    """

    def __init__(self, config: VolumetricConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VolumetricConfig()
        self.count, channels = len(joint_set(config.joints)) + config.landmarks, config.channels
        maps = [self.count * depth for depth in config.depths]
        self.stem = stem(channels)
        self.hourglasses = nn.ModuleList(Hourglass(channels, config.halvings) for _ in maps)
        self.features = nn.ModuleList(features_after(channels) for _ in maps)
        self.volumes = nn.ModuleList(nn.Conv2d(channels, count, 1) for count in maps)
        self.from_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in maps[1:])
        self.from_volumes = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in maps[:-1])
        self.view = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 2))
        in_channels_last(self)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Volumes and the camera.

        Args:
            image: (B, 3, S, S) uint8 RGB, S a multiple of four times two for each halving.

        Returns:
            For each stack (B, K, D, S / 4, S / 4) logarithms of scores; and (B, 2): the logarithm of half the crop's
            side at the root, metres, and the inverse distance of the root from the camera, 1/metres.
        """
        x, found = self.stem(picture_values(image)), []
        for stack, (hourglass, features, head) in enumerate(zip(self.hourglasses, self.features, self.volumes)):
            y = features(hourglass(x))
            maps = head(y)
            found.append(maps.float().unflatten(1, (self.count, -1)))
            if stack < len(self.from_volumes):
                x = x + self.from_features[stack](y) + self.from_volumes[stack](maps)
        return found, self.view(y.mean((2, 3))).float()

    def loss(self, image: Tensor, places: Tensor, joints: Tensor, root: Tensor, focal: Tensor) -> Tensor:
        """The loss of all stacks and of the camera.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            places: (B, K, 2) joints in the crop, whose edges are -1 and 1.
            joints: (B, K, 3) joints relative to the root, metres.
            root: (B, 3) the root, metres.
            focal: (B,) focal lengths, half crop sides.
        """
        volumes, view = self(image)
        distance = root[:, 2]
        true = torch.stack([(distance / focal).log(), 1 / distance], dim=1)
        target = torch.cat([places, joints[..., 2:] / self.config.reach], dim=-1).clamp(-1, 1)
        parts = [l1_loss(view, true)]
        for logits in volumes:
            if self.config.integral:
                parts.append(l1_loss(soft_argmax(logits, 3), target))
            else:
                parts.append(self._cross_entropy(logits, target))
        return torch.stack(parts).sum()

    def points(self, image: Tensor, soft: bool | None = None) -> Tensor:
        """The joints of the last stack.

        Args:
            image: (B, 3, S, S) uint8 RGB.
            soft: Whether to read volumes by their means; by default as the settings say.

        Returns:
            (B, K, 3) positions relative to the root, in the space of the camera that looks at the crop's centre,
            metres.
        """
        volumes, view = self(image)
        soft = self.config.soft if soft is None else soft
        places = soft_argmax(volumes[-1], 3) if soft else argmax_places(volumes[-1], 3)
        return in_space(places, view, self.config.reach, self.config.joints)

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return sum(weight.numel() for weight in self.parameters())

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """() for volumes (B, K, D, H, W) and places (B, K, 3) of the joints in them."""
        true = cell_chances(target, logits.shape[-3:], self.config.deviation)
        return -(true.flatten(2) * logits.flatten(2).log_softmax(-1)).sum(-1).mean()


def cell_chances(places: Tensor, sizes: tuple[int, ...] | torch.Size, deviation: float) -> Tensor:
    """The distribution over cells that a Gaussian around each place gives.

    Args:
        places: (..., 3) x, y and z from -1 to 1.
        sizes: The volume's numbers of cells D, H and W.
        deviation: Standard deviation in sixteenths of a side, so that volumes of all sizes have the same Gaussian.

    Returns:
        (..., D, H, W), of sum 1 over each volume.

    Example:
        >>> import torch
        >>> from meshrec.models.volumetric import cell_chances
        >>> cell_chances(torch.zeros(3), (8, 16, 16), 1.0).sum((1, 2)).round(decimals=2)
        tensor([0.0000, 0.0000, 0.0100, 0.4900, 0.4900, 0.0100, 0.0000, 0.0000])
    """
    chances = places.new_ones(places.shape[:-1])
    for axis, size in zip((2, 1, 0), sizes):
        along = gaussian_maps(places[..., axis : axis + 1], (size,), deviation * size / 16)
        along = along / along.sum(-1, keepdim=True).clamp(min=1e-12)
        chances = chances[..., None] * along.reshape(
            *places.shape[:-1], *[1] * (chances.dim() - places.dim() + 1), size
        )
    return chances


def in_space(places: Tensor, view: Tensor, reach: float, joints: str = "h36m17") -> Tensor:
    """Positions in space of joints that are seen at some place and depth.

    A joint at depth z beyond the root, of distance r from the camera, has x of the crop times (r + z) over the focal
    length f, in which r / f is half the crop's side at the root.

    Args:
        places: (B, K, 3) x and y in the crop, and depth from the root over ``reach``.
        view: (B, 2) logarithm of r / f, metres, and 1 / r, 1/metres.
        reach: Metres.
        joints: Name of the joint set to which the first points belong.

    Returns:
        (B, K, 3) positions relative to the root, metres.
    """
    depth = reach * (places[..., 2] - places[:, root_indices(joints), 2].mean(1, keepdim=True))
    half = view[:, :1].exp() * (1 + depth * view[:, 1:])
    points = torch.cat([places[..., :2] * half[..., None], depth[..., None]], dim=-1)
    return points - points[:, root_indices(joints)].mean(1, keepdim=True)
