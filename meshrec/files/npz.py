"""Reading untrusted ``.npz`` files."""

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np

from meshrec.errors import InputError

MOST_BYTES = 2 << 30  # unpacked: far more than any file of a body or of labels, yet little enough for a small machine
LAST_CODE_POINT = 0x10FFFF  # of Unicode


def read_npz(path: str | Path, data: bytes | None = None, most_bytes: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file. Python objects in it are never loaded.

    Args:
        path: The file. If ``data`` is given, the path only serves for messages.
        data: The file's content. Default: it is read from ``path``.
        most_bytes: Limit of the unpacked size in bytes, because even a small file can claim any size.

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
                return {name: _checked(archive[name], name) for name in archive.files}
    except MemoryError:
        raise InputError(f"{path}: an array in it asks for more memory than there is; the file is damaged") from None
    # Damage can surface anywhere in the archive, its compression or numpy's headers, with any exception.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a readable .npz of plain arrays ({reason})") from None


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
