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
    sums, whole, mean = np.empty((count, 4)), np.empty(4), np.empty(3)  # sums of [x; 1] in each joint, and in all
    world, covariance = np.empty((count, 3, 3)), np.empty((3, 3))
    whole_turn = np.empty((3, 3))
    for b in range(len(cross)):
        product, target = products[b % len(products)], cross[b]
        squares = 0.0  # sum of |x|^2
        for c in range(4):
            whole[c] = 0.0
            for j in range(count):
                sums[j, c] = 0.0
        for n in range(len(pairs)):
            for c in range(4):
                sums[pairs[n, 0], c] += product[n, c, 3]
                whole[c] += product[n, c, 3]
            squares += product[n, 0, 0] + product[n, 1, 1] + product[n, 2, 2]
        mass = whole[3]
        spread = squares - (whole[0] * whole[0] + whole[1] * whole[1] + whole[2] * whole[2]) / mass
        for a in range(3):
            mean[a] = 0.0
            for j in range(count):
                mean[a] += target[j, 3, a] / mass
        for a in range(3):
            for c in range(3):
                covariance[a, c] = -mean[a] * whole[c]
                for j in range(count):
                    covariance[a, c] += target[j, c, a]
        nearest_rotation(covariance, whole_turn)
        if free:
            along = 0.0
            for a in range(3):
                for c in range(3):
                    along += whole_turn[a, c] * covariance[a, c]
            scale[b] = max(along / spread, 1e-6)
        for j in range(count):
            above = world[parents[j]] if parents[j] >= 0 else whole_turn
            for a in range(3):
                for c in range(3):
                    covariance[a, c] = target[j, c, a] + PARENT_SHARE * spread / count * above[a, c]
                    if sums[j, 3] > 0:
                        covariance[a, c] -= target[j, 3, a] * sums[j, c] / sums[j, 3]
            nearest_rotation(covariance, world[j])
            for a in range(3):
                for c in range(3):
                    local[b, j, a, c] = world[j, a, c]
                    if parents[j] >= 0:
                        local[b, j, a, c] = (
                            above[0, a] * world[j, 0, c] + above[1, a] * world[j, 1, c] + above[2, a] * world[j, 2, c]
                        )
        for a in range(3):
            place[b, a] = mean[a]
            for c in range(3):
                place[b, a] -= scale[b] * world[0, a, c] * (whole[c] / mass - rest_joints[0, c])
        for s in range(betas.shape[1]):
            betas[b, s] = 0.0


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
    count, shapes = len(parents), betas.shape[1]
    size = 3 * count + 3 + shapes + (1 if free else 0)
    hessian, slope = np.empty((size, size)), np.empty(size)
    trial_hessian, trial_slope = np.empty((size, size)), np.empty(size)
    factor, column, move = np.empty((size, size)), np.empty(size), np.empty(size)
    turned, moved, shaped = np.empty((count, 3, 3)), np.empty(3), np.empty(shapes)  # the state that is tried
    world = np.empty((count, 3, 3))
    for b in range(len(cross)):
        scaled = scale[b]
        copy_state(local[b], place[b], betas[b], turned, moved, shaped)
        value, damping, slack, longest, judged = 0.0, FIRST_DAMPING, 0.0, np.inf, True
        for step in range(rounds + 1):  # at first the state itself is looked at
            trial = value
            if judged:
                trial = linearise(
                    cross[b], products[b % len(products)], pairs, turned, moved, shaped, scaled,
                    rest_joints, joint_shapes, parents, priors, trial_hessian, trial_slope,
                )  # fmt: skip
            if step == 0 or trial <= value + slack:
                if step > 0:
                    copy_state(turned, moved, shaped, local[b], place[b], betas[b])
                    scale[b] = scaled
                    damping = max(0.1 * damping, LEAST_DAMPING)
                else:
                    slack = 1e-12 * (1 + abs(trial))
                value = trial
                hessian, trial_hessian = trial_hessian, hessian
                slope, trial_slope = trial_slope, slope
            else:
                damping = min(10 * damping, MOST_DAMPING)
            if step == rounds or longest < SETTLED:
                break
            damped_step(hessian, slope, damping, factor, column, move)
            copy_state(local[b], place[b], betas[b], turned, moved, shaped)
            scaled = advance(move, turned, moved, shaped, scale[b], parents, world)
            longest = 0.0
            for i in range(size):
                longest = max(longest, abs(move[i]))
            # A step that is too small or too late to be worth its test is taken where steps have been good.
            judged = (step < rounds - 1 and longest >= SETTLED) or damping > FIRST_DAMPING


