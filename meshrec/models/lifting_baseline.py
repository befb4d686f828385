"""3D joints from 2D joints by a fully connected network with residual blocks.

Source: Martinez, Hossain, Romero and Little 2017, "A simple yet effective baseline for 3d human pose estimation",
section 3. A linear layer to 1,024 units, two residual blocks ``x + g(g(x))`` of ``g(x) = dropout(relu(norm(W x + b)))``
and a linear layer to the joints, where inputs and outputs are standardised and each row of a weight matrix has a norm
of at most one. The paper's inputs are the 2D joints of a stacked hourglass and its outputs are camera space, relative
to the root.

Departures: each joint comes with its confidence as a third number, so that a missing joint can be told, and inputs are
in a crop around the person. Residual connections, batch norm, dropout and the limit of norms can be left out
separately, for the paper's ablation (its table 6).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.standardised import Standardised


@dataclass(frozen=True)
class BaselineConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set of the input and the output.
        width: units in each layer.
        blocks: number of residual blocks, each of two layers.
        dropout: dropout probability after each layer but the last.
        residual: whether the input of a block is added to its output.
        batch_norm: whether layers but the last are followed by batch norm.
        max_norm: the largest norm of a row of a weight matrix; None for no limit.
    """

    joints: str = "h36m17"
    width: int = 1024
    blocks: int = 2
    dropout: float = 0.5
    residual: bool = True
    batch_norm: bool = True
    max_norm: float | None = 1.0

    def __post_init__(self) -> None:
        joint_set(self.joints)
        if not (1 <= self.width <= LARGEST and 0 <= self.blocks <= 64 and 0 <= self.dropout < 1):
            raise InputError(f"a width of 1 to {LARGEST}, 0 to 64 blocks and a dropout in [0, 1) are needed: {self}")
        if self.max_norm is not None and self.max_norm <= 0:
            raise InputError(f"the largest norm of a weight's row must be above 0, not {self.max_norm}")


class LiftingBaseline(Standardised):
    """The network.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.lifting_baseline import BaselineConfig, LiftingBaseline
        >>> LiftingBaseline(BaselineConfig(width=64))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: BaselineConfig

    def __init__(self, config: BaselineConfig | None = None) -> None:
        config = config or BaselineConfig()
        count = len(joint_set(config.joints))
        super().__init__(count)
        self.config = config
        self.enter = _layer(3 * count, config)
        self.blocks = nn.ModuleList(
            nn.Sequential(_layer(config.width, config), _layer(config.width, config)) for _ in range(config.blocks)
        )
        self.leave = nn.Linear(config.width, 3 * count)

    def standard(self, keypoints: Tensor) -> Tensor:
        """Standardised 3D joints (B, K, 3) of standardised keypoints (B, K, 3)."""
        x = self.enter(keypoints.flatten(1))
        for block in self.blocks:
            x = x + block(x) if self.config.residual else block(x)
        return self.leave(x).unflatten(1, (-1, 3))

    @torch.no_grad()
    def after_step(self) -> None:
        """Shorten the rows of the weight matrices that are longer than allowed, after a step of an optimizer."""
        if self.config.max_norm is not None:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.weight.copy_(torch.renorm(module.weight, 2, 0, self.config.max_norm))


def _layer(inputs: int, config: BaselineConfig) -> nn.Sequential:
    norm = [nn.BatchNorm1d(config.width)] if config.batch_norm else []
    linear = nn.Linear(inputs, config.width)
    nn.init.kaiming_normal_(linear.weight)  # as in the paper
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, *norm, nn.ReLU(), nn.Dropout(config.dropout))
