"""The motion of a body in the space of a camera that turns, and in the world."""

from __future__ import annotations

import numpy as np


def world_motion(
    rotations: np.ndarray, translation: np.ndarray, pelvis: np.ndarray, turns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a motion from the camera space of each frame to the world, which is the camera space of the first frame.

    The camera stays in one place, so that a point x of a frame's camera space is at ``turn^T x`` in the world. A body
    turns about its pelvis, and its translation therefore changes by more than a rotation.

    Args:
        rotations: (T, J, 3, 3) joint rotations in each frame's camera space, the first of each frame global.
        translation: (T, 3) metres, in each frame's camera space.
        pelvis: (3,) rest position of the root joint, about which the global rotation turns, metres.
        turns: (T, 3, 3) rotations from the world to each frame's camera.

    Returns:
        Rotations (T, J, 3, 3) and translation (T, 3) in the world, of the same types.

    Example:
        A camera turns by 90 degrees to its right; someone who was 4 m ahead of it is then to its left.

        >>> import numpy as np
        >>> from meshrec.geometry import world_motion
        >>> turns = np.array([np.eye(3), [[0, 0, -1], [0, 1, 0], [1, 0, 0]]])
        >>> rotations = turns[:, None]  # of a body with one joint, at rest in the world
        >>> still = world_motion(rotations, np.array([[0, 0, 4.0], [-4.0, 0, 0]]), np.zeros(3), turns)
        >>> still[1].tolist(), np.array_equal(still[0][1, 0], np.eye(3))
        ([[0.0, 0.0, 4.0], [0.0, 0.0, 4.0]], True)
    """
    return _turned(rotations, translation, pelvis, turns.swapaxes(-1, -2))


def camera_space_motion(
    rotations: np.ndarray, translation: np.ndarray, pelvis: np.ndarray, turns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of :func:`world_motion`: from the world to the camera space of each frame.

    Args:
        rotations: (T, J, 3, 3) joint rotations in the world, the first of each frame global.
        translation: (T, 3) metres, in the world.
        pelvis: (3,) rest position of the root joint, metres.
        turns: (T, 3, 3) rotations from the world to each frame's camera.

    Returns:
        Rotations (T, J, 3, 3) and translation (T, 3) in each frame's camera space, of the same types.

    Example:
        >>> import numpy as np
        >>> from meshrec.geometry.world_motion import camera_space_motion
        >>> turns = np.array([[[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]])
        >>> seen = camera_space_motion(np.eye(3)[None, None], np.array([[0, 0, 4.0]]), np.zeros(3), turns)
        >>> seen[1].tolist()
        [[-4.0, 0.0, 0.0]]
    """
    return _turned(rotations, translation, pelvis, turns)


def _turned(
    rotations: np.ndarray, translation: np.ndarray, pelvis: np.ndarray, turns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A motion in a space that is turned in each frame."""
    roots = turns @ rotations[:, 0]
    turned = np.concatenate([roots[:, None], rotations[:, 1:]], axis=1).astype(rotations.dtype)
    moved = np.einsum("tij,tj->ti", turns, pelvis + translation) - pelvis
    return turned, moved.astype(translation.dtype)
