"""The compiled loop of :mod:`meshrec.fit.nuisance`."""

from math import sqrt

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def likeliest(residuals, slopes, mean, information, cutoff, group, weight, rounds, unknown):
    """Write the likeliest nuisance parameters into ``unknown`` (B, M), by iteratively reweighted least squares.

    Args:
        residuals: (B, N) in standard deviations, with all nuisance parameters zero.
        slopes: (B, N, M) derivatives of the residuals with respect to the parameters; (1, N, M) if all share them.
        mean: (M,) mean of the prior.
        information: (M, M) inverse of the prior's covariance.
        cutoff: That of the error of Geman & McClure, in standard deviations.
        group: So many residuals, one after the other, have their error in common.
        weight: Weight of each residual.
        rounds: Rounds of reweighting, which begin at the mean.
        unknown: The result.
    """
    count, size = residuals.shape[1], len(mean)
    matrix, wanted = np.empty((size, size)), np.empty(size)
    values = np.empty(count)
    for b in range(len(residuals)):
        slope = slopes[b if len(slopes) > 1 else 0]
        unknown[b] = mean
        for _ in range(rounds):
            for i in range(size):
                wanted[i] = 0.0
                for j in range(size):
                    matrix[i, j] = information[i, j]
                    wanted[i] += information[i, j] * mean[j]
            for n in range(0, count, group):
                squared = 0.0
                for k in range(n, n + group):
                    value = residuals[b, k]
                    for j in range(size):
                        value += slope[k, j] * unknown[b, j]
                    values[k] = value
                    squared += value * value
                left = cutoff * cutoff / (cutoff * cutoff + squared)
                share = weight * left * left
                for k in range(n, n + group):
                    for i in range(size):
                        scaled = share * slope[k, i]
                        if scaled == 0.0:
                            continue
                        wanted[i] -= scaled * residuals[b, k]
                        for j in range(i + 1):
                            matrix[i, j] += scaled * slope[k, j]
            _solve(matrix, wanted)
            for i in range(size):
                unknown[b, i] = wanted[i]


@compiled
def _solve(matrix, vector):
    """Solve a positive definite system by Cholesky's factors, in place; only the lower triangle is read."""
    size = len(vector)
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = sqrt(rest) if i == j else rest / matrix[j, j]
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]
