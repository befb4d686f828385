"""HMR2.0 and CameraHMR: a vision transformer, and a decoder of one token that reads a body out of its tokens.

HMR2.0: Goel et al. 2023, "Humans in 4D: Reconstructing and Tracking Humans with Transformers". CameraHMR: Patel and
Black 2025, "CameraHMR: Aligning People with Perspective", whose decoder starts from the mean body and is told where the
crop lies in the photo. Modules have the names of the published weights, so that these load as they are.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS
from meshrec.errors import InputError
from meshrec.geometry import matrix_to_rotation_6d, rotation_6d_to_matrix
from meshrec.models.checks import check_sizes
from meshrec.models.encoders import Crops, EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.iterative import POSE, upright
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.models.vit import ViT, ViTConfig, attend

BOX = 3  # numbers that tell where the crop lies


@dataclass(frozen=True)
class HMR2Config:
    """Settings of HMR2.0 and CameraHMR.

    Attributes:
        encoder: only ``inputs``, which are ``("rgb",)``, and ``resolution``, the side of the square crop, have a
            meaning here.
        vit: sizes of the vision transformer. It sees the middle ``vit.width`` columns of the crop.
        told: whether the decoder's token holds the place of the crop and the mean body (CameraHMR), or a zero (HMR2.0).
        width: length of the decoder's token.
        depth: number of the decoder's layers.
        heads: number of attention heads.
        attention: units of all heads together.
        hidden: units between the two layers of a perceptron.
        num_betas: number of shape components.
    """

    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(resolution=256))
    vit: ViTConfig = field(default_factory=ViTConfig)
    told: bool = False
    width: int = 1024
    depth: int = 6
    heads: int = 8
    attention: int = 512
    hidden: int = 1024
    num_betas: int = NUM_BETAS

    def __post_init__(self) -> None:
        check_sizes(self, width=1, depth=1, heads=1, attention=1, hidden=1, num_betas=1)
        if self.attention % self.heads:
            raise InputError(f"a decoder's {self.heads} heads do not divide its {self.attention} channels")
        resolution = self.encoder.resolution
        if self.encoder.inputs != ("rgb",) or self.vit.height != resolution or self.vit.width > resolution:
            raise InputError("HMR2.0 sees a picture as high as its crop and no wider, and nothing else")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates."""
        return ("body",)


class HMR2(Network):
    """Estimates bodies from pictures.

    Args:
        config: the settings. Default: those of HMR2.0.
    """

    config: HMR2Config

    def __init__(self, config: HMR2Config | None = None) -> None:
        super().__init__()
        self.config = config = config or HMR2Config()
        self.encoder = Crops(config.encoder)
        self.backbone = ViT(config.vit)
        self.smpl_head = Head(config)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the input that the network reads."""
        return ("rgb", "box") if self.config.told else ("rgb",)

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """Estimate B people."""
        if inputs.rgb is None:
            raise ValueError("this network needs the input 'rgb', and there is none")
        if self.config.told and inputs.box is None:
            raise ValueError("this network needs to know where the crop lies, the input 'box', and there is none")
        aside = (self.config.encoder.resolution - self.config.vit.width) // 2
        seen = inputs.rgb[..., aside : aside + self.config.vit.width]
        tokens = self.backbone(seen.to(self.backbone.pos_embed.dtype))  # which may be a narrow one
        return NetworkOutput([self.smpl_head(tokens.float(), inputs.box)])


class Head(nn.Module):
    """Reads a body out of tokens.

    Args:
        config: the settings.
    """

    init_body_pose: Tensor
    init_betas: Tensor
    init_cam: Tensor

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Decoder(config)
        self.decpose = nn.Linear(config.width, POSE)
        self.decshape = nn.Linear(config.width, config.num_betas)
        self.deccam = nn.Linear(config.width, 3)
        mean = upright(config.num_betas)
        self.register_buffer("init_body_pose", matrix_to_rotation_6d(mean.rotations).flatten(1))
        self.register_buffer("init_betas", mean.betas)
        self.register_buffer("init_cam", mean.camera)

    def forward(self, tokens: Tensor, box: Tensor | None = None) -> Estimate:
        """Estimate B people of (B, N, C) tokens, and the places of their crops (B, 3)."""
        # Exported programs take any number of people for `shape[0]`, but one number for `len`.
        means = [mean.expand(tokens.shape[0], -1) for mean in (self.init_body_pose, self.init_betas, self.init_cam)]
        if self.config.told:
            assert box is not None
            token = torch.cat([box.to(tokens), *means], dim=1)
        else:
            token = tokens.new_zeros(tokens.shape[0], 1)
        read = self.transformer(token[:, None], tokens).squeeze(1)
        layers = (self.decpose, self.decshape, self.deccam)
        pose, betas, camera = (mean + layer(read) for mean, layer in zip(means, layers))
        return Estimate(rotation_6d_to_matrix(pose.unflatten(1, (NUM_JOINTS, 6))), betas, camera)


class Decoder(nn.Module):
    """A transformer that turns one token by what it reads in others.

    Args:
        config: the settings.
    """

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        size = BOX + POSE + config.num_betas + 3 if config.told else 1
        self.to_token_embedding = nn.Linear(size, config.width)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, config.width))
        self.transformer = Layers(config)

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        """Turn a token (B, 1, T) into (B, 1, width) by (B, N, C) others."""
        return self.transformer(self.to_token_embedding(token) + self.pos_embedding, context)


class Layers(nn.Module):
    """The layers of the decoder: each is attention of the token to itself and to the others, and a perceptron.

    Args:
        config: the settings.
    """

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        parts = (SelfAttention, CrossAttention, Perceptron)
        # Lists in a list, as the published names have it.
        self.layers = nn.ModuleList(
            nn.ModuleList(PreNorm(config, part(config)) for part in parts) for _ in range(config.depth)
        )

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        """Turn a token (B, 1, width) by (B, N, C) others."""
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            for part in layer:
                token = token + part(token, context)
        return token


class PreNorm(nn.Module):
    """A part of a layer with the normalisation before it."""

    def __init__(self, config: HMR2Config, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.fn = fn

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        return self.fn(self.norm(token), context)


class SelfAttention(nn.Module):
    """Attention of the token to itself."""

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.to_qkv = nn.Linear(config.width, 3 * config.attention, bias=False)
        self.to_out = nn.Sequential(nn.Linear(config.attention, config.width))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        queries, keys, values = self.to_qkv(token).chunk(3, dim=-1)
        return self.to_out(attend(queries, keys, values, self.heads))


class CrossAttention(nn.Module):
    """Attention of the token to the picture's tokens."""

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.to_kv = nn.Linear(config.vit.size, 2 * config.attention, bias=False)
        self.to_q = nn.Linear(config.width, config.attention, bias=False)
        self.to_out = nn.Sequential(nn.Linear(config.attention, config.width))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        keys, values = self.to_kv(context).chunk(2, dim=-1)
        return self.to_out(attend(self.to_q(token), keys, values, self.heads))


class Perceptron(nn.Module):
    """Two layers."""

    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        # Published weights count the dropout after each layer, which does nothing outside of training.
        layers = (nn.Linear(config.width, config.hidden), nn.GELU(), nn.Identity())
        self.net = nn.Sequential(*layers, nn.Linear(config.hidden, config.width))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        return self.net(token)
