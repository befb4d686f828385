"""Fewer vertices by edge collapse. A collapse keeps one end of the edge where it is, so the result is a subset of the
vertices and weights, shape directions and texture coordinates carry over without interpolation."""

from __future__ import annotations

import heapq

import numpy as np

# Length counts beside shape, so that crowded flat places thin out first and the sampling becomes even.
_LENGTH_WEIGHT = 0.015
_MAX_VALENCE = 9
_MIN_NORMAL_AGREEMENT = 0.3
_MIN_QUALITY = 0.12


def decimate(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uv_triangles: np.ndarray,
    line: np.ndarray,
    importance: np.ndarray,
    target: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges of a surface until ``target`` vertices are left.

    The cost is the quadric error of Garland and Heckbert, "Surface simplification using quadric error metrics"
    (SIGGRAPH 1997), plus a term that grows with edge length.

    Args:
        vertices: (V, 3).
        triangles, uv_triangles: (F, 3) ids of vertices and of texture coordinates. Vertices on a texture seam stay.
        line: (V,) bool, vertices of the border; the border keeps its shape (they only collapse along it).
        importance: (V,) factor on the cost of removing each vertex.
        target: number of vertices to stop at.

    Returns:
        The remaining (F', 3) vertex ids and texture ids, numbered as before.
    """
    tris = [list(t) for t in triangles]
    uvs = [list(t) for t in uv_triangles]
    around: list[set[int]] = [set() for _ in vertices]
    for i, t in enumerate(tris):
        for v in t:
            around[v].add(i)
    uv_of = [{uvs[i][tris[i].index(v)] for i in ids} for v, ids in enumerate(around)]
    quadrics = _vertex_quadrics(vertices, triangles)
    areas = np.zeros(len(vertices))
    np.add.at(areas, triangles, np.linalg.norm(_cross(vertices, triangles), axis=1)[:, None] / 6)

    def neighbours(v: int) -> set[int]:
        return {w for i in around[v] for w in tris[i]} - {v}

    def cost(u: int, v: int) -> float:
        p = np.append(vertices[v], 1.0)
        step = vertices[v] - vertices[u]
        error = p @ (quadrics[u] + quadrics[v]) @ p + _LENGTH_WEIGHT * (areas[u] + areas[v]) * (step @ step)
        return importance[u] * error

    heap: list[tuple[float, int, int, int, int]] = []
    version = [0] * len(vertices)

    def push(u: int) -> None:
        if len(uv_of[u]) != 1:
            return
        for v in neighbours(u):
            if not line[u] or (line[v] and len(around[u] & around[v]) == 1):
                heapq.heappush(heap, (cost(u, v), u, v, version[u], version[v]))

    for u in range(len(vertices)):
        if around[u]:
            push(u)
    alive = sum(1 for a in around if a)
    while alive > target and heap:
        _, u, v, version_u, version_v = heapq.heappop(heap)
        if version[u] != version_u or version[v] != version_v:
            continue
        if not _allowed(vertices, tris, around, neighbours, u, v):
            continue
        shared = around[u] & around[v]
        uv_v = uvs[next(iter(shared))][tris[next(iter(shared))].index(v)]
        for i in shared:
            for w in tris[i]:
                around[w].discard(i)
            tris[i] = []
        for i in sorted(around[u]):
            k = tris[i].index(u)
            tris[i][k], uvs[i][k] = v, uv_v
            around[v].add(i)
        around[u] = set()
        quadrics[v] = quadrics[v] + quadrics[u]
        areas[v] += areas[u]
        alive -= 1
        touched = [v, *sorted(neighbours(v))]
        for w in touched:
            version[w] += 1
        for w in touched:
            push(w)
            for x in sorted(neighbours(w)):
                if (
                    x not in touched
                    and len(uv_of[x]) == 1
                    and (not line[x] or line[w] and len(around[x] & around[w]) == 1)
                ):
                    heapq.heappush(heap, (cost(x, w), x, w, version[x], version[w]))
    kept = [i for i, t in enumerate(tris) if t]
    return np.array([tris[i] for i in kept]), np.array([uvs[i] for i in kept])


def _allowed(vertices, tris, around, neighbours, u: int, v: int) -> bool:
    """Whether moving u onto v keeps a surface (link condition) of well-shaped triangles that still face the same way."""
    shared = around[u] & around[v]
    if not shared or len(neighbours(u) & neighbours(v)) != len(shared):
        return False
    if len(neighbours(u) | neighbours(v)) - 2 > _MAX_VALENCE:
        return False
    for i in around[u] - shared:
        before = vertices[tris[i]]
        after = vertices[[v if w == u else w for w in tris[i]]]
        n0 = np.cross(before[1] - before[0], before[2] - before[0])
        n1 = np.cross(after[1] - after[0], after[2] - after[0])
        size = np.linalg.norm(n1)
        if n0 @ n1 < _MIN_NORMAL_AGREEMENT * np.linalg.norm(n0) * size:
            return False
        edges = after - np.roll(after, 1, axis=0)
        if 2 * np.sqrt(3.0) * size < _MIN_QUALITY * (edges * edges).sum():
            return False
    return True


def _cross(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def _vertex_quadrics(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 4, 4) area-weighted sums of the squared-distance forms of the planes around each vertex."""
    cross = _cross(vertices, triangles)
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    normal = cross / np.maximum(length, 1e-20)
    plane = np.concatenate([normal, -(normal * vertices[triangles[:, 0]]).sum(1, keepdims=True)], axis=1)
    forms = (length / 6)[:, :, None] * plane[:, :, None] * plane[:, None, :]
    quadrics = np.zeros((len(vertices), 4, 4))
    for k in range(3):
        np.add.at(quadrics, triangles[:, k], forms)
    return quadrics
