"""How uncalibrated cameras stand to each other, by the bodies that each has reconstructed of the same people.

A body's root has one rotation and one place in the world. A camera that sees the root turned by S and at p, where the
world has it turned by W and at x, has extrinsics with ``S = R W`` and ``p = R x + t``. Estimates from single views are
off by many degrees, and by more along the ray than across it; over people and time most of it averages out. What
remains is a start for a bundle adjustment of bodies and cameras.

The size of the world is that of the people: a body that is taken for 5 % taller stands 5 % farther away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class RelativePoseSettings:
    """Errors of the bodies that single views give.

    Attributes:
        turn: Standard deviation of the root's rotation about each axis, degrees.
        across, along: Standard deviations of places across and along the ray, shares of the distance.
        alike: Number of observations whose errors are about the same, since frames follow each other closely. It has a
            part in the uncertainties alone.
        rounds: Most rounds of the refinement.
    """

    turn: float = 10.0
    across: float = 0.02
    along: float = 0.1
    alike: float = 10.0
    rounds: int = 50


@dataclass(frozen=True, eq=False)
class RelativePoses:
    """Extrinsics of C cameras in the space of the first one.

    Attributes:
        rotations: (C, 3, 3) from the first camera's space to each camera's.
        translations: (C, 3) metres: a point x of the first camera's space is at ``R x + t``.
        turn_deviation: (C,) standard deviation of a rotation's angle, radians; 0 of the first.
        shift_deviation: (C,) standard deviation of the length by which a translation is off, metres; 0 of the first.
    """

    rotations: np.ndarray
    translations: np.ndarray
    turn_deviation: np.ndarray
    shift_deviation: np.ndarray


def relative_poses(
    rotations: np.ndarray,
    places: np.ndarray,
    statures: np.ndarray | None = None,
    true_statures: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    settings: RelativePoseSettings = RelativePoseSettings(),
) -> RelativePoses:
    """Estimate how cameras stand to each other by P people at T instants.

    Args:
        rotations: (C, P, T, 3, 3) root rotations in each camera's space.
        places: (C, P, T, 3) of the root joints in each camera's space, metres.
        statures: (C, P) that each camera's bodies have, metres. Places are scaled to one stature per person. Default:
            statures are right already.
        true_statures: (P,) metres, NaN where unknown. Default: the median over the cameras.
        weights: (C, P, T) not negative, 0 where a camera does not see somebody. Default: what is finite is seen.
        settings: Errors to expect.

    Returns:
        Extrinsics in the space of the first camera.

    Raises:
        ValueError: The shapes do not fit, or a camera shares no observation with the others.

    Example:
        Somebody stands 4 m ahead of one camera and 3 m ahead of another, to their left.

        >>> import numpy as np
        >>> from meshrec.geometry.relative_poses import relative_poses
        >>> front = np.diag([1.0, -1, -1])
        >>> side = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]) @ front
        >>> seen = np.stack([front, side])[:, None, None]
        >>> found = relative_poses(seen, np.array([[0, 0, 4.0], [0, 0, 3.0]])[:, None, None])
        >>> found.rotations[1].round(6).tolist(), found.translations[1].round(6).tolist()
        ([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], [-4.0, 0.0, 3.0])
    """
    count = len(rotations)
    if rotations.ndim != 5 or rotations.shape[3:] != (3, 3) or places.shape != (*rotations.shape[:3], 3):
        raise ValueError(
            f"rotations are (C, P, T, 3, 3) and places (C, P, T, 3), not {rotations.shape}, {places.shape}"
        )
    finite = np.isfinite(rotations).all((-1, -2)) & np.isfinite(places).all(-1)
    weight = np.where(finite, 1.0 if weights is None else weights, 0.0)
    if statures is not None:
        places = places * _scales(statures, true_statures, weight.sum(2) > 0)[:, :, None, None]
    turns = np.where((weight > 0)[..., None, None], rotations, np.eye(3)).reshape(count, -1, 3, 3)
    points = np.where((weight > 0)[..., None], places, (0, 0, 1.0)).reshape(count, -1, 3)
    weight = weight.reshape(count, -1)
    useful = (weight > 0).sum(0) > 1
    turns, points, weight = turns[:, useful], points[:, useful], weight[:, useful]
    start = _chain(turns, points, weight)
    return _refined(start, turns, points, weight, settings)


def mean_rotation(rotations: np.ndarray, weights: np.ndarray, rounds: int = 20) -> np.ndarray:
    """The rotation with the least weighted sum of angles to others, so that outliers hardly move it (Weiszfeld's
    iteration with chordal means, after Hartley, Aftab and Trumpf 2011, "L1 rotation averaging").

    Args:
        rotations: (N, 3, 3).
        weights: (N,) not negative.
        rounds: Rounds of the iteration.

    Returns:
        (3, 3).

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry.relative_poses import mean_rotation
        >>> half_turn = np.diag([1.0, -1, -1])
        >>> mean_rotation(np.stack([np.eye(3), np.eye(3), np.eye(3), half_turn]), np.ones(4)).round(3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    # The start is the one of the rotations that is nearest to all: a mean of opposite ones may be anywhere.
    tried = rotations[np.argsort(-weights)[:200]]
    angles = _angles(tried[:, None], rotations[None])
    mean = tried[int((angles * weights).sum(1).argmin())]
    for _ in range(rounds):
        off = np.maximum(_angles(mean, rotations), 1e-3)
        mean = _nearest((rotations * (weights / off)[:, None, None]).sum(0))
    return mean


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles (...,) between rotations, radians."""
    chord = np.linalg.norm(a - b, axis=(-1, -2))
    return 2 * np.arcsin(np.minimum(chord / np.sqrt(8), 1))


def _nearest(matrix: np.ndarray) -> np.ndarray:
    """The nearest rotations to matrices (..., 3, 3)."""
    u, _, vh = np.linalg.svd(matrix)
    u[..., 2] *= np.linalg.det(u @ vh)[..., None]
    return u @ vh


def _scales(statures: np.ndarray, true_statures: np.ndarray | None, seen: np.ndarray) -> np.ndarray:
    """Factors (C, P) on places that give each person one stature; 1 where somebody is not seen."""
    known = seen & np.isfinite(statures)
    anyone = known.any(0)
    wanted = np.ones(statures.shape[1])
    wanted[anyone] = np.nanmedian(np.where(known, statures, np.nan)[:, anyone], axis=0)
    if true_statures is not None:
        wanted = np.where(np.isfinite(true_statures), true_statures, wanted)
    return np.where(known, wanted / np.where(known, statures, 1.0), 1.0)


def _chain(turns: np.ndarray, points: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extrinsics (C, 3, 3) and (C, 3) camera after camera, each by the one before with which it shares most."""
    count = len(turns)
    rotations, translations = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
    shared = np.minimum(weight[:, None], weight[None]).sum(-1)
    known = [0]
    while len(known) < count:
        rest = [c for c in range(count) if c not in known]
        base, new = max(((k, c) for k in known for c in rest), key=lambda pair: shared[pair])
        if shared[base, new] == 0:
            names = ", ".join(str(c) for c in rest)
            raise ValueError(f"nobody is seen at one instant by cameras {names} and the others")
        both = np.minimum(weight[base], weight[new])
        turn = mean_rotation(turns[new][both > 0] @ turns[base][both > 0].swapaxes(-1, -2), both[both > 0])
        shift = points[new][both > 0] - points[base][both > 0] @ turn.T
        rotations[new] = turn @ rotations[base]
        translations[new] = turn @ translations[base] + np.median(shift, axis=0)
        known.append(new)
    return rotations, translations


def _refined(
    start: tuple[np.ndarray, np.ndarray],
    turns: np.ndarray,
    points: np.ndarray,
    weight: np.ndarray,
    settings: RelativePoseSettings,
) -> RelativePoses:
    """Extrinsics with the least robust sum of all errors.

    The roots' rotations and places in the world that fit best follow from the extrinsics in closed form, so that these
    alone are unknown.
    """
    rotations, translations = start
    count = len(turns)
    distance = np.maximum(np.linalg.norm(points, axis=-1), 0.1)
    ray = points / distance[..., None]
    outer = ray[..., :, None] * ray[..., None, :]
    # The square root of the information of places: across the ray, and along it.
    root = ((np.eye(3) - outer) / settings.across + outer / settings.along) / distance[..., None, None]
    root = root * np.sqrt(weight)[..., None, None]
    information = root @ root

    def moved(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        free = np.concatenate([np.zeros((1, 6)), step.reshape(count - 1, 6)])
        return Rotation.from_rotvec(free[:, :3]).as_matrix() @ rotations, translations + free[:, 3:]

    def errors(step: np.ndarray) -> np.ndarray:
        r, t = moved(step)
        back = r.swapaxes(-1, -2)[:, None]
        world_turn = _nearest((back @ turns * weight[..., None, None]).sum(0) + 1e-9 * np.eye(3))
        off = r[:, None] @ world_turn @ turns.swapaxes(-1, -2)
        turned = Rotation.from_matrix(off.reshape(-1, 3, 3)).as_rotvec().reshape(*weight.shape, 3)
        turned *= np.sqrt(weight)[..., None] / np.deg2rad(settings.turn)
        own = back @ information @ r[:, None]
        seen_at = (back @ (points - t[:, None])[..., None])[..., 0]
        world = np.linalg.solve(own.sum(0), (own @ seen_at[..., None]).sum(0))[..., 0]
        missed = (root @ (world @ r.swapaxes(-1, -2) + t[:, None] - points)[..., None])[..., 0]
        return np.concatenate([turned.ravel(), missed.ravel()])

    if count == 1:
        return RelativePoses(rotations, translations, np.zeros(1), np.zeros(1))
    found = least_squares(errors, np.zeros(6 * (count - 1)), loss="soft_l1", max_nfev=settings.rounds, x_scale="jac")
    r, t = moved(found.x)
    free = max(found.fun.size - 6 * turns.shape[1] - found.x.size, 1)
    spread = max(float(np.square(found.fun).sum()) / free, 1.0) * settings.alike
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * spread
    variance = np.diag(covariance).reshape(count - 1, 2, 3).sum(-1)
    turn_deviation, shift_deviation = (np.concatenate([[0.0], np.sqrt(v)]) for v in variance.T)
    return RelativePoses(r, t, turn_deviation, shift_deviation)
