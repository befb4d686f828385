"""A picture of a body's texture layout, to paint a texture on."""

import numpy as np

_SUBPIXEL_BITS = 4


def draw_uv_template(uv: np.ndarray, uv_faces: np.ndarray, size: int = 2048) -> np.ndarray:
    """Draw a texture layout: every triangle's outline over the filled islands.

    Args:
        uv: (T, 2) texture coordinates in [0, 1], origin at the picture's bottom left.
        uv_faces: (F, 3) integer indices into ``uv``.
        size: Side of the picture, pixels.

    Returns:
        (size, size) uint8, grey.

    Example:
        >>> import numpy as np
        >>> from meshrec.export import draw_uv_template
        >>> layout = draw_uv_template(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0, 1, 2]]), size=32)
        >>> layout.shape, int(layout[2, 29])  # white beyond the triangle
        ((32, 32), 255)
    """
    import cv2

    # Texture coordinate 0 is the picture's edge, half a pixel before the centre of pixel 0.
    pixels = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1) * size - 0.5
    triangles = np.rint(pixels[uv_faces] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    picture = np.full((size, size), 255, np.uint8)
    for triangle in triangles:
        cv2.fillConvexPoly(picture, triangle, 215, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.polylines(picture, list(triangles), True, 105, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return picture


def uv_template_png(uv: np.ndarray, uv_faces: np.ndarray, size: int = 2048) -> bytes:
    """:func:`draw_uv_template` as the bytes of a PNG file."""
    import cv2

    return cv2.imencode(".png", draw_uv_template(uv, uv_faces, size))[1].tobytes()
