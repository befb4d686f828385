"""Cameras that turn and zoom in one place: where they see distant points, and how they stand by what they see.

The world of such a camera is the space of its first picture, in which points at any distance are directions. A camera
with the rotation R from the world and the zoom z sees the direction d at ``center + z * focal * (x, y) / depth`` with
``(x, y, depth) = R d``. Two pictures are then related by the homography ``K2 R2 R1^T K1^-1`` of four unknowns, which
are estimated directly: a general homography has eight, and its noise would go into those that a camera cannot have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.geometry.cameras import Camera
from meshrec.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle


@dataclass(frozen=True, eq=False)
class Turned:
    """How a camera that stays in one place is turned and zoomed.

    Attributes:
        turn: (3, 3) rotation from the world to the camera.
        zoom: Its focal length over that of the first picture.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.turning_cameras import Turned
        >>> camera = Camera(500.0, size=(640, 480))
        >>> twice = Turned(np.eye(3), 2.0)
        >>> twice.pixels(np.array([[0.1, 0.0, 1.0]]), camera).tolist()
        [[419.5, 239.5]]
        >>> twice.directions(np.array([[419.5, 239.5]]), camera).round(4).tolist()
        [[0.0995, 0.0, 0.995]]
    """

    turn: np.ndarray
    zoom: float = 1.0

    def pixels(self, directions: np.ndarray, camera: Camera) -> np.ndarray:
        """Where directions (N, 3) of the world are seen, (N, 2) pixels; NaN for those behind the camera.

        Args:
            directions: (N, 3), of any length.
            camera: The camera of the first picture.
        """
        focal, center = lens(camera)
        return _flat(directions @ self.turn.T) * (self.zoom * focal) + center

    def directions(self, pixels: np.ndarray, camera: Camera) -> np.ndarray:
        """The directions (N, 3) of the world, unit vectors, that are seen at pixels (N, 2).

        Args:
            pixels: (N, 2).
            camera: The camera of the first picture.
        """
        focal, center = lens(camera)
        return _rays((pixels - center) / (self.zoom * focal)) @ self.turn

    def homography(self, other: Turned, camera: Camera) -> np.ndarray:
        """The homography (3, 3) from pixels of this picture to those of another.

        Args:
            other: How the camera is turned there.
            camera: The camera of the first picture.
        """
        (fx, fy), (cx, cy) = lens(camera)
        to_here, to_there = (
            np.array([[view.zoom * fx, 0, cx], [0, view.zoom * fy, cy], [0, 0, 1]]) for view in (self, other)
        )
        return to_there @ other.turn @ self.turn.T @ np.linalg.inv(to_here)


@dataclass(frozen=True)
class TurnSettings:
    """How :func:`estimate_turn` looks for the turn that most points agree on.

    Attributes:
        tolerance: Distance in pixels up to which a point agrees.
        pairs: Pairs of points by which turns are proposed. With half of the points wrong, one in four is right.
        least_distance: Least distance of the points of a pair, as a share of the greatest extent of all.
        steps: Most Gauss-Newton steps.
        majority: Share of the points from which on nothing else is proposed, once they agree on the refined start.
        noise: Least standard deviation of a point that is found in two pictures, pixels.
    """

    tolerance: float = 1.5
    pairs: int = 64
    least_distance: float = 0.2
    steps: int = 8
    majority: float = 0.7
    noise: float = 0.1


@dataclass(frozen=True, eq=False)
class TurnEstimate:
    """What :func:`estimate_turn` finds.

    Attributes:
        view: Turn and zoom.
        agrees: (N,) bool, the points that are seen where the estimate says.
        covariance: (4, 4) of the errors of the turn in the camera's frame, radians, and of the zoom's logarithm.
    """

    view: Turned
    agrees: np.ndarray
    covariance: np.ndarray


def lens(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths (2,) and principal point (2,) of one camera, float64 pixels."""
    focal, center = (torch.as_tensor(part, dtype=torch.float64).numpy() for part in (camera.focal, camera.center))
    return focal, center


