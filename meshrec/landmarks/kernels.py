"""Compiled loop over landmarks: positions, and derivatives by the turns of joints, the translation and the betas."""

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def accumulate(
    motions: np.ndarray,
    rest_joints: np.ndarray,
    moments: np.ndarray,
    points: np.ndarray,
    jacobian: np.ndarray,
    starts: np.ndarray,
    joints: np.ndarray,
    masses: np.ndarray,
    moment_shapes: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
) -> None:
    """Sum the parts of each landmark; the formulas are in :class:`meshrec.landmarks.moments.LandmarkMoments`.

    Args:
        motions: (B, J, 3, 4) rows of [R | t], the rigid motions of the joints.
        rest_joints: (B, J, 3) rest positions of the joints for the bodies' shapes, metres.
        moments: (B, N, 3) first moments for the bodies' shapes and poses, metres.
        points: (B, K, 3) output: positions of the landmarks, metres.
        jacobian: (B, K, 3, 3 J + 3 + S) output: derivatives of the positions, zero at the start. With a last axis of
            length 0 no derivatives are computed.
        starts, joints, masses, moment_shapes, joint_shapes: As in the class.
        parents: (J,) the parent of each joint, -1 for the root.
    """
    batch, count = motions.shape[0], motions.shape[1]
    shapes, wanted = joint_shapes.shape[2], jacobian.shape[3] > 0
    places = np.empty((count, 3))
    slopes = np.empty((count, 3, shapes))  # of the joints' translations by the betas
    arm, weight, moves = np.empty((count, 3)), np.empty(count), np.empty(count, np.bool_)
    for b in range(batch):
        motion, rest = motions[b], rest_joints[b]
        if wanted:
            for j in range(count):
                p = parents[j]
                for r in range(3):
                    places[j, r] = motion[j, r, 3]
                    for c in range(3):
                        places[j, r] += motion[j, r, c] * rest[j, c]
                    for s in range(shapes):
                        slope = 0.0 if p < 0 else slopes[p, r, s]
                        for c in range(3):
                            above = motion[p, r, c] if p >= 0 else 1.0 if r == c else 0.0
                            slope += (above - motion[j, r, c]) * joint_shapes[j, c, s]
                        slopes[j, r, s] = slope
        for k in range(points.shape[1]):
            arm[:] = 0.0
            weight[:] = 0.0
            moves[:] = False
            jac = jacobian[b, k]
            for n in range(starts[k], starts[k + 1]):
                j = joints[n]
                weight[j] = masses[n]
                moves[j] = True
                for r in range(3):
                    total = masses[n] * motion[j, r, 3]
                    for c in range(3):
                        total += motion[j, r, c] * moments[b, n, c]
                    arm[j, r] = total
                if wanted:
                    for r in range(3):
                        for s in range(shapes):
                            total = masses[n] * slopes[j, r, s]
                            for c in range(3):
                                total += motion[j, r, c] * moment_shapes[n, c, s]
                            jac[r, 3 * count + 3 + s] += total
            for j in range(count - 1, 0, -1):  # from the leaves to the root: each joint adds its sums to its parent's
                if not moves[j]:
                    continue
                p = parents[j]
                moves[p] = True
                weight[p] += weight[j]
                for r in range(3):
                    arm[p, r] += arm[j, r]
            for r in range(3):
                points[b, k, r] = arm[0, r]
            if not wanted:
                continue
            for r in range(3):
                jac[r, 3 * count + r] = weight[0]
            for j in range(count):
                if not moves[j]:
                    continue
                q0 = arm[j, 0] - weight[j] * places[j, 0]
                q1 = arm[j, 1] - weight[j] * places[j, 1]
                q2 = arm[j, 2] - weight[j] * places[j, 2]
                for c in range(3):
                    a0, a1, a2 = motion[j, 0, c], motion[j, 1, c], motion[j, 2, c]
                    jac[0, 3 * j + c] = a1 * q2 - a2 * q1
                    jac[1, 3 * j + c] = a2 * q0 - a0 * q2
                    jac[2, 3 * j + c] = a0 * q1 - a1 * q0
