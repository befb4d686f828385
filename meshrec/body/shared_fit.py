"""A fit of many targets of one person: everybody has the same betas."""

from collections.abc import Callable
from functools import partial

import numpy as np

from meshrec.compiled.threads import over_batch


def fit_shared(cross: np.ndarray, products: np.ndarray, state: list[np.ndarray], constants: list, rounds: int) -> None:
    """:func:`meshrec.body.mesh_fit_steps.fit_each` with one shape for all bodies.

    The betas' normal equations are the sum of those of all bodies, once each body's own unknowns are eliminated from
    them (Schur's complement). The prior of the betas counts once for each body.

    Args:
        cross, products: As in that function.
        state: Local rotations, places of the roots, betas and scales, which are replaced.
        constants: The arguments of that function from ``pairs`` to ``free``.
        rounds: The largest number of steps.
    """
    from meshrec.body import mesh_fit_steps as steps

    parents, free = constants[3], constants[-1]
    batch, shapes = len(cross), state[2].shape[1]
    first = 3 * len(parents) + 3
    size = first + shapes + (1 if free else 0)
    own = np.setdiff1d(np.arange(size), np.arange(first, first + shapes))
    state[2][:] = state[2].mean(0)

    def normal(at: list[np.ndarray]) -> tuple[float, np.ndarray, np.ndarray]:
        hessian, slope, value = np.empty((batch, size, size)), np.empty((batch, size)), np.empty(batch)
        kernel: Callable = steps.linearise_each
        given = [cross, *at, hessian, slope, value]
        if len(products) == batch:
            given.insert(1, products)
        else:
            kernel = partial(_with_products, steps.linearise_each, products)
        over_batch(kernel, given, constants[:-1])
        return value.sum(), hessian, slope

    value, hessian, slope = normal(state)
    damping, slack = steps.FIRST_DAMPING, 1e-12 * (1 + abs(value))
    for step in range(rounds):
        move = _shared_step(hessian, slope, damping, own, slice(first, first + shapes))
        trial = [part.copy() for part in state]
        over_batch(steps.advance_each, [move, *trial], [parents])
        last = (step == rounds - 1 and damping <= steps.FIRST_DAMPING) or abs(move).max() < steps.SETTLED
        found = (value, hessian, slope) if last else normal(trial)
        if found[0] <= value + slack:
            value, hessian, slope = found
            for part, new in zip(state, trial):
                part[:] = new
            damping = max(0.1 * damping, steps.LEAST_DAMPING)
        else:
            damping = min(10 * damping, steps.MOST_DAMPING)
        if last:
            break


def _with_products(kernel: Callable, products: np.ndarray, cross: np.ndarray, *rest: object) -> None:
    kernel(cross, products, *rest)


def _shared_step(hessian: np.ndarray, slope: np.ndarray, damping: float, own: np.ndarray, betas: slice) -> np.ndarray:
    """The damped step (B, N) in which all bodies move their betas alike.

    Args:
        hessian, slope: (B, N, N) and (B, N) normal equations.
        damping: Share of the diagonal that is added to it.
        own: Indices of the unknowns that each body has for itself.
        betas: Those of the betas.
    """
    diagonal = np.einsum("bii->bi", hessian)
    damped = hessian.copy()
    np.einsum("bii->bi", damped)[:] += damping * diagonal + 1e-9 * diagonal.mean(1, keepdims=True)
    block, coupling = damped[:, own[:, None], own], damped[:, own, betas]
    solved = np.linalg.solve(block, np.concatenate([coupling, slope[:, own, None]], axis=2))
    left = (damped[:, betas, betas] - coupling.transpose(0, 2, 1) @ solved[..., :-1]).sum(0)
    right = (slope[:, betas] - (coupling.transpose(0, 2, 1) @ solved[..., -1:])[..., 0]).sum(0)
    move = np.empty_like(slope)
    move[:, betas] = np.linalg.solve(left, right)
    move[:, own] = solved[..., -1] - solved[..., :-1] @ move[0, betas]
    return move
