"""The compiled loop that fills voxels."""

import numpy as np

from meshrec.compiled.jit import compiled


@compiled
def share_points(places: np.ndarray, own: np.ndarray, grid: np.ndarray) -> None:
    """Add each point, at ``places`` (N, 3) in voxels, to the voxels around it."""
    count = grid.shape[1]
    for i in range(len(places)):
        channel = 0 if own[i] else 1
        x, y, z = places[i, 0], places[i, 1], places[i, 2]
        a, b, c = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        for dz in range(2):
            for dy in range(2):
                for dx in range(2):
                    u, v, w = a + dx, b + dy, c + dz
                    if 0 <= u < count and 0 <= v < count and 0 <= w < count:
                        share = (1 - abs(x - u)) * (1 - abs(y - v)) * (1 - abs(z - w))
                        grid[channel, w, v, u] += share
