"""Compiled normal equations of a body fitted to points, from moments: no loop here is over vertices.

The sums are those of :mod:`meshrec.body.mesh_moments`. A joint takes a rest point x to M [x; 1], where M, (3, 4), has
the scale of the target in it. A turn of joint k about its own place p_k, with everything below it,
moves a point y by w x (y - p_k). Unknowns are, in this order, the turns w of the joints in world axes (3 J), the root's
place (3), the betas (S) and, where it is free, the logarithm of the scale.
"""

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def pose_chain(
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: float,
    rest_joints: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
    world: np.ndarray,
    places: np.ndarray,
    motions: np.ndarray,
    slopes: np.ndarray,
) -> None:
    """Pose one body.

    Args:
        local: (J, 3, 3) rotations of the joints relative to their parents.
        place: (3,) place of the root.
        betas: (S,) shape.
        scale: The factor of the whole body.
        rest_joints: (J, 3) rest joints of the mean shape.
        joint_shapes: (J, 3, S) their changes per unit of each beta.
        parents: (J,) the parent of each joint, -1 for the root.
        world: (J, 3, 3) output: rotations of the joints to the world.
        places: (J, 3) output: places of the joints.
        motions: (J, 3, 4) output: the motions of the joints, with the scale.
        slopes: (J, 3, S) output: derivatives of the last columns of ``motions`` by the betas.
    """
    shapes = len(betas)
    rest = np.empty((len(parents), 3))
    for j in range(len(parents)):
        for c in range(3):
            rest[j, c] = rest_joints[j, c]
            for s in range(shapes):
                rest[j, c] += joint_shapes[j, c, s] * betas[s]
    for j in range(len(parents)):
        p = parents[j]
        for r in range(3):
            for c in range(3):
                if p < 0:
                    world[j, r, c] = local[j, r, c]
                else:
                    world[j, r, c] = (
                        world[p, r, 0] * local[j, 0, c]
                        + world[p, r, 1] * local[j, 1, c]
                        + world[p, r, 2] * local[j, 2, c]
                    )
        for r in range(3):
            if p < 0:
                places[j, r] = place[r]
                for s in range(shapes):
                    slopes[j, r, s] = 0.0
            else:
                places[j, r] = places[p, r]
                for s in range(shapes):  # until below these are the slopes of the places
                    slopes[j, r, s] = slopes[p, r, s]
                for c in range(3):
                    places[j, r] += scale * world[p, r, c] * (rest[j, c] - rest[p, c])
                    for s in range(shapes):
                        slopes[j, r, s] += scale * world[p, r, c] * (joint_shapes[j, c, s] - joint_shapes[p, c, s])
    for j in range(len(parents)):
        for r in range(3):
            motions[j, r, 3] = places[j, r]
            for c in range(3):
                turned = scale * world[j, r, c]
                motions[j, r, c] = turned
                motions[j, r, 3] -= turned * rest[j, c]
                for s in range(shapes):
                    slopes[j, r, s] -= turned * joint_shapes[j, c, s]


