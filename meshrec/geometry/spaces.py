"""Camera space (OpenCV's: x right, y down, z forward) and y-up space (x right, y up, z towards the viewer).

Bodies and the files of 3D programs are y up. The two spaces differ by half a turn about x, which is its own inverse: a
body in its own space faces the camera after the same turn.
"""

from typing import TypeVar

import numpy as np
import torch

CAMERA_TO_Y_UP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""(3, 3) float32: half a turn about x, from camera space to y-up space and back."""

Points = TypeVar("Points", torch.Tensor, np.ndarray)


def camera_to_y_up(points: Points) -> Points:
    """Turn points by :data:`CAMERA_TO_Y_UP`, from camera space to y-up space or back.

    Args:
        points: (..., 3).

    Returns:
        (..., 3), of the same type.

    Example:
        >>> import torch
        >>> from meshrec.geometry import camera_to_y_up
        >>> camera_to_y_up(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, -2.0, -3.0]]
    """
    signs = CAMERA_TO_Y_UP.diagonal()
    return points * (signs.to(points) if isinstance(points, torch.Tensor) else signs.numpy().astype(points.dtype))