def pixel_slopes(directions: np.ndarray, view: Turned, camera: Camera) -> np.ndarray:
    """How pixels move with a further small turn of the camera about its own axes, and with the zoom's logarithm.

    With (x, y, 1) = R d / depth, the turn t moves it by t x (x, y, 1), whose last component moves it in depth.

    Args:
        directions: (N, 3) of the world.
        view: How the camera is turned.
        camera: The camera of the first picture.

    Returns:
        (N, 2, 4) pixels per radian, and per unit of the logarithm.
    """
    focal, _ = lens(camera)
    x, y = _flat(directions @ view.turn.T).T
    one = np.ones_like(x)
    slopes = np.stack([-x * y, one + x * x, -y, x, -one - y * y, x * y, x, y], axis=-1).reshape(-1, 2, 4)
    return slopes * (view.zoom * focal)[:, None]


def estimate_turn(
    directions: np.ndarray,
    pixels: np.ndarray,
    camera: Camera,
    start: Turned,
    settings: TurnSettings = TurnSettings(),
    zooms: bool = True,
) -> TurnEstimate | None:
    """Estimate how a camera is turned and zoomed by where it sees points of known directions, some of them wrong.

    Unless most points agree on the guess, turns are proposed by pairs of points: the angle between their directions
    gives the zoom, and the plane through them the turn. The one with the least sum of truncated squares is refined by
    Gauss-Newton steps on Tukey's loss.

    Args:
        directions: (N, 3) of the world, unit vectors.
        pixels: (N, 2) where they are seen.
        camera: The camera of the first picture.
        start: A guess. It is one of the proposals, and tells the two solutions for the zoom apart.
        settings: How to look for it.
        zooms: Whether the zoom is unknown too; otherwise it is that of ``start``.

    Returns:
        The estimate, or None with fewer than three points or where the points determine no turn.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.turning_cameras import Turned, estimate_turn
        >>> camera, before = Camera(500.0, size=(640, 480)), Turned(np.eye(3))
        >>> seen = np.random.default_rng(0).uniform(0, 480, (30, 2))
        >>> estimate = estimate_turn(before.directions(seen, camera), 1.2 * (seen - [319.5, 239.5]) + [319.5, 239.5],
        ...                          camera, before)
        >>> round(estimate.view.zoom, 6), np.allclose(estimate.view.turn, np.eye(3))
        (1.2, True)
    """
    if len(pixels) < 3:
        return None
    followed = _refined(directions, pixels, camera, start, settings, zooms)
    if followed is not None and followed.agrees.mean() >= settings.majority:
        return followed
    others = _proposals(directions, pixels, camera, start, settings, zooms)
    if not others:
        return followed
    proposals = [start, *others]
    turns = np.stack([view.turn for view in proposals])
    scales = np.stack([view.zoom for view in proposals])
    focal, center = lens(camera)
    seen = _flat(directions @ turns.swapaxes(-1, -2))
    misses = seen * (scales[:, None, None] * focal) + center - pixels
    squares = np.nan_to_num((misses**2).sum(-1), nan=np.inf)
    best = np.minimum(squares, settings.tolerance**2).sum(-1).argmin()
    return _refined(directions, pixels, camera, proposals[best], settings, zooms)


