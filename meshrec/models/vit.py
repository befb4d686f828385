"""Vision transformers as ViTPose uses them (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; Xu et al. 2022,
"ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation").

Modules have the names of the published weights, so that these load as they are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from meshrec.errors import InputError
from meshrec.models.checks import check_sizes

PADDING = 2  # pixels of zeros around the picture, as ViTPose has it


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a vision transformer. The defaults are those of ViT-H.

    Attributes:
        height, width: size of the picture, pixels.
        patch: side of the squares that become tokens, pixels.
        size: length C of a token.
        depth: number of blocks.
        heads: number of attention heads, which divides ``size``.
        hidden: units between the two layers of a block's perceptron.
    """

    height: int = 256
    width: int = 192
    patch: int = 16
    size: int = 1280
    depth: int = 32
    heads: int = 16
    hidden: int = 5120

    def __post_init__(self) -> None:
        check_sizes(self, height=1, width=1, patch=1, size=1, depth=1, heads=1, hidden=1)
        if self.size % self.heads:
            raise InputError(f"a transformer's {self.heads} heads do not divide its {self.size} channels")

    @property
    def tokens(self) -> int:
        """Number of tokens of a picture."""
        rows, columns = ((side + 2 * PADDING - self.patch) // self.patch + 1 for side in (self.height, self.width))
        return rows * columns


class ViT(nn.Module):
    """Turns pictures into tokens: ``tokens = vit(pictures)``.

    Args:
        config: its sizes.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config)
        # The first is that of a class token in the training before this one. Here it is added to every token.
        self.pos_embed = nn.Parameter(torch.zeros(1, config.tokens + 1, config.size))
        self.blocks = nn.ModuleList(Block(config.size, config.heads, config.hidden) for _ in range(config.depth))
        self.last_norm = nn.LayerNorm(config.size, eps=1e-6)

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            pictures: (B, 3, H, W), normalised.

        Returns:
            (B, N, C) tokens, row by row.
        """
        tokens = self.patch_embed(pictures) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)


class PatchEmbedding(nn.Module):
    """Turns the squares of a picture into tokens.

    Args:
        config: the sizes.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.size, config.patch, config.patch, PADDING)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, C)."""
        return self.proj(pictures).flatten(2).mT


class Block(nn.Module):
    """Self-attention and a perceptron, each behind a normalisation and beside a skip connection.

    Args:
        size: length of a token.
        heads: number of attention heads.
        hidden: units between the perceptron's two layers.
    """

    def __init__(self, size: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size, eps=1e-6)
        self.attn = Attention(size, heads)
        self.norm2 = nn.LayerNorm(size, eps=1e-6)
        self.mlp = Perceptron(size, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Perceptron(nn.Module):
    """Two layers with a GELU between them.

    Args:
        size: length of a token.
        hidden: units between the two.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(size, hidden)
        self.fc2 = nn.Linear(hidden, size)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class Attention(nn.Module):
    """Self-attention with one layer for queries, keys and values.

    Args:
        size: length of a token.
        heads: number of heads.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size)
        self.proj = nn.Linear(size, size)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        queries, keys, values = self.qkv(tokens).chunk(3, dim=-1)
        return self.proj(attend(queries, keys, values, self.heads))


def attend(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Attention of several heads, whose parts lie one after the other in the last axis.

    Args:
        queries: (B, N, C).
        keys, values: (B, M, C).
        heads: their number.

    Returns:
        (B, N, C).
    """
    queries, keys, values = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (queries, keys, values))
    return scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
