"""Compiled steps of the fit of a body to points: the start, the solution of the normal equations, and their rounds."""

import numpy as np

from meshrec.body.mesh_fit_kernels import linearise
from meshrec.compiled.jit import compiled

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-9, 1e6
FLOOR = 1e-9  # of the mean of the diagonal: directions that no point sees stay as they are
PARENT_SHARE = 1e-3  # of the body's spread: how much a joint that its points leave open turns as its parent does
SETTLED = 1e-7  # radians, metres and betas


@compiled
def start_each(
    cross: np.ndarray,
    products: np.ndarray,
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: np.ndarray,
    pairs: np.ndarray,
    rest_joints: np.ndarray,
    parents: np.ndarray,
    free: bool,
) -> None:
    """Turn each joint as its own points suggest (Kabsch 1976), and put the mean body where the target is.

    Args:
        cross: (B, J, E, 3) moments of the targets.
        products: (B or 1, P, E, E) moments of the body.
        local: (B, J, 3, 3) output.
        place: (B, 3) output.
        betas: (B, S) the shapes, of which only the mean is used here; zero as output.
        scale: (B,) the scales, an output if they are free.
        pairs, rest_joints, parents: As in :func:`meshrec.body.mesh_fit_kernels.linearise`.
        free: Whether the scales are free.
    """
    count = len(parents)
    for b in range(len(cross)):
        product, target = products[b % len(products)], cross[b]
        sums, squares = np.zeros((count, 4)), 0.0  # of [x; 1] in each joint; of |x|^2
        for n in range(len(pairs)):
            sums[pairs[n, 0]] += product[n, :4, 3]
            squares += product[n, 0, 0] + product[n, 1, 1] + product[n, 2, 2]
        whole, mean = sums.sum(0), np.zeros(3)
        for j in range(count):
            mean += target[j, 3]
        mass = whole[3]
        mean /= mass
        spread = squares - (whole[:3] ** 2).sum() / mass
        world = np.empty((count, 3, 3))
        covariance = np.zeros((3, 3))
        for j in range(count):
            for a in range(3):
                for c in range(3):
                    covariance[a, c] += target[j, c, a]
        for a in range(3):
            for c in range(3):
                covariance[a, c] -= mean[a] * whole[c]
        whole_turn = _nearest(covariance)
        if free:
            scale[b] = max((whole_turn * covariance).sum() / spread, 1e-6)
        for j in range(count):
            above = world[parents[j]] if parents[j] >= 0 else whole_turn
            for a in range(3):
                for c in range(3):
                    covariance[a, c] = target[j, c, a] + PARENT_SHARE * spread / count * above[a, c]
                    if sums[j, 3] > 0:
                        covariance[a, c] -= target[j, 3, a] * sums[j, c] / sums[j, 3]
            world[j] = _nearest(covariance)
            local[b, j] = above.T @ world[j] if parents[j] >= 0 else world[j]
        for a in range(3):
            place[b, a] = mean[a]
            for c in range(3):
                place[b, a] -= scale[b] * world[0, a, c] * (whole[c] / mass - rest_joints[0, c])
        betas[b] = 0.0


@compiled
def fit_each(
    cross: np.ndarray,
    products: np.ndarray,
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: np.ndarray,
    pairs: np.ndarray,
    rest_joints: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
    priors: np.ndarray,
    free: bool,
    rounds: int,
) -> None:
    """Levenberg and Marquardt's method for each body by itself, from the state in the arrays, which it replaces.

    Args:
        cross, products, local, place, betas, scale, pairs, rest_joints, parents, free: As in :func:`start_each`.
        joint_shapes, priors: As in :func:`meshrec.body.mesh_fit_kernels.linearise`.
        rounds: The largest number of steps.
    """
    size = 3 * len(parents) + 3 + betas.shape[1] + (1 if free else 0)
    for b in range(len(cross)):
        product = products[b % len(products)]
        hessian, slope = np.empty((size, size)), np.empty(size)
        trial_hessian, trial_slope = np.empty((size, size)), np.empty(size)
        factor = np.empty((size, size))
        value = linearise(
            cross[b], product, pairs, local[b], place[b], betas[b], scale[b],
            rest_joints, joint_shapes, parents, priors, hessian, slope,
        )  # fmt: skip
        damping, slack = FIRST_DAMPING, 1e-12 * (1 + abs(value))
        for step in range(rounds):
            move = damped_step(hessian, slope, damping, factor)
            turned, moved, shaped = local[b].copy(), place[b].copy(), betas[b].copy()
            scaled = advance(move, turned, moved, shaped, scale[b], parents)
            longest = np.abs(move).max()
            if step == rounds - 1 or longest < SETTLED:  # too small or too late a step to be worth its test
                trial = value if damping <= FIRST_DAMPING else np.inf
            else:
                trial = np.inf
            if trial == np.inf:
                trial = linearise(
                    cross[b], product, pairs, turned, moved, shaped, scaled,
                    rest_joints, joint_shapes, parents, priors, trial_hessian, trial_slope,
                )  # fmt: skip
            if trial <= value + slack:
                local[b], place[b], betas[b], scale[b] = turned, moved, shaped, scaled
                value = trial
                hessian, trial_hessian = trial_hessian, hessian
                slope, trial_slope = trial_slope, slope
                damping = max(0.1 * damping, LEAST_DAMPING)
            else:
                damping = min(10 * damping, MOST_DAMPING)
            if longest < SETTLED:
                break


