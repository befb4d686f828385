"""MakeHuman's base mesh, of which the open body is a part, and to which MakeHuman's garments are bound."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from meshrec.body.library import find_body
from meshrec.errors import InputError
from meshrec.files.npz import read_npz

FILE = "base_mesh.npz"
UNIT = 1e-5  # metres per unit of the numbers in the file
SKIN = 13_380  # vertices of the base mesh's skin, which come first; then come eyes, teeth and helper geometry


@dataclass(frozen=True)
class BaseMesh:
    """The base mesh "hm08", and which of its vertices are the open body's.

    Attributes:
        vertices: (19158, 3) metres, y up, z forward, +x the subject's left, in its own shape and A-pose.
        body_vertices: (V,) the vertex of its skin that each vertex of the open body is; -1 for those of the eyes, which
            it lacks.

    Example:
        >>> from meshrec.body import load_body
        >>> from meshrec.body.base_mesh import load_base_mesh
        >>> base = load_base_mesh()
        >>> base.vertices.shape, len(base.body_vertices) == len(load_body("neutral").v_template)
        ((19158, 3), True)
    """

    vertices: np.ndarray
    body_vertices: np.ndarray


@cache
def load_base_mesh() -> BaseMesh:
    """Read the base mesh that is shipped with the open body.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = find_body(FILE)
    arrays = read_npz(path)
    try:
        return BaseMesh(UNIT * arrays["vertices"].astype(np.float64), arrays["body_vertices"].astype(np.int64))
    except KeyError as error:
        raise InputError(f"{path}: has no array {error}") from error
