"""Pickles that joblib wrote, as programs of this field store what they found in a film.

``joblib.dump`` writes a pickle in which an array is an object that only has shape and type; the array's numbers follow
that object in the file, between two opcodes (joblib, ``numpy_pickle.py``, ``NumpyArrayWrapper.write_array``). Files of
joblib 1.2 and later first have a byte that says how many bytes of padding come before the numbers. Nothing in a file is
executed: it is read by :mod:`meshrec.files.pickles`, as any other pickle.
"""

import math
import zlib
from collections.abc import Callable
from pathlib import Path

from meshrec.errors import InputError
from meshrec.files.arrays import (
    DICTIONARIES,
    MOST_AXES,
    MOST_BYTES,
    ArrayDecoder,
    PickledArrays,
    entries_of,
    is_count,
    only_arrays,
    plain_type,
    reported,
    short,
)
from meshrec.files.pickles import Call, Global, read_pickle
from meshrec.files.regular import most_unpacked, read_regular

LEAST_OPCODES, MOST_OPCODES = 1_000_000, 20_000_000  # that are read of any file, and of the largest
BYTES_PER_OPCODE = 8  # of the file, at least; a person in a frame of 4D-Humans has a thousand opcodes and 60 kB
COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")  # how files of gzip and zlib begin

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_ARRAY = Global("numpy.core.multiarray", "_reconstruct")
# What stands beside the arrays. Tensors are passed over: asking for one is an error.
_ALSO = {
    *DICTIONARIES, _WRAPPER, "torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes", "torch.device",
    "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
}  # fmt: skip


def unpickle_tables(path: str | Path) -> PickledArrays:
    """Read a dictionary of arrays, or of dictionaries of arrays, that joblib or Python's own pickle wrote.

    Args:
        path: The file, which may be compressed by zlib or gzip.

    Returns:
        The dictionary, whose values are evaluated when they are asked for; its ``tables`` are those that are
        dictionaries.

    Raises:
        InputError: The file is missing or damaged, asks for a name outside the allow-list, or holds no dictionary.

    Example:
        >>> import pickle, tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from meshrec.files.joblib_files import unpickle_tables
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "people.pkl").write_bytes(pickle.dumps({3: {"betas": np.zeros(10)}}))
        ...     people = unpickle_tables(Path(folder, "people.pkl"))
        >>> people.tables["3"]["betas"].shape
        (10,)
    """
    path = Path(path)
    try:
        stored = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    data, most_opcodes = _unpacked(path, stored), min(max(LEAST_OPCODES, len(stored) // BYTES_PER_OPCODE), MOST_OPCODES)
    check = only_arrays(path, _ALSO)
    with reported(path):
        built = _arrays_behind(data, check, most_opcodes)
        content = read_pickle(data, check, built=built, most_opcodes=most_opcodes).content
    entries = entries_of(content)
    if entries is None:
        kind = str(content.function) if isinstance(content, Call) else type(content).__name__
        raise InputError(f"{path}: the pickle holds a {short(kind)}, not a dictionary of arrays")
    return PickledArrays(entries, ArrayDecoder(len(data)), path)


def _unpacked(path: Path, data: bytes) -> bytes:
    if not data.startswith(COMPRESSED):
        return data
    unpacker = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # zlib or gzip, as its first bytes say
    with reported(path, "not a readable compressed pickle"):
        most_bytes = most_unpacked(len(data), MOST_BYTES)
        content = unpacker.decompress(data, most_bytes)
        if unpacker.unconsumed_tail:
            raise ValueError(f"it unpacks to more than {most_bytes >> 20} MiB")
        if not unpacker.eof:
            raise ValueError("its end is missing")
    return content


def _arrays_behind(data: bytes, check: Callable[[Global], None], most_opcodes: int) -> Callable[[Call, int], int]:
    """What to do behind an object: take the numbers that belong to it."""

    opcodes_left = most_opcodes  # of all pickles within the pickle

    def take(call: Call, position: int) -> int:
        nonlocal opcodes_left
        if str(call.function) != _WRAPPER:
            return position
        state = call.state if isinstance(call.state, dict) else {}
        if _holds_objects(dtype := state.get("dtype")):  # these are a pickle of their own
            nested = read_pickle(data, check, position, most_opcodes=opcodes_left)
            opcodes_left -= nested.opcodes
            if not isinstance(nested.content, Call):
                raise ValueError("an array of objects that is no array")
            call.function, call.arguments, call.state = nested.content.function, (), nested.content.state
            return nested.end
        shape = state.get("shape")
        if not isinstance(shape, tuple) or len(shape) > MOST_AXES or not all(is_count(size) for size in shape):
            raise ValueError("an array without a shape")
        if state.get("numpy_array_alignment_bytes") is not None:
            position += 1 + data[position]
        end = position + math.prod(shape) * plain_type(dtype).itemsize
        if end > len(data):
            raise ValueError("an array is cut short")
        call.function, call.arguments = _ARRAY, ()
        call.state = (1, shape, dtype, state.get("order") == "F", data[position:end])
        return end

    return take


def _holds_objects(dtype: object) -> bool:
    return isinstance(dtype, Call) and dtype.arguments[:1] in (("O",), ("O4",), ("O8",))
