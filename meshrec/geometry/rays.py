"""Rays of sight: where in the world a camera's pixels look, and how nearly the rays of several cameras meet.

World points X lie at ``R X + t`` in a camera's space, so the camera's centre is ``-R^T t``, and the pixel (u, v) looks
along ``R^T ((u - cx) / fx, (v - cy) / fy, 1)``. Pixels are free of lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshrec.geometry.cameras import Camera

PARALLEL = 1e-12  # squared sine of the angle below which two rays count as parallel


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays in the world, of one camera or of several.

    Attributes:
        origins: (..., 3) metres.
        directions: (..., 3) unit vectors.
    """

    origins: np.ndarray
    directions: np.ndarray

    def points(self, distances: np.ndarray) -> np.ndarray:
        """The points (..., 3) at distances (...,) along the rays, metres."""
        return self.origins + distances[..., None] * self.directions


def extrinsics(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) in metres from the world to one camera, float64."""
    return np.array(camera.rotation, np.float64), np.array(camera.translation, np.float64)


def camera_center(camera: Camera) -> np.ndarray:
    """Where a camera stands in the world, (3,) metres.

    Example:
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.rays import camera_center
        >>> camera_center(Camera(500.0, size=(640, 480), translation=(0.0, 0.0, 3.0))).tolist()
        [0.0, 0.0, -3.0]
    """
    rotation, translation = extrinsics(camera)
    return -rotation.T @ translation + 0.0


def rays_of(camera: Camera, pixels: np.ndarray) -> Rays:
    """The rays that one camera sees at pixels.

    Args:
        camera: A single camera, not one per sample.
        pixels: (..., 2) x, y without lens distortion.

    Returns:
        Rays of shape (...).

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.rays import rays_of
        >>> rays = rays_of(Camera(500.0, size=(640, 480)), np.array([[319.5, 239.5], [819.5, 239.5]]))
        >>> rays.directions.round(3).tolist()
        [[0.0, 0.0, 1.0], [0.707, 0.0, 0.707]]
    """
    rotation, _ = extrinsics(camera)
    flat = (np.asarray(pixels, np.float64) - np.array(camera.center)) / np.array(camera.focal)
    seen = np.concatenate([flat, np.ones_like(flat[..., :1])], -1)
    directions = (seen / np.linalg.norm(seen, axis=-1, keepdims=True)) @ rotation
    return Rays(np.broadcast_to(camera_center(camera), directions.shape), directions)


def ray_angle(a: Rays, b: Rays) -> np.ndarray:
    """Angles (...,) in [0, pi/2] between the lines of rays, radians: 0 for rays that run along or against each other.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry.rays import Rays, ray_angle
        >>> towards, against = Rays(np.zeros(3), np.array([0, 0, 1.0])), Rays(np.zeros(3), np.array([0, 0, -1.0]))
        >>> float(ray_angle(towards, against))
        0.0
    """
    sine = np.linalg.norm(np.cross(a.directions, b.directions), axis=-1)
    return np.arctan2(sine, np.abs((a.directions * b.directions).sum(-1)))


def closest_distances(a: Rays, b: Rays) -> tuple[np.ndarray, np.ndarray]:
    """How far along two rays the lines come closest to each other.

    Args:
        a, b: Rays whose shapes broadcast.

    Returns:
        The distances (...,) along ``a`` and along ``b``, metres; negative behind an origin. Where the rays are
        parallel, ``a`` starts and ``b`` is at the foot of its perpendicular.
    """
    apart = b.origins - a.origins
    cosine = (a.directions * b.directions).sum(-1)
    along_a, along_b = (apart * a.directions).sum(-1), (apart * b.directions).sum(-1)
    squared_sine = 1 - cosine**2
    meet = squared_sine > PARALLEL
    first = np.where(meet, (along_a - cosine * along_b) / np.where(meet, squared_sine, 1), 0.0)
    return first, cosine * first - along_b


def ray_distance(a: Rays, b: Rays) -> np.ndarray:
    """Shortest distances (...,) between the lines of rays, metres.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry.rays import Rays, ray_distance
        >>> forward = Rays(np.zeros(3), np.array([0, 0, 1.0]))
        >>> across = Rays(np.array([-2.0, 0.5, 3.0]), np.array([1.0, 0, 0]))
        >>> float(ray_distance(forward, across))
        0.5
    """
    first, second = closest_distances(a, b)
    return np.linalg.norm(a.points(first) - b.points(second), axis=-1)


def meeting_point(rays: Rays, weights: np.ndarray | None = None) -> np.ndarray:
    """The point with the least weighted sum of squared distances to V rays: sum of w (I - d d^T) (x - o) = 0.

    Args:
        rays: Rays of shape (..., V).
        weights: (..., V), not negative; 0 leaves a ray out. Default: all equal.

    Returns:
        (..., 3) metres; NaN where fewer than two rays count, or those that do are parallel.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry.rays import Rays, meeting_point
        >>> rays = Rays(np.array([[0.0, 0, 0], [-2, 1, 3]]), np.array([[0.0, 0, 1], [1, 0, 0]]))
        >>> meeting_point(rays).tolist()
        [0.0, 0.5, 3.0]
    """
    weights = np.ones(rays.directions.shape[:-1]) if weights is None else weights
    across = np.eye(3) - rays.directions[..., :, None] * rays.directions[..., None, :]
    normal = (weights[..., None, None] * across).sum(-3)
    right = (weights[..., None, None] * across @ rays.origins[..., None]).sum(-3)
    point = solve_normal(normal, right[..., 0])
    return np.where(((weights > 0).sum(-1) > 1)[..., None], point, np.nan)


def solve_normal(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve symmetric 3 x 3 systems of which some may be singular.

    Args:
        normal: (..., 3, 3) positive semi-definite.
        right: (..., 3).

    Returns:
        (..., 3), NaN where the matrix is singular.
    """
    scale = np.trace(normal, axis1=-2, axis2=-1)
    # det is at most (trace / 3)^3; two unit rays at an angle have 2 sin^2 of it.
    sound = np.linalg.det(normal) > PARALLEL * np.maximum(scale, 1e-300) ** 3
    safe = np.where(sound[..., None, None], normal, np.eye(3))
    return np.where(sound[..., None], np.linalg.solve(safe, right[..., None])[..., 0], np.nan)


