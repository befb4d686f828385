"""Random bodies in SMPL's format for comparisons and tests, which need no licence."""

import numpy as np

from meshrec.body.files import POSE_FEATURES
from meshrec.body.joints import NUM_JOINTS, SMPL_PARENTS


def random_arrays(
    vertices: int = 40, betas: int = 10, influences: int = 4, posedirs: bool = True, seed: int = 0
) -> dict[str, np.ndarray]:
    """Make a random body.

    Args:
        vertices: Number of vertices, and of faces.
        betas: Number of shape components.
        influences: Number of joints that move each vertex.
        posedirs: Whether the body has pose correctives.
        seed: Seed of the random numbers.

    Returns:
        Arrays under the keys of SMPL's files, float64, and the faces as uint32.
    """
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, NUM_JOINTS)) + 0.1
    np.put_along_axis(weights, np.argsort(rng.random((vertices, NUM_JOINTS)), 1)[:, influences:], 0, 1)
    regressor = rng.random((NUM_JOINTS, vertices))
    faces = np.stack([np.roll(np.arange(vertices), shift) for shift in range(3)], 1)
    return {
        "v_template": rng.normal(size=(vertices, 3)) * 0.4,
        "shapedirs": rng.normal(size=(vertices, 3, betas)) * 0.02,
        "posedirs": rng.normal(size=(vertices, 3, POSE_FEATURES)) * (0.01 if posedirs else 0),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.stack([np.array(SMPL_PARENTS), np.arange(NUM_JOINTS)]),
        "f": faces.astype(np.uint32),
    }