def focal_costs(
    before: np.ndarray,
    after: np.ndarray,
    camera: Camera,
    views: tuple[Turned, Turned],
    ratios: np.ndarray,
    settings: TurnSettings = TurnSettings(),
) -> np.ndarray:
    """How badly two pictures of a turned camera fit together, if its focal length is another than is believed.

    A picture that turns shrinks towards its edges by the tangent of the angle, which tells the focal length (Hartley
    1994, "Self-calibration from multiple views with a rotating camera"). The turn and the zoom between the pictures are
    estimated anew for each focal length.

    Args:
        before, after: (N, 2) where the same points are seen in the two pictures.
        camera: The camera of the first picture of all, with the focal length that is believed.
        views: How it is turned in the two pictures, as :func:`estimate_turn` finds with that focal length.
        ratios: (R,) focal lengths over the one that is believed.
        settings: How turns are estimated.

    Returns:
        (R,) mean of the squared distances of the points from where they should be, in units of the tolerance and at
        most 1; 1 where no turn is found.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import Camera, axis_angle_to_matrix
        >>> import torch
        >>> from meshrec.geometry.turning_cameras import Turned, estimate_turn, focal_costs
        >>> first, turn = Turned(np.eye(3)), axis_angle_to_matrix(torch.tensor([0.0, 0.2, 0.0])).numpy()
        >>> truth, wrong = (Camera(focal, size=(640, 480)) for focal in (400.0, 500.0))
        >>> before = np.random.default_rng(0).uniform(0, 480, (50, 2))
        >>> after = Turned(turn).pixels(first.directions(before, truth), truth)
        >>> believed = estimate_turn(first.directions(before, wrong), after, wrong, first).view
        >>> ratios = np.array([0.6, 0.8, 1.0, 1.25])
        >>> float(ratios[focal_costs(before, after, wrong, (first, believed), ratios).argmin()])
        0.8
    """
    first, second = Turned(np.eye(3), views[0].zoom), views[1]
    vector = matrix_to_axis_angle(torch.from_numpy(second.turn @ views[0].turn.T)).numpy()
    refine = replace(settings, pairs=0)
    costs = np.ones(len(ratios))
    for number, ratio in enumerate(ratios.tolist()):
        other = replace(camera, focal=tuple(ratio * lens(camera)[0]))
        # The same shift of the picture is a smaller turn at a longer focal length; a roll is a roll.
        guess = axis_angle_to_matrix(torch.from_numpy(vector / [ratio, ratio, 1])).numpy()
        directions = first.directions(before, other)
        estimate = estimate_turn(directions, after, other, Turned(guess, second.zoom), refine)
        if estimate is not None:
            squares = ((estimate.view.pixels(directions, other) - after) ** 2).sum(-1) / settings.tolerance**2
            costs[number] = np.minimum(np.nan_to_num(squares, nan=1.0), 1).mean()
    return costs


def _proposals(
    directions: np.ndarray, pixels: np.ndarray, camera: Camera, start: Turned, settings: TurnSettings, zooms: bool
) -> list[Turned]:
    """Turns and zooms by which two points each are seen where they are seen."""
    focal, center = lens(camera)
    random = np.random.default_rng(0)  # the same points give the same estimate
    first, second = random.integers(len(pixels), size=(2, 4 * settings.pairs))
    apart = np.linalg.norm(pixels[first] - pixels[second], axis=-1)
    chosen = np.flatnonzero(apart >= settings.least_distance * np.ptp(pixels, axis=0).max())[: settings.pairs]
    chosen = chosen[apart[chosen] > 0]
    first, second = first[chosen], second[chosen]
    flat = (pixels - center) / focal
    a, b = directions[first], directions[second]
    zoom = np.full(len(first), start.zoom)
    if zooms:
        zoom = _zoom_by_angle((a * b).sum(-1), flat[first], flat[second], start.zoom)
    usable = np.isfinite(zoom)
    a, b, first, second, zoom = a[usable], b[usable], first[usable], second[usable], zoom[usable]
    here = _frames(_rays(flat[first] / zoom[:, None]), _rays(flat[second] / zoom[:, None]))
    there = _frames(a, b)
    turns = here @ there.swapaxes(-1, -2)
    return [Turned(turn, float(scale)) for turn, scale in zip(turns, zoom) if np.isfinite(turn).all()]


