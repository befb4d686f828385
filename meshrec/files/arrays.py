"""Pickles of arrays, as SMPL's bodies, 3DPW's sequences and numpy's arrays of objects are stored.

The official files are Python 2 pickles of numpy arrays, scipy sparse matrices and chumpy arrays; current programs save
them again in the forms of current Python, numpy and scipy. What a file says comes from :mod:`meshrec.files.pickles` as
records. Here they are checked and evaluated: neither numpy's, scipy's nor chumpy's own code for pickles runs, numpy is
only given types from a list, and bytes whose number agrees with type and shape, and what has been asked for only.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from meshrec.errors import InputError
from meshrec.files.npz import checked_text
from meshrec.files.pickles import Call, Global, read_pickle
from meshrec.files.regular import read_regular

MOST_BYTES = 1 << 30  # of a file; a body of SMPL-X's size with all of its components has 550 MB
MOST_DEPTH = 32  # of lists, dictionaries and objects in one another
SPARE_BYTES = 64 << 20  # that what is made of a file may have beyond a multiple of the file's size
MOST_TIMES = 4  # that multiple: text of a byte a character becomes text of four
MOST_SIDE = 1_000_000  # of a sparse matrix; a side is a count of joints or vertices
MOST_DENSE = 1 << 24  # elements of a sparse matrix written out: thrice a regressor of 55 joints from 100,000 vertices
MOST_AXES = 32

_DTYPE = Global("numpy", "dtype")
_NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_TEXT = re.compile(r"[SU]\d{1,6}")  # numpy reserves the memory of one element even for none
_SPARSE = re.compile(r"scipy\.sparse(?:\.\w+)?\.(csc|csr|coo)_(?:matrix|array)")
_CORES = ("numpy.core", "numpy._core")
_RECONSTRUCT, _SCALAR = ({f"{core}.multiarray.{name}" for core in _CORES} for name in ("_reconstruct", "scalar"))
_FROM_BUFFER = {f"{core}.numeric._frombuffer" for core in _CORES}
_NEW = {"copyreg._reconstructor", "copy_reg._reconstructor"}  # makes an instance of its first argument
_BYTES = {"builtins.bytes", "__builtin__.bytes"}
_KNOWN = {
    *("chumpy.ch.Ch", "chumpy.reordering.Select", "numpy.ndarray", str(_DTYPE), "_codecs.encode"),
    *("builtins.object", "__builtin__.object", "builtins.set", "__builtin__.set"),
    *_RECONSTRUCT, *_SCALAR, *_FROM_BUFFER, *_NEW, *_BYTES,
}  # fmt: skip
DICTIONARIES = ("collections.defaultdict", "collections.OrderedDict", "__builtin__.dict", "builtins.dict")
_DAMAGED = "; the file is damaged or cut short"


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix as triplets, of which those of the same place add up.

    Attributes:
        data: (N,) numbers.
        rows, columns: (N,) their places, int64.
        shape: Numbers of rows and columns.
    """

    data: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    def dense(self) -> np.ndarray:
        """The matrix written out.

        Raises:
            ValueError: It is far larger than any joint regressor.
        """
        if math.prod(self.shape) > MOST_DENSE:
            raise ValueError(f"a sparse matrix of {self.shape[0]} x {self.shape[1]}")
        dense = np.zeros(self.shape, self.data.dtype)
        np.add.at(dense, (self.rows, self.columns), self.data)
        return dense


