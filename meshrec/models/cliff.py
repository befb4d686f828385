"""CLIFF (Li et al. 2022, "CLIFF: Carrying Location Information in Full Frames into Human Pose and Shape Estimation").

SPIN's iterative head, which is also told where the crop lies in the photo, over a ResNet or an HRNet. Modules have the
names of the published weights.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS
from meshrec.errors import InputError
from meshrec.geometry import matrix_to_rotation_6d, rotation_6d_to_matrix
from meshrec.models.checks import check_share, check_sizes
from meshrec.models.encoders import Crops, EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.hmr2 import BOX
from meshrec.models.hrnet import HRNetConfig, HRNetFeatures
from meshrec.models.iterative import POSE, upright
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.models.resnet import ResNet


@dataclass(frozen=True)
class CliffConfig:
    """Settings of CLIFF.

    Attributes:
        encoder: its ``inputs`` are ``("rgb",)``; ``resolution`` is the side of the square crop, ``resnet`` and
            ``resnet_width`` describe the ResNet.
        hrnet: settings of the HRNet that takes the ResNet's place, if there is one.
        columns: width of the middle part of the crop that the network sees, pixels.
        iterations: number of corrections from the mean state.
        width: units in each of the head's two layers.
        dropout: dropout probability in the head.
        num_betas: number of shape components.
    """

    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(resolution=256))
    hrnet: HRNetConfig | None = None
    columns: int = 192
    iterations: int = 3
    width: int = 1024
    dropout: float = 0.5
    num_betas: int = NUM_BETAS

    def __post_init__(self) -> None:
        check_sizes(self, columns=1, iterations=1, width=1, num_betas=1)
        check_share(self, "dropout")
        is_resnet = isinstance(self.encoder.resnet, int) and self.encoder.resnet > 0
        if self.encoder.inputs != ("rgb",) or not is_resnet or self.columns > self.encoder.resolution:
            raise InputError("CLIFF sees the middle columns of a picture, by a ResNet or an HRNet, and nothing else")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates, one after each correction."""
        return tuple(f"feedback {i}" for i in range(1, self.iterations + 1))


class Cliff(Network):
    """Estimates bodies from pictures and the places of their crops.

    Args:
        config: the settings. Default: those of CLIFF with a ResNet-50.

    Example:
        >>> import torch
        >>> from meshrec.models.cliff import Cliff, CliffConfig
        >>> from meshrec.models.encoders import EncoderConfig, NetworkInput
        >>> small = CliffConfig(EncoderConfig(resnet=18, resnet_width=8, resolution=64), columns=48, width=16)
        >>> inputs = NetworkInput(rgb=torch.zeros(1, 3, 64, 64), box=torch.zeros(1, 3))
        >>> Cliff(small).eval()(inputs).final.rotations.shape
        torch.Size([1, 24, 3, 3])
    """

    config: CliffConfig
    init_pose: Tensor
    init_shape: Tensor
    init_cam: Tensor

    def __init__(self, config: CliffConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CliffConfig()
        self.encoder = Crops(config.encoder)
        self.backbone: ResNet | HRNetFeatures
        if config.hrnet is None:
            assert isinstance(config.encoder.resnet, int)
            self.backbone = ResNet(config.encoder.resnet, width=config.encoder.resnet_width)
        else:
            self.backbone = HRNetFeatures(config.hrnet)
        sizes = {"pose": POSE, "shape": config.num_betas, "cam": 3}
        self.fc1 = nn.Linear(self.backbone.features + BOX + sum(sizes.values()), config.width)
        self.fc2 = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.decpose, self.decshape, self.deccam = (nn.Linear(config.width, size) for size in sizes.values())
        for layer in (self.decpose, self.decshape, self.deccam):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
        mean = upright(config.num_betas)
        self.register_buffer("init_pose", matrix_to_rotation_6d(mean.rotations).flatten(1))
        self.register_buffer("init_shape", mean.betas)
        self.register_buffer("init_cam", mean.camera)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the input that the network reads."""
        return ("rgb", "box")

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """Estimate B people; the output holds the estimates of all iterations.

        Raises:
            ValueError: The pictures or the places of the crops are missing.
        """
        if inputs.rgb is None or inputs.box is None:
            raise ValueError("this network needs pictures ('rgb') and the places of their crops ('box')")
        aside = (inputs.rgb.shape[-1] - self.config.columns) // 2
        feature = self.backbone(inputs.rgb[..., aside : aside + self.config.columns])
        known = torch.cat([feature, inputs.box.to(feature)], dim=1)
        # Exported programs take any number of people for `shape[0]`, but one number for `len`.
        state = [mean.expand(feature.shape[0], -1) for mean in (self.init_pose, self.init_shape, self.init_cam)]
        estimates = []
        for _ in range(self.config.iterations):
            # There is no activation between the layers: the authors, as those of SPIN, trained it so.
            x = self.dropout(self.fc1(torch.cat([known, *state], dim=1)))
            x = self.dropout(self.fc2(x))
            updates = (layer(x).float() for layer in (self.decpose, self.decshape, self.deccam))
            state = [part + update for part, update in zip(state, updates)]
            pose, betas, camera = state
            estimates.append(Estimate(rotation_6d_to_matrix(pose.unflatten(1, (NUM_JOINTS, 6))), betas, camera))
        return NetworkOutput(estimates)
