"""Variables of MATLAB's .mat files: numbers, texts, cells and structures. Nothing else is read, and nothing is run.

Versions 5 to 7 are described in "MAT-File Format" (MathWorks). They are read here and not by ``scipy.io.loadmat``,
because that makes room for whatever a file claims and follows nested cells without a limit. Version 7.3 is HDF5, which
:mod:`meshrec.files.matlab_hdf5` reads.
"""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from meshrec.errors import InputError
from meshrec.files.matlab_hdf5 import SIGNATURE, read_hdf5
from meshrec.files.regular import most_unpacked, read_regular

Value: TypeAlias = np.ndarray | str | list[Any] | None
"""An array of MATLAB's shape; a text; the values of a cell, or dictionaries of values of an array of structures, in
MATLAB's order, which counts along the first axis first; None for what is not read, such as objects and functions."""

MOST_BYTES = 1 << 30  # of a file
MOST_UNPACKED = 1 << 30  # bytes of a variable, as it is stored and as it is read
MOST_MATRICES = 10_000_000  # entries of cells and fields of structures in a variable; MPII has four million
MOST_DEPTH = 16
MOST_AXES = 8

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = {
    family: np.dtype(name)
    for family, name in enumerate(("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), start=6)
}
_COMPLEX = 0x0800


def read_mat(path: str | Path, names: Sequence[str]) -> dict[str, Value]:
    """Read variables of a .mat file.

    Args:
        path: The file, of version 5, 6, 7 or 7.3; of 7.3 only arrays of numbers are read.
        names: Names of the variables to read. Others are passed over, and those that the file lacks are left out.

    Raises:
        InputError: The file is missing, damaged, too large, or no .mat file of these versions.
        MissingDependency: The file is of version 7.3, and h5py is not installed.

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     savemat(f"{folder}/a.mat", {"point": {"x": 3.0, "name": "left"}, "other": [1, 2]})
        ...     read_mat(f"{folder}/a.mat", ["point"])
        {'point': [{'x': array([[3.]]), 'name': 'left'}]}
    """
    path = Path(path)
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    if SIGNATURE in (data[: len(SIGNATURE)], data[512 : 512 + len(SIGNATURE)]):
        return dict(read_hdf5(path, names))
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(order + "H", data[124:126]) != (0x0100,):
        raise InputError(f"{path}: this is no .mat file of MATLAB 5 or later.")
    try:
        return _variables(data, order, set(names))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, KeyError, struct.error, zlib.error, UnicodeError, MemoryError, OverflowError) as error:
        raise InputError(f"{path}: the .mat file is damaged.") from error


def _variables(data: bytes, order: str, names: set[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    at = _HEADER
    while at + 8 <= len(data) and not names <= set(found):
        kind, size = struct.unpack_from(order + "II", data, at)
        body = memoryview(data)[at + 8 : at + 8 + size]
        if len(body) < size:
            raise ValueError("the file is cut short")
        # Only compressed variables may end anywhere.
        at += 8 + (size if kind == _COMPRESSED else size + -size % 8)
        if kind == _COMPRESSED:
            # The name stands in the first bytes, so that variables that are not wanted are not unpacked.
            head = zlib.decompressobj().decompress(body, 4096)
            if _Parser(memoryview(head)[8:], order).name() not in names:
                continue
            unpacker = zlib.decompressobj()
            most_bytes = most_unpacked(size, MOST_UNPACKED)
            unpacked = unpacker.decompress(body, most_bytes)
            if unpacker.unconsumed_tail:
                raise InputError(f"a variable has more than {most_bytes >> 20} MiB.")
            kind, size = struct.unpack_from(order + "II", unpacked)
            body = memoryview(unpacked)[8 : 8 + size]
        if kind != _MATRIX:
            continue
        parser = _Parser(body, order)
        if (name := parser.name()) in names:
            found[name] = parser.matrix(0, len(body), 0)
    return found


class _Parser:
    """Parses matrices in a buffer, of which each is a sequence of tagged elements."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.data, self.order, self._count, self._made_bytes = data, order, 0, 0
        self._word = struct.Struct(order + "I")
        self._tag = struct.Struct(order + "II")
        self._usual = struct.Struct(order + "6I2i2I")
        self._numbers = {kind: np.dtype(order + name) for kind, name in _NUMBERS.items()}

    def name(self) -> str:
        """The name of the matrix at the start."""
        _, _, _, after = self._element(0)
        _, _, _, after = self._element(after)
        _, start, size, _ = self._element(after)
        return bytes(self.data[start : start + size]).decode("latin-1")

    def matrix(self, at: int, end: int, depth: int) -> Value:
        """The value of the matrix whose elements stand from ``at`` to ``end``."""
        if at == end:
            return np.zeros((0, 0))
        if depth > MOST_DEPTH:
            raise ValueError("cells are nested too deeply")
        flags, dims, at = self._head(at)
        family = flags & 0xFF
        if family in (_CELL, _STRUCT):
            return self._entries(family, math.prod(dims), at, end, depth)
        if family != _CHAR and family not in _CLASSES:
            return None
        if flags & _COMPLEX:
            raise InputError("complex numbers are not read.")
        kind, start, size, at = self._element(at)
        if at > end:
            raise ValueError("numbers beyond the end")
        if family == _CHAR:
            return self._text(kind, start, size, dims)
        values = self._values(kind, start, size)
        made = _CLASSES[family]
        self._made_bytes += len(values) * made.itemsize  # MATLAB stores whole numbers in as few bytes as they need
        if self._made_bytes > MOST_UNPACKED:
            raise InputError(f"a variable has more than {MOST_UNPACKED >> 20} MiB.")
        return values.reshape(dims, order="F").astype(made)

    def _head(self, at: int) -> tuple[int, tuple[int, ...], int]:
        """Flags and shape of a matrix, and the place of what follows its name."""
        if at + 40 <= len(self.data):  # a matrix of two axes without a name, of which a data set has millions
            *tags, flags, _, kind, size, rows, columns, named, length = self._usual.unpack_from(self.data, at)
            if tags == [6, 8] and (kind, size, named, length) == (5, 8, 1, 0) and rows >= 0 and columns >= 0:
                return flags, (rows, columns), at + 40
        _, start, size, at = self._element(at)
        if size != 8:
            raise ValueError("no flags")
        flags = self._word.unpack_from(self.data, start)[0]
        kind, start, size, at = self._element(at)
        shape = self._values(kind, start, size)
        if not 2 <= len(shape) <= MOST_AXES or shape.min() < 0:
            raise ValueError("no shape")
        *_, at = self._element(at)  # the name
        return flags, tuple(int(n) for n in shape), at

    def _entries(self, family: int, count: int, at: int, end: int, depth: int) -> Value:
        """The matrices of a cell or of an array of structures."""
        if family == _CELL:
            cells: list[Value] = []
            for _ in range(count):
                value, at = self._nested(at, end, depth)
                cells.append(value)
            return cells
        kind, start, size, at = self._element(at)
        length = int(self._values(kind, start, size)[0])
        _, start, size, at = self._element(at)
        if length < 1 or size % length:
            raise ValueError("no names of fields")
        text = bytes(self.data[start : start + size])
        fields = [text[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, size, length)]
        entries: list[dict[str, Value]] = []
        for _ in range(count if fields else 0):
            entry: dict[str, Value] = {}
            for field in fields:
                entry[field], at = self._nested(at, end, depth)
            entries.append(entry)
        return entries

    def _nested(self, at: int, end: int, depth: int) -> tuple[Value, int]:
        """The matrix whose tag stands at a place, and the place behind it."""
        self._count += 1
        if self._count > MOST_MATRICES:
            raise InputError(f"a variable has more than {MOST_MATRICES} entries.")
        kind, start, size, after = self._element(at)
        if kind != _MATRIX or start + size > end:
            raise ValueError("no matrix")
        return self.matrix(start, start + size, depth + 1), after

    def _element(self, at: int) -> tuple[int, int, int, int]:
        """Type, first byte and size of the element at a place, and the place behind it."""
        kind, size = self._tag.unpack_from(self.data, at)
        if kind >> 16:  # up to four bytes may stand in the tag
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError("a small element of more than four bytes")
        else:
            start = at + 8
            after = start + size + -size % 8
        if start + size > len(self.data):
            raise ValueError("the file is cut short")
        return kind, start, size, after

    def _values(self, kind: int, start: int, size: int) -> np.ndarray:
        kept = self._numbers[kind]
        return np.frombuffer(self.data, kept, size // kept.itemsize, start)

    def _text(self, kind: int, start: int, size: int, dims: tuple[int, ...]) -> str:
        """The rows of a text one after the other."""
        if kind in _TEXTS:
            ending = "" if kind == 16 else "-le" if self.order == "<" else "-be"
            text = bytes(self.data[start : start + size]).decode(_TEXTS[kind] + ending)
        else:
            text = "".join(map(chr, self._values(kind, start, size).tolist()))
        rows = min(dims[0], len(text))
        return text if rows <= 1 else "".join(text[row::rows] for row in range(rows))
