"""The cube around a person in a depth map, and what of the map lies in its voxels.

The cube's axes are those of a camera that looks at its centre, so that what is seen does not depend on where in the map
the person stands, and the visible side is always the same.
"""

from dataclasses import dataclass

import numpy as np

from meshrec.detect.depth_people import map_points
from meshrec.geometry import Camera

BEHIND = 0.1  # metres by which the middle of a body lies behind the middle of the surface that is seen
PIXELS_A_VOXEL = 2.0  # a map that has more along each axis is thinned
NEAR = 0.05  # metres: side of the cells in which points are next to each other


@dataclass(frozen=True, eq=False)
class Cube:
    """A cube in camera space.

    Attributes:
        center: (3,) float32 metres.
        rotation: (3, 3) float32 from camera space to the cube's axes, in which the camera looks along z.
        side: Metres.
        voxels: Number of voxels along a side.
    """

    center: np.ndarray
    rotation: np.ndarray
    side: float = 2.4
    voxels: int = 64

    @classmethod
    def at(cls, center: np.ndarray, side: float = 2.4, voxels: int = 64) -> "Cube":
        """The cube with its centre at a point (3,) in front of the camera, metres."""
        center = np.asarray(center, np.float32)
        return cls(center, looking_at(center), side, voxels)

    @classmethod
    def around(cls, points: np.ndarray, side: float = 2.4, voxels: int = 64) -> "Cube":
        """The cube around a person of whose surface points (N, 3) are seen, metres."""
        rough = Cube.at(np.median(points, axis=0), side, voxels)
        low, high = np.percentile(rough.to_cube(points), [3, 97], axis=0)
        middle = (low + high) / 2 + np.array([0, 0, BEHIND])
        return cls.at(rough.from_cube(middle), side, voxels)

    def to_cube(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of camera space in the cube's axes about its centre, metres."""
        return (points - self.center) @ self.rotation.T

    def from_cube(self, points: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`to_cube`."""
        return points @ self.rotation + self.center


def looking_at(point: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that turns the direction of a point (3,) to that of z."""
    x, y, z = point / np.linalg.norm(point)
    # Rodrigues' formula for the axis (y, -x, 0) and the cosine z; a person is in front of the camera: z > 0.
    k = 1 / (1 + z)
    return np.array([[1 - x * x * k, -x * y * k, -x], [-x * y * k, 1 - y * y * k, -y], [x, y, z]], np.float32)


def cube_points(depth: np.ndarray, camera: Camera, cube: Cube) -> tuple[np.ndarray, float]:
    """The points of a depth map that lie in a cube.

    Args:
        depth: (H, W) float32 metres, 0 where nothing was measured.
        camera: The map's camera.
        cube: The cube.

    Returns:
        Points (N, 3) in the cube's axes about its centre, metres, and how many points a voxel has whose whole face
        looks at the camera.
    """
    focal = float(np.mean(np.asarray(camera.focal, np.float64)))
    size, distance = cube.side / cube.voxels, max(float(cube.center[2]), 0.1)
    stride = max(1, int(size * focal / distance / PIXELS_A_VOXEL))
    half = cube.side * 0.87  # half of the diagonal
    reach = half * np.asarray(camera.focal) / max(distance - half, 0.3)
    middle = cube.center[:2] / distance * np.asarray(camera.focal) + np.asarray(camera.center)
    (x0, y0), (x1, y1) = ((middle + sign * reach).astype(int) for sign in (-1, 1))
    x0, y0 = max(x0, 0), max(y0, 0)
    part = depth[y0 : max(y1 + 1, y0), x0 : max(x1 + 1, x0)]
    center = (float(camera.center[0]) - x0, float(camera.center[1]) - y0)
    if part.size == 0:
        return np.zeros((0, 3), np.float32), 1.0
    shifted = Camera(camera.focal, center, (part.shape[1], part.shape[0]))
    points = map_points(part, shifted, stride)
    points = cube.to_cube(points[points[..., 2] > 0])
    inside = (np.abs(points) < cube.side / 2).all(1)
    return points[inside].astype(np.float32), (size * focal / distance / stride) ** 2


def belongs(points: np.ndarray, seen: np.ndarray, side: float) -> np.ndarray:
    """Which points belong to a person of whom some are known.

    Args:
        points: (N, 3) in a cube's axes about its centre, metres.
        seen: (M, 3) known points of the person, likewise.
        side: Side of the cube, metres.

    Returns:
        (N,) bool, true for those in a cell with a known point, or next to one.
    """
    count = max(1, round(side / NEAR))

    def cells(of: np.ndarray) -> np.ndarray:
        return np.floor((of / side + 0.5) * count).astype(np.int64)

    taken = np.zeros((count + 2,) * 3, bool)  # with a margin, so that every cell has neighbours
    known = cells(seen)
    known = known[((known >= 0) & (known < count)).all(1)] + 1
    taken[tuple(known.T)] = True
    for axis in range(3):
        taken |= np.roll(taken, 1, axis) | np.roll(taken, -1, axis)
    return taken[tuple(cells(points).clip(0, count - 1).T + 1)]


def fill_voxels(points: np.ndarray, own: np.ndarray, full: float, side: float = 2.4, voxels: int = 64) -> np.ndarray:
    """How full voxels are of points.

    Each point is shared between the eight voxels whose centres are next to it, so that its place is not rounded to that
    of a voxel. A voxel is full that has half of the points of one whose whole face looks at the camera.

    Args:
        points: (N, 3) in a cube's axes about its centre, metres.
        own: (N,) bool, the points of the person.
        full: Number of points of a voxel whose face looks at the camera.
        side: Side of the cube, metres.
        voxels: Number G of voxels along a side.

    Returns:
        (2, G, G, G) float32 in [0, 1] along z, y and x: the person, and everything else.
    """
    from meshrec.regress.voxel_kernels import share_points

    grid = np.zeros((2, voxels, voxels, voxels), np.float32)
    places = (points / side + 0.5) * voxels - 0.5
    share_points(places.astype(np.float32), own, grid)
    return np.minimum(grid * np.float32(1 / full), 1.0)
