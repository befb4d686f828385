"""Points that several cameras see: triangulation, and the distance of two views from their epipolar constraint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from meshrec.geometry.cameras import Camera

LEAST_DEPTH = 1e-3  # metres; nearer points are taken to lie behind the camera


@dataclass(frozen=True)
class TriangulationSettings:
    """How points are triangulated.

    Attributes:
        cutoff: Error at which a view's cost is half its maximum (Geman & McClure 1987), in standard deviations.
        rounds: Rounds of reweighted linear least squares.
        steps: Steps of Levenberg-Marquardt after them.
    """

    cutoff: float = 6.0
    rounds: int = 4
    steps: int = 8


@dataclass(frozen=True, eq=False)
class Triangulation:
    """N points in space, of V views.

    Attributes:
        points: (N, 3) metres, world; NaN for points that fewer than two views see.
        errors: (V, N) distances of the points' projections from the seen pixels; NaN where a view does not see a point.
        deviation: (N,) standard deviation of each point along the direction in which it is known least, metres, by its
            views' deviations; large where rays are almost parallel or meet head-on.
    """

    points: np.ndarray
    errors: np.ndarray
    deviation: np.ndarray


def triangulate(
    pixels: np.ndarray,
    precision: np.ndarray,
    cameras: Sequence[Camera],
    settings: TriangulationSettings = TriangulationSettings(),
) -> Triangulation:
    """Find the points whose projections are closest to what the cameras see.

    The start is the linear solution (Hartley & Zisserman 2004, section 12.2), with weights that make its errors those
    of pixels; then Levenberg-Marquardt minimises robust reprojection errors. Two cameras that look at each other know
    nothing of where along the line between them a point lies: ``deviation`` says so.

    Args:
        pixels: (V, N, 2) pixels without lens distortion; not read where the precision is 0.
        precision: (V, N) inverse of their standard deviations, 1 / pixels; 0 where a view does not see a point.
        cameras: The V cameras, with extrinsics.
        settings: Cutoff and numbers of steps.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.triangulation import triangulate
        >>> left = Camera(500.0, size=(640, 480))
        >>> right = Camera(500.0, size=(640, 480), translation=[-1.0, 0.0, 0.0])
        >>> seen = np.array([[[444.5, 239.5]], [[194.5, 239.5]]])
        >>> triangulate(seen, np.ones((2, 1)), [left, right]).points.round(6).tolist()
        [[0.5, 0.0, 2.0]]
    """
    pixels, precision = np.asarray(pixels, np.float64), np.asarray(precision, np.float64)
    if pixels.shape != (*precision.shape, 2) or len(cameras) != len(pixels):
        raise ValueError(f"{len(cameras)} cameras, pixels {pixels.shape} and precision {precision.shape} do not agree")
    rotation, place, focal, center = _parameters(cameras)
    seen = precision > 0
    rays = np.where(seen[..., None], (pixels - center[:, None]) / focal[:, None], 0)
    scale = precision[..., None] * focal[:, None]  # (V, N, 2) standard deviations for a unit of x / z and y / z
    enough = seen.sum(0) >= 2
    points = _linear(rays, scale, rotation, place, settings)
    points = _refined(points, rays, scale, rotation, place, settings)
    values, slopes, _ = _residuals(points, rays, scale, rotation, place)
    information = np.einsum("vnic,vnid->ncd", slopes, slopes)
    least = np.linalg.eigvalsh(information)[:, 0]
    deviation = np.where(enough, np.maximum(least, 1e-12) ** -0.5, np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.linalg.norm(values, axis=-1) / precision
    points[~enough] = np.nan
    return Triangulation(points, np.where(seen & enough, errors, np.nan), deviation)


def epipolar_errors(
    first: np.ndarray,
    second: np.ndarray,
    deviations: tuple[np.ndarray, np.ndarray],
    cameras: tuple[Camera, Camera],
) -> np.ndarray:
    """How far two views of points are from being views of the same points, in standard deviations.

    It is the value of the bilinear constraint x2^T E x1 = 0 over its standard deviation by the pixels' errors. To first
    order that is Sampson's distance; with the second order, which is exact for such a form, it holds at the epipoles of
    cameras that look at each other too.

    Args:
        first, second: (..., 2) pixels in each view, without lens distortion.
        deviations: Standard deviations (...) of each, pixels.
        cameras: The two cameras, with extrinsics, which do not stand in the same place.

    Returns:
        (...) not negative.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.triangulation import epipolar_errors
        >>> pair = Camera(500.0), Camera(500.0, translation=[-1.0, 0.0, 0.0])  # beside each other: rows are epipolar
        >>> ones = np.ones(2)
        >>> seen = np.array([[150.0, 90.0], [150.0, 90.0]]), np.array([[80.0, 90.0], [80.0, 94.0]])
        >>> epipolar_errors(*seen, (ones, ones), pair).round(2).tolist()
        [0.0, 2.83]
    """
    rotation, place, focal, center = _parameters(cameras)
    turn = rotation[1] @ rotation[0].T
    base = place[1] - turn @ place[0]
    essential = np.cross(np.eye(3), base).T @ turn  # skew(base) @ turn
    one, two = (
        np.concatenate([(p - c) / f, np.ones_like(p[..., :1])], -1)
        for p, c, f in zip((np.asarray(first, np.float64), np.asarray(second, np.float64)), center, focal)
    )
    spread = [np.asarray(d, np.float64)[..., None] / f for d, f in zip(deviations, focal)]
    value = np.einsum("...i,ij,...j->...", two, essential, one)
    by_second = (one @ essential.T)[..., :2] * spread[1]
    by_first = (two @ essential)[..., :2] * spread[0]
    both = essential[:2, :2] * spread[1][..., :, None] * spread[0][..., None, :]
    variance = np.square(by_first).sum(-1) + np.square(by_second).sum(-1) + np.square(both).sum((-1, -2))
    return np.abs(value) / np.sqrt(np.maximum(variance, 1e-30))


def _parameters(cameras: Sequence[Camera]) -> tuple[np.ndarray, ...]:
    """Rotations (V, 3, 3), translations (V, 3), focal lengths (V, 2) and principal points (V, 2), float64."""
    names = ("rotation", "translation", "focal", "center")
    stacked = (torch.stack([torch.as_tensor(getattr(c, name), dtype=torch.float64) for c in cameras]) for name in names)
    return tuple(values.numpy() for values in stacked)


def _linear(
    rays: np.ndarray, scale: np.ndarray, rotation: np.ndarray, place: np.ndarray, settings: TriangulationSettings
) -> np.ndarray:
    """Points (N, 3) by (x - u z, y - v z) = 0 in all views, reweighted by depth and by how far off they are."""
    slopes = rotation[:, None, :2] - rays[..., None] * rotation[:, None, 2:]  # (V, N, 2, 3)
    wanted = rays * place[:, None, 2:] - place[:, None, :2]
    weight, points = scale.copy(), np.zeros((rays.shape[1], 3))
    for _ in range(settings.rounds):
        rows = weight[..., None] * slopes
        normal = np.einsum("vnic,vnid->ncd", rows, rows) + 1e-12 * np.eye(3)
        right = np.einsum("vnic,vni->nc", rows, weight * wanted)
        points = np.linalg.solve(normal, right[..., None])[..., 0]
        values, _, depth = _residuals(points, rays, scale, rotation, place)
        share = settings.cutoff**2 / (settings.cutoff**2 + np.square(values).sum(-1))
        weight = scale * (share / np.maximum(depth, 0.1))[..., None]
    return points


def _refined(
    points: np.ndarray,
    rays: np.ndarray,
    scale: np.ndarray,
    rotation: np.ndarray,
    place: np.ndarray,
    settings: TriangulationSettings,
) -> np.ndarray:
    """Levenberg-Marquardt of each point on its own."""
    damping = np.full(len(points), 1e-3)

    def cost(at: np.ndarray) -> tuple[np.ndarray, ...]:
        values, slopes, depth = _residuals(at, rays, scale, rotation, place)
        squared = np.square(values).sum(-1)
        share = settings.cutoff**2 / (settings.cutoff**2 + squared)
        behind = ((depth < LEAST_DEPTH) & (scale[..., 0] > 0)).any(0)
        return np.where(behind, np.inf, (squared * share).sum(0)), values, slopes, share**2

    energy, values, slopes, weight = cost(points)
    for _ in range(settings.steps):
        rows = slopes * weight[..., None, None]
        normal = np.einsum("vnic,vnid->ncd", rows, slopes)
        right = np.einsum("vnic,vni->nc", rows, values)
        diagonal = np.einsum("ncc->nc", normal)
        damped = normal + (damping[:, None] * diagonal + 1e-12)[:, :, None] * np.eye(3)
        ahead = points - np.linalg.solve(damped, right[..., None])[..., 0]
        there = cost(ahead)
        better = there[0] < energy
        points = np.where(better[:, None], ahead, points)
        energy, values = np.where(better, there[0], energy), np.where(better[None, :, None], there[1], values)
        slopes = np.where(better[None, :, None, None], there[2], slopes)
        weight = np.where(better[None, :], there[3], weight)
        damping = np.clip(damping * np.where(better, 0.2, 8.0), 1e-9, 1e9)
    return points


def _residuals(
    points: np.ndarray, rays: np.ndarray, scale: np.ndarray, rotation: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reprojection errors (V, N, 2) in standard deviations, their slopes (V, N, 2, 3), and depths (V, N)."""
    seen = points @ rotation.transpose(0, 2, 1) + place[:, None]
    depth = seen[..., 2]
    safe = np.where(np.abs(depth) < LEAST_DEPTH, LEAST_DEPTH, depth)[..., None]
    ratio = seen[..., :2] / safe
    slopes = (rotation[:, None, :2] - ratio[..., None] * rotation[:, None, 2:]) / safe[..., None]
    return scale * (ratio - rays), scale[..., None] * slopes, depth
