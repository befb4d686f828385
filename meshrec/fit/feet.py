"""Feet on the floor: when heels and toes touch it, that they do not slide then, and where the floor is.

A part of a foot touches the floor while it is slow and low. A fit sees its speed badly along the line of sight, since
depth is uncertain, so that this direction counts less. Contacts begin below one threshold and end above a higher one,
and short ones are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.state import BodyState
from meshrec.errors import InputError
from meshrec.fit.coupled import UNKNOWNS, Coupled, coupled_sums
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians

FOOT_POINTS = ("left_heel", "left_toes", "right_heel", "right_toes")
"""What may touch the floor, in the order of the columns of all contacts."""

FLOOR_SPREAD = 0.03  # scale of the heights of points on the floor, metres


@dataclass(frozen=True)
class FootSettings:
    """When feet touch the floor, and how still they are then.

    Attributes:
        begin, end: Speed below which a contact begins, and above which it ends, metres per second.
        depth: Factor of the speed along the line of sight.
        low: Height above the lowest of the four points of the same moment, metres, up to which one of them touches the
            floor.
        least: Shortest contact, seconds.
        deviation: Standard deviation of a touching point's movement over a 30th of a second, metres.
        freedom: Degrees of freedom of these movements, which have Student's t distribution.
    """

    begin: float = 0.4
    end: float = 0.6
    depth: float = 0.2
    low: float = 0.13
    least: float = 0.1
    deviation: float = 0.003
    freedom: float = 100.0


def foot_points(body: BodyModel) -> LandmarkMoments:
    """Heels and toes of a body as landmarks, in the order of :data:`FOOT_POINTS`.

    Bodies without landmarks of heels and toes have ankles and feet of ``smpl24`` in their place.

    Args:
        body: The body.
    """
    try:
        rows = body.joint_regressor("wholebody23")
        heels, toes = ("left_heel", "right_heel"), ("left_big_toe", "right_big_toe")
        names = joint_set("wholebody23")
    except InputError:
        rows, names = body.joint_regressor("smpl24"), joint_set("smpl24")
        heels, toes = ("left_ankle", "right_ankle"), ("left_foot", "right_foot")
    order = [names.index(name) for pair in zip(heels, toes) for name in pair]
    return LandmarkMoments.of_body(body, rows[order])


def contacts_of(
    points: np.ndarray,
    times: np.ndarray,
    up: np.ndarray,
    settings: FootSettings = FootSettings(),
) -> np.ndarray:
    """When heels and toes touch the floor.

    Args:
        points: (T, 4, 3) the points of :data:`FOOT_POINTS` in the space of a camera that does not move, metres.
        times: (T,) seconds, ascending.
        up: (3,) unit vector against gravity in the same space.
        settings: Thresholds.

    Returns:
        (T, 4) bool.

    Example:
        >>> import numpy as np
        >>> from meshrec.fit.feet import contacts_of
        >>> times = np.arange(30) / 30
        >>> points = np.zeros((30, 4, 3)) + [0, 1, 4]
        >>> points[:, 2:, 0] += 2.0 * times[:, None]  # the right foot moves at 2 m/s
        >>> contacts_of(points, times, up=np.array([0, -1, 0])).all(0).tolist()
        [True, True, False, False]
    """
    count = len(points)
    if count < 2:
        return np.zeros((count, len(FOOT_POINTS)), bool)
    steps = np.diff(points, axis=0)
    ray = points[1:] / np.linalg.norm(points[1:], axis=-1, keepdims=True).clip(1e-6)
    along = (steps * ray).sum(-1, keepdims=True) * ray
    pace = np.linalg.norm(steps - (1 - settings.depth) * along, axis=-1) / np.diff(times)[:, None]
    # The speed of a frame is that of the slower of the two steps next to it, so that a contact has its first frame.
    speed = np.full((count, len(FOOT_POINTS)), np.inf)
    speed[1:], speed[:-1] = pace, np.minimum(speed[:-1], pace)
    height = points @ up
    low = height - height.min(1, keepdims=True) < settings.low
    sure, possible = (low & (speed < limit) for limit in (settings.begin, settings.end))
    contacts = np.zeros_like(sure)
    for k in range(len(FOOT_POINTS)):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], possible[:, k], [False]]).astype(int)))
        for start, stop in edges.reshape(-1, 2):
            long_enough = times[stop - 1] - times[start] >= settings.least
            contacts[start:stop, k] = long_enough and sure[start:stop, k].any()
    return contacts


@dataclass(frozen=True)
class StandingTerm:
    """The movement of heels and toes in the world while they touch the floor.

    Attributes:
        landmarks: The points of :data:`FOOT_POINTS`.
        turns: (T, 3, 3) rotations from the world to the camera space of each frame.
        times: (T,) seconds.
        contacts: (T, 4) bool. A point is still between two frames that both have it in contact.
        settings: How still.
    """

    landmarks: LandmarkMoments
    turns: Tensor
    times: Tensor
    contacts: Tensor
    settings: FootSettings

    def __call__(self, state: BodyState) -> Coupled:
        """The term's quadratic in the unknowns of T bodies."""
        points, jacobian = landmark_jacobians(self.landmarks, state)
        back = self.turns.mT[:, None]
        points = (back @ points[..., None]).squeeze(-1)
        both = (self.contacts[1:] & self.contacts[:-1]).to(points)
        step = (self.times[1:] - self.times[:-1])[:, None]
        scale = both / (self.settings.deviation * (30 * step).sqrt())
        values = scale[..., None] * (points[1:] - points[:-1])
        factors = torch.stack([-scale, scale], 1)
        return coupled_sums(values, back @ jacobian[..., :UNKNOWNS], factors, self.settings.freedom)


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane, ``normal . x + offset = 0``.

    Attributes:
        normal: (3,) unit vector, upwards.
        offset: Metres; the height of the space's origin, the camera, above the plane.
    """

    normal: np.ndarray
    offset: float

    def height(self, points: np.ndarray) -> np.ndarray:
        """Heights (...) of points (..., 3) above the plane, metres."""
        return points @ self.normal + self.offset


def floor_of(points: np.ndarray, gravity: np.ndarray, rounds: int = 10) -> Plane | None:
    """The floor below points that touch it.

    It is level, so that only its height is unknown: that at which most points lie, within a few centimetres (weights of
    Cauchy's distribution; the start is the median). Feet on stairs and chairs hardly count.

    Args:
        points: (N, 3) heels and toes in contact, of all frames and people, in one space.
        gravity: (3,) unit vector, downwards in that space.
        rounds: Rounds of reweighting.

    Returns:
        The floor; None without points.

    Example:
        >>> import numpy as np
        >>> from meshrec.fit.feet import floor_of
        >>> floor = floor_of(np.array([[0, 1.5, 4], [1, 1.5, 3], [0, 1.0, 5]]), gravity=np.array([0.0, 1.0, 0.0]))
        >>> round(floor.offset, 2)  # metres from the floor up to the camera
        1.5
    """
    if not len(points):
        return None
    up = -np.asarray(gravity, np.float64)
    level = np.asarray(points, np.float64) @ up
    floor = float(np.median(level))
    for _ in range(rounds):
        weight = 1 / (1 + ((level - floor) / FLOOR_SPREAD) ** 2)
        floor = float(weight @ level / weight.sum())
    return Plane(up, -floor)