@compiled
def copy_state(
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    to_local: np.ndarray,
    to_place: np.ndarray,
    to_betas: np.ndarray,
) -> None:
    """Copy the state of one body."""
    for j in range(len(local)):
        for a in range(3):
            for c in range(3):
                to_local[j, a, c] = local[j, a, c]
    for a in range(3):
        to_place[a] = place[a]
    for s in range(len(betas)):
        to_betas[s] = betas[s]


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
        for j in range(len(parents)):
            for i in range(cross.shape[2]):
                for a in range(3):
                    out[b, j, i, a] = cross[b, j, i, a]
        turn_chain(local[b], parents, world)
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
    world = np.empty((len(parents), 3, 3))
    for b in range(len(move)):
        scale[b] = advance(move[b], local[b], place[b], betas[b], scale[b], parents, world)


@compiled
def damped_step(
    hessian: np.ndarray, slope: np.ndarray, damping: float, factor: np.ndarray, column: np.ndarray, step: np.ndarray
) -> None:
    """Solve (H + damping diag(H)) x = g by Cholesky's factor.

    Args:
        hessian, slope: H (N, N), of which the lower half is read, and g (N,).
        damping: Share of the diagonal that is added to it.
        factor, column: (N, N) and (N,) space to work in.
        step: (N,) output: x.
    """
    size = len(slope)
    floor = 0.0
    for i in range(size):
        floor += hessian[i, i]
    floor *= FLOOR / size
    for i in range(size):
        step[i] = slope[i]
        for j in range(i):
            factor[i, j] = hessian[i, j]
        factor[i, i] = hessian[i, i] * (1 + damping) + floor
    for k in range(size):  # one column after the other is taken from what is left, row by row
        pivot = np.sqrt(max(factor[k, k], floor + 1e-30))
        factor[k, k] = pivot
        step[k] /= pivot
        for i in range(k + 1, size):
            factor[i, k] /= pivot
            column[i] = factor[i, k]
            step[i] -= column[i] * step[k]
        for i in range(k + 1, size):
            row, share = factor[i], column[i]
            for j in range(k + 1, i + 1):
                row[j] -= share * column[j]
    for i in range(size - 1, -1, -1):
        step[i] /= factor[i, i]
        for k in range(i):
            step[k] -= factor[i, k] * step[i]


@compiled
def turn_chain(local: np.ndarray, parents: np.ndarray, world: np.ndarray) -> None:
    """Rotations of the joints to the world, (J, 3, 3) output, from those relative to their parents."""
    for j in range(len(parents)):
        p = parents[j]
        for a in range(3):
            for c in range(3):
                world[j, a, c] = local[j, a, c]
                if p >= 0:
                    world[j, a, c] = (
                        world[p, a, 0] * local[j, 0, c]
                        + world[p, a, 1] * local[j, 1, c]
                        + world[p, a, 2] * local[j, 2, c]
                    )


@compiled
def advance(
    move: np.ndarray,
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: float,
    parents: np.ndarray,
    world: np.ndarray,
) -> float:
    """Take one step: turns in world axes become turns of the local rotations.

    Args:
        move: (N,) the step.
        local, place, betas: The state of one body, which is changed.
        scale: Its scale.
        parents: (J,) the parent of each joint.
        world: (J, 3, 3) space to work in.

    Returns:
        The new scale.
    """
    count, shapes = len(parents), len(betas)
    turn_chain(local, parents, world)
    turn, rotation, old = np.empty(3), np.empty((3, 3)), np.empty(3)
    for j in range(count):
        p = parents[j]
        for a in range(3):
            turn[a] = move[3 * j + a]
            if p >= 0:
                turn[a] = (
                    world[p, 0, a] * move[3 * j] + world[p, 1, a] * move[3 * j + 1] + world[p, 2, a] * move[3 * j + 2]
                )
        rotation_of(turn, rotation)
        for c in range(3):
            for a in range(3):
                old[a] = local[j, a, c]
            for a in range(3):
                local[j, a, c] = rotation[a, 0] * old[0] + rotation[a, 1] * old[1] + rotation[a, 2] * old[2]
    factor = np.exp(move[-1]) if len(move) > 3 * count + 3 + shapes else 1.0
    for a in range(3):  # a body grows about the origin, and then moves
        place[a] = factor * place[a] + move[3 * count + a]
    for s in range(shapes):
        betas[s] += move[3 * count + 3 + s]
    return factor * scale


