"""Start a network from another one that sees less, or that makes something else of what it sees."""

import torch
from torch import nn

from meshrec.errors import InputError
from meshrec.models.build import encoder_of

ADDED = ("encoder.backbone.", "refine.")
GROWN = "embed.weight"  # the one layer of an iterative regressor whose inputs grow with the encoder's feature


@torch.no_grad()
def warm_start(network: nn.Module, source: nn.Module) -> None:
    """Copy the weights of a network of the same kind, which may lack the ResNet over maps and pictures, or refinements.

    What the ResNet adds to the feature stands before the rest and starts without any effect, as refinements do anyway,
    so that the network begins where the source ended.

    Args:
        network: Whose weights are set.
        source: Where they come from.

    Raises:
        InputError: The networks differ in anything else; the message names where.
    """
    weights, given = network.state_dict(), source.state_dict()
    for name, value in given.items():
        own = weights.get(name)
        if own is not None and own.shape == value.shape:
            own.copy_(value)
        elif own is not None and name == GROWN and len(own) == len(value) and own.shape[1] > value.shape[1]:
            own.zero_()
            own[:, own.shape[1] - value.shape[1] :] = value
        else:
            raise InputError(f"a network cannot start from one whose '{name}' has the shape {tuple(value.shape)}.")
    if strange := [name for name in weights if name not in given and not name.startswith(ADDED)]:
        raise InputError(f"a network cannot start from one without '{strange[0]}'.")


def take_encoder(network: nn.Module, source: nn.Module) -> None:
    """Copy the encoder's weights alone; all that follows it may be different.

    Args:
        network: Whose encoder's weights are set.
        source: Where they come from.

    Raises:
        InputError: The encoders differ.
    """
    try:
        encoder_of(network).load_state_dict(encoder_of(source).state_dict())
    except RuntimeError:
        raise InputError("its encoder is another one.") from None
