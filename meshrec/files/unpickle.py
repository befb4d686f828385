"""Reading the pickles of SMPL and 3DPW without chumpy and without running code that a hostile file asks for.

The official files are Python 2 pickles of numpy arrays, scipy sparse matrices and chumpy arrays. The unpickler here
knows those few names and nothing else: every other name is refused before anything is called. Sparse and chumpy objects
are read into plain records and evaluated here, so neither scipy's nor chumpy's own unpickling code runs.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from meshrec.errors import InputError

Content = TypeVar("Content")

_SPARSE = {"csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"}
_MAX_DEPTH = 8


def unpickle_arrays(path: str | Path) -> dict[str, object]:
    """Read a pickled dictionary of arrays. Sparse matrices and chumpy arrays become numpy arrays.

    Args:
        path: A pickle whose top level is a dictionary.

    Returns:
        Names to numpy arrays, strings, numbers and plain containers, as the file holds them.

    Raises:
        InputError: The file asks for a name outside the allow-list, is truncated, or holds no dictionary.
    """
    path = Path(path)

    def evaluate(content: object) -> dict[str, object]:
        if not isinstance(content, dict):
            raise InputError(f"{path}: the pickle holds a {type(content).__name__}, not a dictionary of arrays")
        return {_text(key): _evaluate(value) for key, value in content.items()}

    return _unpickle(path.read_bytes(), path, evaluate)


def unpickle_element(data: bytes, index: int | tuple[()], path: str | Path) -> np.ndarray:
    """Read one element of a pickled array of arrays or sparse matrices, which is how numpy stores arrays of objects.

    Args:
        data: The pickle.
        index: Index of the element; () for that of an array without dimensions.
        path: The file that the pickle is from, for messages.

    Returns:
        The element; a sparse matrix becomes dense.

    Raises:
        InputError: As for :func:`unpickle_arrays`.
    """
    return _unpickle(data, Path(path), lambda content: np.asarray(_evaluate(content[index])))


def _unpickle(data: bytes, path: Path, evaluate: Callable[[Any], Content]) -> Content:
    try:
        return evaluate(_ArrayUnpickler(io.BytesIO(data), path).load())
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: the pickle asks for more memory than there is; the file is damaged") from None
    # A damaged pickle can fail in any opcode, with any exception.
    except Exception as error:
        raise InputError(f"{path}: not a readable pickle ({_short(error)}); the file is damaged or cut short") from None


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler that knows only arrays. It is made of Python's implementation in Python, because the one in C lets a
    file of 20 bytes claim a memo of many gigabytes.
    """

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream, encoding="latin1")
        self._path = path
        # The classes are created for each file, so that no file can leave a changed class behind for the next one.
        sparse = type("Sparse", (_Record,), {"to_array": _dense})
        chumpy = type("Chumpy", (_Record,), {"to_array": lambda record, depth: _evaluate(record.x, depth)})
        select = type("Select", (_Record,), {"to_array": _selected})
        records = {sparse, chumpy, select}

        def reconstruct(kind: type, base: type, state: object) -> object:
            if kind not in records or state is not None:
                raise pickle.UnpicklingError(f"cannot rebuild {kind!r}")
            return kind()

        self._allowed = {
            ("chumpy.ch", "Ch"): chumpy,
            ("chumpy.reordering", "Select"): select,
            ("_codecs", "encode"): _bytes,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        for module in ("copyreg", "copy_reg"):
            self._allowed[module, "_reconstructor"] = reconstruct
        for module in ("builtins", "__builtin__"):
            self._allowed |= {(module, "object"): object, (module, "set"): set, (module, "bytes"): _empty_bytes}
        for core in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self._allowed[core, "_reconstruct"] = _empty_array
            self._allowed[core, "scalar"] = _scalar
        self._sparse = sparse

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[:2] == ["scipy", "sparse"] and name in _SPARSE:
            return self._sparse
        try:
            return self._allowed[module, name]
        except KeyError:
            raise InputError(
                f"{self._path}: refused, because it asks to run '{_short(f'{module}.{name}')}'; "
                "only numpy, scipy.sparse and chumpy arrays are read"
            ) from None


class _Record:
    """The attributes of a pickled object without the behaviour of its class. Subclasses evaluate them: ``to_array``."""

    to_array: Callable[[int], object]

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)


def _empty_array(kind: type, shape: tuple, code: object) -> np.ndarray:
    """Stands for numpy's ``_reconstruct``, which always makes an empty array that the pickled state then fills."""
    return np.ndarray.__new__(np.ndarray, (0,), np.int8)


def _bytes(text: str, encoding: str) -> bytes:
    """Rebuild bytes, which Python 3 pickles in protocols 0 to 2 as text and the name of its encoding."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """Rebuild empty bytes, which Python 3 pickles in protocols 0 to 2 as a call of ``bytes``."""
    return b""


def _scalar(dtype: np.dtype, data: str | bytes = b"") -> object:
    if dtype.hasobject:
        raise pickle.UnpicklingError("a scalar of type object")
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype, count=1)[0]


def _evaluate(value: object, depth: int = _MAX_DEPTH) -> object:
    if depth == 0:
        raise pickle.UnpicklingError("arrays nested too deeply")
    if isinstance(value, _Record):
        return value.to_array(depth - 1)
    return value


def _dense(record: Any, depth: int) -> np.ndarray:
    """The dense array of a sparse matrix that scipy pickled by columns, by rows or as triplets."""
    rows, columns = record.__dict__.get("_shape") or record.__dict__["shape"]
    data = np.asarray(record.data)
    if rows * columns > 1e9:
        raise pickle.UnpicklingError(f"a sparse matrix of {rows} x {columns}")
    dense = np.zeros((rows, columns), data.dtype)
    if hasattr(record, "indptr"):
        counts = np.diff(record.indptr)
        # scipy does not pickle the name of the format; the length of the pointer array tells columns from rows.
        outer = np.repeat(np.arange(len(counts)), counts)
        by_column = len(counts) == columns
        index = (record.indices, outer) if by_column else (outer, record.indices)
    else:
        index = record.coords if hasattr(record, "coords") else (record.row, record.col)
    np.add.at(dense, index, data)
    return dense


def _selected(record: Any, depth: int) -> np.ndarray:
    """Evaluate ``chumpy.reordering.Select``, which picks elements of an array by flat index."""
    picked = np.asarray(_evaluate(record.a, depth)).ravel()[record.idxs]
    return picked.reshape(record.preferred_shape) if hasattr(record, "preferred_shape") else picked


def _short(value: object, most: int = 80) -> str:
    """Text from a file for an error message, printable and short, because damaged files may hold anything."""
    text = "".join(c for c in str(value) if c.isprintable())
    return text if len(text) <= most else f"{text[:most]}..."


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
