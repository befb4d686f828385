"""Where people are in a depth map: large planes are taken out, and what hangs together in the rest is a candidate."""

from dataclasses import dataclass

import numpy as np

from meshrec.geometry import Camera


@dataclass(frozen=True)
class DepthSearch:
    """The constants of the search.

    Attributes:
        width: Width of the thinned map in which people are searched for, pixels.
        planes: Most planes that are taken out: floor, walls and table tops.
        plane_area: Least area of a plane, square metres. What is seen of a person has at most half of it.
        thickness: Distance from a plane within which points belong to it, metres.
        thickness_growth: By how much it grows with the square of the distance from the camera, 1 / metres.
        tries: Number of planes that are tried for each that is taken out.
        sample: Number of points by which tries are compared.
        reach: Farthest distance of neighbours that hang together, metres.
        bridge: How many pixels apart they may be, so that lost pixels do not part a person.
        least_area: Least area of a candidate, square metres.
        candidates: Most candidates.
        seed: Seed of the tries.
    """

    width: int = 160
    planes: int = 4
    plane_area: float = 1.3
    thickness: float = 0.02
    thickness_growth: float = 0.004
    tries: int = 60
    sample: int = 1500
    reach: float = 0.12
    bridge: int = 3
    least_area: float = 0.04
    candidates: int = 4
    seed: int = 0


@dataclass(frozen=True, eq=False)
class DepthCandidate:
    """What hangs together in a depth map, and may be a person.

    Attributes:
        points: (N, 3) its points in camera space, metres, of the thinned map.
        box: (4,) x0, y0, x1, y1 in pixels of the map.
        area: Area of the surface that is seen, as if it faced the camera, square metres.
    """

    points: np.ndarray
    box: np.ndarray
    area: float


@dataclass(frozen=True, eq=False)
class DepthFindings:
    """What a depth map shows besides large planes.

    Attributes:
        candidates: What may be a person, largest area first.
        points: (N, 3) everything that is not in a large plane, in camera space, metres, of the thinned map.
        stride: One of so many rows and columns of the map is in the thinned map.
    """

    candidates: list[DepthCandidate]
    points: np.ndarray
    stride: int


def map_points(depth: np.ndarray, camera: Camera, stride: int = 1) -> np.ndarray:
    """Points in camera space of the pixels of a depth map.

    Args:
        depth: (H, W) metres, 0 where nothing was measured.
        camera: The map's camera.
        stride: One of so many rows and columns is taken.

    Returns:
        (H / stride, W / stride, 3) float32 metres, zeros where nothing was measured.
    """
    (fx, fy), (cx, cy) = (np.asarray(pair, np.float32) for pair in (camera.focal, camera.center))
    thin = depth[::stride, ::stride]
    x = (np.arange(thin.shape[1], dtype=np.float32) * stride - cx) / fx
    y = (np.arange(thin.shape[0], dtype=np.float32) * stride - cy) / fy
    return np.stack([thin * x, thin * y[:, None], thin], axis=-1)


def find_candidates(
    depth: np.ndarray, camera: Camera, box: np.ndarray | None = None, search: DepthSearch = DepthSearch()
) -> DepthFindings:
    """Find what may be a person in a depth map.

    Args:
        depth: (H, W) float32 metres, 0 where nothing was measured.
        camera: The map's camera.
        box: (4,) x0, y0, x1, y1 in pixels, if only what is inside counts. Planes are found in the whole map.
        search: The constants.

    Returns:
        What is there; no candidates if there is nothing.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect.depth_people import find_candidates
        >>> from meshrec.geometry import Camera
        >>> depth = np.zeros((120, 160), np.float32)
        >>> depth[30:100, 60:90] = 2.0
        >>> (found,) = find_candidates(depth, Camera(150.0, size=(160, 120))).candidates
        >>> found.box.tolist(), round(found.area, 2)
        ([59.5, 29.5, 89.5, 99.5], 0.37)
    """
    stride = max(1, round(depth.shape[1] / search.width))
    points = map_points(depth, camera, stride)
    known = points[..., 2] > 0
    cells = np.square(points[..., 2] * stride) / float(np.prod(np.asarray(camera.focal, np.float64)))
    rest = known & ~_in_planes(points, known, cells, search)
    if box is not None:
        rest &= _inside(rest.shape, np.asarray(box), stride)
    labels = _connected(points, rest, search)
    areas = np.bincount(labels[rest], cells[rest]) if rest.any() else np.zeros(0)
    found = []
    for label in np.argsort(-areas)[: search.candidates]:
        if areas[label] >= search.least_area:
            rows, columns = np.nonzero(rest & (labels == label))
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            around = np.array(corners, np.float32) * stride - 0.5
            found.append(DepthCandidate(points[rows, columns], around, float(areas[label])))
    return DepthFindings(found, points[rest], stride)


