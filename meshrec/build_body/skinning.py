"""Smooth skinning weights with at most four joints per vertex."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from meshrec.build_body.rig import JOINTS, MIRROR

# Standard deviation in metres of the blur of the weights around each joint.
_SPREAD = {
    "pelvis": 0.05, "spine1": 0.05, "spine2": 0.05, "spine3": 0.05, "neck": 0.06, "head": 0.04, "collar": 0.06,
    "shoulder": 0.05, "elbow": 0.045, "wrist": 0.018, "hand": 0.014, "hip": 0.08, "knee": 0.055, "ankle": 0.02,
    "foot": 0.018,
}  # fmt: skip
# Factors on the odds of the thigh against the pelvis: on the groin beside the midline, in front of the hip joint, and
# elsewhere, on the buttocks and the crotch. When a thigh is raised, these stay with the pelvis and the groin goes with
# the thigh, which keeps more of their flesh. Between the regions are these many metres in depth and to the side.
_GROIN_ODDS, _PELVIS_ODDS = 2.0, 0.15
_GROIN_DEPTH, _GROIN_SIDE = 0.06, 0.07
_STEPS = 4
MAX_INFLUENCES = 4


def smooth_weights(
    weights: np.ndarray, vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """Diffuse weights (V, 24) over the skin, settle the hips, and keep the four largest of each vertex.

    The diffusion is heat flow on the surface, (M + t L) w' = M w with the cotangent Laplacian L and a time
    t = spread^2 / 2 that varies over the body. To keep four weights without discontinuities, the fifth largest is
    subtracted, negative ones become zero, and the rest is normalised.

    Args:
        weights: (V, 24) weights, of which each row sums to one.
        vertices: (V, 3) the average body in its rest pose, metres.
        faces: (F, 3) vertex indices.
        joints: (24, 3) its joints, metres.
        mirror: (V,) index of each vertex's mirror image.

    Returns:
        (V, 24) weights whose rows sum to one.
    """
    spread = spread_field(vertices, joints)
    stiffness, mass = _laplacian(vertices, faces, spread**2 / 2 / _STEPS)
    solve = splu(sparse.csc_matrix(sparse.diags(mass) + stiffness)).solve
    for _ in range(_STEPS):
        weights = solve(mass[:, None] * weights)
    weights = _shared_at_hips(weights, vertices, joints)
    weights = (weights + weights[mirror][:, MIRROR]) / 2
    fifth = np.sort(weights, axis=1)[:, -MAX_INFLUENCES - 1]
    weights = np.maximum(weights - fifth[:, None], 0)
    weights[weights < 1e-3] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def _shared_at_hips(weights: np.ndarray, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Multiply the odds of the thighs against all other joints by the two factors, blended smoothly."""
    weights = weights.copy()
    for hip in (JOINTS.index("left_hip"), JOINTS.index("right_hip")):
        forward = _smooth_step((vertices[:, 2] - joints[hip, 2]) / _GROIN_DEPTH + 0.5)
        groin = forward * _smooth_step(np.abs(vertices[:, 0]) / _GROIN_SIDE)
        weights[:, hip] *= np.exp(groin * np.log(_GROIN_ODDS) + (1 - groin) * np.log(_PELVIS_ODDS))
        weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _smooth_step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x**2 * (3 - 2 * x)


def spread_field(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The blur (V,) at each vertex in metres: the joints' mean, weighted by the inverse fourth power of distance."""
    spread = np.array([_SPREAD[name.split("_")[-1]] for name in JOINTS])
    distance = np.linalg.norm(vertices[:, None] - joints[None], axis=-1)
    nearness = distance**-4
    return (nearness * spread).sum(axis=1) / nearness.sum(axis=1)


def _laplacian(vertices: np.ndarray, faces: np.ndarray, time: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """The cotangent stiffness matrix (V, V) with conductivity ``time`` (V,), and the lumped areas (V,) of vertices."""
    count = len(vertices)
    stiffness = sparse.csr_matrix((count, count))
    mass = np.zeros(count)
    for k in range(3):
        i, j, o = faces[:, k], faces[:, (k + 1) % 3], faces[:, (k + 2) % 3]
        a, b = vertices[i] - vertices[o], vertices[j] - vertices[o]
        twice_area = np.linalg.norm(np.cross(a, b), axis=1)
        # Obtuse angles give negative conductances, which could make weights negative.
        cot = np.maximum((a * b).sum(axis=1) / np.maximum(twice_area, 1e-12), 0.01)
        flow = cot / 2 * (time[i] + time[j]) / 2
        edges = sparse.coo_matrix((flow, (i, j)), shape=(count, count))
        stiffness = stiffness - edges - edges.T
        np.add.at(mass, o, twice_area / 6)
    stiffness = stiffness - sparse.diags(np.asarray(stiffness.sum(axis=1)).ravel())
    return stiffness, mass