@compiled
def linearise(
    cross: np.ndarray,
    products: np.ndarray,
    pairs: np.ndarray,
    local: np.ndarray,
    place: np.ndarray,
    betas: np.ndarray,
    scale: float,
    rest_joints: np.ndarray,
    joint_shapes: np.ndarray,
    parents: np.ndarray,
    priors: np.ndarray,
    hessian: np.ndarray,
    slope: np.ndarray,
) -> float:
    """Normal equations of one body at one state.

    Args:
        cross: (J, E, 3) moments of the target.
        products: (P, E, E) moments of the body.
        pairs: (P, 2) the two joints of each of them.
        local, place, betas, scale, rest_joints, joint_shapes, parents: As in :func:`pose_chain`.
        priors: Squares of the noise over the spread of a joint's angle and of a beta.
        hessian: (N, N) output, where N is 3 J + 3 + S and one more if the scale is free.
        slope: (N,) output: half of the derivative of the sum of squares downhill.

    Returns:
        The sum of squares with its priors, less that of the target's coordinates.
    """
    count, shapes, total = len(parents), len(betas), len(slope)
    root, first = 3 * count, 3 * count + 3
    free = total > first + shapes
    world, places = np.empty((count, 3, 3)), np.empty((count, 3))
    motions, slopes = np.empty((count, 3, 4)), np.empty((count, 3, shapes))
    pose_chain(local, place, betas, scale, rest_joints, joint_shapes, parents, world, places, motions, slopes)

    length = products.shape[1]
    rest = np.empty((count, 3, length))  # moments of the residual: the body's own are taken from those of the target
    for j in range(count):
        for a in range(3):
            for i in range(length):
                rest[j, a, i] = cross[j, i, a]
    blocks = np.zeros((count, count, 6, 6))  # products of the velocities that two joints give by twists
    loads = np.zeros((count, shapes, 4, 3))  # sums of [x; 1] of a joint with the velocities of the betas
    pulls = np.zeros((count, shapes, 3))  # the same with those of joint-wise shape displacements alone
    spans = np.zeros((count, 4, 3))  # the same with the places: the velocities of the scale
    shape_block = np.zeros((shapes, shapes))
    at = np.empty((4, length))
    second, moved, both, turn = np.empty((4, 4)), np.empty((3, 4)), np.empty((4, 4)), np.empty((3, 3))
    for n in range(len(pairs)):
        k, j = pairs[n, 0], pairs[n, 1]
        own, other, product = motions[j], motions[k], products[n]
        for c in range(4):  # whole rows at a time, which the processor adds several numbers at once
            row = product[c]
            for i in range(length):
                at[c, i] = row[i]
        for s in range(shapes):
            for c in range(3):
                row, beta = product[4 + 3 * s + c], betas[s]
                for i in range(length):
                    at[c, i] += beta * row[i]
        for a in range(3):
            x, y, z, w = other[a, 0], other[a, 1], other[a, 2], other[a, 3]
            target = rest[j, a]
            for i in range(length):
                target[i] -= x * at[0, i] + y * at[1, i] + z * at[2, i] + w * at[3, i]
        for i in range(4):
            for c in range(4):
                second[i, c] = at[c, i]
                if i < 3:
                    for s in range(shapes):
                        second[i, c] += betas[s] * at[c, 4 + 3 * s + i]
        for a in range(3):
            for c in range(4):
                moved[a, c] = 0.0
                for i in range(4):
                    moved[a, c] += own[a, i] * second[i, c]
        for a in range(4):
            for b in range(3):
                both[a, b] = 0.0
                for c in range(4):
                    both[a, b] += (moved[a, c] if a < 3 else second[3, c]) * other[b, c]
            both[a, 3] = moved[a, 3] if a < 3 else second[3, 3]
        block, trace = blocks[j, k], both[0, 0] + both[1, 1] + both[2, 2]
        for a in range(3):
            for b in range(3):
                block[a, b] = -both[b, a]
            block[a, a] += trace
            block[3 + a, 3 + a] = both[3, 3]
        block[0, 4], block[0, 5] = -both[2, 3], both[1, 3]
        block[1, 3], block[1, 5] = both[2, 3], -both[0, 3]
        block[2, 3], block[2, 4] = -both[1, 3], both[0, 3]
        block[4, 0], block[5, 0] = -both[3, 2], both[3, 1]
        block[3, 1], block[5, 1] = both[3, 2], -both[3, 0]
        block[3, 2], block[4, 2] = -both[3, 1], both[3, 0]
        if free:
            for i in range(4):
                for a in range(3):
                    spans[j, i, a] += both[i, a]
        for s in range(shapes):
            m = 4 + 3 * s
            for a in range(3):
                for i in range(4):
                    pull = own[a, 0] * at[i, m] + own[a, 1] * at[i, m + 1] + own[a, 2] * at[i, m + 2]
                    loads[k, s, i, a] += pull + slopes[j, a, s] * at[i, 3]
                    if i == 3:
                        pulls[k, s, a] += pull
        for c in range(3):
            for d in range(3):
                turn[c, d] = other[0, c] * own[0, d] + other[1, c] * own[1, d] + other[2, c] * own[2, d]
        for s in range(shapes):
            for c in range(3):
                line = product[4 + 3 * s + c]
                for t in range(s, shapes):
                    column = 4 + 3 * t
                    shape_block[s, t] += (
                        turn[c, 0] * line[column] + turn[c, 1] * line[column + 1] + turn[c, 2] * line[column + 2]
                    )

    # Each joint's moments about the origin, then added to its parent's from the leaves to the root.
    wrenches, shape_wrenches = np.zeros((count, 6)), np.zeros((count, shapes, 6))
    scale_wrenches = np.zeros((count, 6))
    contracted = np.empty((4, 3))
    value = 0.0
    for i in range(total):
        slope[i] = 0.0
    for j in range(count):
        for i in range(4):
            for a in range(3):
                contracted[i, a] = rest[j, a, i]
                value -= motions[j, a, i] * (rest[j, a, i] + cross[j, i, a])
                if i < 3:
                    for s in range(shapes):
                        m = 4 + 3 * s + i
                        contracted[i, a] += betas[s] * rest[j, a, m]
                        value -= motions[j, a, i] * betas[s] * (rest[j, a, m] + cross[j, m, a])
                if free:
                    slope[total - 1] += motions[j, a, i] * contracted[i, a]
        _add_wrench(motions[j], contracted, wrenches[j])
        for s in range(shapes):
            _add_wrench(motions[j], loads[j, s], shape_wrenches[j, s])
            for a in range(3):
                slope[first + s] += slopes[j, a, s] * rest[j, a, 3]
                for c in range(3):
                    slope[first + s] += motions[j, a, c] * rest[j, a, 4 + 3 * s + c]
        for a in range(3):
            scale_wrenches[j, 3 + a] = spans[j, 3, a]
        if free:  # the first three rows of `spans` are turned already
            scale_wrenches[j, 0] = spans[j, 1, 2] - spans[j, 2, 1]
            scale_wrenches[j, 1] = spans[j, 2, 0] - spans[j, 0, 2]
            scale_wrenches[j, 2] = spans[j, 0, 1] - spans[j, 1, 0]
    for j in range(count - 1, 0, -1):
        p = parents[j]
        for a in range(6):
            wrenches[p, a] += wrenches[j, a]
            scale_wrenches[p, a] += scale_wrenches[j, a]
            for s in range(shapes):
                shape_wrenches[p, s, a] += shape_wrenches[j, s, a]
        for k in range(count):
            _add_block(blocks[p, k], blocks[j, k])
    for j in range(count):
        for k in range(count - 1, 0, -1):
            _add_block(blocks[j, parents[k]], blocks[j, k])

    for i in range(total):
        for j in range(total):
            hessian[i, j] = 0.0
    half = np.empty((6, 3))
    for k in range(count):
        q = places[k]
        for j in range(k + 1):
            block = blocks[j, k]
            for a in range(6):
                half[a, 0] = block[a, 0] + q[2] * block[a, 4] - q[1] * block[a, 5]
                half[a, 1] = block[a, 1] - q[2] * block[a, 3] + q[0] * block[a, 5]
                half[a, 2] = block[a, 2] + q[1] * block[a, 3] - q[0] * block[a, 4]
            p = places[j]
            for b in range(3):
                column = 3 * k + b
                hessian[3 * j, column] = half[0, b] + p[2] * half[4, b] - p[1] * half[5, b]
                hessian[3 * j + 1, column] = half[1, b] - p[2] * half[3, b] + p[0] * half[5, b]
                hessian[3 * j + 2, column] = half[2, b] + p[1] * half[3, b] - p[0] * half[4, b]
                if j == 0:
                    for a in range(3):
                        hessian[column, root + a] = half[3 + a, b]
        for a in range(3):
            slope[3 * k + a] = _turning(wrenches[k], q, a)
            for s in range(shapes):
                hessian[3 * k + a, first + s] = _turning(shape_wrenches[k, s], q, a)
            if free:
                hessian[3 * k + a, total - 1] = _turning(scale_wrenches[k], q, a)
    for a in range(3):
        slope[root + a] = wrenches[0, 3 + a]
        hessian[root + a, root + a] = blocks[0, 0, 3 + a, 3 + a]
        for s in range(shapes):
            hessian[root + a, first + s] = shape_wrenches[0, s, 3 + a]
        if free:
            hessian[root + a, total - 1] = scale_wrenches[0, 3 + a]
    for s in range(shapes):
        for t in range(s, shapes):
            summed = shape_block[s, t]
            for j in range(count):
                for a in range(3):
                    summed += loads[j, s, 3, a] * slopes[j, a, t] + slopes[j, a, s] * pulls[j, t, a]
            hessian[first + s, first + t] = summed
        if free:
            for j in range(count):
                for i in range(4):
                    for a in range(3):
                        hessian[first + s, total - 1] += loads[j, s, i, a] * motions[j, a, i]
    if free:
        for j in range(count):
            hessian[total - 1, total - 1] += spans[j, 0, 0] + spans[j, 1, 1] + spans[j, 2, 2]

    for k in range(1, count):  # the priors: unit Gaussians of the betas, and of the angles in another unit
        log = rotation_vector(local[k])
        above = world[parents[k]]
        for a in range(3):
            value += priors[0] * log[a] * log[a]
            slope[3 * k + a] -= priors[0] * (above[a, 0] * log[0] + above[a, 1] * log[1] + above[a, 2] * log[2])
            hessian[3 * k + a, 3 * k + a] += priors[0]
    for s in range(shapes):
        value += priors[1] * betas[s] * betas[s]
        slope[first + s] -= priors[1] * betas[s]
        hessian[first + s, first + s] += priors[1]
    for i in range(total):
        for j in range(i):
            hessian[i, j] = hessian[j, i]
    return value


