"""One closed, mirror-symmetric skin: the left half of MakeHuman's, with its openings closed, decimated and mirrored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from meshrec.build_body.assets import Source
from meshrec.build_body.decimate import decimate

_ON_MIDLINE = 1e-4  # metres
_FACE_IMPORTANCE = 10.0
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


def build_surface(source: Source, vertex_count: int) -> Surface:
    """Cut the skin at the midline, close eye and mouth, decimate, mirror and weld it, to about ``vertex_count``."""
    shape = np.einsum("k,kvd->vd", source.average()[0], source.shape_targets)
    on_line = np.abs(shape[:, 0]) < _ON_MIDLINE
    half = _closed_half(source, shape, on_line)
    border = int(on_line[np.unique(half.triangles)].sum())
    half_count = (vertex_count + border // 2) // 2
    thin = decimate(shape, half.triangles, half.uv_triangles, on_line, _importance(source), half_count)
    return _mirrored(source, shape, on_line, replace(half, triangles=thin[0], uv_triangles=thin[1]))


def _closed_half(source: Source, shape: np.ndarray, on_line: np.ndarray) -> _Half:
    left = shape[source.quads][:, :, 0].mean(axis=1) > 0
    quads, uv_quads = source.quads[left], source.uv_quads[left]
    triangles, uv_triangles = _triangulate(shape, quads, uv_quads)
    eyelids, lips = _openings(quads, on_line)
    eye = int(source.eyeball_ids[shape[source.eyeball_ids, 2].argmax()])
    uv_of = dict(zip(quads.ravel(), uv_quads.ravel()))
    middle = source.uv[[uv_of[v] for v in eyelids]].mean(axis=0, keepdims=True)
    uv_of[eye] = len(source.uv)
    caps = np.concatenate([_fan(eyelids, eye), _zip(shape, lips)])
    return _Half(
        triangles=np.concatenate([triangles, caps]),
        uv_triangles=np.concatenate([uv_triangles, np.vectorize(uv_of.get)(caps)]),
        uv=np.concatenate([source.uv, middle]),
        eyelids=eyelids,
        lips=lips,
        eye=eye,
    )


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


def _fan(loop: np.ndarray, centre: int) -> np.ndarray:
    return np.stack([np.roll(loop, -1), loop, np.full_like(loop, centre)], axis=1)


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


def _mirrored(source: Source, shape: np.ndarray, on_line: np.ndarray, half: _Half) -> Surface:
    """Both halves, welded along the midline."""
    distance, twin_of = cKDTree(shape * [-1, 1, 1]).query(shape)
    if distance[half.triangles].max() > _ON_MIDLINE:
        raise RuntimeError(f"the source is not mirror-symmetric: {distance[half.triangles].max():.1e} m")
    twin_of = np.where(on_line, np.arange(len(shape)), twin_of)
    source_ids = np.unique(np.concatenate([half.triangles, twin_of[half.triangles]]))
    position = np.full(len(shape), -1)
    position[source_ids] = np.arange(len(source_ids))
    uv, uv_right = _mirrored_uv(source, half, twin_of)
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


def _mirrored_uv(source: Source, half: _Half, twin_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The texture coordinates with the right eye's added, and the indices (F, 3) of the mirrored faces' corners in it.

    The indices are looked up in the source's own right half.
    """
    corners = {frozenset(q): dict(zip(q, t)) for q, t in zip(source.quads.tolist(), source.uv_quads.tolist())}
    right_id = {}
    for quad, texture in zip(source.quads.tolist(), source.uv_quads.tolist()):
        right = corners[frozenset(twin_of[quad].tolist())]
        right_id.update({(v, t): right[twin_of[v]] for v, t in zip(quad, texture)})
    # The middle of the left eye was added last. Like it, the middle of the right eye is the mean over the eyelids.
    left_eye, right_eye = len(half.uv) - 1, len(half.uv)
    pairs = list(zip(half.triangles.ravel().tolist(), half.uv_triangles.ravel().tolist()))
    lids = sorted({right_id[pair] for pair in pairs if pair[0] in set(half.eyelids.tolist())})
    uv = np.concatenate([half.uv, half.uv[lids].mean(axis=0, keepdims=True)])
    right_id[half.eye, left_eye] = right_eye
    return uv, np.reshape([right_id[pair] for pair in pairs], half.triangles.shape)
