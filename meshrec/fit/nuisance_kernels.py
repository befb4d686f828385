"""The compiled loops of :mod:`meshrec.fit.nuisance`."""

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
def add_robust_squares(
    residuals, slopes, unknown, energy, gradient, hessian, own, mean, information, cutoff, group, weight, rounds
):
    """Write the quadratic of robust squares, minimised over the nuisance parameters.

    Args:
        residuals: (B, N), as for :func:`likeliest`.
        slopes: (B, N, P) derivatives of the residuals with respect to the unknowns.
        unknown: (B, M) output: the likeliest nuisance parameters.
        energy, gradient, hessian: (B,), (B, P) and (B, P, P), to which the quadratic's are added.
        own: Slopes of the nuisance parameters, and what follows, as for :func:`likeliest`.
    """
    likeliest(residuals, own, mean, information, cutoff, group, weight, rounds, unknown)
    count, size, unknowns = residuals.shape[1], len(mean), slopes.shape[2]
    columns = unknowns + size + 1
    rows, products = np.zeros((-(-count // 4) * 4, columns)), np.empty((columns, columns))
    spread, answers, pull = np.empty((size, size)), np.empty((size, unknowns + 1)), np.empty(size)
    for b in range(len(residuals)):
        slope = own[b if len(own) > 1 else 0]
        for n in range(0, count, group):
            squared = 0.0
            for k in range(n, n + group):
                value = residuals[b, k]
                for j in range(size):
                    value += slope[k, j] * unknown[b, j]
                rows[k, columns - 1] = value
                squared += value * value
            left = cutoff * cutoff / (cutoff * cutoff + squared)
            energy[b] += weight * squared * left / 2
            root = left * sqrt(weight)
            for k in range(n, n + group):
                for i in range(unknowns):
                    rows[k, i] = slopes[b, k, i] * root
                for i in range(size):
                    rows[k, unknowns + i] = slope[k, i] * root
                rows[k, columns - 1] *= root
        _products(rows, products)
        for i in range(size):
            pull[i] = 0.0
            for j in range(size):
                pull[i] += (unknown[b, j] - mean[j]) * information[j, i]
            energy[b] += (unknown[b, i] - mean[i]) * pull[i] / 2
        # The quadratic in the unknowns and the nuisance parameters, without the latter: the Schur complement.
        for i in range(size):
            for j in range(i + 1):
                spread[i, j] = products[unknowns + i, unknowns + j] + information[i, j]
            for j in range(unknowns):
                answers[i, j] = products[unknowns + i, j]
            answers[i, unknowns] = products[columns - 1, unknowns + i] + pull[i]
        _halved(spread, answers)
        for i in range(size):
            energy[b] -= answers[i, unknowns] * answers[i, unknowns] / 2
        for i in range(unknowns):
            gradient[b, i] += products[columns - 1, i]
            for k in range(size):
                gradient[b, i] -= answers[k, i] * answers[k, unknowns]
            for j in range(i + 1):
                value = products[i, j]
                for k in range(size):
                    value -= answers[k, i] * answers[k, j]
                hessian[b, i, j] += value
                if i != j:
                    hessian[b, j, i] += value


@compiled
def _products(rows, products):
    """Write the lower triangle of R^T R for ``rows`` R, whose number is a multiple of four."""
    products[:] = 0.0
    for n in range(0, len(rows), 4):
        first, second, third, fourth = rows[n], rows[n + 1], rows[n + 2], rows[n + 3]
        for i in range(rows.shape[1]):
            a, b, c, d = first[i], second[i], third[i], fourth[i]
            if a == 0 and b == 0 and c == 0 and d == 0:  # many landmarks depend on few joints
                continue
            sums = products[i]
            for j in range(i + 1):
                sums[j] += a * first[j] + b * second[j] + c * third[j] + d * fourth[j]


@compiled
def _halved(matrix, columns):
    """Write L^-1 C into ``columns`` C, where L L^T is the positive definite matrix; its lower triangle becomes L."""
    for i in range(len(matrix)):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = sqrt(rest) if i == j else rest / matrix[j, j]
        for c in range(columns.shape[1]):
            rest = columns[i, c]
            for k in range(i):
                rest -= matrix[i, k] * columns[k, c]
            columns[i, c] = rest / matrix[i, i]


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