class PickledArrays(Mapping[str, object]):
    """A pickled dictionary, whose values are evaluated when they are asked for: numpy arrays, text, numbers, and plain
    containers of these. An :class:`InputError` says what is wrong with one.
    """

    def __init__(self, content: Mapping[object, object], decoder: "ArrayDecoder", path: Path) -> None:
        self._content = {_text(key): value for key, value in content.items()}
        self._decoder = decoder
        self._path = path

    @property
    def tables(self) -> "dict[str, PickledArrays]":
        """Those of the values that are dictionaries themselves, in the file's order."""
        entries = {key: entries_of(node) for key, node in self._content.items()}
        return {
            key: PickledArrays(found, self._decoder, self._path) for key, found in entries.items() if found is not None
        }

    def __getitem__(self, key: str) -> object:
        node = self._content[key]
        with reported(self._path, f"{short(key)} is no array that can be read", advice=""):
            value = self._decoder.decode(node)
            if isinstance(value, SparseMatrix):
                self._decoder.count(math.prod(value.shape) * value.data.itemsize)
                return value.dense()
            return value

    def __contains__(self, key: object) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def unpickle_arrays(path: str | Path) -> PickledArrays:
    """Read a pickled dictionary of arrays. Sparse matrices and chumpy arrays become numpy arrays.

    Args:
        path: A pickle whose top level is a dictionary.

    Returns:
        Names to numpy arrays, strings, numbers and plain containers, as the file holds them.

    Raises:
        InputError: The file asks for a name outside the allow-list, is truncated, or holds no dictionary. Faults of a
            single value are raised when it is asked for.
        OSError: There is no such file, or it may not be read.
    """
    path = Path(path)
    data = read_regular(path, MOST_BYTES)
    with reported(path):
        content = read_pickle(data, only_arrays(path)).content
    if not isinstance(content, dict):
        kind = str(content.function) if isinstance(content, Call) else type(content).__name__
        raise InputError(f"{path}: the pickle holds a {short(kind)}, not a dictionary of arrays")
    return PickledArrays(content, ArrayDecoder(len(data)), path)


def unpickle_element(data: bytes, index: int, path: str | Path) -> np.ndarray | SparseMatrix:
    """Read one element of a pickled array of arrays or sparse matrices, which is how numpy stores arrays of objects.

    Args:
        data: The pickle.
        index: Index of the element.
        path: The file that the pickle is from, for messages.

    Raises:
        InputError: As for :func:`unpickle_arrays`.
    """
    with reported(path):
        value = ArrayDecoder(len(data)).decode(read_pickle(data, only_arrays(path)).content)
        element = value[index] if isinstance(value, list) else None
        if not isinstance(element, np.ndarray | SparseMatrix):
            raise ValueError(f"element {index} is no array")
        return element


@dataclass(frozen=True)
class Extent:
    """How many elements an array of a value would have, and the bytes of its widest one as text."""

    elements: int
    width: int


ONE = Extent(1, 8)
_FAILED = Extent(0, 0)  # of what is no array, or not known yet; the value says why


