"""The network of CameraHMR (Patel and Black 2025) for the field of view of a photo."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from meshrec.errors import InputError
from meshrec.models.field_of_view import ARCHITECTURE, FieldOfViewConfig, FieldOfViewNetwork
from meshrec.models.hrnet import hrnet_config
from meshrec.models.published.kinds import Converted
from meshrec.models.published.reading import checked

NAME = "CameraHMR's network for the field of view"
_LAYERS = {"hidden": "fc1", "output": "fc3"}  # names of the linear layers here and in the authors' network
_UNUSED = "fc2."  # a layer that the authors' network holds and does not use


def is_field_of_view(weights: dict) -> bool:
    """Whether weights are those of CameraHMR's network for the field of view."""
    return "backbone.downsample_stage_1.0.weight" in weights and "fc3.weight" in weights


def convert_field_of_view(weights: dict, path: Path) -> Converted:
    """Rename the weights of CameraHMR's network for the field of view.

    Args:
        weights: the weights by the authors' names.
        path: the file, which messages name.

    Raises:
        InputError: The weights do not fit.
    """
    weights = {key: value for key, value in weights.items() if not key.startswith(_UNUSED)}
    backbone = {key.removeprefix("backbone."): w for key, w in weights.items() if isinstance(w, Tensor)}
    try:
        config = FieldOfViewConfig(hrnet_config(backbone), hidden=weights["fc1.weight"].shape[0])
    except (KeyError, AttributeError, IndexError) as error:
        raise InputError(f"{path} does not fit this network; missing keys: {error}") from None
    with torch.device("meta"):
        ours = FieldOfViewNetwork(config).state_dict()
    theirs = {key: _their_name(key) for key in ours}
    found = checked(weights, {theirs[key]: tuple(value.shape) for key, value in ours.items()}, path)
    return Converted(ARCHITECTURE, asdict(config), {key: found[theirs[key]] for key in ours})


def _their_name(key: str) -> str:
    part, _, rest = key.partition(".")
    if part == "reduce":
        branch, _, rest = rest.partition(".")
        return f"backbone.downsample_stage_{int(branch) + 1}.{rest}"
    return f"{_LAYERS.get(part, part)}.{rest}"
