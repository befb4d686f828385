"""Pictures in another size."""

import numpy as np


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture for people to look at.

    A picture that becomes smaller is halved as often as it stays larger than ``size``, by the means of two pixels along
    each axis, and then interpolated. This looks like OpenCV's ``INTER_AREA``, which takes four to eight times as long
    unless the factor is a whole number.

    Args:
        picture: (H, W, 3) uint8.
        size: (W, H) of the result, pixels.

    Returns:
        (H', W', 3) uint8.

    Example:
        >>> import numpy as np
        >>> from meshrec.render.resizing import resized
        >>> resized(np.full((90, 60, 3), 7, np.uint8), (13, 20)).shape
        (20, 13, 3)
    """
    import cv2

    width, height = picture.shape[1], picture.shape[0]
    while width >= 2 * size[0] and height >= 2 * size[1]:
        width, height = width // 2, height // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    shrinks = width > 2 * size[0] or height > 2 * size[1]  # along one axis only
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
