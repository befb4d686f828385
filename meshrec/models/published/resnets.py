"""ResNets trained on ImageNet, with torchvision's names."""

from pathlib import Path

from meshrec.errors import InputError
from meshrec.models.published.reading import checked, read_weights, state_dict
from meshrec.models.resnet import ResNet, with_input_channels


def load_resnet(resnet: ResNet, path: str | Path) -> None:
    """Load the weights of a public checkpoint into a ResNet.

    Input channels beyond RGB get weights of zero, so that they have no effect at first.

    Args:
        resnet: a network of the checkpoint's depth, whose first three input channels are RGB.
        path: a ``.pth`` or ``.safetensors`` file with torchvision's names, which timm's files have too.

    Raises:
        InputError: The file is no such checkpoint, or its weights do not fit.
    """
    weights = {key: value for key, value in state_dict(read_weights(path)).items() if not key.startswith("fc.")}
    if "conv1.0.weight" in weights:
        raise InputError(
            f"{path} holds a ResNet with three convolutions in its stem, such as timm's resnet50d, which is another "
            "network; take one with a single 7x7 convolution, such as resnet50.a1_in1k"
        )
    expected = {key: tuple(value.shape) for key, value in resnet.state_dict().items()}
    first, wanted = weights.get("conv1.weight"), expected["conv1.weight"][1]
    if first is not None and first.dim() == 4 and first.shape[1] == 3 < wanted:
        weights["conv1.weight"] = with_input_channels(first, wanted)
    resnet.load_state_dict(checked(weights, expected, path))
