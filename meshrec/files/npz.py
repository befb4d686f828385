"""Reading untrusted ``.npz`` files."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from meshrec.errors import InputError

MOST_BYTES = 2 << 30  # unpacked: far more than any file of a body or of labels, yet little enough for a small machine
LAST_CODE_POINT = 0x10FFFF  # of Unicode


def read_npz(
    path: str | Path, data: bytes | None = None, most_bytes: int = MOST_BYTES, pass_objects: bool = False
) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file. Python objects in it are never loaded.

    Args:
        path: The file. If ``data`` is given, the path only serves for messages.
        data: The file's content. Default: it is read from ``path``.
        most_bytes: Limit of the unpacked size in bytes, because even a small file can claim any size.
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
        with open(path, "rb") if data is None else io.BytesIO(data) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's advice to rewrite files that Python 2 saved
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > most_bytes:
                raise ValueError(f"it unpacks to {size / 2**30:.0f} GiB")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                passed = _object_shapes(file) if pass_objects else {}
                return {
                    name: np.broadcast_to(np.array(None), passed[name])
                    if name in passed
                    else _checked(archive[name], name)
                    for name in archive.files
                }
    except MemoryError:
        raise InputError(f"{path}: an array in it asks for more memory than there is; the file is damaged") from None
    # Damage can surface anywhere in the archive, its compression or numpy's headers, with any exception.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a readable .npz of plain arrays ({reason})") from None


def read_objects(path: str | Path, name: str) -> bytes:
    """The pickle of an array of Python objects in an ``.npz``, for :func:`meshrec.files.arrays.unpickle_element`.

    Args:
        path: The file, which :func:`read_npz` has read.
        name: Name of the array.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        _read_header(member)
        return member.read()


def _object_shapes(file: BinaryIO) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays of Python objects in an ``.npz``, by name."""
    shapes = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                header = _read_header(member)
            if header is not None and header[1].hasobject:
                shapes[name.removesuffix(".npy")] = header[0]
    return shapes


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype] | None:
    """Shape and type of an array, whose data follow in the stream; None for what numpy's own reader has to judge."""
    try:
        version = np.lib.format.read_magic(member)
    except ValueError:
        return None
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        return None
    shape, _, dtype = readers[version](member)
    return shape, dtype


def _checked(array: object, name: str) -> np.ndarray:
    if not isinstance(array, np.ndarray):  # numpy returns members that are no arrays as bytes
        raise ValueError(f"{name} in it is no array")
    return checked_text(array, f"{name} in it")


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
