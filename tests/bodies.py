"""Random bodies in SMPL's format for tests: nothing about them is special, so nothing can pass by luck."""

import numpy as np

from meshrec.body.joints import SMPL_PARENTS


def random_arrays(vertices=40, betas=10, influences=4, posedirs=True, seed=0) -> dict[str, np.ndarray]:
    """SMPL-named float64 arrays of a random body."""
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
