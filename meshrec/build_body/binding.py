"""The binding of MakeHuman's base mesh to the open body, which garments made for MakeHuman need."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from meshrec.body.base_mesh import triangle_frames

_CANDIDATES = 40  # triangles with the nearest centres, of which the nearest one is taken


def bind(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Bind points to the nearest triangles of a surface.

    Args:
        points: (B, 3) metres.
        vertices, faces: The surface (V, 3) and (F, 3), in the same pose.

    Returns:
        The arrays of ``base_mesh.npz``: ``corners`` (B, 3), ``shares`` (B, 3) and ``offsets`` (B, 3), as in
        :class:`meshrec.body.base_mesh.BaseMesh`.
    """
    triangles = vertices[faces]
    _, near = cKDTree(triangles.mean(axis=1)).query(points, k=min(_CANDIDATES, len(faces)))
    shares = barycentric(points[:, None], triangles[near])
    distance = np.linalg.norm((shares[..., None] * triangles[near]).sum(axis=2) - points[:, None], axis=2)
    best = distance.argmin(axis=1)
    row = np.arange(len(points))
    chosen, shares = near[row, best], shares[row, best]
    foot = (shares[..., None] * triangles[chosen]).sum(axis=1)
    frames = triangle_frames(torch.from_numpy(triangles[chosen])).numpy()
    return {
        "corners": faces[chosen].astype(np.uint16),
        "shares": shares.astype(np.float16),
        "offsets": np.einsum("bji,bj->bi", frames, points - foot).astype(np.float16),
    }


def barycentric(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Barycentric weights (..., 3) of the points of triangles (..., 3, 3) that are nearest to points (..., 3).

    Inside, they are those of the projection onto the plane; otherwise those of the nearest point of the three edges.
    """
    a, b, c = (triangles[..., k, :] for k in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d = [(x * y).sum(axis=-1) for x, y in ((ab, ab), (ab, ac), (ac, ac), (ap, ab), (ap, ac))]
    scale = np.maximum(d[0] * d[2] - d[1] ** 2, 1e-30)
    v, w = (d[2] * d[3] - d[1] * d[4]) / scale, (d[0] * d[4] - d[1] * d[3]) / scale
    inside = np.stack([1 - v - w, v, w], axis=-1)
    options, distances = [inside], [np.where(inside.min(axis=-1) >= 0, -1.0, np.inf)]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = triangles[..., first, :], triangles[..., second, :] - triangles[..., first, :]
        along = ((points - start) * edge).sum(axis=-1) / np.maximum((edge * edge).sum(axis=-1), 1e-30)
        along = np.clip(along, 0.0, 1.0)
        option = np.zeros_like(inside)
        option[..., first], option[..., second] = 1 - along, along
        options.append(option)
        distances.append(np.linalg.norm(start + along[..., None] * edge - points, axis=-1))
    best = np.argmin(distances, axis=0)
    return np.take_along_axis(np.stack(options), best[None, ..., None], axis=0)[0]