class ArrayDecoder:
    """Evaluates the records of a pickle. Each object is evaluated once, however often the file refers to it.

    Args:
        size: Number of bytes of the file, which bounds what may be made of it.
    """

    def __init__(self, size: int) -> None:
        self.most_bytes = SPARE_BYTES + MOST_TIMES * size
        self.made_bytes = 0
        self.known: dict[int, tuple[object, Extent, object]] = {}

    def decode(self, node: object) -> Any:
        """The value of what :func:`read_pickle` returned, or of a part of it.

        Raises:
            ValueError: It is no array, number, text or plain container of these, or damaged.
        """
        return self.value(node, MOST_DEPTH)

    def value(self, node: object, depth: int) -> Any:
        return self.measured(node, depth)[0]

    def measured(self, node: object, depth: int) -> tuple[Any, Extent]:
        """A value and how large it is with everything in it."""
        if node is None or isinstance(node, bool | int | float):
            return node, ONE
        if isinstance(node, str | bytes):
            return node, Extent(1, 4 * len(node))
        if id(node) in self.known:
            value, extent, _ = self.known[id(node)]
            if extent is _FAILED:
                raise ValueError(value)
            return value, extent
        if depth == 0:
            raise ValueError(f"nested more than {MOST_DEPTH} deep")
        # The node is kept, so that its identity remains its own.
        self.known[id(node)] = ("something holds itself", _FAILED, node)
        try:
            if isinstance(node, list | tuple):
                value, extent = self.sequence(node, depth - 1)
            elif isinstance(node, dict):
                value, extent = self.dictionary(node, depth - 1)
            else:
                value, extent = self.evaluated(node, depth - 1)
        except ValueError as error:
            self.known[id(node)] = (str(error), _FAILED, node)
            raise
        self.known[id(node)] = (value, extent, node)
        return value, extent

    def sequence(self, node: list | tuple, depth: int) -> tuple[Any, Extent]:
        values, elements, width = [], 1, 8
        for item in node:
            value, extent = self.measured(item, depth)
            values.append(value)
            elements += extent.elements
            width = max(width, extent.width)
        # numpy makes one array of nested lists, in which every element is as wide as the widest.
        return (values if isinstance(node, list) else tuple(values)), self.checked(Extent(elements, width))

    def dictionary(self, node: dict, depth: int) -> tuple[Any, Extent]:
        values, elements = {}, 1
        for key, item in node.items():
            values[key], extent = self.measured(item, depth)
            elements += extent.elements
        return values, self.checked(Extent(elements, 8))

    def checked(self, extent: Extent) -> Extent:
        """The extent of containers, which written out may not be far larger than the file, as shared parts can be."""
        if extent.elements * extent.width > self.most_bytes:
            raise ValueError("its lists hold far more than the file does")
        return extent

    def evaluated(self, node: object, depth: int) -> tuple[Any, Extent]:
        """An object that the file wants made by a call."""
        if not isinstance(node, Call):
            return _refuse(node)
        name, kind = str(node.function), str(_class(node))
        if kind == "chumpy.ch.Ch":
            return self.measured(_attribute(node, "x"), depth)
        if name in _RECONSTRUCT and (objects := _objects(node)) is not None:
            return self.measured(objects, depth)
        value = self.made(node, name, kind, depth)
        if isinstance(value, np.ndarray | np.generic):
            return value, Extent(max(value.size, 1), max(value.itemsize, 8))
        return value, Extent(1, 4 * len(value) if isinstance(value, bytes) else 8)

    def made(self, call: Call, name: str, kind: str, depth: int) -> "np.ndarray | np.generic | bytes | SparseMatrix":
        arguments = call.arguments
        if name == "_codecs.encode" or name in _BYTES:
            return self.binary(call)
        if name in _RECONSTRUCT:
            shape, dtype, by_columns, data = _array_state(call)
            return self.numbers(shape, dtype, bool(by_columns), data)
        if name in _FROM_BUFFER and len(arguments) == 4:
            buffer, dtype, shape, order = arguments
            return self.numbers(shape, dtype, order == "F", buffer)
        if name in _SCALAR and arguments:
            return self.numbers((), arguments[0], False, arguments[1] if len(arguments) > 1 else b"")[()]
        if matched := _SPARSE.fullmatch(kind):
            return self.sparse(matched[1], call, depth)
        if kind == "chumpy.reordering.Select":
            return self.selected(call, depth)
        return _refuse(call)

    def binary(self, node: object) -> bytes:
        """Binary data, which is text in Python 2, and a call in protocols 0 to 2 of Python 3."""
        if isinstance(node, Call) and str(node.function) in _BYTES and not node.arguments:
            return b""
        if isinstance(node, Call) and str(node.function) == "_codecs.encode" and node.arguments[1:3] == ("latin1",):
            node = node.arguments[0]
        if isinstance(node, str):
            self.count(len(node))
            return node.encode("latin1")
        return node if isinstance(node, bytes) else _refuse(node)

    def numbers(self, shape: object, dtype: object, by_columns: bool, data: object) -> np.ndarray:
        """An array of its own memory, in the machine's byte order."""
        if not isinstance(shape, tuple) or len(shape) > MOST_AXES or not all(is_count(size) for size in shape):
            raise ValueError("an array without a shape")
        kind, content = plain_type(dtype), self.binary(data)
        wanted = f"an array of {short(' x '.join(map(str, shape)))} {kind.name}"
        if math.prod(shape) * kind.itemsize != len(content):
            raise ValueError(f"{wanted} in {len(content)} bytes")
        # An array without elements may claim long axes, which a sum over another one would write out.
        if math.prod(max(size, 1) for size in shape) > self.most_bytes:
            raise ValueError(wanted)
        self.count(len(content))
        if not content:
            return np.zeros(shape, kind.newbyteorder("="))
        flat = np.frombuffer(content, "u1" if kind.kind == "b" else kind)
        # Any byte but 0 is true; a bool that is neither 0 nor 1 would be neither equal to True nor to False.
        flat = flat != 0 if kind.kind == "b" else flat.astype(kind.newbyteorder("="))
        return checked_text(flat, wanted).reshape(shape, order="F" if by_columns else "C")

    def count(self, size: int) -> None:
        """Note memory for what a record says, because records may share their bytes."""
        self.made_bytes += size
        if self.made_bytes > 2 * self.most_bytes:
            raise ValueError("its arrays hold far more than the file does")

    def sparse(self, layout: str, call: Call, depth: int) -> SparseMatrix:
        """A matrix that scipy pickled by columns, by rows or as triplets."""
        rows, columns = shape = self.shape(_attribute(call, "_shape", "shape"), depth, axes=2)
        if max(shape) > MOST_SIDE:
            raise ValueError(f"a sparse matrix of {rows} x {columns}")
        data = self.vector(_attribute(call, "data"), "biuf", depth)
        if layout == "coo":
            row, column = self.places(call, depth)
        else:
            inner, ends = (self.vector(_attribute(call, name), "iu", depth) for name in ("indices", "indptr"))
            outer = columns if layout == "csc" else rows
            if len(ends) != outer + 1 or ends[0] != 0 or ends.min() < 0 or ends.max() > min(len(inner), len(data)):
                raise ValueError("a sparse matrix with damaged pointers")
            if (np.diff(ends) < 0).any():
                raise ValueError("a sparse matrix with damaged pointers")
            # There may be room for more elements behind the last one.
            data, inner = data[: ends[-1]], inner[: ends[-1]]
            outer_places = np.repeat(np.arange(outer), np.diff(ends))
            row, column = (inner, outer_places) if layout == "csc" else (outer_places, inner)
        if not len(row) == len(column) == len(data):
            raise ValueError("a sparse matrix whose parts differ in length")
        if not _all_below(row, rows) or not _all_below(column, columns):
            raise ValueError("a sparse matrix with elements outside of it")
        return SparseMatrix(data, row, column, (rows, columns))

    def places(self, call: Call, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of triplets, which scipy keeps in one attribute or, in old versions, in two."""
        if isinstance(call.state, dict) and "coords" in call.state:
            coordinates = call.state["coords"]
            if not isinstance(coordinates, tuple) or len(coordinates) != 2:
                raise ValueError("a sparse matrix without places")
            row, column = coordinates
        else:
            row, column = _attribute(call, "row"), _attribute(call, "col")
        return self.vector(row, "iu", depth), self.vector(column, "iu", depth)

    def selected(self, call: Call, depth: int) -> np.ndarray:
        """Evaluate ``chumpy.reordering.Select``, which picks elements of an array by flat index."""
        source = self.value(_attribute(call, "a"), depth)
        places = self.vector(_attribute(call, "idxs"), "iu", depth)
        if not isinstance(source, np.ndarray) or source.dtype.kind not in "biufc":
            raise ValueError("a selection from what is no array of numbers")
        if not _all_below(places, source.size):
            raise ValueError("a selection of elements that are not there")
        self.count(source.nbytes + len(places) * source.itemsize)
        picked = source.ravel()[places]
        if not isinstance(call.state, dict) or "preferred_shape" not in call.state:
            return picked
        shape = self.shape(call.state["preferred_shape"], depth)
        if math.prod(shape) != len(picked) or math.prod(max(size, 1) for size in shape) > self.most_bytes:
            raise ValueError("a selection of another size than its shape")
        return picked.reshape(shape)

    def shape(self, node: object, depth: int, axes: int | None = None) -> tuple[int, ...]:
        sizes = self.value(node, depth)
        if not isinstance(sizes, tuple) or len(sizes) > MOST_AXES or not all(is_count(size) for size in sizes):
            raise ValueError("a shape that is none")
        if axes is not None and len(sizes) != axes:
            raise ValueError(f"{len(sizes)} axes instead of {axes}")
        return tuple(int(size) for size in sizes)

    def vector(self, node: object, kinds: str, depth: int) -> np.ndarray:
        """A vector of numbers of certain kinds; whole numbers become int64."""
        vector = self.value(node, depth)
        if not isinstance(vector, np.ndarray) or vector.ndim != 1 or vector.dtype.kind not in kinds:
            raise ValueError("something else where a vector of numbers should be")
        self.count(8 * len(vector))
        return vector.astype(np.int64) if kinds == "iu" else vector


def _all_below(places: np.ndarray, size: int) -> bool:
    return not len(places) or bool(places.min() >= 0 and places.max() < size)


def _class(call: Call) -> Global:
    """What is called, or of what an instance is made by the function that protocols 0 and 1 have for it."""
    made = call.arguments[0] if str(call.function) in _NEW and call.arguments else None
    return made if isinstance(made, Global) else call.function


def _array_state(call: Call) -> tuple[object, object, object, object]:
    """Shape, type, whether it is stored by columns, and content: what an array's ``__setstate__`` is to be given."""
    if not isinstance(call.state, tuple) or len(call.state) not in (4, 5):
        raise ValueError("an array without content")
    return call.state[-4:]


def _objects(call: Call) -> list | None:
    """The elements of an array of objects with one axis or with none, None of an array of anything else."""
    shape, dtype, _, content = _array_state(call)
    if not isinstance(dtype, Call) or dtype.function != _DTYPE or dtype.arguments[:1] not in (("O",), ("O4",), ("O8",)):
        return None
    if not isinstance(content, list) or shape not in ((len(content),), ()) or (shape == () and len(content) != 1):
        raise ValueError("an array of objects that is no list")
    return content


def _attribute(call: Call, *names: str) -> object:
    """The first of an object's attributes with one of these names that is there; of others nothing is known."""
    state = call.state if isinstance(call.state, dict) else {}
    found = [state[name] for name in names if name in state]
    if not found:
        raise ValueError(f"{call.function} without {names[-1]}")
    return found[0]


def plain_type(node: object) -> np.dtype:
    """The type of plain numbers or text that a record of ``numpy.dtype`` names, never one of objects or of fields."""
    name = node.arguments[0] if isinstance(node, Call) and node.function == _DTYPE and node.arguments else None
    if not isinstance(node, Call) or not isinstance(name, str):
        raise ValueError("an array without a type")
    state = node.state or (3, "|", None, None, None, -1, -1, 0)
    if name not in _NUMBERS and not _TEXT.fullmatch(name):
        raise ValueError(f"an array of type {name}")
    if not isinstance(state, tuple) or len(state) < 8 or state[1] not in ("<", ">", "=", "|"):
        raise ValueError(f"an array of a changed type {name}")
    dtype = np.dtype(f"{state[1]}{name}")
    # Version, byte order, the type of sub-arrays, names and types of fields, size.
    if any(part is not None for part in state[2:5]) or state[5] not in (-1, dtype.itemsize):
        raise ValueError(f"an array of a changed type {name}")
    return dtype


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number that is not negative."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def only_arrays(path: str | Path, also: Collection[str] = ()) -> Callable[[Global], None]:
    """A check for :func:`meshrec.files.pickles.read_pickle` that refuses names that arrays do not need.

    Args:
        path: The file, for messages.
        also: Further names that may stand in it.
    """

    def check(name: Global) -> None:
        if str(name) not in _KNOWN and str(name) not in also and not _SPARSE.fullmatch(str(name)):
            raise InputError(
                f"{path}: refused, because it asks to run '{short(name)}'; "
                "only numpy, scipy.sparse and chumpy arrays are read"
            )

    return check


def _refuse(node: object) -> Any:
    raise ValueError(f"{node.function if isinstance(node, Call) else type(node).__name__} is no array")


@contextmanager
def reported(path: str | Path, what: str = "not a readable pickle", advice: str = _DAMAGED) -> Iterator[None]:
    """Report any failure as the file's."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: the pickle asks for more memory than there is; the file is damaged") from None
    # A damaged pickle can fail in any opcode, with any exception.
    except Exception as error:
        raise InputError(f"{path}: {what} ({short(error)}){advice}") from None


def short(value: object, most: int = 80) -> str:
    """Text from a file for an error message, printable and short, because damaged files may hold anything."""
    text = str(value)[: 4 * most]
    text = text if text.isprintable() else "".join(c for c in text if c.isprintable())
    return text if len(text) <= most else f"{text[:most]}..."


def entries_of(node: object) -> dict | None:
    """The entries of a dictionary or of one of the standard library's kinds of it; None of anything else."""
    if isinstance(node, Call) and str(node.function) in DICTIONARIES:
        return node.entries or {}
    return node if isinstance(node, dict) else None


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
