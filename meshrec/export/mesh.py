"""A triangle mesh as it is written to files, with the normals and corners that the formats need."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False)
class Corners:
    """A mesh's distinct pairs of vertex and texture coordinate: its vertices, repeated along texture seams.

    Attributes:
        vertex: (S,) index of each pair's vertex.
        uv: (S,) index of each pair's texture coordinate, or None.
        faces: (F, 3) indices of pairs.
    """

    vertex: np.ndarray
    uv: np.ndarray | None
    faces: np.ndarray

    @cached_property
    def face_lines(self) -> bytes:
        """The faces as lines of an OBJ file."""
        from meshrec.export.text_lines import face_lines

        return face_lines(self.faces, self.vertex, self.uv)


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh in y-up space. Tensors are accepted; the fields are numpy arrays.

    Attributes:
        vertices: (V, 3) float32 metres, y up.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        uv: (T, 2) float32 texture coordinates, origin at the picture's bottom left (OBJ's convention), or None.
        uv_faces: (F, 3) int64 indices into ``uv``, or None. Give both or neither.
        name: Name of the mesh inside the file.
        color: (r, g, b) sRGB in [0, 1].
        texture: A PNG file, the picture that ``uv`` lays on the mesh in place of the colour, or None.

    Raises:
        ValueError: A shape is wrong, a number is not finite, an index is out of range, or there is a texture without
            texture coordinates.

    Example:
        >>> from meshrec.export import Mesh
        >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
        >>> triangle.normals[0].tolist()
        [0.0, 0.0, 1.0]
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    uv_faces: np.ndarray | None = None
    name: str = "body"
    color: tuple[float, float, float] = (0.72, 0.74, 0.78)
    texture: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        vertices = float_array(self.vertices, (None, 3), "vertices")
        faces = _index_array(self.faces, len(vertices), "faces")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if len(self.color) != 3 or not all(0 <= channel <= 1 for channel in self.color):
            raise ValueError(f"color must be three numbers from 0 to 1, not {self.color}")
        if (self.uv is None) != (self.uv_faces is None):
            raise ValueError("uv and uv_faces belong together: give both or neither")
        if self.texture is not None and self.uv is None:
            raise ValueError("a texture needs uv and uv_faces")
        if self.uv is not None and self.uv_faces is not None:
            uv = float_array(self.uv, (None, 2), "uv")
            uv_faces = _index_array(self.uv_faces, len(uv), "uv_faces")
            if len(uv_faces) != len(faces):
                raise ValueError(f"uv_faces has {len(uv_faces)} triangles, faces has {len(faces)}")
            object.__setattr__(self, "uv", uv)
            object.__setattr__(self, "uv_faces", uv_faces)

    @cached_property
    def normals(self) -> np.ndarray:
        """(V, 3) float32 unit vertex normals: the sum of the adjacent faces' normals weighted by area.

        A vertex without faces, or with faces of no area only, gets (0, 1, 0).
        """
        from meshrec.body.kernels import sum_face_normals

        vertices = self.vertices.astype(np.float64)
        summed = np.zeros_like(vertices)
        sum_face_normals(vertices[None], summed[None], self.faces)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.where(length > 0, summed / np.where(length > 0, length, 1), [0, 1, 0]).astype(np.float32)

    @cached_property
    def corners(self) -> Corners:
        """The mesh for formats with one index for position and texture coordinate, such as glTF, in order of vertex.

        Without texture coordinates the pairs are the vertices themselves. Meshes of one topology share the result,
        which is kept for the last four topologies.
        """
        if self.uv is None or self.uv_faces is None:
            return _corners(self.faces.tobytes(), None, len(self.vertices), 0)
        return _corners(self.faces.tobytes(), self.uv_faces.tobytes(), len(self.vertices), len(self.uv))


@lru_cache(maxsize=4)  # finding the corners takes ten times as long as finding them here
def _corners(faces: bytes, uv_faces: bytes | None, vertices: int, coordinates: int) -> Corners:
    """The corners of faces and faces of texture coordinates, both int64, of so many vertices and coordinates."""
    triangles = np.frombuffer(faces, np.int64).reshape(-1, 3)
    if uv_faces is None:
        return Corners(np.arange(vertices), None, triangles)
    pairs = triangles * coordinates + np.frombuffer(uv_faces, np.int64).reshape(-1, 3)
    distinct, corners = np.unique(pairs, return_inverse=True)
    return Corners(*np.divmod(distinct, coordinates), corners.reshape(-1, 3))


def to_numpy(values: Array) -> np.ndarray:
    """Convert a tensor on any device, or anything that numpy reads, to an array."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def float_array(values: Array, shape: tuple[int | None, ...], name: str, dtype: type = np.float32) -> np.ndarray:
    """Convert ``values`` to a finite float array of ``shape``, where None stands for any length.

    Raises:
        ValueError: The shape is another one, or a value is not finite; the message calls the array ``name``.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported as not finite
        array: np.ndarray = np.asarray(to_numpy(values), dtype=dtype, order="C")
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape)):
        wanted = ", ".join("n" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({wanted}), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    return array


def _index_array(values: Array, count: int, name: str) -> np.ndarray:
    array = np.ascontiguousarray(to_numpy(values))
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers of shape (n, 3), not {array.dtype} of shape {array.shape}")
    array = array.astype(np.int64)
    if array.min() < 0 or array.max() >= count:
        raise ValueError(f"{name} holds an index outside 0 to {count - 1}")
    return array
