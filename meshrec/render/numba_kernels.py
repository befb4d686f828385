"""The renderer's compiled loops: nearest faces, the outline silhouette, SoftRas' silhouette.

They share one file because numba's disk cache recompiles a loop only when the file that holds it changes, not when a
loop that it calls from another file does. Points are (V, 3) or (V, 2) float64 screen coordinates, faces (F, 3) int32,
pictures (H, W).
"""

from math import ceil, exp, floor, hypot, inf

import numpy as np

from meshrec.compiled.jit import compiled

UNDRAWABLE = -(2**31)
TINY = 1e-30  # square pixels
TOUCH = 1e-7  # pixels: an outline this near to a pixel's centre runs through it


@compiled
def _pixel_bounds(points):
    """Round each vertex up and down to whole pixels: ceil(u), ceil(v), floor(u), floor(v) as (V, 4) int32.

    All four are UNDRAWABLE for a vertex that cannot be drawn.
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
def _box(bounds, a, b, c, width, height):
    """The pixel centres in a triangle's bounding box: first and last column, first and last row.

    The ranges are empty where a corner is undrawable.
    """
    if bounds[a, 0] == UNDRAWABLE or bounds[b, 0] == UNDRAWABLE or bounds[c, 0] == UNDRAWABLE:
        return 0, -1, 0, -1
    x0 = max(min(bounds[a, 0], bounds[b, 0], bounds[c, 0]), 0)
    y0 = max(min(bounds[a, 1], bounds[b, 1], bounds[c, 1]), 0)
    x1 = min(max(bounds[a, 2], bounds[b, 2], bounds[c, 2]), width - 1)
    y1 = min(max(bounds[a, 3], bounds[b, 3], bounds[c, 3]), height - 1)
    return x0, x1, y0, y1


@compiled
def draw_faces(points, faces, perspective, face_id):
    """Write the nearest face of each pixel into ``face_id`` (H, W), which starts at -1; of equally near ones the first.

    ``perspective`` says whether 1 / depth, rather than depth, is linear on the screen.
    """
    height, width = face_id.shape
    nearest = np.full((height, width), inf)
    bounds = _pixel_bounds(points)
    # Order along the ray: depth itself, or -1 / depth, which is the quantity linear on the screen.
    orders = -1 / points[:, 2] if perspective else points[:, 2].copy()
    for f in range(len(faces)):
        a, b, c = np.uintp(faces[f, 0]), np.uintp(faces[f, 1]), np.uintp(faces[f, 2])
        x0, x1, y0, y1 = _box(bounds, a, b, c, width, height)
        if x0 > x1 or y0 > y1:
            continue
        (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = _edge_functions(points, a, b, c)
        ax, ay = points[a, 0], points[a, 1]
        area = abs((points[b, 0] - ax) * (points[c, 1] - ay) - (points[b, 1] - ay) * (points[c, 0] - ax))
        if area == 0:
            continue
        za, zb, zc = orders[a] / area, orders[b] / area, orders[c] / area
        for y in range(y0, y1 + 1):
            ra, rb, rc = va * y + oa, vb * y + ob, vc * y + oc
            nearest_row, face_row = nearest[np.uintp(y)], face_id[np.uintp(y)]
            for x in range(x0, x1 + 1):
                wa, wb, wc = ua * x + ra, ub * x + rb, uc * x + rc
                order, pixel = wa * za + wb * zb + wc * zc, np.uintp(x)
                # One condition without branches inside is faster than four.
                if (wa >= 0) & (wb >= 0) & (wc >= 0) & (order < nearest_row[pixel]):
                    nearest_row[pixel] = order
                    face_row[pixel] = f


@compiled
def paint_faces(points, faces, perspective, face_id, colors, samples, opacity, canvas):
    """Blend the visible faces over the bytes of ``canvas`` (H, W, 3), with smooth edges.

    ``colors`` (V, 3), RGB in [0, 1], are interpolated in each sample; ``face_id`` (H samples, W samples) says which
    face it sees. A pixel shows the mean of its samples, of which those without a face show the canvas.
    """
    height, width = canvas.shape[:2]
    share = opacity / samples**2
    for y in range(height):
        for x in range(width):
            red, green, blue, count = 0.0, 0.0, 0.0, 0
            for v in range(y * samples, (y + 1) * samples):
                for u in range(x * samples, (x + 1) * samples):
                    f = face_id[v, u]
                    if f < 0:
                        continue
                    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                    ax, ay, bx, by = points[a, 0] - u, points[a, 1] - v, points[b, 0] - u, points[b, 1] - v
                    cx, cy = points[c, 0] - u, points[c, 1] - v
                    # Twice the areas of the triangles that the sample forms with the edges. Rounding may make those of
                    # a sample on an edge negative, and all of a needle's zero.
                    wa, wb, wc = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
                    if wa + wb + wc < 0:
                        wa, wb, wc = -wa, -wb, -wc
                    wa, wb, wc = max(wa, 0.0) + TINY, max(wb, 0.0) + TINY, max(wc, 0.0) + TINY
                    if perspective:
                        wa, wb, wc = wa / points[a, 2], wb / points[b, 2], wc / points[c, 2]
                    scale = 1 / (wa + wb + wc)
                    red += (wa * colors[a, 0] + wb * colors[b, 0] + wc * colors[c, 0]) * scale
                    green += (wa * colors[a, 1] + wb * colors[b, 1] + wc * colors[c, 1]) * scale
                    blue += (wa * colors[a, 2] + wb * colors[b, 2] + wc * colors[c, 2]) * scale
                    count += 1
            if count:
                left = 1 - count * share
                canvas[y, x, 0] = _byte(share * 255 * red + left * canvas[y, x, 0])
                canvas[y, x, 1] = _byte(share * 255 * green + left * canvas[y, x, 1])
                canvas[y, x, 2] = _byte(share * 255 * blue + left * canvas[y, x, 2])


@compiled
def _byte(value):
    return np.uint8(min(max(np.rint(value), 0.0), 255.0))


@compiled
def _edge_functions(points, a, b, c):
    """Three linear functions u x + v y + o of the pixel, none negative inside the triangle (Pineda 1988).

    Each is twice the area of the triangle that the pixel forms with one edge, opposite a, b and c. The two faces at an
    edge get exactly opposite numbers for it, so no pixel falls through between them.
    """
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    s = 1.0 if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0 else -1.0
    return (
        (s * (by - cy), s * (cx - bx), s * (bx * cy - by * cx)),
        (s * (cy - ay), s * (ax - cx), s * (cx * ay - cy * ax)),
        (s * (ay - by), s * (bx - ax), s * (ax * by - ay * bx)),
    )


@compiled
def draw_outline(points, faces, edges, softness, coverage):
    """Draw the outline silhouette into ``coverage`` (H, W), which starts at zero.

    Returns the N pixels on the ramp as indices into the flattened picture, the two vertices (N, 2) of their outline
    edge, and the derivatives (N, 4) of their coverage with respect to the u and v of both vertices.
    """
    height, width = coverage.shape
    reach = softness / 2
    # Work in a window: the mesh's box and a margin. The margin goes beyond the picture too, because an outline just
    # outside counts, while the picture's own border is not an outline.
    margin = ceil(reach) + 1
    low_x, low_y, high_x, high_y = inf, inf, -inf, -inf
    for i in range(len(points)):
        if np.isfinite(points[i, 0] + points[i, 1]):
            low_x, high_x = min(low_x, points[i, 0]), max(high_x, points[i, 0])
            low_y, high_y = min(low_y, points[i, 1]), max(high_y, points[i, 1])
    if low_x > width - 1 + margin or high_x < -margin or low_y > height - 1 + margin or high_y < -margin:
        return np.empty(0, np.int64), np.empty((0, 2), np.int32), np.empty((0, 4))
    left, top = max(floor(low_x), 0) - margin, max(floor(low_y), 0) - margin
    columns = min(ceil(high_x), width - 1) + margin + 1 - left
    rows = min(ceil(high_y), height - 1) + margin + 1 - top
    shifted = np.empty((len(points), 2))
    for i in range(len(points)):
        shifted[i, 0], shifted[i, 1] = points[i, 0] - left, points[i, 1] - top

    mask = np.zeros((rows, columns), np.bool_)
    _fill(shifted, faces, mask)
    outline_edges, outward = _outline_edges(shifted, edges, mask)
    owner = _nearest(shifted, outline_edges, mask, reach)

    x0, x1 = max(-left, 0), min(width - left, columns)
    y0, y1 = max(-top, 0), min(height - top, rows)
    count = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            count += owner[y, x] >= 0
            if mask[y, x]:
                coverage[y + top, x + left] = 1
    pixel, ends, slope = np.empty(count, np.int64), np.empty((count, 2), np.int32), np.empty((count, 4))
    n = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            e = owner[y, x]
            if e < 0:
                continue
            a, b = outline_edges[e, 0], outline_edges[e, 1]
            t, dx, dy = _to_segment(shifted, a, b, x, y)
            distance = hypot(dx, dy)
            side = 1.0 if mask[y, x] else -1.0
            coverage[y + top, x + left] = 0.5 + side * distance / softness
            if distance > TOUCH:
                gx, gy = side * dx / distance, side * dy / distance
            else:
                gx, gy = outward[e, 0], outward[e, 1]
            pixel[n] = (y + top) * width + x + left
            ends[n, 0], ends[n, 1] = a, b
            slope[n, 0], slope[n, 1] = (1 - t) * gx / softness, (1 - t) * gy / softness
            slope[n, 2], slope[n, 3] = t * gx / softness, t * gy / softness
            n += 1
    return pixel, ends, slope


@compiled
def _fill(points, faces, mask):
    """Mark the pixels whose centre lies in a face."""
    rows, columns = mask.shape
    bounds = _pixel_bounds(points)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = _box(bounds, a, b, c, columns, rows)
        if x0 > x1 or y0 > y1:
            continue
        (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = _edge_functions(points, a, b, c)
        for y in range(y0, y1 + 1):
            entered = False
            ra, rb, rc = va * y + oa, vb * y + ob, vc * y + oc
            for x in range(x0, x1 + 1):
                wa, wb, wc = ua * x + ra, ub * x + rb, uc * x + rc
                if min(wa, wb, wc) >= 0 and wa + wb + wc > 0:
                    entered = True
                    mask[y, x] = True
                elif entered:
                    break


@compiled
def _outline_edges(points, edges, mask):
    """The edges that bound the mask, as pairs of vertices (N, 2), and their outward unit normals (N, 2).

    They are those edges where the surface folds or ends that are the outermost to cross the step from some pixel inside
    the mask to its neighbour outside.
    """
    rows, columns = mask.shape
    folds = np.empty((len(edges), 2), np.int32)
    normals = np.empty((len(edges), 2))
    count = 0
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        if not np.isfinite(ax + ay + bx + by):
            continue
        if max(ax, bx) < 0 or max(ay, by) < 0 or min(ax, bx) > columns - 1 or min(ay, by) > rows - 1:
            continue
        first, second = _side(points, ax, ay, bx, by, edges[e, 2]), _side(points, ax, ay, bx, by, edges[e, 3])
        if first * second < 0 or (np.isnan(first) and np.isnan(second)):
            continue
        length = hypot(bx - ax, by - ay)
        if length == 0:
            continue
        # The face lies on the side of its third corner, the outside on the other.
        inner = second if np.isnan(first) or first == 0 else first
        turn = -1.0 if inner > 0 else 1.0
        folds[count, 0], folds[count, 1] = a, b
        normals[count, 0], normals[count, 1] = turn * (ay - by) / length, turn * (bx - ax) / length
        count += 1
    found = np.zeros(count, np.bool_)
    _mark_outermost(points[:, 0], points[:, 1], folds[:count], mask, found)
    _mark_outermost(points[:, 1], points[:, 0], folds[:count], mask.T, found)
    return folds[:count][found], normals[:count][found]


@compiled
def _side(points, ax, ay, bx, by, c):
    """On which side of the edge a -> b the vertex ``c`` lies: a signed area, NaN where there is no vertex."""
    if c < 0:
        return np.nan
    return (bx - ax) * (points[c, 1] - ay) - (by - ay) * (points[c, 0] - ax)


@compiled
def _mark_outermost(along, across, folds, mask, found):
    """Set ``found`` for the folds that are the outermost to cross some step along a row between inside and outside.

    ``along`` and ``across`` are the vertices' coordinates along a row of the mask and across it.
    """
    rows, columns = mask.shape
    place = np.empty((rows, columns))  # where the outermost fold so far crosses the step from a pixel to the next
    owner = np.full((rows, columns), -1, np.int32)  # which fold that is
    for f in range(len(folds)):
        a, b = folds[f, 0], folds[f, 1]
        ax, ay, bx, by = along[a], across[a], along[b], across[b]
        if ay == by:
            continue
        for y in range(ceil(max(min(ay, by), 0.0)), floor(min(max(ay, by), rows - 1.0)) + 1):
            x = ax + (y - ay) * (bx - ax) / (by - ay)
            if not 0 <= x <= columns - 1:
                continue
            for i in range(max(ceil(x - 1 - TOUCH), 0), min(floor(x + TOUCH), columns - 2) + 1):
                if mask[y, i] == mask[y, i + 1]:
                    continue
                if owner[y, i] < 0 or (x > place[y, i] if mask[y, i] else x < place[y, i]):
                    place[y, i] = x
                    owner[y, i] = f
    for y in range(rows):
        for x in range(columns):
            if owner[y, x] >= 0:
                found[owner[y, x]] = True


@compiled
def _nearest(points, outline_edges, mask, reach):
    """The nearest outline edge within ``reach`` of each pixel, (H, W) int32, or -1."""
    rows, columns = mask.shape
    squared = np.full((rows, columns), reach * reach)
    owner = np.full((rows, columns), -1, np.int32)
    for e in range(len(outline_edges)):
        a, b = outline_edges[e, 0], outline_edges[e, 1]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        x0, x1 = ceil(max(min(ax, bx) - reach, 0.0)), floor(min(max(ax, bx) + reach, columns - 1.0))
        y0, y1 = ceil(max(min(ay, by) - reach, 0.0)), floor(min(max(ay, by) + reach, rows - 1.0))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                _, dx, dy = _to_segment(points, a, b, x, y)
                near = dx * dx + dy * dy
                # An edge may continue behind or in front of other faces: only its part on the mask's boundary counts.
                if near < squared[y, x] and _on_rim(mask, x + dx, y + dy):
                    squared[y, x] = near
                    owner[y, x] = e
    return owner


@compiled
def _to_segment(points, a, b, x, y):
    """The point a + t (b - a) of a segment nearest to the pixel (x, y): t, and the vector from the pixel to it."""
    ax, ay = points[a, 0] - x, points[a, 1] - y
    ex, ey = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    t = min(max(-(ax * ex + ay * ey) / (ex * ex + ey * ey), 0.0), 1.0)
    return t, ax + t * ex, ay + t * ey


@compiled
def _on_rim(mask, x, y):
    """Whether the pixel centres around a point lie partly in the mask and partly not."""
    rows, columns = mask.shape
    inside = outside = False
    for j in range(max(floor(y - TOUCH), 0), min(ceil(y + TOUCH), rows - 1) + 1):
        for i in range(max(floor(x - TOUCH), 0), min(ceil(x + TOUCH), columns - 1) + 1):
            inside |= mask[j, i]
            outside |= not mask[j, i]
    return inside and outside


@compiled
def outline_gradient(upstream, pixel, ends, slope, gradient):
    """Add the gradient of each pixel on the ramp to its edge's two vertices in ``gradient`` (V, 3).

    ``upstream`` is the loss's gradient with respect to the coverage (H W,); the rest is from :func:`draw_outline`.
    """
    for n in range(len(pixel)):
        g = upstream[pixel[n]]
        for k in range(2):
            gradient[ends[n, k], 0] += g * slope[n, 2 * k]
            gradient[ends[n, k], 1] += g * slope[n, 2 * k + 1]


@compiled
def draw_soft(points, faces, sigma, reach, sliver, empty):
    """Multiply ``empty`` (H, W), the probability that no face covers a pixel, by each face's probability not to."""
    rows, columns = empty.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = _wide_box(points, a, b, c, reach, sliver, columns, rows)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                near, signed, _, _, _, _, _ = _to_face(points, a, b, c, x, y)
                if signed < 0 or near < reach * reach:
                    empty[y, x] *= _sigmoid(signed / sigma)


