"""One closed, mirror-symmetric skin: the left half of MakeHuman's, with its openings closed, decimated and mirrored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from meshrec.build_body.assets import Source
from meshrec.build_body.decimate import decimate
from meshrec.build_body.eyes import EyeCap, eye_cap

_ON_MIDLINE = 1e-4  # metres
_FACE_IMPORTANCE = 10.0
_KEPT = 1e6  # importance of vertices that must stay
_FACE_BONES = ("jaw", "special", "oris", "levator", "orbicularis", "oculi", "temporalis", "risorius")


@dataclass(frozen=True)
class Surface:
    """Triangles over a subset of the source's vertices.

    Attributes:
        source_ids: (V,) index of each vertex in the source.
        faces: (F, 3) vertex indices, counter-clockwise from outside.
        uv, uv_faces: Texture coordinates (T, 2), and the indices (F, 3) of each face's corners in them.
        mirror: (V,) index of each vertex's mirror image, which on the midline is the vertex itself.
        eyelids, lips: Vertex indices of the left eye's opening and of the left half of the mouth, in order around it.
        eye: Index of the vertex at the middle of the left eye.
    """

    source_ids: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    mirror: np.ndarray
    eyelids: np.ndarray
    lips: np.ndarray
    eye: int


@dataclass(frozen=True)
class _Half:
    """The closed left half, in the source's vertex indices and in indices into its own ``uv``."""

    triangles: np.ndarray
    uv_triangles: np.ndarray
    uv: np.ndarray
    eyelids: np.ndarray
    lips: np.ndarray
    eye: int


