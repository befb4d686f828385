"""Rasterisation on the CPU with compiled loops: the default there."""

from math import ceil, floor

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled import compiled
from meshrec.parallel import over_items

UNDRAWABLE = -(2**31)


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre; same contract as :func:`meshrec.render.torch_backend.visible_faces`."""
    points, triangles = screen_array(screen), faces_array(faces)
    width, height = size
    face_id = np.full((len(points), height, width), -1, dtype=np.int32)
    over_items(lambda i: _draw(points[i], triangles, perspective, face_id[i]), len(points))
    return torch.from_numpy(face_id).to(screen.device)


def screen_array(screen: Tensor) -> np.ndarray:
    """(B, V, 3) float64: exact for float32 input too, and one compiled version of each loop serves all."""
    return np.ascontiguousarray(screen.detach().cpu().numpy(), dtype=np.float64)


def faces_array(faces: Tensor) -> np.ndarray:
    """(F, 3) int32."""
    return np.ascontiguousarray(faces.detach().cpu().numpy(), dtype=np.int32)


@compiled
def pixel_bounds(points):
    """Per vertex, (V, 4) int32: the first pixel column and row not before it and the last ones not beyond it.

    Those of a vertex that cannot be drawn are UNDRAWABLE.
    """
    bounds = np.empty((len(points), 4), np.int32)
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        if np.isfinite(x + y):
            bounds[i, 0], bounds[i, 1], bounds[i, 2], bounds[i, 3] = ceil(x), ceil(y), floor(x), floor(y)
        else:
            bounds[i] = UNDRAWABLE
    return bounds


@compiled
def box_of(bounds, a, b, c, width, height):
    """First and last pixel column and row whose centres a triangle's box holds; none where a corner is undrawable."""
    if bounds[a, 0] == UNDRAWABLE or bounds[b, 0] == UNDRAWABLE or bounds[c, 0] == UNDRAWABLE:
        return 0, -1, 0, -1
    x0 = max(min(bounds[a, 0], bounds[b, 0], bounds[c, 0]), 0)
    y0 = max(min(bounds[a, 1], bounds[b, 1], bounds[c, 1]), 0)
    x1 = min(max(bounds[a, 2], bounds[b, 2], bounds[c, 2]), width - 1)
    y1 = min(max(bounds[a, 3], bounds[b, 3], bounds[c, 3]), height - 1)
    return x0, x1, y0, y1


@compiled
def _draw(points, faces, perspective, face_id):
    """Write the nearest face of each pixel into ``face_id`` (H, W), which starts at -1. Among equals the first wins."""
    height, width = face_id.shape
    nearest = np.empty((height, width))
    bounds = pixel_bounds(points)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = box_of(bounds, a, b, c, width, height)
        if x0 > x1 or y0 > y1:
            continue
        (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = edge_functions(points, a, b, c)
        # Order along the ray: depth itself, or -1 / depth, which is the quantity linear on the screen.
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        if perspective:
            za, zb, zc = -1 / za, -1 / zb, -1 / zc
        for y in range(y0, y1 + 1):
            entered = False
            ra, rb, rc = va * y + oa, vb * y + ob, vc * y + oc
            for x in range(x0, x1 + 1):
                wa, wb, wc = ua * x + ra, ub * x + rb, uc * x + rc
                area = wa + wb + wc
                if wa >= 0 and wb >= 0 and wc >= 0 and area > 0:
                    entered = True
                    order = (wa * za + wb * zb + wc * zc) / area
                    if face_id[y, x] < 0 or order < nearest[y, x]:
                        nearest[y, x] = order
                        face_id[y, x] = f
                elif entered:
                    break


@compiled
def edge_functions(points, a, b, c):
    """Three linear functions u x + v y + o of the pixel, none negative inside the triangle (Pineda 1988).

    Each is twice the area that the pixel spans with one edge, opposite a, b and c. The two faces at an edge get exactly
    opposite numbers for it, so no pixel falls through between them.
    """
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    s = 1.0 if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0 else -1.0
    return (
        (s * (by - cy), s * (cx - bx), s * (bx * cy - by * cx)),
        (s * (cy - ay), s * (ax - cx), s * (cx * ay - cy * ax)),
        (s * (ay - by), s * (bx - ax), s * (ax * by - ay * bx)),
    )
