"""Linear regressors of joints and landmarks for every shape and pose: rows of non-negative weights over the vertices,
which sum to one."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from meshrec.build_body.rig import JOINTS, MIRROR
from meshrec.build_body.surface import Surface

# Weights of the least-squares terms, relative to 1 for the shape directions in metres.
_EXACT = 1e3  # the mean shape
_SUM = 1e2  # the condition that weights sum to one
_RIDGE = 0.02  # a ridge, which spreads a row over more vertices
_EAR_DEPTH = 0.012  # metres from the outermost point of the ear; annotators mark the middle of these vertices
_SURFACE_POINTS = 4  # vertices averaged for a landmark on the skin


def joint_regressor(mean: np.ndarray, directions: np.ndarray, joints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The joint regressor: exact on the mean shape, and as near as non-negative rows can be in the shape space.

    Args:
        mean, directions: Mean shape (V, 3) and shape directions (V, 3, K), metres.
        joints: (K + 1, 24, 3) joints of the mean shape, then their offsets along each direction.
        mirror: (V,) index of each vertex's mirror image.

    Returns:
        (24, V).
    """
    rows = np.stack([fit_row(mean, directions, joints[:, j]) for j in range(len(JOINTS))])
    return (rows + rows[MIRROR][:, mirror]) / 2


def fit_row(mean: np.ndarray, directions: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The non-negative row (V,) of one inner point.

    Args:
        mean, directions: As in :func:`joint_regressor`.
        points: (K + 1, 3) the point on the mean shape, then its offset along each direction.
    """
    # The candidates are the skin all around the point, so that it lies in their convex hull, and none from elsewhere.
    distance = np.linalg.norm(mean - points[0], axis=1)
    near = np.flatnonzero(distance < 2.5 * distance.min() + 0.04)
    local = mean[near] - points[0]
    shifts = directions[near] - points[1:].T
    system = np.concatenate(
        [
            _EXACT * local.T,
            shifts.reshape(len(near), -1).T,
            np.full((1, len(near)), _SUM),
            _RIDGE * np.eye(len(near)),
        ]
    )
    wanted = np.zeros(len(system))
    wanted[-len(near) - 1] = _SUM
    weights, _ = nnls(system, wanted, maxiter=50 * len(near))
    row = np.zeros(len(mean))
    row[near] = weights / weights.sum()
    return row


def landmark_regressor(
    mean: np.ndarray,
    directions: np.ndarray,
    bones: dict[str, np.ndarray],
    surface: Surface,
    joint_rows: np.ndarray,
) -> dict[str, np.ndarray]:
    """The rows of all landmarks, the keypoints that are none of the 24 joints.

    Args:
        mean, directions: Mean shape (V, 3) and shape directions (V, 3, K), metres.
        bones: Names of bones to their heads and tails (K + 1, 2, 3): of the mean shape, then the change per direction.
        surface: The skin, for its eyelids, lips and mirror images.
        joint_rows: (24, V) joint regressor.

    Returns:
        Names to rows (V,).
    """
    mirror = surface.mirror
    middle = np.flatnonzero(mirror == np.arange(len(mean)))
    head_height = bones["head"][0, 0, 1]
    face = middle[mean[middle, 1] > head_height - 0.02]
    lids, lips = surface.eyelids, surface.lips
    foot = np.flatnonzero((mean[:, 0] > 0) & (mean[:, 1] < mean[:, 1].min() + 0.05))
    ear = np.flatnonzero((mean[:, 1] > head_height - 0.02) & (mean[:, 0] > 0))

    def skin(point: np.ndarray) -> np.ndarray:
        return _mean_row(mean, np.argsort(np.linalg.norm(mean - point, axis=1))[:_SURFACE_POINTS])

    def inner(*points: np.ndarray) -> np.ndarray:
        return fit_row(mean, directions, np.mean(points, axis=0))

    left = {
        "eye": _mean_row(mean, np.append(lids, surface.eye)),
        "eye_inner": _mean_row(mean, lids[[mean[lids, 0].argmin()]]),
        "eye_outer": _mean_row(mean, lids[[mean[lids, 0].argmax()]]),
        "ear": _mean_row(mean, ear[mean[ear, 0] > mean[ear, 0].max() - _EAR_DEPTH]),
        "mouth": _mean_row(mean, lips[[mean[lips, 0].argmax()]]),
        "pinky": inner(bones["finger5-1.L"][:, 0]),
        "index": inner(bones["finger2-1.L"][:, 0]),
        "thumb": inner(bones["finger1-2.L"][:, 0], bones["finger1-3.L"][:, 0]),
        "heel": _mean_row(mean, foot[np.argsort(mean[foot, 2])[:_SURFACE_POINTS]]),
        "big_toe": skin(bones["toe1-2.L"][0, 1]),
        "small_toe": skin(bones["toe5-3.L"][0, 1]),
        "foot_index": (skin(bones["toe1-2.L"][0, 1]) + skin(bones["toe2-3.L"][0, 1])) / 2,
    }
    rows = {
        "nose": _mean_row(mean, face[np.argsort(mean[face, 2])[-2:]]),
        "head_top": _mean_row(mean, middle[np.argsort(mean[middle, 1])[-2:]]),
        "chin": _mean_row(mean, middle[np.argsort(np.linalg.norm(mean[middle] - bones["jaw"][0, 1], axis=1))[:2]]),
    }
    for part, row in left.items():
        names = (f"{part}_left", f"{part}_right") if part == "mouth" else (f"left_{part}", f"right_{part}")
        rows[names[0]], rows[names[1]] = row, row[mirror]
    joint = dict(zip(JOINTS, joint_rows))
    rows["mid_hip"] = (joint["left_hip"] + joint["right_hip"]) / 2
    rows["thorax"] = (joint["left_shoulder"] + joint["right_shoulder"]) / 2
    rows["spine_h36m"] = (rows["mid_hip"] + rows["thorax"]) / 2
    # Human3.6M's "neck/nose" lies inside the head behind the nose; MPI-INF-3DHP's head is the middle of the skull.
    rows["head_h36m"] = (rows["nose"] + joint["head"]) / 2
    rows["head_mpi"] = (rows["head_top"] + joint["head"]) / 2
    return rows


def _mean_row(mean: np.ndarray, ids: np.ndarray) -> np.ndarray:
    row = np.zeros(len(mean))
    row[ids] = 1 / len(ids)
    return row
