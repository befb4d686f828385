"""Arrays of CDF files (NASA's Common Data Format), which cdflib reads."""

import math
from pathlib import Path

import numpy as np

from meshrec.errors import InputError, MissingDependency
from meshrec.files.regular import regular_size

MOST_BYTES = 64 << 20  # of a file
MOST_UNPACKED = 1 << 30  # bytes of a variable
MAGIC = (b"\xcd\xf3\x00\x01", b"\xcd\xf2\x60\x02", b"\x00\x00\xff\xff")  # versions 3, 2.6 and 2.5


def read_cdf(path: str | Path, name: str) -> np.ndarray:
    """Read one array of numbers.

    Args:
        path: The file.
        name: Name of the variable.

    Returns:
        The array, whose first axis counts the records.

    Raises:
        InputError: The file is missing, damaged or too large, or has no such array of numbers.
        MissingDependency: cdflib is not installed.
    """
    try:
        size = regular_size(path, MOST_BYTES)
        if Path(path).is_dir():
            raise InputError(f"{path}: this is a folder, not a CDF file.")
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    if size < 8 or head not in MAGIC:
        raise InputError(f"{path}: this is no CDF file.")
    try:
        import cdflib
    except ImportError as error:
        raise MissingDependency(f'{path} is a CDF file, which needs cdflib: pip install "meshrec[h36m]".') from error
    try:
        file_ = cdflib.CDF(Path(path))
        info = file_.cdf_info()
        if name not in (*info.zVariables, *info.rVariables):
            raise InputError(f"{path}: there is no variable {name} in it.")
        about = file_.varinq(name)
        if (about.Last_Rec + 1) * math.prod(about.Dim_Sizes) * 8 > MOST_UNPACKED:
            raise InputError(f"{path}: {name} has more than {MOST_UNPACKED >> 20} MiB.")
        values = np.asarray(file_.varget(name))
    except InputError:
        raise
    except Exception as error:  # cdflib trusts the file, and stumbles in many ways over a damaged one
        raise InputError(f"{path}: the CDF file is damaged.") from error
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} holds no numbers.")
    return values
