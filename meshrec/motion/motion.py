"""A recorded motion: any skeleton and its local rotations over time, independent of the file format."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.kinematics import KinematicTree, global_rotations


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints at rest, every parent before its children.

    Attributes:
        names: J unique joint names.
        parents: (J,) int, index of each joint's parent, -1 for the root (joint 0).
        offsets: (J, 3) vector from the parent to the joint at rest, in the file's unit.
    """

    names: tuple[str, ...]
    parents: ndarray
    offsets: ndarray

    def index(self, name: str) -> int:
        """Index of a joint.

        Raises:
            KeyError: There is no joint of that name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"no joint {name!r}; the skeleton has {', '.join(self.names)}") from None


@dataclass(frozen=True)
class Motion:
    """The motion of a skeleton over T frames.

    Attributes:
        skeleton: The joints at rest.
        rotations: (T, J, 3, 3) local rotations; the identity everywhere is the rest pose.
        translation: (T, 3) position of the root, in the file's unit.
        frame_time: Seconds from one frame to the next.
    """

    skeleton: Skeleton
    rotations: ndarray
    translation: ndarray
    frame_time: float

    def __len__(self) -> int:
        return len(self.rotations)

    def global_rotations(self) -> ndarray:
        """(T, J, 3, 3) rotations from each joint's rest frame to the world: the product along its kinematic chain."""
        tree = KinematicTree.from_parents(self.skeleton.parents.tolist())
        return global_rotations(torch.from_numpy(self.rotations), tree).numpy()

    def joint_positions(self) -> ndarray:
        """(T, J, 3) positions in the world, in the file's unit, by forward kinematics.

        Example:
            >>> import numpy as np
            >>> from meshrec.motion.motion import Motion, Skeleton
            >>> arm = Skeleton(("shoulder", "hand"), np.array([-1, 0]), np.array([[0.0, 0.0, 0.0], [0.6, 0.0, 0.0]]))
            >>> still = Motion(arm, np.tile(np.eye(3), (5, 2, 1, 1)), np.tile([0.0, 1.4, 0.0], (5, 1)), 1 / 30)
            >>> still.joint_positions()[0].tolist()
            [[0.0, 1.4, 0.0], [0.6, 1.4, 0.0]]
        """
        rotations = self.global_rotations()
        positions = np.empty(rotations.shape[:-1])
        positions[:, 0] = self.translation
        for joint, parent in enumerate(self.skeleton.parents[1:], start=1):
            positions[:, joint] = positions[:, parent] + rotations[:, parent] @ self.skeleton.offsets[joint]
        return positions


def euler_to_matrix(angles: ndarray, axes: str) -> ndarray:
    """Rotation matrices of intrinsic Euler angles: the first axis is the outermost, R = R_a R_b R_c.

    Args:
        angles: (..., n) radians, one for each letter of ``axes``.
        axes: Letters x, y and z in any case, e.g. "ZXY". No letters give the identity.

    Returns:
        (..., 3, 3).
    """
    result = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3))
    for axis, angle in zip(axes.lower(), np.moveaxis(angles, -1, 0)):
        i = "xyz".index(axis)
        j, k = (i + 1) % 3, (i + 2) % 3
        turn = np.zeros((*angle.shape, 3, 3))
        turn[..., i, i] = 1
        turn[..., j, j] = turn[..., k, k] = np.cos(angle)
        turn[..., k, j] = np.sin(angle)
        turn[..., j, k] = -turn[..., k, j]
        result = result @ turn
    return result


def matrix_to_euler(rotations: ndarray, axes: str) -> ndarray:
    """Intrinsic Euler angles about three different axes, the inverse of :func:`euler_to_matrix`.

    With the axes i, j, k and s = 1 if they are in cyclic order, else -1, the product R_i(a) R_j(b) R_k(c) has R_jk =
    -s sin a cos b and R_kk = cos a cos b, which give a. The other two follow from R_i(a)^T R = R_j(b) R_k(c), so that
    the three fit each other also where cos b is so small that a is hardly known.

    Args:
        rotations: (..., 3, 3).
        axes: The letters x, y and z in any order and case, e.g. "ZXY".

    Returns:
        (..., 3) radians; the second is in [-pi / 2, pi / 2].

    Example:
        >>> import numpy as np
        >>> from meshrec.motion.motion import euler_to_matrix, matrix_to_euler
        >>> matrix_to_euler(euler_to_matrix(np.array([0.3, -0.2, 0.1]), "ZXY"), "ZXY").round(6).tolist()
        [0.3, -0.2, 0.1]
    """
    i, j, k = ("xyz".index(axis) for axis in axes.lower())
    sign = 1 if (j - i) % 3 == 1 else -1
    entry = {(row, column): rotations[..., row, column] for row in range(3) for column in range(3)}
    first = np.arctan2(-sign * entry[j, k], entry[k, k])
    cosine, sine = np.cos(first), sign * np.sin(first)
    second = np.arctan2(sign * entry[i, k], cosine * entry[k, k] - sine * entry[j, k])
    third = np.arctan2(sign * (cosine * entry[j, i] + sine * entry[k, i]), cosine * entry[j, j] + sine * entry[k, j])
    return np.stack([first, second, third], axis=-1)


def continuous_euler(angles: ndarray) -> ndarray:
    """The same rotations with angles that jump as little as possible from frame to frame.

    (a, b, c) and (a + pi, pi - b, c + pi) are the same rotation, and so is any angle plus whole turns.

    Args:
        angles: (T, ..., 3) radians, as :func:`matrix_to_euler` returns them.

    Returns:
        (T, ..., 3) radians, not limited to one turn.
    """
    result = angles.copy()
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], -1)
    for frame in range(1, len(angles)):
        before = result[frame - 1]
        near, far = (
            option - 2 * np.pi * np.round((option - before) / (2 * np.pi)) for option in (angles[frame], other[frame])
        )
        closer = np.abs(far - before).sum(-1) < np.abs(near - before).sum(-1)
        result[frame] = np.where(closer[..., None], far, near)
    return result


def twist_angle(rotations: ndarray, axis: ndarray) -> ndarray:
    """The angle of the rotation about ``axis`` that is nearest to each rotation.

    Maximising tr(R^T A(t)) over t gives t = atan2(axis . vee(R - R^T), tr R - axis^T R axis).

    Args:
        rotations: (..., 3, 3) rotations R.
        axis: (3,) unit vector, the axis of A(t).

    Returns:
        (...) radians in [-pi, pi].
    """
    skewed = rotations - rotations.swapaxes(-1, -2)
    sine = np.stack([skewed[..., 2, 1], skewed[..., 0, 2], skewed[..., 1, 0]], -1) @ axis
    cosine = np.trace(rotations, axis1=-2, axis2=-1) - rotations @ axis @ axis
    return np.arctan2(sine, cosine)
