"""Depth maps as pictures to look at."""

import numpy as np

UNKNOWN = 40  # brightness of pixels where nothing was measured


def colored_depth(depth: np.ndarray, nearest: float | None = None, farthest: float | None = None) -> np.ndarray:
    """Colours of distances: red is near, blue far, and dark gray is unknown.

    Args:
        depth: (H, W) metres, 0 where nothing was measured.
        nearest, farthest: Distances of the first and last colour, metres. Default: all but the outermost hundredths.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> import numpy as np
        >>> from meshrec.render.depth_colors import colored_depth
        >>> colored_depth(np.array([[0.0, 1.0, 3.0]])).tolist()[0][0]
        [40, 40, 40]
    """
    import cv2

    known = depth > 0
    if not known.any():
        return np.full((*depth.shape, 3), UNKNOWN, np.uint8)
    low, high = np.percentile(depth[known], [1, 99])
    nearest, farthest = low if nearest is None else nearest, high if farthest is None else farthest
    share = np.clip((farthest - depth) / max(farthest - nearest, 1e-3), 0, 1)
    # The ends of the colour map are almost black.
    colors = cv2.applyColorMap(np.uint8(20 + 215 * share), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colors, np.uint8(UNKNOWN))
