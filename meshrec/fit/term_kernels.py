"""Compiled loops of the terms of a fit: each adds a term's quadratic to that of a fit.

A fit evaluates its terms often, and each of torch's operations would cost more than the arithmetic. In all of these,
``energy`` (B,), ``gradient`` (B, P) and ``hessian`` (B, P, P) are those of the quadratic that is added to. ``turns``
(B, J, 3) and ``slopes`` (B, J, 3, 3) are axis-angle vectors of joints and their derivatives by steps of the joints.
"""

from math import log1p, sqrt

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def add_block(residual: np.ndarray, slope: np.ndarray, first: int, gradient: np.ndarray, hessian: np.ndarray) -> None:
    """Add the squares of three residuals (3,), whose derivatives by the unknowns from ``first`` on are (3, 3)."""
    for i in range(3):
        for r in range(3):
            gradient[first + i] += residual[r] * slope[r, i]
        for j in range(3):
            for r in range(3):
                hessian[first + i, first + j] += slope[r, i] * slope[r, j]


@compiled
def add_blocks(
    values: np.ndarray,
    slopes: np.ndarray,
    joints: np.ndarray,
    energy: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """Half the squares of residuals (B, J, 3) that depend on one of the ``joints`` (J,) each."""
    for b in range(len(values)):
        for k in range(len(joints)):
            add_block(values[b, k], slopes[b, k], 3 * joints[k], gradient[b], hessian[b])
            for r in range(3):
                energy[b] += values[b, k, r] * values[b, k, r] / 2


@compiled
def add_limits(
    turns: np.ndarray,
    slopes: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
    deviation: float,
    energy: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """The term of the joint limits, of which ``lowest`` and ``highest`` (J - 1, 3) are those of all but the root."""
    residual, slope = np.empty(3), np.empty((3, 3))
    for b in range(len(turns)):
        for k in range(len(lowest)):
            any_beyond = False
            for r in range(3):
                turn = turns[b, k + 1, r]
                beyond = turn - min(max(turn, lowest[k, r]), highest[k, r])
                any_beyond |= beyond != 0
                residual[r] = beyond / deviation
                energy[b] += residual[r] * residual[r] / 2
                for c in range(3):
                    slope[r, c] = slopes[b, k + 1, r, c] / deviation if beyond != 0 else 0.0
            if any_beyond:
                add_block(residual, slope, 3 * (k + 1), gradient[b], hessian[b])


@compiled
def add_rest(
    turns: np.ndarray,
    slopes: np.ndarray,
    joints: np.ndarray,
    deviation: float,
    freedom: float,
    energy: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """The term of joints (J,) near their rest pose, whose angles have a Student t distribution."""
    residual, slope = np.empty(3), np.empty((3, 3))
    for b in range(len(turns)):
        for j in joints:
            squared = 0.0
            for r in range(3):
                squared += turns[b, j, r] * turns[b, j, r] / deviation**2
            root = sqrt((freedom + 1) / (freedom + squared)) / deviation
            for r in range(3):
                residual[r] = turns[b, j, r] * root
                for c in range(3):
                    slope[r, c] = slopes[b, j, r, c] * root
            add_block(residual, slope, 3 * j, gradient[b], hessian[b])
            energy[b] += (freedom + 1) / 2 * log1p(squared / freedom)


@compiled
def add_upright(
    roots: np.ndarray,
    up: np.ndarray,
    deviation: float,
    freedom: float,
    energy: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """The term of the pelvis' tilt: ``roots`` (B, 3, 3) turn its y axis to ``up``, (B, 3) or (1, 3)."""
    residual, slope = np.empty(3), np.zeros((3, 3))
    for b in range(len(roots)):
        squared = 0.0
        for r in range(3):
            residual[r] = (roots[b, r, 1] - up[b if len(up) > 1 else 0, r]) / deviation
            squared += residual[r] * residual[r]
        root = sqrt((freedom + 2) / (freedom + squared))
        for r in range(3):
            residual[r] *= root
            # The derivative of R exp(t) y by t is R (t x y).
            slope[r, 0] = roots[b, r, 2] / deviation * root
            slope[r, 2] = -roots[b, r, 0] / deviation * root
        add_block(residual, slope, 0, gradient[b], hessian[b])
        energy[b] += (freedom + 2) / 2 * log1p(squared / freedom)


@compiled
def add_observed(
    frames: np.ndarray,
    joints: np.ndarray,
    parents: np.ndarray,
    turns: np.ndarray,
    slopes: np.ndarray,
    precision: np.ndarray,
    freedom: float,
    energy: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """The term of observed rotations of joints to camera space, each of which has a Student t distribution.

    Args:
        frames: (B, J, 3, 3) rotations of all joints to camera space.
        joints: (N,) the observed joints.
        parents: (J,) the parent of each joint, -1 for the root.
        turns, slopes: (B, N, 3) and (B, N, 3, 3), from the observed rotations to those of the body.
        precision: (B, N, 3) inverse standard deviations, 1 / radians.
        freedom: Degrees of freedom.
        energy, gradient, hessian: As for all terms.
    """
    chain = np.empty(len(parents), np.int64)
    residual, lever, local = np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    levers = np.empty((len(parents), 3, 3))
    for b in range(len(frames)):
        for n in range(len(joints)):
            squared, seen = 0.0, False
            for r in range(3):
                value = turns[b, n, r] * precision[b, n, r]
                squared += value * value
                seen |= precision[b, n, r] > 0
            if not seen:
                continue
            energy[b] += (freedom + 3) / 2 * log1p(squared / freedom)
            own = frames[b, joints[n]]
            for r in range(3):
                root = sqrt((freedom + 3) / (freedom + squared)) * precision[b, n, r]
                residual[r] = turns[b, n, r] * root
                for c in range(3):
                    local[r, c] = root * slopes[b, n, r, c]
            # A step t of an ancestor turns the joint in its own frame by own^T ancestor t.
            for r in range(3):
                for c in range(3):
                    lever[r, c] = local[r, 0] * own[c, 0] + local[r, 1] * own[c, 1] + local[r, 2] * own[c, 2]
            count, joint = 0, joints[n]
            while joint >= 0:
                above = frames[b, joint]
                for r in range(3):
                    for c in range(3):
                        levers[count, r, c] = (
                            lever[r, 0] * above[0, c] + lever[r, 1] * above[1, c] + lever[r, 2] * above[2, c]
                        )
                chain[count] = joint
                count, joint = count + 1, parents[joint]
            for p in range(count):
                for i in range(3):
                    row = 3 * chain[p] + i
                    for r in range(3):
                        gradient[b, row] += residual[r] * levers[p, r, i]
                    for q in range(count):
                        for j in range(3):
                            for r in range(3):
                                hessian[b, row, 3 * chain[q] + j] += levers[p, r, i] * levers[q, r, j]


@compiled
def project(
    points: np.ndarray,
    jacobian: np.ndarray,
    pixels: np.ndarray,
    slopes: np.ndarray,
    focal: np.ndarray,
    center: np.ndarray,
    nearest: float,
) -> None:
    """Project points (B, K, 3) in camera space, whose derivatives are (B, K, 3, P).

    ``focal`` and ``center`` (2,) are in pixels. ``pixels`` (B, K, 2) and ``slopes`` (B, K, 2, P) are written; both are
    NaN for points with a depth below ``nearest``, metres.
    """
    for b in range(len(points)):
        for k in range(points.shape[1]):
            depth = points[b, k, 2]
            if depth < nearest:
                depth = np.nan
            deeper = jacobian[b, k, 2]
            for r in range(2):
                scale, ratio = focal[r] / depth, points[b, k, r] / depth
                pixels[b, k, r] = points[b, k, r] * scale + center[r]
                moved, out = jacobian[b, k, r], slopes[b, k, r]
                for p in range(len(out)):  # d (x / z) = (dx - x / z dz) / z
                    out[p] = scale * (moved[p] - ratio * deeper[p])


@compiled
def weigh(
    pixels: np.ndarray,
    slopes: np.ndarray,
    targets: np.ndarray,
    precision: np.ndarray,
    residuals: np.ndarray,
    steep: np.ndarray,
) -> None:
    """Write the errors of landmarks, and their derivatives, in standard deviations.

    Args:
        pixels, slopes: (B, K, 2) and (B, K, 2, P) projections and their derivatives.
        targets: (B, K, 2) or (1, K, 2) detected landmarks.
        precision: (B, K) or (1, K) inverse standard deviations, 0 for what was not detected and may be NaN.
        residuals, steep: (B, 2 K) and (B, 2 K, P) output.
    """
    for b in range(len(pixels)):
        target, sure = targets[b if len(targets) > 1 else 0], precision[b if len(precision) > 1 else 0]
        for k in range(pixels.shape[1]):
            for r in range(2):
                out, slope = steep[b, 2 * k + r], slopes[b, k, r]
                if sure[k] == 0:
                    residuals[b, 2 * k + r] = 0.0
                    out[:] = 0.0
                    continue
                residuals[b, 2 * k + r] = (pixels[b, k, r] - target[k, r]) * sure[k]
                for p in range(len(out)):
                    out[p] = slope[p] * sure[k]


@compiled
def along_normals(
    pixels: np.ndarray,
    slopes: np.ndarray,
    targets: np.ndarray,
    normals: np.ndarray,
    deviation: float,
    residuals: np.ndarray,
    steep: np.ndarray,
) -> None:
    """Write distances along normals (K, 2) from ``targets`` (K, 2), and their derivatives, in standard deviations.

    ``residuals`` (B, K) and ``steep`` (B, K, P) are written; the rest is as for :func:`weigh`.
    """
    for b in range(len(pixels)):
        for k in range(pixels.shape[1]):
            x, y = normals[k, 0] / deviation, normals[k, 1] / deviation
            residuals[b, k] = (pixels[b, k, 0] - targets[k, 0]) * x + (pixels[b, k, 1] - targets[k, 1]) * y
            out, first, second = steep[b, k], slopes[b, k, 0], slopes[b, k, 1]
            for p in range(len(out)):
                out[p] = first[p] * x + second[p] * y
