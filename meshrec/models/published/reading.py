"""The weights in published checkpoints: read without running code, freed of prefixes, and compared with a network."""

from pathlib import Path

import torch
from torch import Tensor

from meshrec.errors import InputError
from meshrec.files.torch_files import Skipped, read_torch
from meshrec.models.checkpoints import check_weights

Weights = dict[str, Tensor]

# Keys under which training checkpoints store their weights.
_STATES = ("model", "state_dict")
_WEIGHTS = (*_STATES, "graph_cnn", "smpl_param_regressor")
_PREFIXES = ("module.", "model.")  # of parallel training, and of a training that holds the network as `model`
_COMPILED = "_orig_mod."  # which torch.compile puts before the names of what it compiled


def read_weights(path: str | Path) -> dict:
    """Read a ``.pt``, ``.pth`` or ``.safetensors`` file without executing code that it may contain.

    Returns:
        The dictionary in the file: weights, or what a training stored beside them.

    Tensors may lie in the file, mapped to memory; see :func:`meshrec.files.torch_files.read_torch`.

    Objects of a training beside the weights, such as its options, are skipped: see
    :class:`meshrec.files.torch_files.Skipped`.

    Raises:
        InputError: The file is missing, damaged, no dictionary, or would have to run code to give its weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except Exception:  # a damaged file can fail in any way
            raise InputError(f"{path} is not a readable checkpoint: it is cut short, or no file of weights") from None
    try:
        content = read_torch(path, mapped=True)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror})") from None
    weights = [content[key] for key in _WEIGHTS if key in content] if isinstance(content, dict) else []
    for value in (content, *weights):
        if isinstance(value, Skipped):
            raise InputError(f"{path}: refused, because it asks to run '{value.name}'; weights need no code")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} where checkpoints are dictionaries of weights")
    return content


def state_dict(content: object) -> dict:
    """The weights in a training checkpoint, without the prefixes of parallel training, Lightning and torch.compile.

    Args:
        content: what :func:`read_weights` returns, or a part of it.

    Returns:
        Values by name; empty if the content is no dictionary.

    Example:
        >>> from meshrec.models.published.reading import state_dict
        >>> state_dict({"state_dict": {"model._orig_mod.fc1.weight": 3}, "epoch": 7})
        {'fc1.weight': 3}
    """
    if not isinstance(content, dict):
        return {}
    for key in _STATES:
        if isinstance(inner := content.get(key), dict):
            content = inner
    return {_plain(str(key)): value for key, value in content.items()}


def checked(state: dict, expected: dict[str, tuple[int, ...]], source: str | Path) -> Weights:
    """Check names and shapes of weights, which keep their types.

    The counts of batches in the normalisation layers may be missing, since nothing uses them.

    Args:
        state: the weights by their names in the file.
        expected: the shapes that are needed, by the same names.
        source: the file, which messages name.

    Raises:
        InputError: Weights are missing, unknown, misshapen, not finite or no tensors.
    """
    counts = {key: torch.tensor(0) for key in expected if key.endswith("num_batches_tracked")}
    state = counts | state
    if strange := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise InputError(f"{source}: {strange[0]} is no tensor")
    check_weights(state, expected, source)
    return state


def _plain(key: str) -> str:
    key = key.replace(_COMPILED, "")
    while key.startswith(_PREFIXES):
        key = key.partition(".")[2]
    return key
