"""The vision transformer, against torch's own attention and a convolution written out."""

import pytest
import torch
from torch import nn

from meshrec.errors import InputError
from meshrec.models.vit import Attention, Block, ViT, ViTConfig, attend

SMALL = ViTConfig(height=64, width=48, size=32, depth=2, heads=4, hidden=64)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def reference(attention: Attention, size: int) -> nn.MultiheadAttention:
    """torch's attention with the same weights."""
    theirs = nn.MultiheadAttention(size, attention.heads, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = attention.qkv.weight.data, attention.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = attention.proj.weight.data, attention.proj.bias.data
    return theirs


def test_attention_equals_torchs():
    attention, tokens = Attention(32, 4), torch.randn(2, 7, 32)
    nn.init.normal_(attention.qkv.bias)
    theirs = reference(attention, 32)(tokens, tokens, tokens, need_weights=False)[0]
    assert torch.allclose(attention(tokens), theirs, atol=1e-6)


def test_blocks_equal_torchs():
    """torch's encoder layer with the normalisation first is the same block."""
    block, tokens = Block(32, 4, 64), torch.randn(2, 7, 32)
    theirs = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True)
    theirs.self_attn = reference(block.attn, 32)
    theirs.linear1, theirs.linear2, theirs.norm1, theirs.norm2 = block.mlp.fc1, block.mlp.fc2, block.norm1, block.norm2
    theirs.train()  # in evaluation torch would take another path
    assert torch.allclose(block(tokens), theirs(tokens), atol=1e-5)


def test_attention_over_other_tokens_is_the_softmax_of_scaled_products():
    queries, keys, values = torch.randn(1, 2, 8), torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    expected = []
    for part in (slice(0, 4), slice(4, 8)):
        shares = (queries[0, :, part] @ keys[0, :, part].T / 2).softmax(1)
        expected.append(shares @ values[0, :, part])
    assert torch.allclose(attend(queries, keys, values, 2)[0], torch.cat(expected, 1), atol=1e-6)


def test_tokens_are_patches_with_their_positions():
    vit = ViT(SMALL)
    nn.init.normal_(vit.pos_embed)
    vit.blocks = nn.ModuleList()
    vit.last_norm = nn.Identity()
    picture = torch.randn(1, 3, 64, 48)
    tokens = vit(picture)
    assert tokens.shape == (1, SMALL.tokens, 32) == (1, 12, 32)
    patch = picture[..., 14:30, 30:46]  # the second row and last column, two pixels up and left for the border
    expected = (vit.patch_embed.proj.weight * patch).sum((1, 2, 3)) + vit.patch_embed.proj.bias
    expected = expected + vit.pos_embed[0, 1 + 5] + vit.pos_embed[0, 0]
    assert torch.allclose(tokens[0, 5], expected, atol=1e-5)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="5 heads do not divide its 32 channels"):
        ViTConfig(size=32, heads=5)
    assert ViTConfig().tokens == 192
