"""Random bodies in SMPL's format, to compare and to test with: nothing about them is special, and nobody owns them."""

import numpy as np

from meshrec.body.joints import SMPL_PARENTS


def random_arrays(
    vertices: int = 40, betas: int = 10, influences: int = 4, posedirs: bool = True, seed: int = 0
) -> dict[str, np.ndarray]:
    """SMPL-named float64 arrays of a random body.

    Args:
        vertices: V; there are as many faces.
        betas: Shape components.
        influences: Joints that move a vertex.
        posedirs: False for a body without pose correctives.
        seed: Another body for another seed.
    """
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, 24)) + 0.1
    np.put_along_axis(weights, np.argsort(rng.random((vertices, 24)), 1)[:, influences:], 0, 1)
    regressor = rng.random((24, vertices))
    faces = np.stack([np.roll(np.arange(vertices), shift) for shift in range(3)], 1)
    return {
        "v_template": rng.normal(size=(vertices, 3)) * 0.4,
        "shapedirs": rng.normal(size=(vertices, 3, betas)) * 0.02,
        "posedirs": rng.normal(size=(vertices, 3, 207)) * (0.01 if posedirs else 0),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.stack([np.array(SMPL_PARENTS), np.arange(24)]),
        "f": faces.astype(np.uint32),
    }
