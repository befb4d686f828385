"""The compiled loop of :mod:`meshrec.poses.pose_prior`."""

from math import exp, inf, log, log1p

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def quadratics(
    coordinates: np.ndarray,
    slopes: np.ndarray,
    density: np.ndarray,
    gradient: np.ndarray,
    hessian: np.ndarray,
    means: np.ndarray,
    columns: np.ndarray,
    information: np.ndarray,
    heights: np.ndarray,
    freedom: float,
) -> None:
    """Write the logarithm of the prior's density, and the quadratic of its likeliest component.

    Args:
        coordinates: (B, D) coordinates of poses.
        slopes: (B, D / 3, 3, 3) their derivatives with respect to steps of the joints.
        density: (B,) output: the logarithm of the density.
        gradient, hessian: (B, R) and (B, R, R) output, zero at the start, where R is at least D.
        means: (K, D) centres of the components.
        columns: (K, D, D) transposed inverses of the Cholesky factors of the scale matrices, upper triangular.
        information: (K, D, D) inverses of the scale matrices.
        heights: (K,) logarithms of the components' densities at their centres, weights included.
        freedom: Degrees of freedom.
    """
    components, size = means.shape
    white, offset, pull = np.empty(size), np.empty(size), np.empty(size)
    logs, distances = np.empty(components), np.empty(components)
    pulled = np.empty((size, size))
    for b in range(len(coordinates)):
        best, top = 0, -inf
        for k in range(components):
            white[:] = 0.0
            for d in range(size):
                step = coordinates[b, d] - means[k, d]
                column = columns[k, d]
                for n in range(d, size):
                    white[n] += column[n] * step
            distance = 0.0
            for n in range(size):
                distance += white[n] * white[n]
            distances[k] = distance
            logs[k] = heights[k] - (freedom + size) / 2 * log1p(distance / freedom)
            if logs[k] > top:
                best, top = k, logs[k]
        total = 0.0
        for k in range(components):
            total += exp(logs[k] - top)
        density[b] = top + log(total)

        weight = (freedom + size) / (freedom + distances[best])
        for d in range(size):
            offset[d] = coordinates[b, d] - means[best, d]
        for i in range(size):
            pull[i] = 0.0
            for d in range(size):
                pull[i] += weight * information[best, i, d] * offset[d]
        # D^T A D and D^T a, where D has the slopes of the joints on its diagonal.
        for j in range(0, size, 3):
            slope = slopes[b, j // 3]
            for c in range(3):
                gradient[b, j + c] = slope[0, c] * pull[j] + slope[1, c] * pull[j + 1] + slope[2, c] * pull[j + 2]
                for d in range(size):
                    pulled[j + c, d] = weight * (
                        slope[0, c] * information[best, j, d]
                        + slope[1, c] * information[best, j + 1, d]
                        + slope[2, c] * information[best, j + 2, d]
                    )
        for j in range(0, size, 3):
            slope = slopes[b, j // 3]
            for i in range(size):
                for c in range(3):
                    hessian[b, i, j + c] = (
                        pulled[i, j] * slope[0, c] + pulled[i, j + 1] * slope[1, c] + pulled[i, j + 2] * slope[2, c]
                    )