def build_surface(source: Source, vertex_count: int) -> tuple[Source, Surface]:
    """Cut the skin at the midline, fill the eye's opening with the eyeball, close the mouth, decimate to about
    ``vertex_count``, mirror and weld.

    Returns:
        The source with the points on the eyeballs added to its vertices, and the surface over it.
    """
    shape = source.average_shape()
    on_line = np.abs(shape[:, 0]) < _ON_MIDLINE
    left = shape[source.quads][:, :, 0].mean(axis=1) > 0
    eyelids, lips = _openings(source.quads[left], on_line)
    cap = eye_cap(shape[source.eyeball_ids], shape[eyelids])
    eyeballs = np.stack([source.eyeball_ids, _twins(shape)[1][source.eyeball_ids]])
    half = _closed_half(source, shape, left, cap, eyelids, lips)

    source = source.with_blends(eyeballs, cap.shares)
    shape = source.average_shape()
    on_line = np.abs(shape[:, 0]) < _ON_MIDLINE
    border = int(on_line[np.unique(half.triangles)].sum())
    half_count = (vertex_count + border // 2) // 2
    importance = _importance(source)
    importance[eyelids] = importance[half.eye - len(cap.shares) + 1 : half.eye + 1] = _KEPT
    thin = decimate(shape, half.triangles, half.uv_triangles, on_line, importance, half_count)
    return source, _mirrored(source, shape, on_line, cap, replace(half, triangles=thin[0], uv_triangles=thin[1]))


def _closed_half(
    source: Source, shape: np.ndarray, left: np.ndarray, cap: EyeCap, eyelids: np.ndarray, lips: np.ndarray
) -> _Half:
    """The left quads, the cap of the eye, whose points come after the source's vertices, and the zipped mouth."""
    quads, uv_quads = source.quads[left], source.uv_quads[left]
    triangles, uv_triangles = _triangulate(shape, quads, uv_quads)
    uv_of = dict(zip(quads.ravel(), uv_quads.ravel()))
    lid_uv = source.uv[[uv_of[v] for v in eyelids]]
    points = len(shape) + np.arange(len(cap.shares))
    uv_of.update(zip(points, len(source.uv) + np.arange(len(points))))
    caps = np.concatenate([np.append(eyelids, points)[cap.triangles], _zip(shape, lips)])
    return _Half(
        triangles=np.concatenate([triangles, caps]),
        uv_triangles=np.concatenate([uv_triangles, np.vectorize(uv_of.get)(caps)]),
        uv=np.concatenate([source.uv, cap.lid_shares @ lid_uv]),
        eyelids=eyelids,
        lips=lips,
        eye=int(points[-1]),
    )


def _twins(shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distance (V,) of each vertex's mirror image from the nearest vertex, and that vertex (V,)."""
    return cKDTree(shape * [-1, 1, 1]).query(shape)


def _importance(source: Source) -> np.ndarray:
    """The importance (V,) of vertices for the decimation. The face, which facial bones move, keeps its detail."""
    face = [i for i, name in enumerate(source.bone_names) if name.startswith(_FACE_BONES)]
    return 1.0 + _FACE_IMPORTANCE * source.bone_weights[:, face].sum(axis=1)


def _triangulate(shape: np.ndarray, quads: np.ndarray, uv_quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split each quad along its shorter diagonal."""
    diagonals = shape[quads[:, :2]] - shape[quads[:, 2:]]
    short = np.linalg.norm(diagonals[:, 0], axis=1) <= np.linalg.norm(diagonals[:, 1], axis=1)
    first = np.where(short[:, None], [0, 1, 2], [0, 1, 3])
    second = np.where(short[:, None], [0, 2, 3], [1, 2, 3])
    picks = np.concatenate([first, second])
    return (
        np.take_along_axis(np.tile(quads, (2, 1)), picks, axis=1),
        np.take_along_axis(np.tile(uv_quads, (2, 1)), picks, axis=1),
    )


def _openings(quads: np.ndarray, on_line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loop around the eye and the chain around the mouth (from midline to midline) of the half skin, as vertex
    indices in the direction of the border edges.
    """
    edges = set(zip(quads.ravel(), np.roll(quads, -1, axis=1).ravel()))
    following = {a: b for a, b in edges if (b, a) not in edges and not (on_line[a] and on_line[b])}
    (start,) = set(following) - set(following.values())
    lips = [start]
    while lips[-1] in following:
        lips.append(following.pop(lips[-1]))
    eyelids = [min(following)]
    while following[eyelids[-1]] != eyelids[0]:
        eyelids.append(following[eyelids[-1]])
    if len(eyelids) != len(following):
        raise RuntimeError(f"the half skin has more openings than one eye and the mouth: {len(following)} border edges")
    return np.array(eyelids), np.array(lips)


def _zip(shape: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Triangles between the two lips of a chain, from its ends inward, always across the shorter diagonal."""
    i, j, triangles = 0, len(chain) - 1, []
    while j - i > 1:
        ahead = np.linalg.norm(shape[chain[i + 1]] - shape[chain[j]])
        behind = np.linalg.norm(shape[chain[i]] - shape[chain[j - 1]])
        if ahead <= behind:
            triangles.append([chain[i + 1], chain[i], chain[j]])
            i += 1
        else:
            triangles.append([chain[j], chain[j - 1], chain[i]])
            j -= 1
    return np.array(triangles)


def _mirrored(source: Source, shape: np.ndarray, on_line: np.ndarray, cap: EyeCap, half: _Half) -> Surface:
    """Both halves, welded along the midline."""
    distance, twin_of = _twins(shape)
    if distance[half.triangles].max() > _ON_MIDLINE:
        raise RuntimeError(f"the source is not mirror-symmetric: {distance[half.triangles].max():.1e} m")
    twin_of = np.where(on_line, np.arange(len(shape)), twin_of)
    source_ids = np.unique(np.concatenate([half.triangles, twin_of[half.triangles]]))
    position = np.full(len(shape), -1)
    position[source_ids] = np.arange(len(source_ids))
    uv, uv_right = _mirrored_uv(source, cap, half, twin_of)
    used, uv_faces = np.unique(np.concatenate([half.uv_triangles, uv_right[:, ::-1]]), return_inverse=True)
    kept = position >= 0
    return Surface(
        source_ids=source_ids,
        faces=position[np.concatenate([half.triangles, twin_of[half.triangles][:, ::-1]])],
        uv=uv[used],
        uv_faces=uv_faces.reshape(-1, 3),
        mirror=position[twin_of[source_ids]],
        eyelids=position[half.eyelids[kept[half.eyelids]]],
        lips=position[half.lips[kept[half.lips]]],
        eye=int(position[half.eye]),
    )


def _mirrored_uv(source: Source, cap: EyeCap, half: _Half, twin_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The texture coordinates with the right eye's added, and the indices (F, 3) of the mirrored faces' corners in it.

    The indices are looked up in the source's own right half.
    """
    corners = {frozenset(q): dict(zip(q, t)) for q, t in zip(source.quads.tolist(), source.uv_quads.tolist())}
    right_id = {}
    for quad, texture in zip(source.quads.tolist(), source.uv_quads.tolist()):
        right = corners[frozenset(twin_of[quad].tolist())]
        right_id.update({(v, t): right[twin_of[v]] for v, t in zip(quad, texture)})
    # The points of the left eye were added last. Like them, those of the right eye are means over the eyelids.
    of_lid = {v: t for (v, _), t in right_id.items()}
    uv = np.concatenate([half.uv, cap.lid_shares @ source.uv[[of_lid[v] for v in half.eyelids.tolist()]]])
    points = len(cap.shares)
    for k in range(points):
        right_id[half.eye - points + 1 + k, len(source.uv) + k] = len(half.uv) + k
    pairs = zip(half.triangles.ravel().tolist(), half.uv_triangles.ravel().tolist())
    return uv, np.reshape([right_id[pair] for pair in pairs], half.triangles.shape)
