"""Writing safetensors files tensor by tensor, so that no second copy of the weights is ever in memory."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from meshrec.files.atomic import replacing

_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def write_tensors(path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
    """Write tensors in the format of safetensors.

    The file is a length, a header in JSON, and the numbers of the tensors one after the other (the format's description
    is in the README of github.com/huggingface/safetensors). The package of that name writes it too, but first makes a
    copy of all tensors in memory.

    Args:
        path: The file. It appears whole or not at all.
        tensors: Tensors by name, on any device.
        metadata: Text that the header also holds.

    Returns:
        The path.

    Raises:
        InputError: The file cannot be written.
        KeyError: A tensor has a type that the format lacks, such as complex numbers.

    Example:
        >>> import tempfile, torch
        >>> from safetensors.torch import load_file
        >>> from meshrec.files.tensors import write_tensors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_file(write_tensors(f"{folder}/a.safetensors", {"a": torch.ones(2)}, {}))["a"]
        tensor([1., 1.])
    """
    # Wide types first: then each tensor starts at a multiple of its type's size, and can be used where it lies.
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        tensor, start = tensors[name], end
        end += tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as part, open(part, "r+b") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return Path(path)
