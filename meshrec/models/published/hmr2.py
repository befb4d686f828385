"""HMR2.0 (Goel et al. 2023, 4D-Humans) and CameraHMR (Patel and Black 2025), which have the same layout."""

import torch

from meshrec.body import NUM_BETAS
from meshrec.errors import InputError
from meshrec.models.build import build_network
from meshrec.models.hmr2 import BOX
from meshrec.models.iterative import POSE
from meshrec.models.published.kinds import Converted, Source
from meshrec.models.published.reading import checked

_TOKEN = "smpl_head.transformer.to_token_embedding.weight"
_PATCH = "backbone.patch_embed.proj.weight"
_PARTS = ("backbone.", "smpl_head.")
_IDLE = "smpl_head.deckp."  # CameraHMR's keypoints of the surface, which only its training uses
# Numbers of heads are in no shape: published networks have heads of these widths.
_HEAD_WIDTHS, _DECODER_HEAD_WIDTH = (80, 64), 64


def is_hmr2(weights: dict) -> bool:
    """Whether weights are those of HMR2.0, whose token is a single zero."""
    return _token_size(weights) == 1


def is_camera_hmr(weights: dict) -> bool:
    """Whether weights are those of CameraHMR, whose token holds the place of the crop and the mean body."""
    return _token_size(weights) == BOX + POSE + NUM_BETAS + 3


def convert_hmr2(source: Source) -> Converted:
    """Make the weights of HMR2.0 those of a network.

    Raises:
        InputError: The weights do not fit.
    """
    return _converted(source, "hmr2")


def convert_camera_hmr(source: Source) -> Converted:
    """Make the weights of CameraHMR those of a network.

    Raises:
        InputError: The weights do not fit.
    """
    return _converted(source, "camera_hmr")


def _converted(source: Source, architecture: str) -> Converted:
    # Files also hold a body model, a critic and what a training keeps.
    state = {key: value for key, value in source.weights.items() if key.startswith(_PARTS)}
    state = {key: value for key, value in state.items() if not key.startswith(_IDLE)}
    settings = _settings(state, source) | {"told": architecture == "camera_hmr"}
    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in build_network(architecture, settings).state_dict().items()}
    return Converted(architecture, settings, checked(state, expected, source.path))


def _settings(state: dict, source: Source) -> dict:
    """The sizes of the network, read from the shapes of its weights."""

    def size(key: str, axis: int = 0) -> int:
        shape: tuple[int, ...] = tuple(getattr(state.get(key), "shape", ()))
        if len(shape) <= axis:
            raise InputError(f"{source.path} does not fit this network; missing keys: {key}")
        return shape[axis]

    def count(prefix: str) -> int:
        return len({key.removeprefix(prefix).partition(".")[0] for key in state if key.startswith(prefix)})

    channels, patch = size(_PATCH), size(_PATCH, 3)
    # Pictures are 4 to 3: 4 n rows of 3 n tokens, beside which there is a position of a class token.
    tokens = size("backbone.pos_embed", 1) - 1
    unit = round((tokens / 12) ** 0.5)
    if tokens != 12 * unit**2 or not unit:
        raise InputError(f"{source.path}: {tokens} tokens are no picture of 4 to 3")
    width = next((width for width in _HEAD_WIDTHS if channels % width == 0), channels)
    layer = "smpl_head.transformer.transformer.layers."
    attention = size(f"{layer}0.1.fn.to_q.weight")
    return {
        "encoder": {"resolution": 4 * unit * patch},
        "vit": {
            **{"height": 4 * unit * patch, "width": 3 * unit * patch, "patch": patch, "size": channels},
            **{"depth": count("backbone.blocks."), "heads": channels // width},
            "hidden": size("backbone.blocks.0.mlp.fc1.weight"),
        },
        "width": size(_TOKEN),
        "depth": count(layer),
        "heads": max(attention // _DECODER_HEAD_WIDTH, 1),
        "attention": attention,
        "hidden": size(f"{layer}0.2.fn.net.0.weight"),
        "num_betas": NUM_BETAS,
    }


def _token_size(weights: dict) -> int:
    """Length of the token that the decoder starts from; 0 if there is none."""
    shape: tuple[int, ...] = tuple(getattr(weights.get(_TOKEN), "shape", ()))
    return shape[1] if len(shape) == 2 and _PATCH in weights else 0
