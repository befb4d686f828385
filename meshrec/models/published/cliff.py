"""CLIFF (Li et al. 2022), with a ResNet-50 or an HRNet-W48."""

from dataclasses import asdict

import torch
from torch import Tensor

from meshrec.body import NUM_BETAS
from meshrec.errors import InputError
from meshrec.models.build import build_network
from meshrec.models.hrnet import hrnet_config
from meshrec.models.iterative import POSE
from meshrec.models.published.kinds import Converted, Source
from meshrec.models.published.reading import checked
from meshrec.models.published.spin import POSE_ORDER

_STATE = POSE + NUM_BETAS + 3  # inputs of the first layer behind the feature and the place of the crop
_ENCODER, _BACKBONE = "encoder.", "backbone."  # prefixes of the backbone's weights in the file and here


def is_cliff(weights: dict) -> bool:
    """Whether weights are those of CLIFF."""
    return "decpose.weight" in weights and f"{_ENCODER}conv1.weight" in weights


def convert_cliff(source: Source) -> Converted:
    """Make the weights of CLIFF those of a network.

    Raises:
        InputError: The weights do not fit.
    """
    state = {
        _BACKBONE + key.removeprefix(_ENCODER) if key.startswith(_ENCODER) else key: value
        for key, value in source.weights.items()
    }
    settings = _settings(state, source)
    with torch.device("meta"):
        expected = {key: tuple(v.shape) for key, v in build_network("cliff", settings).state_dict().items()}
    found = checked(state, expected, source.path)
    # As in SPIN, the file has the first two columns of a rotation row by row.
    features = found["fc1.weight"].shape[1] - _STATE
    columns = torch.arange(features + _STATE)
    columns[features : features + POSE] = features + POSE_ORDER
    found["fc1.weight"] = found["fc1.weight"][:, columns]
    for key in ("decpose.weight", "decpose.bias"):
        found[key] = found[key][POSE_ORDER]
    found["init_pose"] = found["init_pose"][:, POSE_ORDER]
    return Converted("cliff", settings, found)


def _settings(state: dict, source: Source) -> dict:
    """The sizes of the network, read from the shapes of its weights."""
    backbone = {key.removeprefix(_BACKBONE): w for key, w in state.items() if isinstance(w, Tensor)}
    try:
        settings: dict = {"width": state["fc2.weight"].shape[0], "encoder": {"resolution": 256}}
        if "stage2.0.branches.0.0.conv1.weight" in backbone:
            settings["hrnet"] = asdict(hrnet_config(backbone))
        else:
            settings["encoder"]["resnet_width"] = backbone["conv1.weight"].shape[0]
    except (KeyError, AttributeError, IndexError) as error:
        raise InputError(f"{source.path} does not fit this network; missing keys: {error}") from None
    return settings
