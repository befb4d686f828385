"""Landmarks from the voxels of a depth map, by a three-dimensional hourglass.

Source: Moon, Chang and Lee 2018, "V2V-PoseNet: Voxel-to-Voxel Prediction Network for Accurate 3D Hand and Human Pose
Estimation from a Single Depth Map": the voxels of a cube around the person go through three-dimensional convolutions
with residual blocks, down to a coarse grid and up again, to a heatmap of each joint at a lower resolution.

Departures: the network has a fraction of the channels, and heatmaps have a quarter of the voxels along each side
instead of half, so that it is trained and used on one core. A place is the mean
of its heatmap as a distribution (Sun et al. 2018, "Integral human pose regression") instead of the highest voxel, so
that it is finer than the voxels. Voxels have shares of points instead of zeros and ones, and two channels: the person,
and everything else.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.files.regular import regular_size
from meshrec.files.tensors import write_tensors

WEIGHTS = Path(__file__).parent / "weights" / "voxel_to_voxel.safetensors"
KIND = "meshrec.voxel_to_voxel"
MOST_BYTES = 256 << 20  # of a file of weights; the shipped one has 4 MB


@dataclass(frozen=True)
class VoxelConfig:
    """Settings of the network.

    Attributes:
        landmarks: Name of the joint set whose places it estimates.
        side: Side of the cube, metres.
        voxels: Voxels along a side, a multiple of four times ``fold``.
        fold: Voxels along a side that make one cell of the first grid, which is also that of the heatmaps.
        channels: Channels on the first grid, and on those of a half and a quarter of its cells along a side.
        blocks: Residual blocks at the coarsest of these.
    """

    landmarks: str = "union55"
    side: float = 2.4
    voxels: int = 64
    fold: int = 4
    channels: tuple[int, int, int] = (32, 48, 96)
    blocks: int = 3

    def __post_init__(self) -> None:
        joint_set(self.landmarks)
        if not 1 <= self.fold <= 8 or not 8 <= self.voxels <= 128 or self.voxels % (4 * self.fold):
            raise InputError(
                f"a fold of 1 to 8 and 8 to 128 voxels, a multiple of four times the fold, are needed: {self}"
            )
        if not 0.1 <= self.side <= 100 or len(self.channels) != 3 or not all(1 <= c <= 1024 for c in self.channels):
            raise InputError(f"a side of 0.1 to 100 metres and three numbers of 1 to 1024 channels are needed: {self}")
        if not 1 <= self.blocks <= 16:
            raise InputError(f"1 to 16 blocks are needed, not {self.blocks}")


class Block(nn.Module):
    """Two convolutions whose result is added to the input.

    Args:
        width: Number of channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(width, width, 3, padding=1, bias=False), nn.BatchNorm3d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(width, width, 3, padding=1, bias=False), nn.BatchNorm3d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to the same."""
        return torch.relu(x + self.second(self.first(x)))


class VoxelToVoxel(nn.Module):
    """The network.

    Args:
        config: Its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.voxel_to_voxel import VoxelConfig, VoxelToVoxel
        >>> network = VoxelToVoxel(VoxelConfig("limb12", voxels=16, fold=2, channels=(2, 2, 2))).eval()
        >>> places, spread = network.places(network(torch.zeros(1, 2, 16, 16, 16)))
        >>> places.shape, spread.shape
        (torch.Size([1, 12, 3]), torch.Size([1, 12]))
    """

    def __init__(self, config: VoxelConfig = VoxelConfig()) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.channels
        cell = config.fold
        self.enter = nn.Sequential(nn.Conv3d(2, a, cell, stride=cell, bias=False), nn.BatchNorm3d(a), nn.ReLU())
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(near, far, 2, stride=2, bias=False),
                nn.BatchNorm3d(far),
                nn.ReLU(),
                *(Block(far) for _ in range(blocks)),
            )
            for near, far, blocks in ((a, b, 1), (b, c, config.blocks))
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv3d(far, near, 1, bias=False), nn.BatchNorm3d(near), nn.ReLU())
            for near, far in ((a, b), (b, c))
        )
        self.after = nn.ModuleList(Block(width) for width in (a, b))
        self.leave = nn.Conv3d(a, len(joint_set(config.landmarks)), 1)
        for weight in self.parameters():  # the layout in which CPUs convolve fastest
            if weight.dim() == 5:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)

    def forward(self, voxels: Tensor) -> Tensor:
        """Heatmaps of landmarks.

        Args:
            voxels: (B, 2, G, G, G) in [0, 1] along z, y and x, as :func:`meshrec.regress.voxel_cubes.fill_voxels` makes
                them.

        Returns:
            (B, K, D, D, D) logarithms of probabilities, up to a constant, where D is G over the fold.
        """
        levels = [self.enter(voxels.to(memory_format=torch.channels_last_3d))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up, after, skip in zip(reversed(self.up), reversed(self.after), reversed(levels)):
            x = after(skip + nn.functional.interpolate(up(x), scale_factor=2, mode="nearest"))
        return self.leave(x)

    def places(self, heatmaps: Tensor, power: float = 1.0) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of heatmaps as distributions.

        Args:
            heatmaps: (B, K, D, D, D) of :meth:`forward`.
            power: Power to which probabilities are raised. With more than 1 the mean is nearer to the highest peak.

        Returns:
            Places (B, K, 3) in the cube's axes about its centre, and standard deviations (B, K) over all axes, metres.
        """
        return soft_argmax(power * heatmaps, self.config.side)

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return sum(weight.numel() for weight in self.parameters())


