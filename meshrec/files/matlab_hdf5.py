"""Arrays of HDF5 files, as MATLAB 7.3 writes its variables; h5py reads them and is needed only for such files."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meshrec.errors import InputError, MissingDependency

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_UNPACKED = 2 << 30  # bytes of a variable


def read_hdf5(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays of numbers at the root of a file.

    Links to other files and arrays whose numbers lie elsewhere are refused, since they could show any file of this
    machine.

    Args:
        path: The file.
        names: Names of the variables to read; those that the file lacks, and those that are no arrays of numbers, are
            left out.

    Returns:
        Arrays of MATLAB's shape; HDF5 has the axes in the opposite order.

    Raises:
        InputError: The file is damaged, or a variable is too large or lies in another file.
        MissingDependency: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency(f"{path} is a .mat file of MATLAB 7.3, which needs h5py: pip install h5py.") from error
    found = {}
    try:
        with h5py.File(path, "r") as file:
            for name in names:
                if name not in file:
                    continue
                data = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
                if isinstance(data, h5py.Group):
                    continue
                if data is None or data.external or data.is_virtual:
                    raise InputError(f"{path}: {name} lies in another file, which is not read.")
                if data.dtype.kind not in "fiub":
                    continue
                if math.prod(data.shape) * data.dtype.itemsize > MOST_UNPACKED:
                    raise InputError(f"{path}: {name} has more than {MOST_UNPACKED >> 20} MiB.")
                found[name] = np.asarray(data[()]).T
    except InputError:
        raise
    except Exception as error:  # HDF5's errors are of many kinds
        raise InputError(f"{path}: the .mat file is damaged.") from error
    return found
