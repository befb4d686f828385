"""Checkpoints that ``torch.save`` wrote, read without ``torch.load``.

They hold a pickle in which tensors are views of storages, and the bytes of the storages: since torch 1.6 each in a
member of a zip archive, which is not compressed; before that one after the other behind the pickle. The pickle is read
by :mod:`meshrec.files.pickles`, and tensors are made here, after their sizes, strides and offsets were checked against
the bytes that are there. Objects of other classes, such as the options of a training, are not made: a :class:`Skipped`
stands for them.
"""

import math
import mmap
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from meshrec.errors import InputError
from meshrec.files.arrays import MOST_AXES, ONE, ArrayDecoder, Extent, is_count, short
from meshrec.files.pickles import LONGEST_KEY, Call, Global, Persistent, read_pickle
from meshrec.files.regular import open_regular

MOST_BYTES = 16 << 30  # of a file
MOST_PICKLE_BYTES = 64 << 20  # of all but the numbers of tensors
MOST_DIRECTORY_BYTES = 4 << 20  # of a zip archive, whose entries have about eighty each
WIDEST = 16  # bytes of a number
LARGEST = 1 << 62  # element of a tensor
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # with which files without an archive begin

_ZIP = b"PK\x03\x04"
_TYPES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip
_TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_DICTIONARIES = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter"}


@dataclass(frozen=True)
class Skipped:
    """Stands for an object of a checkpoint that is neither a tensor nor plain data.

    Attributes:
        name: The function or class that the file asks for to make it.
    """

    name: str


