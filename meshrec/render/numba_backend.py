"""Rasterisation on the CPU with compiled loops: the default there."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil, floor

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled import compiled


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre; same contract as :func:`meshrec.render.torch_backend.visible_faces`."""
    points, triangles = screen_array(screen), faces_array(faces)
    width, height = size
    face_id = np.full((len(points), height, width), -1, dtype=np.int32)
    in_parallel(lambda i: _draw(points[i], triangles, perspective, face_id[i]), len(points))
    return torch.from_numpy(face_id).to(screen.device)


def screen_array(screen: Tensor) -> np.ndarray:
    """(B, V, 3) float64: exact for float32 input too, and one compiled version of each loop serves all."""
    return np.ascontiguousarray(screen.detach().cpu().numpy(), dtype=np.float64)


def faces_array(faces: Tensor) -> np.ndarray:
    """(F, 3) int32."""
    return np.ascontiguousarray(faces.detach().cpu().numpy(), dtype=np.int32)


def in_parallel(job: Callable[[int], object], count: int) -> list:
    """``[job(0), ..., job(count - 1)]`` on as many threads as torch uses; a single job runs in the calling thread.

    Plain threads over loops that release the GIL, because numba's own pool and torch's, both spinning while they wait
    for work, stall each other.
    """
    workers = min(count, torch.get_num_threads())
    if workers <= 1:
        return [job(i) for i in range(count)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(job, range(count)))


@compiled
def box_of(points, a, b, c, width, height):
    """First and last pixel column and row of a triangle, clipped to the picture; an empty range where a corner is NaN."""
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    left, right = min(ax, bx, cx), max(ax, bx, cx)
    top, bottom = min(ay, by, cy), max(ay, by, cy)
    if not np.isfinite(ax + ay + bx + by + cx + cy) or right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
        return 0, -1, 0, -1
    return ceil(max(left, 0.0)), floor(min(right, width - 1.0)), ceil(max(top, 0.0)), floor(min(bottom, height - 1.0))


@compiled
def _draw(points, faces, perspective, face_id):
    """Write the nearest face of each pixel into ``face_id`` (H, W), which starts at -1. Among equals the first wins."""
    height, width = face_id.shape
    nearest = np.empty((height, width))
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = box_of(points, a, b, c, width, height)
        if x0 > x1 or y0 > y1:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        side = 1.0 if area > 0 else -1.0
        # Order along the ray: depth itself, or -1 / depth, which is the quantity linear on the screen.
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        if perspective:
            za, zb, zc = -1 / za, -1 / zb, -1 / zc
        for y in range(y0, y1 + 1):
            entered = False
            for x in range(x0, x1 + 1):
                # The same products whichever face an edge is seen from, so neighbours leave no crack between them.
                wa = side * ((bx - x) * (cy - y) - (by - y) * (cx - x))
                wb = side * ((cx - x) * (ay - y) - (cy - y) * (ax - x))
                wc = side * ((ax - x) * (by - y) - (ay - y) * (bx - x))
                if wa < 0 or wb < 0 or wc < 0:
                    if entered:
                        break
                    continue
                entered = True
                order = (wa * za + wb * zb + wc * zc) / (wa + wb + wc)
                if face_id[y, x] < 0 or order < nearest[y, x]:
                    nearest[y, x] = order
                    face_id[y, x] = f
