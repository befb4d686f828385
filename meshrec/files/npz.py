"""Reading ``.npz`` files that nobody vouches for."""

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np

from meshrec.errors import InputError

MOST_BYTES = 2 << 30  # unpacked; far above any body or label file, and what a small machine can still hold
LAST_CODE_POINT = 0x10FFFF


def read_npz(path: str | Path, data: bytes | None = None, most_bytes: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file.

    Args:
        path: The file; for messages only where ``data`` is given.
        data: The file's content.
        most_bytes: That it may unpack to; a small file can claim any size.

    Raises:
        InputError: It is missing, damaged, no such file, holds Python objects, which are never loaded, or unpacks to
            more than that.
    """
    try:
        with open(path, "rb") if data is None else io.BytesIO(data) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's advice to save files of Python 2 again
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
    if not isinstance(array, np.ndarray):  # numpy hands out other members of the archive as they are
        raise ValueError(f"{name} in it is no array")
    if array.dtype.kind == "U" and array.size:
        characters = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).view(np.uint32)
        if characters.max() > LAST_CODE_POINT:  # Python would fail much later, when it makes text of them
            raise ValueError(f"{name} is no text")
    return array
