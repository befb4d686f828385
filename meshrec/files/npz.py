"""Reading untrusted ``.npz`` files."""

import io
import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from meshrec.errors import InputError
from meshrec.files.regular import most_unpacked, open_regular

MOST_BYTES = 2 << 30  # unpacked: far more than any file of a body or of labels, yet little enough for a small machine
PLAIN = "biufcSUmM"  # kinds of types: numbers, texts and times, of which one element needs as many bytes as it has
MOST_AXES = 32  # of an array
CHUNK = 1 << 20  # bytes that are unpacked at a time
LAST_CODE_POINT = 0x10FFFF  # of Unicode

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(
    path: str | Path, data: bytes | None = None, most_bytes: int = MOST_BYTES, pass_objects: bool = False
) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file. Python objects in it are never loaded.

    Args:
        path: The file. If ``data`` is given, the path only serves for messages.
        data: The file's content. Default: it is read from ``path``.
        most_bytes: Limit of the unpacked size in bytes, because even a small file can claim any size. Small files may
            not unpack to that much: see :func:`meshrec.files.regular.most_unpacked`.
        pass_objects: Whether a file may have arrays of Python objects. Each stands in the result as an array of None
            of its shape and of the type object, so that a caller that checks types refuses the ones that it needs. By
            default the file is refused.

    Returns:
        Names to arrays.

    Raises:
        InputError: The file is missing, damaged, no ``.npz`` of plain arrays, or unpacks to more than the limit.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.files import read_npz
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/betas.npz", betas=np.arange(3))
        ...     read_npz(f"{folder}/betas.npz")["betas"].tolist()
        [0, 1, 2]
    """
    try:
        with open_regular(path, most_bytes) if data is None else io.BytesIO(data) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's advice to rewrite files that Python 2 saved
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                size = sum(member.file_size for member in members)
                most = most_unpacked(file.seek(0, os.SEEK_END), most_bytes)
                if size > most:
                    raise ValueError(f"it unpacks to {_amount(size)}; at most {_amount(most)} are read")
                return {name.removesuffix(".npy"): _member(archive, name, pass_objects) for name in archive.namelist()}
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: an array in it asks for more memory than there is; the file is damaged") from None
    # Damage can surface anywhere in the archive, its compression or numpy's headers, with any exception.
    except Exception as error:
        raise InputError(f"{path}: not a readable .npz of plain arrays ({_reason(error)})") from None


def read_objects(path: str | Path, name: str) -> bytes:
    """The pickle of an array of Python objects in an ``.npz``, for :func:`meshrec.files.arrays.unpickle_element`.

    Args:
        path: The file, which :func:`read_npz` has read.
        name: Name of the array.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        _read_header(member, name)
        return member.read()


def read_npy(path: str | Path, most_bytes: int = MOST_BYTES, of: str = "numbers or texts") -> np.ndarray:
    """Read the array of an ``.npy`` file.

    Args:
        path: The file.
        most_bytes: Limit of its size in bytes.
        of: What the array is of, for messages.

    Raises:
        InputError: As for :func:`read_npz`.
    """
    try:
        with open_regular(path, most_bytes) as file:
            return _array(file, os.fstat(file.fileno()).st_size, "it")
    except InputError:
        raise
    except Exception as error:
        archive = "it is an archive" if zipfile.is_zipfile(path) else _reason(error)
        raise InputError(f"{path}: not a readable .npy array of {of} ({archive})") from None


def _member(archive: zipfile.ZipFile, name: str, pass_objects: bool) -> np.ndarray:
    with archive.open(name) as file:
        return _array(file, archive.getinfo(name).file_size, f"{name.removesuffix('.npy')} in it", pass_objects)


def _array(file: IO[bytes], size: int, name: str, pass_objects: bool = False) -> np.ndarray:
    """An array in numpy's format. What its header claims is checked before there is room made for it.

    Args:
        file: The stream.
        size: Number of bytes in it.
        name: Name of the array, for messages.
        pass_objects: Whether None stands for all Python objects; otherwise an array of these is an error.
    """
    shape, by_column, dtype = _read_header(file, name)
    if dtype.hasobject and pass_objects:
        return np.broadcast_to(np.array(None), shape)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if dtype.kind not in PLAIN or dtype.itemsize == 0:
        raise ValueError(f"{name} is of the type {str(dtype)[:40]}")
    count = math.prod(shape)
    if len(shape) > MOST_AXES or min(shape, default=0) < 0 or count * dtype.itemsize > size:
        raise ValueError(f"{name} is cut short")
    array = np.empty(count, dtype)
    view = array.view(np.uint8).data
    filled = 0
    while filled < len(view):
        read = file.read(min(CHUNK, len(view) - filled))
        if not read:
            raise ValueError(f"{name} is cut short")
        view[filled : filled + len(read)] = read
        filled += len(read)
    return checked_text(array, name).reshape(shape, order="F" if by_column else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape of an array, whether it is stored by columns, and its type; the data follow in the stream."""
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise ValueError(f"{name} is no array") from None
    if version not in _HEADERS:
        raise ValueError(f"{name} is of a version of the format that is not known")
    return _HEADERS[version](file)


def checked_text(array: np.ndarray, name: str) -> np.ndarray:
    """The array, unless it is text in which a code is no character: Python would fail only later, when it is used.

    Raises:
        ValueError: It is; ``name`` is that of the array for the message.
    """
    if array.dtype.kind == "U" and array.size:
        characters = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).view(np.uint32)
        if characters.max() > LAST_CODE_POINT:
            raise ValueError(f"{name} is no text")
    return array


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:120]


def _amount(size: int) -> str:
    return f"{size / 2**30:.0f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
