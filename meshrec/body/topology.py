"""Mesh topology: edges, adjacency, vertex normals, areas."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled.operators import has_kernels, needs_operator

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def edges(faces: np.ndarray) -> np.ndarray:
    """The mesh's edges, each once.

    Args:
        faces: (F, 3) vertex indices.

    Returns:
        (E, 2) vertex indices, the smaller one first, sorted.

    Example:
        >>> import numpy as np
        >>> from meshrec.body.topology import edges
        >>> edges(np.array([[0, 1, 2], [2, 1, 3]])).tolist()
        [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    """
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def is_watertight(faces: np.ndarray) -> bool:
    """Whether every edge belongs to two faces that run along it in opposite directions."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    forward = np.unique(directed, axis=0)
    return len(forward) == len(directed) and np.array_equal(forward, np.unique(directed[:, ::-1], axis=0))


def adjacency(faces: np.ndarray, vertex_count: int) -> "csr_matrix":
    """The adjacency matrix of a mesh.

    Args:
        faces: (F, 3) vertex indices.
        vertex_count: V, the number of vertices.

    Returns:
        (V, V) symmetric, with ones for vertices that share an edge, and zeros elsewhere and on the diagonal.
    """
    from scipy.sparse import csr_matrix

    i, j = edges(faces).T
    ones = np.ones(2 * len(i), dtype=np.float32)
    return csr_matrix((ones, (np.r_[i, j], np.r_[j, i])), shape=(vertex_count, vertex_count))


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Normals of faces, with lengths of twice the faces' areas, outward where faces run counter-clockwise.

    Args:
        vertices: (..., V, 3).
        faces: (F, 3) int64 vertex indices.

    Returns:
        (..., F, 3).
    """
    a, b, c = (vertices[..., faces[:, i], :] for i in range(3))
    return torch.linalg.cross(b - a, c - a)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals of vertices: the sum of the adjacent faces' normals, weighted by area.

    Args:
        vertices: (..., V, 3).
        faces: (F, 3) int64 vertex indices.

    Returns:
        (..., V, 3); zero for vertices without faces.
    """
    if vertices.numel() and has_kernels(vertices) and not needs_operator(vertices):
        return _vertex_normals_now(vertices, faces)
    flat = face_normals(vertices, faces)
    corners = flat.repeat_interleave(3, dim=-2)
    sums = torch.zeros_like(vertices).index_add(-2, faces.flatten(), corners)
    return torch.nn.functional.normalize(sums, dim=-1)


def _vertex_normals_now(vertices: Tensor, faces: Tensor) -> Tensor:
    from meshrec.body.kernels import sum_face_normals
    from meshrec.compiled.threads import over_batch

    points = vertices.detach().reshape(-1, *vertices.shape[-2:]).contiguous()
    sums = torch.zeros_like(points)
    over_batch(sum_face_normals, [points.numpy(), sums.numpy()], [faces.contiguous().numpy()])
    return torch.nn.functional.normalize(sums, dim=-1).view(vertices.shape)


def enclosed_volume(vertices: Tensor, faces: Tensor) -> Tensor:
    """Volume inside a closed mesh, by the divergence theorem.

    Args:
        vertices: (..., V, 3) metres.
        faces: (F, 3) int64 vertex indices, counter-clockwise from outside.

    Returns:
        (...) cubic metres.
    """
    a, b, c = (vertices[..., faces[:, i], :] for i in range(3))
    return (a * torch.linalg.cross(b, c)).sum((-1, -2)) / 6