@compiled
def _add_block(into: np.ndarray, block: np.ndarray) -> None:
    """Add a block (6, 6) to another one."""
    for a in range(6):
        for b in range(6):
            into[a, b] += block[a, b]


@compiled
def _add_wrench(motion: np.ndarray, load: np.ndarray, wrench: np.ndarray) -> None:
    """Add the sums of y x f and f to ``wrench``, for points y = M [x; 1] and sums ``load`` (4, 3) of [x; 1] f."""
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        for i in range(4):
            wrench[a] += motion[b, i] * load[i, c] - motion[c, i] * load[i, b]
        wrench[3 + a] += load[3, a]


@compiled
def _turning(wrench: np.ndarray, place: np.ndarray, axis: int) -> float:
    """One component of a wrench's torque about a place."""
    b, c = (axis + 1) % 3, (axis + 2) % 3
    return wrench[axis] - place[b] * wrench[3 + c] + place[c] * wrench[3 + b]


@compiled
def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """The axis-angle vector (3,) of a rotation (3, 3), radians."""
    vector = np.empty(3)
    vector[0] = rotation[2, 1] - rotation[1, 2]
    vector[1] = rotation[0, 2] - rotation[2, 0]
    vector[2] = rotation[1, 0] - rotation[0, 1]
    sine = 0.5 * np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    cosine = 0.5 * (rotation[0, 0] + rotation[1, 1] + rotation[2, 2] - 1)
    # Near half a turn the axis is lost here. The vector shrinks, which weakens a prior that is weak anyway.
    factor = 0.5 * np.arctan2(sine, cosine) / sine if sine > 1e-6 else 0.5
    for a in range(3):
        vector[a] *= factor
    return vector
