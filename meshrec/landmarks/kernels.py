"""Compiled loop of the fit: landmarks and their derivatives by joint turns, translation and shape."""

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def landmark_jacobians(
    rotations: np.ndarray,
    rest: np.ndarray,
    translation: np.ndarray,
    moments: np.ndarray,
    points: np.ndarray,
    jacobian: np.ndarray,
    starts: np.ndarray,
    part_joints: np.ndarray,
    masses: np.ndarray,
    moment_shapes: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
) -> None:
    """Landmarks sum R b + m p, and their derivatives where ``jacobian`` has columns.

    A turn of joint i by R_i exp(d) moves what hangs below it about p_i: dL = (R_i d) x q with
    q = sum over the parts below i of R_j b_j + m_j (p_j - p_i).
    """
    batch, count = rotations.shape[0], rotations.shape[1]
    shapes = joint_shapes.shape[2]
    turned = np.empty((count, 3, 3))
    placed = np.empty((count, 3))
    slopes = np.zeros((count, 3, shapes))  # of the placed joints by the betas
    arm, weight, moves = np.empty((count, 3)), np.empty(count), np.empty(count, np.bool_)
    for b in range(batch):
        for j in range(count):
            p = parents[j]
            if p < 0:
                turned[j] = rotations[b, j]
                placed[j] = rest[b, j] + translation[b]
                slopes[j] = joint_shapes[j]
                continue
            for r in range(3):
                place = placed[p, r]
                for c in range(3):
                    total = 0.0
                    for k in range(3):
                        total += turned[p, r, k] * rotations[b, j, k, c]
                    turned[j, r, c] = total
                    place += turned[p, r, c] * (rest[b, j, c] - rest[b, p, c])
                placed[j, r] = place
                if jacobian.shape[3]:
                    for s in range(shapes):
                        slope = slopes[p, r, s]
                        for c in range(3):
                            slope += turned[p, r, c] * (joint_shapes[j, c, s] - joint_shapes[p, c, s])
                        slopes[j, r, s] = slope
        for k in range(points.shape[1]):
            arm[:] = 0.0
            weight[:] = 0.0
            moves[:] = False
            jac = jacobian[b, k]
            for n in range(starts[k], starts[k + 1]):
                j = part_joints[n]
                weight[j] += masses[n]
                moves[j] = True
                for r in range(3):
                    total = masses[n] * placed[j, r]
                    for c in range(3):
                        total += turned[j, r, c] * moments[b, n, c]
                    arm[j, r] += total
                if jac.shape[1]:
                    for r in range(3):
                        for s in range(shapes):
                            total = masses[n] * slopes[j, r, s]
                            for c in range(3):
                                total += turned[j, r, c] * moment_shapes[n, c, s]
                            jac[r, 3 * count + 3 + s] += total
            for j in range(count - 1, 0, -1):  # children pass theirs on to their parents
                if not moves[j]:
                    continue
                moves[parents[j]] = True
                weight[parents[j]] += weight[j]
                for r in range(3):
                    arm[parents[j], r] += arm[j, r]
            for r in range(3):
                points[b, k, r] = arm[0, r]
            if jac.shape[1] == 0:
                continue
            for r in range(3):
                jac[r, 3 * count + r] = weight[0]
            for j in range(count):
                if not moves[j]:
                    continue
                q0 = arm[j, 0] - weight[j] * placed[j, 0]
                q1 = arm[j, 1] - weight[j] * placed[j, 1]
                q2 = arm[j, 2] - weight[j] * placed[j, 2]
                for c in range(3):
                    a0, a1, a2 = turned[j, 0, c], turned[j, 1, c], turned[j, 2, c]
                    jac[0, 3 * j + c] = a1 * q2 - a2 * q1
                    jac[1, 3 * j + c] = a2 * q0 - a0 * q2
                    jac[2, 3 * j + c] = a0 * q1 - a1 * q0
