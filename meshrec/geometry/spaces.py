"""Camera space (OpenCV's: x right, y down, z forward) and y-up space (x right, y up, z towards the viewer).

Bodies and the files of 3D programs are y up. The two spaces differ by half a turn about x, which is its own inverse: a
body in its own space faces the camera after the same turn.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Placement:
    """A rigid motion from camera space to the space of a scene: ``rotation @ point + translation``.

    Attributes:
        rotation: (3, 3).
        translation: (3,) metres.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry import CAMERA_TO_Y_UP, Placement
        >>> eye_level = Placement(CAMERA_TO_Y_UP.numpy(), np.array([0.0, 1.6, 0.0]))
        >>> eye_level.points(np.array([[0.0, 1.6, 3.0]])).tolist()  # on the floor, three metres in front of the camera
        [[0.0, 0.0, -3.0]]
    """

    rotation: np.ndarray
    translation: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of camera space in the scene, of the same type."""
        return (points @ self.rotation.T + self.translation).astype(points.dtype)

    def body(self, pose: np.ndarray, translation: np.ndarray, pelvis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose and translation with which a body stands in the scene.

        Args:
            pose: (J, 3, 3) joint rotations in camera space, the first one global.
            translation: (3,) metres, in camera space.
            pelvis: (3,) rest position of the root joint, about which the global rotation turns, metres.

        Returns:
            The same of the scene, (J, 3, 3) and (3,).
        """
        turned = np.concatenate([(self.rotation @ pose[0])[None], pose[1:]]).astype(pose.dtype)
        return turned, self.points(pelvis + translation) - pelvis
