"""Compiled loops of linear blend skinning; :mod:`meshrec.body.skinning` says what they compute.

Per vertex they read 12 bytes, write 12 and use a joint's motion straight from cache, so they run near the speed of
memory; the dense blend would write and read a 3x4 matrix per vertex as well.
"""

import numpy as np
from numba import njit


@njit(fastmath={"contract", "reassoc", "nsz"}, nogil=True, cache=True)
def skin(vertices: np.ndarray, motions: np.ndarray, out: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> None:
    """out[b, v] = sum_k weights[v, k] * (R x + t) of joint joints[v, k]; motions (B, J, 12) are rows of [R | t]."""
    for b in range(vertices.shape[0]):
        for v in range(vertices.shape[1]):
            x, y, z = vertices[b, v, 0], vertices[b, v, 1], vertices[b, v, 2]
            px = py = pz = x * 0
            for k in range(joints.shape[1]):
                w = weights[v, k]
                if w == 0:  # largest first: nothing follows
                    break
                m = motions[b, joints[v, k]]
                px += w * (m[0] * x + m[1] * y + m[2] * z + m[3])
                py += w * (m[4] * x + m[5] * y + m[6] * z + m[7])
                pz += w * (m[8] * x + m[9] * y + m[10] * z + m[11])
            out[b, v, 0], out[b, v, 1], out[b, v, 2] = px, py, pz


@njit(fastmath={"contract", "reassoc", "nsz"}, nogil=True, cache=True)
def skin_backward(
    grad: np.ndarray,
    vertices: np.ndarray,
    motions: np.ndarray,
    grad_vertices: np.ndarray,
    grad_motions: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Gradients of :func:`skin`; ``grad_motions`` must come in as zeros."""
    for b in range(vertices.shape[0]):
        for v in range(vertices.shape[1]):
            x, y, z = vertices[b, v, 0], vertices[b, v, 1], vertices[b, v, 2]
            gx, gy, gz = grad[b, v, 0], grad[b, v, 1], grad[b, v, 2]
            ax = ay = az = x * 0
            for k in range(joints.shape[1]):
                w = weights[v, k]
                if w == 0:
                    break
                m = motions[b, joints[v, k]]
                wx, wy, wz = w * gx, w * gy, w * gz
                ax += m[0] * wx + m[4] * wy + m[8] * wz
                ay += m[1] * wx + m[5] * wy + m[9] * wz
                az += m[2] * wx + m[6] * wy + m[10] * wz
                g = grad_motions[b, joints[v, k]]
                g[0] += wx * x
                g[1] += wx * y
                g[2] += wx * z
                g[3] += wx
                g[4] += wy * x
                g[5] += wy * y
                g[6] += wy * z
                g[7] += wy
                g[8] += wz * x
                g[9] += wz * y
                g[10] += wz * z
                g[11] += wz
            grad_vertices[b, v, 0], grad_vertices[b, v, 1], grad_vertices[b, v, 2] = ax, ay, az
