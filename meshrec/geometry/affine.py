"""Affine maps of the picture plane as (2, 3) matrices, and pictures resampled by them."""

import numpy as np


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Transform points (..., 2) by an affine map (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine map (2, 3)."""
    (a, b), (c, d) = matrix[:, :2]
    # In closed form: waking LAPACK's threads costs milliseconds, even for a 2 x 2 matrix.
    linear = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return np.hstack([linear, -linear @ matrix[:, 2:]])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The map (2, 3) that applies ``inner`` first and ``outer`` after it."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a picture by an affine map; the view is black where the picture does not reach.

    A picture that the map shrinks to half or less is averaged down first, so that the view does not alias.

    Args:
        image: (H, W) or (H, W, C) uint8.
        matrix: (2, 3) from the picture's pixels to the view's; pixel centres lie at integers.
        size: Width and height of the view, pixels.

    Returns:
        The view, (height, width) or (height, width, C) uint8.
    """
    import cv2

    part, to_view = image, matrix
    shrink = int(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 1:
        right, bottom = size
        corners = apply(inverse(matrix), np.array([[0, 0], [0, bottom], [right, 0], [right, bottom]]))
        limit = np.array(image.shape[1::-1])
        low = np.clip(np.floor(corners.min(0)).astype(int), 0, limit - 1)
        high = np.clip(np.ceil(corners.max(0)).astype(int), low + 1, limit)
        small = np.maximum((high - low) // shrink, 1)
        part = cv2.resize(image[low[1] : high[1], low[0] : high[0]], small.tolist(), interpolation=cv2.INTER_AREA)
        step = (high - low) / small
        to_view = np.hstack([matrix[:, :2] * step, apply(matrix, low + (step - 1) / 2)[:, None]])
    return cv2.warpAffine(part, to_view, size, flags=cv2.INTER_LINEAR)