def _inside(shape: tuple[int, ...], box: np.ndarray, stride: int) -> np.ndarray:
    """(h, w) bool, the pixels of a thinned map that are inside a box of pixels of the map."""
    x, y = np.arange(shape[1]) * stride, np.arange(shape[0]) * stride
    return ((y >= box[1]) & (y <= box[3]))[:, None] & (x >= box[0]) & (x <= box[2])


def _in_planes(points: np.ndarray, known: np.ndarray, cells: np.ndarray, search: DepthSearch) -> np.ndarray:
    """The pixels of large planes, found by random sample consensus (Fischler & Bolles 1981).

    Args:
        points: (h, w, 3) metres.
        known: (h, w) bool, where they were measured.
        cells: (h, w) areas that face the camera and that pixels see, square metres.
        search: The constants.

    Returns:
        (h, w) bool.
    """
    generator = np.random.default_rng(search.seed)
    flat, size = points.reshape(-1, 3), cells.ravel()
    thickness = search.thickness + search.thickness_growth * np.square(flat[:, 2])
    taken = np.zeros(len(flat), bool)
    for _ in range(search.planes):
        left = np.flatnonzero(known.ravel() & ~taken)
        if len(left) < 100:
            break
        some = generator.choice(left, min(search.sample, len(left)), replace=False)
        normals, levels = _tried_planes(points, known.ravel() & ~taken, left, search.tries, generator)
        if not len(normals):
            break
        near = np.abs(flat[some] @ normals.T - levels) < thickness[some, None]
        best = (near * size[some, None]).sum(0).argmax()
        normal, level = _least_squares_plane(flat[some[near[:, best]]])
        inside = known.ravel() & ~taken & (np.abs(flat @ normal - level) < thickness)
        sight = np.abs(flat @ normal) / np.maximum(np.linalg.norm(flat, axis=1), 1e-6)
        if (size[inside] / np.maximum(sight[inside], 0.1)).sum() < search.plane_area:
            break
        taken |= inside
    return taken.reshape(known.shape)


def _tried_planes(
    points: np.ndarray, free: np.ndarray, left: np.ndarray, tries: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Planes through a random pixel of ``left`` and two near ones: normals (T, 3) and levels (T,)."""
    height, width = points.shape[:2]
    first = generator.choice(left, tries)
    offsets = generator.integers(6, 24, (2, 2, tries)) * generator.choice([-1, 1], (2, 2, tries))
    rows, columns = first // width + offsets[:, 0], first % width + offsets[:, 1]
    inside = ((rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)).all(0)
    others = rows.clip(0, height - 1) * width + columns.clip(0, width - 1)
    inside &= free[others].all(0)
    flat = points.reshape(-1, 3)
    start, second, third = flat[first[inside]], *(flat[other[inside]] for other in others)
    normals = np.cross(second - start, third - start)
    length = np.linalg.norm(normals, axis=1)
    kept = length > 1e-4
    normals = normals[kept] / length[kept, None]
    return normals, (normals * start[kept]).sum(1)


def _least_squares_plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Normal (3,) and level of the plane that is nearest to points (N, 3)."""
    middle = points.mean(0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    return axes[2], float(axes[2] @ middle)


def _connected(points: np.ndarray, rest: np.ndarray, search: DepthSearch) -> np.ndarray:
    """Labels (h, w) of the parts of ``rest`` (h, w) whose points (h, w, 3) hang together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = np.full(rest.shape, -1)
    numbers[rest] = np.arange(rest.sum())
    pairs = []
    for step in range(1, search.bridge + 1):
        for one, other in (
            ((slice(None), slice(None, -step)), (slice(None), slice(step, None))),
            ((slice(None, -step), slice(None)), (slice(step, None), slice(None))),
        ):
            gap = points[one] - points[other]
            joined = rest[one] & rest[other] & (np.einsum("hwd,hwd->hw", gap, gap) < search.reach**2)
            pairs.append(np.stack([numbers[one][joined], numbers[other][joined]]))
    first, second = np.concatenate(pairs, axis=1)
    count = int(rest.sum())
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    labels = np.full(rest.shape, -1)
    labels[rest] = connected_components(graph, directed=False)[1]
    return labels
