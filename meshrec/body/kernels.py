"""Compiled loops of the body: kinematic chain, linear blend skinning and edge lengths, forward and backward; normals.

Joint indices are converted to unsigned integers, which saves a test for Python's negative indices in the innermost
loop.

Skinning reads 12 bytes per vertex, writes 12, and finds the joints' motions in the cache; a dense product would also
write and read a 3x4 matrix per vertex. Motions are rows of [R | t], (B, J, 3, 4).
"""

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def chain(
    rotations: np.ndarray, joints: np.ndarray, transl: np.ndarray, parents: np.ndarray, motions: np.ndarray
) -> None:
    """motions[b, j] = [R_j | t_j] with R_j = R_parent Q_j and R_j x_j + t_j = R_parent x_j + t_parent.

    Q_j are the local rotations and x_j the rest positions of the joints.
    """
    for b in range(rotations.shape[0]):
        for j in range(rotations.shape[1]):
            p, q, x, m = parents[j], rotations[b, j], joints[b, j], motions[b, j]
            for r in range(3):
                if p < 0:
                    for c in range(3):
                        m[r, c] = q[r, c]
                    place = x[r] + transl[b, r]
                else:
                    n = motions[b, p, r]
                    for c in range(3):
                        m[r, c] = n[0] * q[0, c] + n[1] * q[1, c] + n[2] * q[2, c]
                    place = n[0] * x[0] + n[1] * x[1] + n[2] * x[2] + n[3]
                m[r, 3] = place - (m[r, 0] * x[0] + m[r, 1] * x[1] + m[r, 2] * x[2])


@compiled
def chain_backward(
    grad: np.ndarray,
    rotations: np.ndarray,
    joints: np.ndarray,
    motions: np.ndarray,
    parents: np.ndarray,
    grad_rotations: np.ndarray,
    grad_joints: np.ndarray,
    grad_transl: np.ndarray,
) -> None:
    """Gradients of :func:`chain`; ``grad``, that of the motions, is overwritten from the leaves to the root."""
    for b in range(rotations.shape[0]):
        for j in range(rotations.shape[1] - 1, -1, -1):
            p, q, x, m, g = parents[j], rotations[b, j], joints[b, j], motions[b, j], grad[b, j]
            # t_j = place_j - R_j x_j
            for r in range(3):
                for c in range(3):
                    g[r, c] -= g[r, 3] * x[c]
            for c in range(3):
                grad_joints[b, j, c] = -(m[0, c] * g[0, 3] + m[1, c] * g[1, 3] + m[2, c] * g[2, 3])
            if p < 0:
                for r in range(3):
                    grad_joints[b, j, r] += g[r, 3]
                    grad_transl[b, r] = g[r, 3]
                    for c in range(3):
                        grad_rotations[b, j, r, c] = g[r, c]
                continue
            # place_j = R_p x_j + t_p and R_j = R_p Q_j
            n, h = motions[b, p], grad[b, p]
            for r in range(3):
                grad_joints[b, j, r] += n[0, r] * g[0, 3] + n[1, r] * g[1, 3] + n[2, r] * g[2, 3]
                h[r, 3] += g[r, 3]
                for c in range(3):
                    grad_rotations[b, j, r, c] = n[0, r] * g[0, c] + n[1, r] * g[1, c] + n[2, r] * g[2, c]
                    h[r, c] += g[r, 0] * q[c, 0] + g[r, 1] * q[c, 1] + g[r, 2] * q[c, 2] + g[r, 3] * x[c]


@compiled
def skin(vertices: np.ndarray, motions: np.ndarray, out: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> None:
    """out[b, v] = sum_k weights[v, k] * (R x + t) of joint joints[v, k]; the weights of a vertex are descending."""
    for b in range(vertices.shape[0]):
        for v in range(vertices.shape[1]):
            x, y, z = vertices[b, v, 0], vertices[b, v, 1], vertices[b, v, 2]
            px = py = pz = x * 0
            for k in range(joints.shape[1]):
                w = weights[v, k]
                if w == 0:
                    break
                m = motions[b, np.uintp(joints[v, k])]
                px += w * (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3])
                py += w * (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3])
                pz += w * (m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3])
            out[b, v, 0], out[b, v, 1], out[b, v, 2] = px, py, pz


