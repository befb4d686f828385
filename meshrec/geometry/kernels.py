"""Compiled loops over rotations in double precision. A fit asks for few rotations thousands of times, and each of
torch's operations would cost more than the arithmetic."""

from math import atan2, cos, sin, sqrt

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def axis_angles(matrices, vectors):
    """Write the axis-angle vectors of rotations (N, 3, 3) into ``vectors`` (N, 3).

    The formulas are those of :func:`meshrec.geometry.rotations.matrix_to_axis_angle`.
    """
    q = np.empty(4)
    for n in range(len(matrices)):
        m = matrices[n]
        squares = (
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        )
        best = 0
        for i in range(1, 4):
            if squares[i] > squares[best]:
                best = i
        wx, wy, wz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
        xy, xz, yz = m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
        if best == 0:
            q[0], q[1], q[2], q[3] = squares[0], wx, wy, wz
        elif best == 1:
            q[0], q[1], q[2], q[3] = wx, squares[1], xy, xz
        elif best == 2:
            q[0], q[1], q[2], q[3] = wy, xy, squares[2], yz
        else:
            q[0], q[1], q[2], q[3] = wz, xz, yz, squares[3]
        length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
        if q[0] < 0:
            length = -length
        w, x, y, z = q[0] / length, q[1] / length, q[2] / length, q[3] / length
        squared = x * x + y * y + z * z
        if squared < 1e-12:
            factor = 2 / max(w, 0.5)
        else:
            sine = sqrt(squared)
            factor = 2 * atan2(sine, w) / sine
        vectors[n, 0], vectors[n, 1], vectors[n, 2] = x * factor, y * factor, z * factor


@compiled
def right_jacobian_inverses(vectors, slopes):
    """Write the right Jacobians' inverses of axis-angle vectors (N, 3) into ``slopes`` (N, 3, 3).

    The formulas are those of :func:`meshrec.geometry.tangent.right_jacobian_inverse`.
    """
    for n in range(len(vectors)):
        x, y, z = vectors[n, 0], vectors[n, 1], vectors[n, 2]
        squared = x * x + y * y + z * z
        if squared < 1e-4:
            c = 1 / 12 + squared / 720
        else:
            half = sqrt(squared) / 2
            c = (1 - half * cos(half) / sin(half)) / (4 * half * half)
        # I + K / 2 + c K^2 with K^2 = v v^T - |v|^2 I
        slopes[n, 0, 0], slopes[n, 1, 1], slopes[n, 2, 2] = (
            1 - c * (y * y + z * z),
            1 - c * (x * x + z * z),
            1 - c * (x * x + y * y),
        )
        slopes[n, 0, 1], slopes[n, 1, 0] = c * x * y - z / 2, c * x * y + z / 2
        slopes[n, 0, 2], slopes[n, 2, 0] = c * x * z + y / 2, c * x * z - y / 2
        slopes[n, 1, 2], slopes[n, 2, 1] = c * y * z - x / 2, c * y * z + x / 2


@compiled
def pull_back(slopes, matrices, products):
    """Write D^T M into ``products`` (B, N, Q), where D is as for :func:`meshrec.geometry.tangent.pull_back`.

    Args:
        slopes: (B, J, 3, 3) the blocks of D.
        matrices: M, (B, N, Q) or (1, N, Q).
        products: The result.
    """
    for b in range(len(slopes)):
        matrix = matrices[b if len(matrices) > 1 else 0]
        for j in range(slopes.shape[1]):
            first, second, third = matrix[3 * j], matrix[3 * j + 1], matrix[3 * j + 2]
            for c in range(3):
                x, y, z = slopes[b, j, 0, c], slopes[b, j, 1, c], slopes[b, j, 2, c]
                out = products[b, 3 * j + c]
                for q in range(len(out)):
                    out[q] = x * first[q] + y * second[q] + z * third[q]
        for n in range(3 * slopes.shape[1], matrix.shape[0]):
            products[b, n] = matrix[n]