@compiled
def take_displacements(
    cross: np.ndarray,
    moves: np.ndarray,
    local: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
    pairs: np.ndarray,
    place: np.ndarray,
    parents: np.ndarray,
) -> None:
    """Take the pose displacements from the targets.

    Args:
        cross: (B, J, E, 3) moments of the targets.
        moves: (B, U, E, 3) sums of w_j w_k e (P f)^T.
        local, scale: The state.
        out: (B, J, E, 3) output: moments of the targets less the displacements.
        pairs, place: (P, 2) joints, and the number of their sum in ``moves``.
        parents: (J,) the parent of each joint.
    """
    world = np.empty((len(parents), 3, 3))
    for b in range(len(cross)):
        out[b] = cross[b]
        for j in range(len(parents)):
            world[j] = local[b, j] if parents[j] < 0 else world[parents[j]] @ local[b, j]
        for n in range(len(pairs)):
            sums, target, turn = moves[b, place[n]], out[b, pairs[n, 0]], world[pairs[n, 1]]
            for i in range(len(sums)):
                x, y, z = scale[b] * sums[i, 0], scale[b] * sums[i, 1], scale[b] * sums[i, 2]
                for a in range(3):
                    target[i, a] -= turn[a, 0] * x + turn[a, 1] * y + turn[a, 2] * z


@compiled
def linearise_each(
    cross: np.ndarray,
    products: np.ndarray,
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: np.ndarray,
    hessian: np.ndarray,
    slope: np.ndarray,
    value: np.ndarray,
    pairs: np.ndarray,
    rest_joints: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
    priors: np.ndarray,
) -> None:
    """:func:`meshrec.body.mesh_fit_kernels.linearise` for each body; its results go to the three arrays of outputs."""
    for b in range(len(cross)):
        value[b] = linearise(
            cross[b], products[b % len(products)], pairs, local[b], place[b], betas[b], scale[b],
            rest_joints, joint_shapes, parents, priors, hessian[b], slope[b],
        )  # fmt: skip


@compiled
def advance_each(
    move: np.ndarray, local: np.ndarray, place: np.ndarray, betas: np.ndarray, scale: np.ndarray, parents: np.ndarray
) -> None:
    """:func:`advance` for each body, in place."""
    for b in range(len(move)):
        scale[b] = advance(move[b], local[b], place[b], betas[b], scale[b], parents)


@compiled
def damped_step(hessian: np.ndarray, slope: np.ndarray, damping: float, factor: np.ndarray) -> np.ndarray:
    """The solution (N,) of (H + damping diag(H)) x = g by Cholesky's factor, which is written into ``factor``."""
    size = len(slope)
    floor = 0.0
    for i in range(size):
        floor += hessian[i, i]
    floor *= FLOOR / size
    solution = slope.copy()
    for i in range(size):
        for j in range(i + 1):
            row, other = factor[i], factor[j]
            rest = hessian[i, j]
            for k in range(j):
                rest -= row[k] * other[k]
            if j < i:
                factor[i, j] = rest / factor[j, j]
            else:
                factor[i, i] = np.sqrt(max(rest + damping * hessian[i, i] + floor, floor + 1e-30))
    for i in range(size):
        for k in range(i):
            solution[i] -= factor[i, k] * solution[k]
        solution[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        solution[i] /= factor[i, i]
        for k in range(i):
            solution[k] -= factor[i, k] * solution[i]
    return solution


@compiled
def advance(
    move: np.ndarray, local: np.ndarray, place: np.ndarray, betas: np.ndarray, scale: float, parents: np.ndarray
) -> float:
    """Take one step: turns in world axes become turns of the local rotations. The scale is returned."""
    count, shapes = len(parents), len(betas)
    world = np.empty((count, 3, 3))
    for j in range(count):
        world[j] = local[j] if parents[j] < 0 else world[parents[j]] @ local[j]
    for j in range(count):
        turn = move[3 * j : 3 * j + 3]
        if parents[j] >= 0:
            turn = world[parents[j]].T @ turn
        local[j] = rotation_of(turn) @ local[j]
    factor = np.exp(move[-1]) if len(move) > 3 * count + 3 + shapes else 1.0
    for a in range(3):  # a body grows about the origin, and then moves
        place[a] = factor * place[a] + move[3 * count + a]
    betas += move[3 * count + 3 : 3 * count + 3 + shapes]
    return factor * scale


@compiled
def rotation_of(vector: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: the rotation (3, 3) of an axis-angle vector (3,), radians."""
    x, y, z = vector[0], vector[1], vector[2]
    squared = x * x + y * y + z * z
    angle = np.sqrt(squared)
    sine = np.sin(angle) / angle if angle > 1e-4 else 1 - squared / 6
    rest = (1 - np.cos(angle)) / squared if angle > 1e-4 else 0.5 - squared / 24
    return np.array(
        [
            [1 - rest * (y * y + z * z), rest * x * y - sine * z, rest * x * z + sine * y],
            [rest * x * y + sine * z, 1 - rest * (x * x + z * z), rest * y * z - sine * x],
            [rest * x * z - sine * y, rest * y * z + sine * x, 1 - rest * (x * x + y * y)],
        ]
    )


@compiled
def _nearest(matrix: np.ndarray) -> np.ndarray:
    """The rotation nearest to a matrix (3, 3)."""
    left, _, right = np.linalg.svd(matrix)
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        left[:, 2] *= -1
        rotation = left @ right
    return rotation
