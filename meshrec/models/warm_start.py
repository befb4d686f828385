"""Start a network from the weights of another one, which has fewer inputs, or another head on the same encoder."""

import torch

from meshrec.errors import InputError
from meshrec.models.network import Network

ADDED = ("encoder.backbone.", "refine.")
GROWN = "embed.weight"  # the only weights of an iterative regressor whose shape depends on the encoder's feature


@torch.no_grad()
def warm_start(network: Network, source: Network) -> None:
    """Copy the weights of a network of the same architecture, which may lack the ResNet or the refinements.

    The ResNet's part of the feature, which comes first, gets weights of zero in the next layer. Refinements start with
    corrections of zero in any case. The network therefore starts with the outputs of the source, apart from steps
    towards the keypoints.

    Args:
        network: the network whose weights are set.
        source: the network whose weights are copied.

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


def take_encoder(network: Network, source: Network) -> None:
    """Copy only the encoder's weights. All other layers may differ.

    Args:
        network: the network whose encoder's weights are set.
        source: the network whose encoder's weights are copied.

    Raises:
        InputError: The encoders differ.
    """
    try:
        network.encoder.load_state_dict(source.encoder.state_dict())
    except RuntimeError:
        raise InputError("its encoder is another one.") from None