def fundamental_matrix(a: Camera, b: Camera) -> np.ndarray:
    """The matrix F (3, 3) with ``(v, 1) F (u, 1)^T = 0`` for pixels u of camera a and v of camera b that see one point.

    It is K_b^-T [t]x R K_a^-1 of the motion (R, t) from a to b (Hartley and Zisserman 2004, "Multiple View Geometry",
    equation 9.12), scaled to a Frobenius norm of 1; zero for cameras in one place.

    Args:
        a, b: Single cameras with extrinsics.
    """
    (first, t1), (second, t2) = extrinsics(a), extrinsics(b)
    turn = second @ first.T
    x, y, z = t2 - turn @ t1
    crossed = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    inverse_a, inverse_b = (np.linalg.inv(camera.matrix.double().numpy()) for camera in (a, b))
    matrix = inverse_b.T @ crossed @ turn @ inverse_a
    return matrix / max(float(np.linalg.norm(matrix)), 1e-300)


def epipolar_distance(matrix: np.ndarray, seen_a: np.ndarray, seen_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances of points from the lines on which the other camera's points have to lie.

    Args:
        matrix: (3, 3) of :func:`fundamental_matrix`.
        seen_a, seen_b: (..., 2) pixels of both cameras.

    Returns:
        Pixels (...,) of camera a, and of camera b; not negative.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.rays import epipolar_distance, fundamental_matrix
        >>> left, right = Camera(500.0), Camera(500.0, translation=(-1.0, 0.0, 0.0))  # side by side: lines are rows
        >>> matrix = fundamental_matrix(left, right)
        >>> [float(d.round(3)) for d in epipolar_distance(matrix, np.array([10.0, 20.0]), np.array([70.0, 23.0]))]
        [3.0, 3.0]
    """
    a, b = (np.concatenate([p, np.ones_like(p[..., :1])], -1) for p in (seen_a, seen_b))
    in_b, in_a = a @ matrix.T, b @ matrix
    error = np.abs((b * in_b).sum(-1))
    lengths = (np.maximum(np.hypot(line[..., 0], line[..., 1]), 1e-300) for line in (in_a, in_b))
    first, second = (error / length for length in lengths)
    return first, second
