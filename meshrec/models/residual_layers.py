"""Fully connected layers with residual blocks between vectors, as several networks that lift joints have them."""

from torch import Tensor, nn


class ResidualLayers(nn.Module):
    """A linear layer, residual blocks of two layers each, and a linear layer.

    Layers but the last are followed by batch norm and ReLU, as in :mod:`meshrec.models.lifting_baseline`.

    Args:
        inputs, outputs: numbers of the input and of the output.
        width: units in each layer.
        blocks: number of residual blocks.

    Example:
        >>> import torch
        >>> from meshrec.models.residual_layers import ResidualLayers
        >>> ResidualLayers(5, 2, width=16, blocks=1)(torch.rand(4, 5)).shape
        torch.Size([4, 2])
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = _layer(inputs, width)
        self.blocks = nn.ModuleList(nn.Sequential(_layer(width, width), _layer(width, width)) for _ in range(blocks))
        self.leave = nn.Linear(width, outputs)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (B, width) of (B, inputs)."""
        x = self.enter(x)
        for block in self.blocks:
            x = x + block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        return self.leave(self.features(x))


def _layer(inputs: int, width: int) -> nn.Sequential:
    linear = nn.Linear(inputs, width)
    nn.init.kaiming_normal_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.BatchNorm1d(width), nn.ReLU())