def _zoom_by_angle(cosine: np.ndarray, p: np.ndarray, q: np.ndarray, guess: float) -> np.ndarray:
    """The zoom (P,) at which two pixels lie at a known angle, the one nearer to a guess; NaN where there is none.

    With w the square of the zoom, (p.q + w)^2 = cosine^2 (|p|^2 + w) (|q|^2 + w), quadratic in w.

    Args:
        cosine: (P,) of the angle between the directions.
        p, q: (P, 2) where they are seen, pixels from the principal point over the first focal length.
        guess: The zoom before.
    """
    product, pp, qq, square = (p * q).sum(-1), (p * p).sum(-1), (q * q).sum(-1), cosine**2
    with np.errstate(all="ignore"):
        lead, half, constant = 1 - square, product - square * (pp + qq) / 2, product**2 - square * pp * qq
        root = np.sqrt(half**2 - lead * constant)
        zooms = np.sqrt(np.stack([(-half + root) / lead, (-half - root) / lead]))
        far = np.nan_to_num(np.abs(np.log(zooms / guess)), nan=np.inf, posinf=np.inf)
    return np.take_along_axis(zooms, far.argmin(0)[None], 0)[0]


def _refined(
    directions: np.ndarray, pixels: np.ndarray, camera: Camera, view: Turned, settings: TurnSettings, zooms: bool
) -> TurnEstimate | None:
    """Gauss-Newton steps from a turn near the right one, on Tukey's loss."""
    unknown = 4 if zooms else 3
    normal = np.eye(unknown)
    cutoff = 2 * settings.tolerance
    for _ in range(settings.steps):
        miss = pixels - view.pixels(directions, camera)
        square = (miss**2).sum(-1) / cutoff**2
        near = square < 1  # false for NaN
        if near.sum() < 3:
            return None
        weight = (1 - square[near]) ** 2
        slopes = pixel_slopes(directions[near], view, camera)[..., :unknown].reshape(-1, unknown)
        weighted = slopes * np.repeat(weight, 2)[:, None]
        normal, gradient = weighted.T @ slopes, weighted.T @ miss[near].reshape(-1)
        try:
            step = np.linalg.solve(normal, gradient)
        except np.linalg.LinAlgError:
            return None
        turn = axis_angle_to_matrix(torch.from_numpy(step[:3])).numpy() @ view.turn
        view = Turned(turn, view.zoom * float(np.exp(step[3].clip(-1, 1))) if zooms else view.zoom)
        middle = near.sum() // 2
        spread = 1.4826 * np.sqrt(np.partition(square[near], middle)[middle]) * cutoff
        cutoff = float(np.clip(4 * spread, settings.tolerance, 2 * settings.tolerance))
        if np.abs(slopes @ step).max() < 1e-3:
            break
    miss = pixels - view.pixels(directions, camera)
    agrees = np.nan_to_num((miss**2).sum(-1), nan=np.inf) < settings.tolerance**2
    scale = np.sqrt(normal.diagonal())
    if agrees.sum() < 3 or np.linalg.cond(normal / np.outer(scale, scale)) > 1e10:
        return None
    noise = max(float(np.sqrt((miss[agrees] ** 2).mean())), settings.noise)
    covariance = np.zeros((4, 4))
    covariance[:unknown, :unknown] = noise**2 * np.linalg.inv(normal)
    return TurnEstimate(view, agrees, covariance)


def _flat(points: np.ndarray) -> np.ndarray:
    """x and y at a depth of 1 of points (..., 3); NaN behind the camera."""
    depth = points[..., 2:]
    return points[..., :2] / np.where(depth > 1e-6, depth, np.nan)


def _rays(flat: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 3) through points (N, 2) at a depth of 1."""
    rays = np.concatenate([flat, np.ones((len(flat), 1))], axis=-1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _frames(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotations (P, 3, 3) whose columns are the middle of two unit vectors, across in their plane, and its normal."""
    with np.errstate(all="ignore"):
        axes = [a + b, a - b, np.cross(b, a)]
        return np.stack([axis / np.linalg.norm(axis, axis=-1, keepdims=True) for axis in axes], axis=-1)