def read_torch(path: str | os.PathLike, mapped: bool = False) -> Any:
    """Read what ``torch.save`` wrote. Nothing that the file asks for is run.

    Args:
        path: The file, of any version of torch since 0.4.
        mapped: Whether tensors may lie in the file, mapped to memory, as torch 1.6 and later write it: they then take
            memory only when they are used, and never twice. While they are in use, the file must stay as it is.

    Returns:
        What was saved: tensors on the CPU, numbers, text, numpy arrays, lists, tuples, dictionaries (ordered ones and
        other kinds become plain), and :class:`Skipped`.

    Raises:
        InputError: The file is damaged, compressed or none of torch's.
        OSError: There is no such file, or it may not be read.
    """
    path = Path(path)
    with open_regular(path, MOST_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        source = _Source(file, size, _mapping(file) if mapped and size else None)
        try:
            return _read_archive(source, path) if source.at(0, 4) == _ZIP else _read_stream(source)
        except (InputError, OSError):
            raise
        except MemoryError:
            raise InputError(f"{path} asks for more memory than there is; the file is damaged") from None
        # A damaged file can fail in any way.
        except Exception as error:
            raise InputError(
                f"{path} is not a readable checkpoint: it is cut short, or no file of weights ({short(error)})"
            ) from None


@dataclass(frozen=True)
class _Source:
    file: BinaryIO
    size: int
    mapping: mmap.mmap | None = None

    def at(self, start: int, count: int) -> bytes:
        if start < 0 or start + count > self.size:
            raise ValueError(f"of {count} bytes only {max(self.size - start, 0)} are there")
        self.file.seek(start)
        return self.file.read(count)

    def numbers(self, start: int, count: int) -> Tensor:
        """Bytes of a storage, in the mapped file if there is one and they start where numbers of any type may."""
        if self.mapping is None or start % WIDEST or not 0 < count <= self.size - start:
            return _bytes(self.at(start, count))
        return torch.frombuffer(self.mapping, dtype=torch.uint8, count=count, offset=start)


def _mapping(file: BinaryIO) -> mmap.mmap:
    """The file in memory. What is written there would stay there, so that torch may take it for memory of its own."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


class _Bounded(BufferedReader):
    """A file of which no more than a limit is read at once. zipfile would read and parse a directory of any length."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(min(size, MOST_DIRECTORY_BYTES + 1) if size and size > 0 else MOST_DIRECTORY_BYTES + 1)
        if len(data) > MOST_DIRECTORY_BYTES:
            raise ValueError("its directory is too long")
        return data


def _read_archive(source: _Source, path: Path) -> Any:
    with _Bounded(FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members.values())
    if packed or sum(member.file_size for member in members.values()) > source.size:
        raise InputError(f"{path} is packed, as no checkpoint is; unpack it and save it with torch again")
    folders = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(folders) != 1:
        raise ValueError("it holds no data.pkl")
    (folder,) = folders

    def member(name: str) -> bytes:
        start, count = extent(name)
        return source.at(start, count)

    def extent(name: str) -> tuple[int, int]:
        """Where a member lies in the file; torch may leave out the checksums that zipfile would check."""
        start = members[folder + name].header_offset
        header = source.at(start, 30)
        if header[:4] != _ZIP:
            raise ValueError("its directory is damaged")
        behind = sum(struct.unpack("<HH", header[26:]))  # lengths of the name and of additional fields
        return start + 30 + behind, members[folder + name].file_size

    if folder + "byteorder" in members and member("byteorder") != b"little":
        raise ValueError("it is from a machine of another byte order")
    if members[folder + "data.pkl"].file_size > MOST_PICKLE_BYTES:
        raise ValueError("its data.pkl is too long")
    content = read_pickle(member("data.pkl")).content
    return _TorchDecoder(source.size, lambda key: source.numbers(*extent(f"data/{key}"))).decode(content)


def _read_stream(source: _Source) -> Any:
    """The format without an archive: magic number, version, system, content, keys of storages, and storages."""
    start = source.at(0, min(source.size, MOST_PICKLE_BYTES))
    first = read_pickle(start)
    if first.content != MAGIC:  # some other pickle
        return _TorchDecoder(source.size, _no_storage).decode(first.content)
    version = read_pickle(start, start=first.end)
    system = read_pickle(start, start=version.end)
    if version.content != VERSION or not isinstance(system.content, dict) or not system.content.get("little_endian"):
        raise ValueError("it is from another version of torch or a machine of another byte order")
    saved = read_pickle(start, start=system.end)
    keys = read_pickle(start, start=saved.end)
    storages = [found for found in saved.outside if isinstance(found.key, tuple) and found.key[:1] == ("storage",)]
    types = {key: dtype for key, dtype, *_ in map(_storage, storages)}
    places: dict[str, tuple[int, int]] = {}
    end = keys.end
    for key in keys.content:
        dtype = types[_storage_key(key)]
        (count,) = struct.unpack("<Q", source.at(end, 8))
        places[key] = (end + 8, count * dtype.itemsize)
        end = sum(places[key])
    return _TorchDecoder(source.size, lambda key: source.numbers(*places[key])).decode(saved.content)


def _no_storage(key: str) -> Tensor:
    raise ValueError("a tensor without numbers")


def _storage_key(key: object) -> str:
    # Hashing or comparing anything else might recurse, or take long.
    if not isinstance(key, str) or len(key) > LONGEST_KEY:
        raise ValueError("a storage without a name")
    return key


def _storage(node: object) -> tuple[str, torch.dtype, int, object]:
    """Key, type and number of elements of a storage, and what part of it a view has, if any."""
    key = node.key if isinstance(node, Persistent) else None
    if not isinstance(key, tuple) or len(key) not in (5, 6) or key[0] != "storage":
        raise ValueError("a tensor without a storage")
    kind, count = key[1], key[4]
    if not isinstance(kind, Global) or kind.name not in _TYPES or not is_count(count):
        raise ValueError("a storage of an unknown kind")
    return _storage_key(key[2]), _TYPES[kind.name], count, key[5] if len(key) == 6 else None


class _TorchDecoder(ArrayDecoder):
    """Evaluates tensors too, and skips what it does not know."""

    def __init__(self, size: int, read: Callable[[str], Tensor]) -> None:
        super().__init__(size)
        self.read = read
        self.storages: dict[tuple[str, torch.dtype], Tensor] = {}  # (N,)

    def evaluated(self, node: object, depth: int) -> tuple[Any, Extent]:
        if not isinstance(node, Call):
            return Skipped(short(node if isinstance(node, Global) else type(node).__name__)), ONE
        name = str(node.function)
        if name in _TENSORS:
            return self.tensor(*node.arguments[:4]), ONE
        if name in _PARAMETERS and node.arguments:
            return self.measured(node.arguments[0], depth)
        if name in _DICTIONARIES:
            return self.mapping(node, depth), ONE
        if name == "torch.Size" and len(node.arguments) == 1:
            return self.measured(node.arguments[0], depth)
        try:
            return super().evaluated(node, depth)
        except ValueError:
            return Skipped(short(name)), ONE

    def mapping(self, call: Call, depth: int) -> dict:
        """A dictionary of another class than ``dict``; Python 2 pickled an ordered one as a list of pairs."""
        given = self.value(call.arguments[0], depth) if call.arguments else {}
        set_later = self.value(call.entries, depth) if call.entries else {}
        self.count(100 * len(given) if isinstance(given, list | dict) else 0)  # many may be made of one
        if isinstance(given, list):
            pairs = (pair for pair in given if isinstance(pair, list | tuple) and len(pair) == 2)
            given = {key: value for key, value in pairs if isinstance(key, str) and len(key) <= LONGEST_KEY}
        if not isinstance(given, dict):  # the function that makes missing values
            given = {}
        return given | set_later

    def tensor(
        self, storage: object = None, offset: object = None, size: object = None, stride: object = None
    ) -> Tensor:
        """A view of a storage, after a check that it stays within."""
        flat = self.flat(storage)
        if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
            raise ValueError("a tensor without sizes")
        if len(size) > MOST_AXES or not all(is_count(number) and number < LARGEST for number in (*size, *stride)):
            raise ValueError("a tensor of impossible sizes")
        if not is_count(offset) or math.prod(max(n, 1) for n in size) > LARGEST:
            raise ValueError("a tensor of impossible sizes")
        behind = 1 + sum((n - 1) * step for n, step in zip(size, stride)) if all(size) else 0
        if offset + behind > len(flat):
            raise ValueError("a tensor beyond its storage")
        return flat.as_strided(size, stride, flat.storage_offset() + offset)

    def flat(self, node: object) -> Tensor:
        """The numbers of a storage, or of a view of one (N,)."""
        key, dtype, count, view = _storage(node)
        if (key, dtype) not in self.storages:
            stored = self.read(key)
            self.count(len(stored))
            # Any byte but 0 is true; a bool that is neither 0 nor 1 would be neither equal to True nor to False.
            self.storages[key, dtype] = stored != 0 if dtype == torch.bool else stored.view(dtype)
        stored = self.storages[key, dtype]
        start = 0
        if isinstance(view, tuple) and len(view) == 3:
            start, count = view[1:]
        if not is_count(start) or not is_count(count) or start + count > len(stored):
            raise ValueError(f"a storage of more than its {len(stored)} {dtype}")
        return stored[start : start + count]