@compiled
def skin_backward(
    grad: np.ndarray,
    vertices: np.ndarray,
    motions: np.ndarray,
    grad_vertices: np.ndarray,
    grad_motions: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Gradients of :func:`skin`; ``grad_motions`` must be zero at the start."""
    for b in range(vertices.shape[0]):
        for v in range(vertices.shape[1]):
            x, y, z = vertices[b, v, 0], vertices[b, v, 1], vertices[b, v, 2]
            gx, gy, gz = grad[b, v, 0], grad[b, v, 1], grad[b, v, 2]
            ax = ay = az = x * 0
            for k in range(joints.shape[1]):
                w = weights[v, k]
                if w == 0:
                    break
                j = np.uintp(joints[v, k])
                m, g = motions[b, j], grad_motions[b, j]
                wx, wy, wz = w * gx, w * gy, w * gz
                ax += m[0, 0] * wx + m[1, 0] * wy + m[2, 0] * wz
                ay += m[0, 1] * wx + m[1, 1] * wy + m[2, 1] * wz
                az += m[0, 2] * wx + m[1, 2] * wy + m[2, 2] * wz
                g[0, 0] += wx * x
                g[0, 1] += wx * y
                g[0, 2] += wx * z
                g[0, 3] += wx
                g[1, 0] += wy * x
                g[1, 1] += wy * y
                g[1, 2] += wy * z
                g[1, 3] += wy
                g[2, 0] += wz * x
                g[2, 1] += wz * y
                g[2, 2] += wz * z
                g[2, 3] += wz
            grad_vertices[b, v, 0], grad_vertices[b, v, 1], grad_vertices[b, v, 2] = ax, ay, az


@compiled
def sum_face_normals(vertices: np.ndarray, sums: np.ndarray, faces: np.ndarray) -> None:
    """Add the normals of each vertex's faces, whose lengths are twice the areas, to ``sums`` (B, V, 3)."""
    for b in range(vertices.shape[0]):
        for f in range(faces.shape[0]):
            i, j, k = np.uintp(faces[f, 0]), np.uintp(faces[f, 1]), np.uintp(faces[f, 2])
            p, q, r = vertices[b, i], vertices[b, j], vertices[b, k]
            ux, uy, uz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
            vx, vy, vz = r[0] - p[0], r[1] - p[1], r[2] - p[2]
            x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            for corner in (i, j, k):
                sums[b, corner, 0] += x
                sums[b, corner, 1] += y
                sums[b, corner, 2] += z


@compiled
def edge_lengths(vertices: np.ndarray, lengths: np.ndarray, edges: np.ndarray) -> None:
    """lengths[b, e] = |x_i - x_j|, where i and j are the ends of edge e.

    Each body is copied first, because edges access vertices in no order: the copy reads memory sequentially at full
    speed and stays in the cache.
    """
    for b in range(vertices.shape[0]):
        body = vertices[b].copy()
        for e in range(edges.shape[0]):
            p, q = body[np.uintp(edges[e, 0])], body[np.uintp(edges[e, 1])]
            x, y, z = p[0] - q[0], p[1] - q[1], p[2] - q[2]
            lengths[b, e] = np.sqrt(x * x + y * y + z * z)


@compiled
def edge_lengths_backward(grad: np.ndarray, vertices: np.ndarray, gradient: np.ndarray, edges: np.ndarray) -> None:
    """Gradient of :func:`edge_lengths`, zero for edges of zero length; bodies are copied for the same reason."""
    for b in range(vertices.shape[0]):
        body = vertices[b].copy()
        sums = np.zeros_like(body)
        for e in range(edges.shape[0]):
            i, j = np.uintp(edges[e, 0]), np.uintp(edges[e, 1])
            p, q = body[i], body[j]
            x, y, z = p[0] - q[0], p[1] - q[1], p[2] - q[2]
            squared = x * x + y * y + z * z
            if grad[b, e] == 0 or squared == 0:
                continue
            pull = grad[b, e] / np.sqrt(squared)
            sums[i, 0] += pull * x
            sums[i, 1] += pull * y
            sums[i, 2] += pull * z
            sums[j, 0] -= pull * x
            sums[j, 1] -= pull * y
            sums[j, 2] -= pull * z
        gradient[b] = sums
