"""The vertices of a mesh file, in the file's order."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.errors import InputError
from meshrec.files.atomic import known_suffix
from meshrec.files.regular import read_regular

SUFFIXES = (".obj", ".ply")
MOST_BYTES = 512 << 20  # of a file


def read_mesh_vertices(path: str | Path) -> np.ndarray:
    """Read them.

    Readers of whole meshes repeat the vertices on seams of a texture, or merge those that coincide, so that the order
    of the file is lost.

    Args:
        path: An ``.obj`` or ``.ply``.

    Returns:
        (V, 3) float64.

    Raises:
        InputError: The file is missing, of another format, or damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from meshrec.files.mesh_vertices import read_mesh_vertices
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "point.obj").write_text("v 1 2 3")
        ...     read_mesh_vertices(Path(folder, "point.obj")).tolist()
        [[1.0, 2.0, 3.0]]
    """
    suffix = known_suffix(path, SUFFIXES)
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    try:
        vertices = _of_obj(data) if suffix == ".obj" else _of_ply(data)
    except Exception as error:  # damage can surface anywhere in a reader, with any exception
        raise InputError(f"{path} is no readable mesh in the format {suffix[1:].upper()}.") from error
    if vertices.ndim != 2 or len(vertices) == 0 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise InputError(f"{path} holds no vertices with three finite coordinates each.")
    return vertices


def _of_obj(data: bytes) -> np.ndarray:
    """The lines ``v x y z``; what follows, such as a colour, is ignored."""
    lines = (line.split(maxsplit=4) for line in data.splitlines())
    return np.array([[float(part) for part in line[1:4]] for line in lines if line[:1] == [b"v"]])


def _of_ply(data: bytes) -> np.ndarray:
    import trimesh

    mesh: Any = trimesh.load(BytesIO(data), file_type="ply", process=False)
    return np.asarray(mesh.vertices, np.float64)
