"""Decimation by edge collapse. A collapse keeps one end of the edge where it is, so that the result is a subset of the
vertices, and weights, shape directions and texture coordinates need no interpolation."""

from __future__ import annotations

import heapq

import numpy as np

# The cost includes the edge length, so that dense flat regions lose vertices first and the sampling becomes even.
_LENGTH_WEIGHT = 0.015
_MAX_VALENCE = 9
_MIN_NORMAL_AGREEMENT = 0.3  # cosine between a triangle's normals before and after
_MIN_QUALITY = 0.12  # of a triangle; 1 is an equilateral one


def decimate(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uv_triangles: np.ndarray,
    line: np.ndarray,
    importance: np.ndarray,
    target: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges of a surface until ``target`` vertices are left, always the cheapest edge first.

    The cost is the quadric error of Garland and Heckbert, "Surface simplification using quadric error metrics"
    (SIGGRAPH 1997), plus a term that grows with edge length.

    Args:
        vertices: (V, 3) metres.
        triangles, uv_triangles: (F, 3) indices of vertices and of texture coordinates. Vertices on a texture seam stay.
        line: (V,) bool, vertices of the border, which only collapse along it.
        importance: (V,) factor on the cost of removing each vertex.
        target: Number of vertices to stop at.

    Returns:
        The remaining triangles (F', 3) as indices of vertices and of texture coordinates, which keep their numbers.
    """
    mesh = _Mesh(vertices, triangles, uv_triangles, line, importance)
    version = [0] * len(vertices)
    heap: list[tuple[float, int, int, int, int]] = []

    def push(u: int, v: int) -> None:
        if mesh.may_move(u, v):
            heapq.heappush(heap, (mesh.cost(u, v), u, v, version[u], version[v]))

    alive = np.unique(triangles).tolist()
    for u in alive:
        for v in mesh.neighbours(u):
            push(u, v)
    count = len(alive)
    while count > target and heap:
        _, u, v, version_u, version_v = heapq.heappop(heap)
        if (version[u], version[v]) != (version_u, version_v) or not mesh.stays_good(u, v):
            continue
        mesh.collapse(u, v)
        count -= 1
        changed = {v} | mesh.neighbours(v)
        for w in changed:
            version[w] += 1
        for w in sorted(changed):
            for x in sorted(mesh.neighbours(w)):
                push(w, x)
                if x not in changed:
                    push(x, w)
    kept = [i for i, t in enumerate(mesh.triangles) if t]
    return np.array([mesh.triangles[i] for i in kept]), np.array([mesh.uvs[i] for i in kept])


class _Mesh:
    """Triangles that can be edited, with the data that a collapse needs. Removed triangles are empty lists."""

    def __init__(
        self,
        vertices: np.ndarray,
        triangles: np.ndarray,
        uv_triangles: np.ndarray,
        line: np.ndarray,
        importance: np.ndarray,
    ) -> None:
        self.vertices, self.line, self.importance = vertices, line, importance
        self.triangles: list[list[int]] = triangles.tolist()
        self.uvs: list[list[int]] = uv_triangles.tolist()
        self.around: list[set[int]] = [set() for _ in vertices]
        textures: list[set[int]] = [set() for _ in vertices]
        for i, corners in enumerate(self.triangles):
            for v, t in zip(corners, self.uvs[i]):
                self.around[v].add(i)
                textures[v].add(t)
        self.on_seam = [len(t) > 1 for t in textures]

        cross = _cross(vertices[triangles])
        twice_area = np.linalg.norm(cross, axis=1)
        normal = cross / np.maximum(twice_area, 1e-20)[:, None]
        plane = np.column_stack([normal, -(normal * vertices[triangles[:, 0]]).sum(axis=1)])
        share = twice_area / 6
        self.areas = np.zeros(len(vertices))
        self.quadrics = np.zeros((len(vertices), 4, 4))
        for k in range(3):
            np.add.at(self.areas, triangles[:, k], share)
            np.add.at(self.quadrics, triangles[:, k], share[:, None, None] * plane[:, :, None] * plane[:, None, :])

    def neighbours(self, v: int) -> set[int]:
        return {w for i in self.around[v] for w in self.triangles[i]} - {v}

    def may_move(self, u: int, v: int) -> bool:
        """Whether u may be merged into v at all: it may leave neither a texture seam nor the border line."""
        if self.on_seam[u]:
            return False
        return not self.line[u] or bool(self.line[v] and len(self.around[u] & self.around[v]) == 1)

    def cost(self, u: int, v: int) -> float:
        point = np.append(self.vertices[v], 1.0)
        step = self.vertices[v] - self.vertices[u]
        error = point @ (self.quadrics[u] + self.quadrics[v]) @ point
        return self.importance[u] * (error + _LENGTH_WEIGHT * (self.areas[u] + self.areas[v]) * (step @ step))

    def stays_good(self, u: int, v: int) -> bool:
        """Whether merging u into v leaves a surface (link condition) of well-shaped triangles that face as before."""
        shared = self.around[u] & self.around[v]
        rings = self.neighbours(u), self.neighbours(v)
        if not shared or len(rings[0] & rings[1]) != len(shared) or len(rings[0] | rings[1]) - 2 > _MAX_VALENCE:
            return False
        moving = [self.triangles[i] for i in sorted(self.around[u] - shared)]
        before = self.vertices[moving]
        after = self.vertices[[[v if w == u else w for w in corners] for corners in moving]]
        cross = _cross(before), _cross(after)
        size = np.linalg.norm(cross[1], axis=1)
        agreement = (cross[0] * cross[1]).sum(axis=1) / (np.linalg.norm(cross[0], axis=1) * size + 1e-20)
        edges = after - np.roll(after, 1, axis=1)
        quality = 2 * np.sqrt(3.0) * size / (edges * edges).sum(axis=(1, 2))  # 1 for an equilateral triangle
        return bool((agreement > _MIN_NORMAL_AGREEMENT).all() and (quality > _MIN_QUALITY).all())

    def collapse(self, u: int, v: int) -> None:
        shared = sorted(self.around[u] & self.around[v])
        texture = self.uvs[shared[0]][self.triangles[shared[0]].index(v)]
        for i in shared:
            for w in self.triangles[i]:
                self.around[w].discard(i)
            self.triangles[i] = []
        for i in self.around[u]:
            k = self.triangles[i].index(u)
            self.triangles[i][k], self.uvs[i][k] = v, texture
            self.around[v].add(i)
        self.around[u] = set()
        self.quadrics[v] += self.quadrics[u]
        self.areas[v] += self.areas[u]


def _cross(corners: np.ndarray) -> np.ndarray:
    """Normals (F, 3), with lengths of twice the areas, of triangles (F, 3, 3)."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
