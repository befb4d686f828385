"""Where the vertices of a body lie on a mesh of another topology.

A correspondence is an ``.npz`` file with either of

============  ==========================================================================================================
``vertices``  (V, K) whole numbers: for each vertex of the body K vertices of the other mesh; (V,) for one
``weights``   (V, K) numbers, optional: their weights, such as barycentric coordinates; one K-th each if missing
============  ==========================================================================================================

or a sparse matrix (V, N) as ``scipy.sparse.save_npz`` writes it in the format csr or coo, whose product with the N
vertices of the other mesh is those of the body. Rows of zeros are vertices of the body that the other mesh lacks.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.errors import InputError
from meshrec.files.npz import read_npz

MOST_BYTES = 256 << 20  # of a file, unpacked
ONE = 1e-3  # tolerance of a row's sum


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Vertices of a body as weighted means of those of another mesh.

    Attributes:
        rows: (E,) the body's vertex of each entry.
        columns: (E,) the other mesh's vertex of each entry.
        values: (E,) the weights; those of a vertex sum to one.
        size: Number V of the body's vertices.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    size: int

    def targets(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """Targets for :func:`meshrec.body.mesh_fit.fit_parameters`.

        Args:
            vertices: (B, N, 3) vertices of the other mesh.

        Returns:
            Vertices (B, V, 3) of the body and their weights (V,), zero for those that the mesh lacks.

        Raises:
            ValueError: The mesh has too few vertices.
        """
        if vertices.shape[1] <= self.columns.max():
            raise ValueError(f"the correspondence needs a mesh of {self.columns.max() + 1} vertices or more")
        values = torch.from_numpy(self.values).to(vertices)
        rows = torch.from_numpy(self.rows).to(vertices.device)
        places = vertices.new_zeros(len(vertices), self.size, 3)
        places.index_add_(1, rows, values[:, None] * vertices[:, torch.from_numpy(self.columns)])
        return places, torch.zeros(self.size).index_fill_(0, rows.cpu(), 1.0)


def read_correspondence(path: str | Path, size: int) -> Correspondence:
    """Read a correspondence file.

    Args:
        path: The ``.npz``, in a layout of the module's table.
        size: Number V of the body's vertices.

    Raises:
        InputError: The file is missing, damaged or of another layout, or belongs to a body of another size.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.body.correspondence import read_correspondence
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/reversed.npz", vertices=np.arange(4)[::-1])
        ...     read_correspondence(f"{folder}/reversed.npz", 4).columns.tolist()
        [3, 2, 1, 0]
    """
    arrays = read_npz(path, most_bytes=MOST_BYTES)
    try:
        rows, columns, values, count = _entries(arrays)
    except KeyError as error:
        raise InputError(
            f"{path}: a correspondence has 'vertices', or is a sparse matrix of scipy; {error} is missing."
        ) from None
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{path} is no correspondence: {str(error)[:120]}.") from None
    if count != size:
        raise InputError(f"{path} is for a body of {count} vertices, but this one has {size}.")
    kept = values != 0
    rows, columns, values = rows[kept], columns[kept], values[kept]
    sums = np.bincount(rows, values, size)
    if not len(rows) or not np.isfinite(values).all() or (abs(sums[np.unique(rows)] - 1) > ONE).any():
        raise InputError(f"{path}: the weights of each vertex must sum to one, or all be zero.")
    return Correspondence(rows, columns, values, size)


def _entries(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Rows, columns and values of a correspondence's entries, and the number of rows."""
    if "vertices" not in arrays:
        return _matrix_entries(arrays)
    vertices = arrays["vertices"]
    vertices = vertices[:, None] if vertices.ndim == 1 else vertices
    if vertices.ndim != 2 or vertices.dtype.kind not in "iu" or vertices.size == 0:
        raise ValueError("vertices should be (V,) or (V, K) whole numbers")
    weights = arrays.get("weights", np.full(vertices.shape, 1 / vertices.shape[1]))
    if weights.reshape(len(weights), -1).shape != vertices.shape or weights.dtype.kind not in "iuf":
        raise ValueError(f"weights should be {vertices.shape} numbers as vertices are, not {weights.shape}")
    if vertices.min() < 0:
        raise ValueError("vertices should not be negative")
    rows = np.repeat(np.arange(len(vertices)), vertices.shape[1])
    return rows, vertices.ravel().astype(np.int64), weights.ravel().astype(np.float64), len(vertices)


def _matrix_entries(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The same of a matrix in the layout of ``scipy.sparse.save_npz``."""
    from scipy.sparse import coo_array, csr_array

    kind = arrays["format"].item()
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    shape = tuple(int(length) for length in arrays["shape"])
    values = arrays["data"].astype(np.float64)
    if kind == "coo":
        matrix = coo_array((values, (arrays["row"], arrays["col"])), shape=shape)
    elif kind == "csr":
        compressed = csr_array((values, arrays["indices"], arrays["indptr"]), shape=shape)
        compressed.check_format(full_check=True)
        matrix = compressed.tocoo()
    else:
        raise ValueError(f"the matrix should be in the format csr or coo, not {kind[:20]}")
    return matrix.row.astype(np.int64), matrix.col.astype(np.int64), matrix.data, shape[0]