def soft_argmax(heatmaps: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of heatmaps as distributions.

    Args:
        heatmaps: (B, K, D, D, D) logarithms of probabilities along z, y and x, up to a constant.
        side: Side of the grid, metres.

    Returns:
        Means (B, K, 3) x, y, z about the grid's centre, and standard deviations (B, K) over all axes, metres.

    Example:
        >>> import torch
        >>> from meshrec.models.voxel_to_voxel import soft_argmax
        >>> heatmaps = torch.full((1, 1, 4, 4, 4), -100.0)
        >>> heatmaps[0, 0, 1, 2, 3] = 0.0
        >>> soft_argmax(heatmaps, 4.0)[0].tolist()
        [[[1.5, 0.5, -0.5]]]
    """
    return means_of(heatmaps.float().flatten(2).softmax(-1), heatmaps.shape[-1], side)


def means_of(shares: Tensor, count: int, side: float) -> tuple[Tensor, Tensor]:
    """Means (B, K, 3) and standard deviations (B, K), metres, of distributions (B, K, D^3) over the voxels of a grid.

    Args:
        shares: (B, K, D^3) along z, y and x, that sum to one.
        count: Number D of voxels along a side.
        side: Side of the grid, metres.
    """
    centers = ((torch.arange(count).to(shares) + 0.5) / count - 0.5) * side
    z, y, x = torch.meshgrid(centers, centers, centers, indexing="ij")
    columns = torch.stack([x, y, z, x.square() + y.square() + z.square()], -1).flatten(0, 2)
    moments = shares @ columns
    means = moments[..., :3]
    return means, (moments[..., 3] - means.square().sum(-1)).clamp(min=1e-8).sqrt()


def save_voxel_network(path: str | Path, network: VoxelToVoxel, note: str = "") -> None:
    """Write a network in half precision for :func:`load_voxel_network`.

    Args:
        path: The ``.safetensors`` file.
        network: The network.
        note: How it was trained.

    Raises:
        InputError: The file cannot be written.
    """
    tensors = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    metadata = {"kind": KIND, "version": "1", "config": json.dumps(asdict(network.config)), "note": note}
    write_tensors(path, tensors, metadata)


def load_voxel_network(path: str | Path = WEIGHTS) -> VoxelToVoxel:
    """Load the shipped network, or another one of :func:`save_voxel_network`.

    Raises:
        InputError: The file is missing, or is none of this network.
    """
    try:
        regular_size(path, MOST_BYTES)
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("kind") != KIND or header.get("version") != "1":
                raise ValueError("its header names another kind of network")
            settings = json.loads(header["config"])
            config = VoxelConfig(**settings | {"channels": tuple(settings["channels"])})
            network = VoxelToVoxel(config)
            names = list(network.state_dict())
            network.load_state_dict({name: file.get_tensor(name) for name in names})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is no network for depth maps ({str(error)[:200]}); tools/train_depth.py makes one."
        ) from error
    return network.eval()
