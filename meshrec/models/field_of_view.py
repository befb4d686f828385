"""The network of CameraHMR (Patel and Black 2025, "CameraHMR: Aligning People with Perspective") that estimates a
camera's field of view from a whole photo.

The three finer branches of an HRNet are brought to the size of the coarsest one by convolutions, and the mean of all is
mapped to the horizontal and the vertical field of view.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from meshrec.errors import InputError
from meshrec.models.checkpoints import check_weights, read_header
from meshrec.models.checks import check_sizes
from meshrec.models.hrnet import BRANCHES, HRNet, HRNetConfig

ARCHITECTURE = "field_of_view"  # the name in the header of its files
RESOLUTION = 256  # side of the square that the photo is brought to, pixels


@dataclass(frozen=True)
class FieldOfViewConfig:
    """Settings of the network. The defaults are those of the authors.

    Attributes:
        hrnet: settings of the HRNet, whose head is not used.
        hidden: units between the two linear layers.
    """

    hrnet: HRNetConfig = field(default_factory=HRNetConfig)
    hidden: int = 1024

    def __post_init__(self) -> None:
        check_sizes(self, hidden=1)


class FieldOfViewNetwork(nn.Module):
    """Estimates the field of view of the camera that took a photo.

    Args:
        config: the settings. Default: those of the authors.

    Example:
        >>> import torch
        >>> from meshrec.models.field_of_view import FieldOfViewConfig, FieldOfViewNetwork
        >>> from meshrec.models.hrnet import HRNetConfig
        >>> small = FieldOfViewConfig(HRNetConfig(width=4, modules=(1, 1, 1), blocks=1), hidden=8)
        >>> FieldOfViewNetwork(small).eval()(torch.zeros(1, 3, 256, 256)).shape
        torch.Size([1, 2])
    """

    def __init__(self, config: FieldOfViewConfig = FieldOfViewConfig()) -> None:
        super().__init__()
        self.config = config
        self.backbone = HRNet(config.hrnet)
        widths = config.hrnet.widths
        # The first branch has eight times the size of the last one, and each convolution halves it.
        self.reduce = nn.ModuleList(
            _halved(width, BRANCHES - 1 - branch) for branch, width in enumerate(widths[: BRANCHES - 1])
        )
        self.hidden = nn.Linear(sum(widths), config.hidden)
        self.output = nn.Linear(config.hidden, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Estimate fields of view.

        Args:
            x: (B, 3, 256, 256) whole photos in a white square, normalised by
                :func:`meshrec.models.encoders.normalize_rgb`.

        Returns:
            (B, 2) horizontal and vertical field of view, radians.
        """
        *finer, coarsest = self.backbone(x)
        maps = [*(reduce(y) for reduce, y in zip(self.reduce, finer)), coarsest]
        # There is no activation between the layers: the authors trained it so.
        return self.output(self.hidden(torch.cat(maps, dim=1).mean((2, 3))))


def load_field_of_view(path: str | Path) -> FieldOfViewNetwork:
    """Read a network that :func:`meshrec.models.published.import_checkpoint` wrote.

    Args:
        path: the ``.safetensors`` file.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        InputError: The file is missing, damaged or holds another network.
    """
    header = read_header(path)
    if header.get("architecture") != ARCHITECTURE:
        raise InputError(
            f"{path} holds no network for fields of view, but '{header.get('architecture')!s:.80}'; give the file that "
            "`meshrec import-checkpoint` makes of CameraHMR's"
        )
    try:
        settings = dict(header["settings"])
        network = FieldOfViewNetwork(FieldOfViewConfig(HRNetConfig(**settings.pop("hrnet")), **settings))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: its header does not describe a network ({error!r:.200})") from None
    weights = load_file(path)
    check_weights(weights, {key: tuple(value.shape) for key, value in network.state_dict().items()}, path)
    network.load_state_dict(weights)
    return network.eval()


def _halved(width: int, times: int) -> nn.Sequential:
    """Convolutions that halve a map of that many channels so many times."""
    layers: list[nn.Module] = []
    for _ in range(times):
        convolution = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