@compiled
def rotation_of(vector: np.ndarray, rotation: np.ndarray) -> None:
    """Rodrigues' formula: the rotation (3, 3), which is an output, of an axis-angle vector (3,), radians."""
    x, y, z = vector[0], vector[1], vector[2]
    squared = x * x + y * y + z * z
    angle = np.sqrt(squared)
    sine = np.sin(angle) / angle if angle > 1e-4 else 1 - squared / 6
    rest = (1 - np.cos(angle)) / squared if angle > 1e-4 else 0.5 - squared / 24
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        rotation[a, a] = 1 - rest * (vector[b] * vector[b] + vector[c] * vector[c])
        rotation[a, b] = rest * vector[a] * vector[b] - sine * vector[c]
        rotation[b, a] = rest * vector[a] * vector[b] + sine * vector[c]


SWEEPS = 12  # of Jacobi's method at most; four or five are enough


@compiled
def nearest_rotation(matrix: np.ndarray, rotation: np.ndarray) -> None:
    """The rotation R nearest to a matrix M (3, 3), which is an output: the one with the largest sum of R times M.

    It belongs to the quaternion that is the eigenvector of the largest eigenvalue of a symmetric matrix (Horn 1987),
    which cyclic Jacobi rotations find. Where M leaves it open, one of the best is returned.
    """
    square, vectors = np.empty((4, 4)), np.empty((4, 4))
    trace = matrix[0, 0] + matrix[1, 1] + matrix[2, 2]
    square[0, 0] = trace
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        square[0, a + 1] = square[a + 1, 0] = matrix[c, b] - matrix[b, c]
        square[a + 1, a + 1] = 2 * matrix[a, a] - trace
        square[a + 1, b + 1] = square[b + 1, a + 1] = matrix[a, b] + matrix[b, a]
    size = 0.0
    for i in range(4):
        for j in range(4):
            vectors[i, j] = 1.0 if i == j else 0.0
            size += square[i, j] * square[i, j]
    for _ in range(SWEEPS):
        off = 0.0
        for i in range(4):
            for j in range(i):
                off += square[i, j] * square[i, j]
        if off <= 1e-32 * size:
            break
        for i in range(3):
            for j in range(i + 1, 4):
                if square[i, j] == 0.0:
                    continue
                half = (square[j, j] - square[i, i]) / (2 * square[i, j])
                tangent = (1.0 if half >= 0 else -1.0) / (abs(half) + np.sqrt(half * half + 1))
                cosine = 1 / np.sqrt(tangent * tangent + 1)
                sine = tangent * cosine
                for k in range(4):
                    first, second = square[k, i], square[k, j]
                    square[k, i], square[k, j] = cosine * first - sine * second, sine * first + cosine * second
                for k in range(4):
                    first, second = square[i, k], square[j, k]
                    square[i, k], square[j, k] = cosine * first - sine * second, sine * first + cosine * second
                    first, second = vectors[k, i], vectors[k, j]
                    vectors[k, i], vectors[k, j] = cosine * first - sine * second, sine * first + cosine * second
    best = 0
    for i in range(1, 4):
        if square[i, i] > square[best, best]:
            best = i
    w = vectors[0, best]
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        x, y, z = vectors[a + 1, best], vectors[b + 1, best], vectors[c + 1, best]
        rotation[a, a] = w * w + x * x - y * y - z * z
        rotation[a, b] = 2 * (x * y - w * z)
        rotation[b, a] = 2 * (x * y + w * z)
