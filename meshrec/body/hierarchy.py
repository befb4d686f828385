"""Coarser versions of a body's mesh with the matrices between them, as graph networks need them.

The scheme is that of Ranjan et al. 2018 ("Generating 3D Faces using Convolutional Mesh Autoencoders", section 3.2) for
any closed mesh. Quadric edge collapses make the coarse mesh. Coarse vertices are a subset of the fine ones, so that
down-sampling selects rows. A fine vertex is interpolated in the coarse triangle nearest to it, so that up-sampling is
barycentric.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from meshrec.body.files import BodyData
from meshrec.body.topology import is_watertight
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz

LEVELS = (1700, 430)  # numbers of vertices to aim at


@dataclass(frozen=True)
class MeshLevel:
    """One mesh of a hierarchy, the finest first.

    Attributes:
        vertices: (V, 3) rest positions, metres.
        faces: (F, 3) int32.
        down: (V, V_finer) matrix that selects this level's vertices from the next finer one; None for the finest.
        up: (V_finer, V) matrix that interpolates the next finer level from this one; its rows sum to one; None for the
            finest.
    """

    vertices: np.ndarray
    faces: np.ndarray
    down: sp.csr_matrix | None = None
    up: sp.csr_matrix | None = None


def mesh_hierarchy(body: BodyData, levels: tuple[int, ...] = LEVELS, cache: Path | None = None) -> list[MeshLevel]:
    """The body's mesh and coarser versions of it, computed once and cached on disk.

    Args:
        body: A body with a closed mesh.
        levels: Numbers of vertices to aim at, in descending order.
        cache: Folder of the cache. Default: ``$MESHREC_CACHE``, else ``~/.cache/meshrec``.

    Returns:
        ``1 + len(levels)`` meshes, the body's own first.
    """
    folder = cache or Path(os.environ.get("MESHREC_CACHE", Path.home() / ".cache" / "meshrec"))
    path = folder / f"hierarchy-{body.hash}-{'-'.join(map(str, levels))}.npz"
    finest = MeshLevel(body.v_template.astype(np.float32), body.faces)
    try:
        stored = read_npz(path)
        kept = [stored[f"kept{i}"] for i in range(len(levels))]
        faces = [stored[f"faces{i}"] for i in range(len(levels))]
    except (InputError, KeyError):
        kept, faces = _coarsen(finest, levels)
        _store(path, kept, faces)
    meshes = [finest]
    for keep, triangles in zip(kept, faces):
        meshes.append(_level(meshes[-1], keep, triangles))
    return meshes


def _coarsen(finest: MeshLevel, levels: tuple[int, ...]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each level, the indices of the vertices that it keeps of the finer level, and its faces."""
    kept, faces = [], []
    vertices, triangles = finest.vertices, finest.faces
    for count in levels:
        keep, triangles = _collapse(vertices, triangles, count)
        vertices = vertices[keep]
        kept.append(keep)
        faces.append(triangles)
    return kept, faces


def _collapse(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose about ``count`` of the vertices: their indices, and the faces between them."""
    from fast_simplification import replay_simplification, simplify

    reduction = 1 - (2 * count - 4) / len(faces)  # a closed mesh has 2 V - 4 faces
    # An aggressive simplification may fold fingers flat, and a cautious one may stop early. The first result that is
    # closed and small enough is taken.
    for aggressiveness in (4, 3.5, 5, 3, 7):
        _, _, collapses = simplify(
            vertices, faces, target_reduction=reduction, agg=aggressiveness, return_collapses=True
        )
        moved, coarse, mapping = replay_simplification(vertices, faces, collapses)
        if is_watertight(coarse) and len(moved) < 1.05 * count:
            break
    return _nearest_of_each_cluster(vertices, moved, mapping), coarse.astype(np.int32)


def _nearest_of_each_cluster(fine: np.ndarray, coarse: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """For each coarse vertex, the index of the nearest fine vertex among those that were merged into it."""
    distance = np.linalg.norm(fine - coarse[mapping], axis=1)
    order = np.lexsort((distance, mapping))
    clusters, first = np.unique(mapping[order], return_index=True)
    assert np.array_equal(clusters, np.arange(len(coarse)))
    return order[first]


def _level(finer: MeshLevel, keep: np.ndarray, faces: np.ndarray) -> MeshLevel:
    """The level with the vertices ``keep`` of the finer one, and the matrices between the two."""
    fine_count, coarse_count = len(finer.vertices), len(keep)
    down = sp.csr_matrix(
        (np.ones(coarse_count, np.float32), (np.arange(coarse_count), keep)), (coarse_count, fine_count)
    )
    vertices = finer.vertices[keep]
    corners, shares = _interpolate(finer.vertices, vertices, faces)
    rows = np.repeat(np.arange(fine_count), 3)
    up = sp.csr_matrix((shares.ravel().astype(np.float32), (rows, corners.ravel())), (fine_count, coarse_count))
    return MeshLevel(vertices, faces, down, up)


def _interpolate(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the triangle nearest to each point, among those at the four vertices nearest to it.

    Returns:
        The triangle's vertices (P, 3), and the barycentric coordinates (P, 3) of the nearest point in it.
    """
    from scipy.spatial import cKDTree
    from trimesh.triangles import closest_point, points_to_barycentric

    _, near = cKDTree(vertices).query(points, k=min(4, len(vertices)))
    around = [np.flatnonzero((faces == v).any(1)) for v in range(len(vertices))]
    candidates = [np.unique(np.concatenate([around[v] for v in row])) for row in near]
    owner = np.repeat(np.arange(len(points)), [len(c) for c in candidates])
    triangles = np.concatenate(candidates)
    closest = closest_point(vertices[faces[triangles]], points[owner])
    distance = np.linalg.norm(closest - points[owner], axis=1)
    order = np.lexsort((distance, owner))
    best = order[np.unique(owner[order], return_index=True)[1]]
    shares = points_to_barycentric(vertices[faces[triangles[best]]], closest[best])
    shares = np.clip(shares, 0, None)
    return faces[triangles[best]], shares / shares.sum(1, keepdims=True)


def _store(path: Path, kept: list[np.ndarray], faces: list[np.ndarray]) -> None:
    """Write the result to the cache. If that fails, the next process computes it again."""
    stream = io.BytesIO()
    arrays = {f"kept{i}": k for i, k in enumerate(kept)} | {f"faces{i}": f for i, f in enumerate(faces)}
    np.savez_compressed(stream, **arrays)
    try:
        write_file(path, stream.getvalue())
    except ValueError:
        return