@compiled
def soft_gradient(points, faces, sigma, reach, sliver, empty, upstream, gradient):
    """Add the gradient with respect to each face's corners to ``gradient`` (V, 3)."""
    rows, columns = empty.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, y0, y1 = _wide_box(points, a, b, c, reach, sliver, columns, rows)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                near, signed, p, q, t, dx, dy = _to_face(points, a, b, c, x, y)
                if signed < 0 or near < reach * reach:
                    # d coverage / d signed = -empty * sigmoid(-signed / sigma) / sigma, and signed = +-(dx^2 + dy^2).
                    g = -upstream[y, x] * empty[y, x] * _sigmoid(-signed / sigma) / sigma
                    g *= -2.0 if signed < 0 else 2.0
                    gradient[p, 0] += g * (1 - t) * dx
                    gradient[p, 1] += g * (1 - t) * dy
                    gradient[q, 0] += g * t * dx
                    gradient[q, 1] += g * t * dy


@compiled
def _wide_box(points, a, b, c, reach, sliver, columns, rows):
    """The pixels within reach of a triangle's bounding box: first and last column, first and last row.

    The ranges are empty for slivers and where a corner is NaN.
    """
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    left, right = max(min(ax, bx, cx) - reach, 0.0), min(max(ax, bx, cx) + reach, columns - 1.0)
    top, bottom = max(min(ay, by, cy) - reach, 0.0), min(max(ay, by, cy) + reach, rows - 1.0)
    if not np.isfinite(area) or abs(area) <= sliver or left > right or top > bottom:
        return 0, -1, 0, -1
    return ceil(left), floor(right), ceil(top), floor(bottom)


@compiled
def _to_face(points, a, b, c, x, y):
    """The point p + t (q - p) of a triangle's boundary nearest to the pixel (x, y).

    Returns the squared distance to it; the same, but negative inside the triangle; the vertices p and q of the edge
    that it lies on; t; and the vector from the pixel to it.
    """
    near, p, q, t, dx, dy = np.inf, a, b, 0.0, 0.0, 0.0
    for i, j in ((a, b), (b, c), (c, a)):
        px, py = points[i, 0] - x, points[i, 1] - y
        ex, ey = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        s = min(max(-(px * ex + py * ey) / (ex * ex + ey * ey), 0.0), 1.0)
        wx, wy = px + s * ex, py + s * ey
        if wx * wx + wy * wy < near:
            near, p, q, t, dx, dy = wx * wx + wy * wy, i, j, s, wx, wy
    (ua, va, oa), (ub, vb, ob), (uc, vc, oc) = _edge_functions(points, a, b, c)
    inside = min(ua * x + va * y + oa, ub * x + vb * y + ob, uc * x + vc * y + oc) > 0
    return near, -near if inside else near, p, q, t, dx, dy


@compiled
def _sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))
