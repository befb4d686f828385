"""The motion of an SMPL body as a file holds it: rotations, places and shape over time, in the axes of that file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.joints import NUM_JOINTS
from meshrec.errors import InputError
from meshrec.geometry import CAMERA_TO_Y_UP, axis_angle_to_matrix, matrix_to_axis_angle

UP = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": CAMERA_TO_Y_UP.double().numpy(),
}
"""For each direction that may be up in a file, the rotation (3, 3) from its axes to y up, z towards the viewer. All of
them are right-handed, so that no motion is mirrored."""
LARGEST = 1e6  # metres or radians; computations with larger numbers lose their digits
ROUNDING = 1e-3  # by how much a matrix may fail to be a rotation

# What a file's translation says of each frame.
ADDED = "added"  # it is added to the posed body, as in SMPL
PELVIS = "pelvis"  # the place of the joint pelvis
HIPS = "hips"  # the place of the middle between the joints of both hips


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """The motion of a person over T frames, as a file holds it.

    Attributes:
        rotations: (T, 24, 3, 3) rotation of each joint of ``smpl24`` relative to its parent; the first one is global.
        translation: (T, 3) metres, of which ``anchor`` says what is there.
        betas: (S,) shape of the body that the file is about, or None where the file does not know it.
        frame_rate: Frames per second, or None where the file does not say.
        up: Which of the file's axes points up, one of :data:`UP`, or None where the file does not tell.
        anchor: :data:`ADDED`, :data:`PELVIS` or :data:`HIPS`.
        start: Number of frames before the first one, on the clock that all people of a film share.
        name: Name of the person in the file.
        gender: ``neutral``, ``male`` or ``female``, or None where the file does not say.
        body_name, body_hash: The body of meshrec that betas and pose belong to; None in files of others.
        bones: (24, 3) vector from each joint's parent to the joint at rest, metres, of a file that has a skeleton
            instead of betas; zero for the root.
        notes: What was left out or assumed, one sentence each.

    Raises:
        ValueError: A shape is wrong, a number is not finite, a matrix is no rotation, or there are no frames.

    Example:
        >>> import numpy as np
        >>> from meshrec.motion.recorded import RecordedMotion
        >>> len(RecordedMotion(np.tile(np.eye(3), (5, 24, 1, 1)), np.zeros((5, 3)), up="z", frame_rate=120.0))
        5
    """

    rotations: ndarray
    translation: ndarray
    betas: ndarray | None = None
    frame_rate: float | None = None
    up: str | None = None
    anchor: str = ADDED
    start: float = 0.0
    name: str = "person"
    gender: str | None = None
    body_name: str | None = None
    body_hash: str | None = None
    bones: ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.rotations)
        if not count:
            raise ValueError("it has no frames")
        shapes: dict[str, tuple[int | None, ...]] = {
            "rotations": (count, NUM_JOINTS, 3, 3),
            "translation": (count, 3),
            "betas": (None,),
            "bones": (NUM_JOINTS, 3),
        }
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, numbers(getattr(self, name), shape, name))
        require_rotations(self.rotations)
        if self.frame_rate is not None and not 0 < self.frame_rate < LARGEST:
            raise ValueError(f"its frame rate is {self.frame_rate:g} per second")
        if not 0 <= self.start < LARGEST:
            raise ValueError(f"it starts at frame {self.start:g}")

    def __len__(self) -> int:
        return len(self.rotations)

    def upright(self, rest_joints: ndarray, up: str | None = None) -> tuple[ndarray, ndarray]:
        """Rotations and translation of a body with the space's y axis up.

        Args:
            rest_joints: (24, 3) joints of the body in its T-pose, metres.
            up: Which of the file's axes points up, one of :data:`UP`. Default: the motion's own.

        Returns:
            Rotations (T, 24, 3, 3) and the translation (T, 3) that is added to the posed body, metres.

        Raises:
            ValueError: Nobody knows which axis is up.
        """
        up = up or self.up
        if up not in UP:
            raise ValueError(f"up should be one of {', '.join(UP)}, not {up}")
        rotations = self.rotations.copy()
        rotations[:, 0] = UP[up] @ rotations[:, 0]
        place = self.translation @ UP[up].T
        if self.anchor == ADDED:
            place = place + UP[up] @ rest_joints[0]
        elif self.anchor == HIPS:
            place = place - rotations[:, 0] @ (rest_joints[1:3].mean(0) - rest_joints[0])
        return rotations, place - rest_joints[0]


def numbers(values: object, shape: tuple[int | None, ...], name: str) -> ndarray:
    """An array of finite float64 of a shape, in which None stands for any length.

    Raises:
        ValueError: It is something else; the message calls it ``name``.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is no regular table of numbers") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds something that is not a number")
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape)):
        wanted = ", ".join("n" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({wanted}), not {array.shape}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    if (np.abs(array) > LARGEST).any():
        raise ValueError(f"{name} holds a value beyond {LARGEST:g}")
    return array


def require_rotations(matrices: ndarray) -> None:
    """Check that all of (..., 3, 3) are rotations.

    Raises:
        ValueError: One of them is not.
    """
    squares = matrices @ matrices.swapaxes(-1, -2)
    if not np.allclose(squares, np.eye(3), atol=ROUNDING) or (np.linalg.det(matrices) < 0).any():
        raise ValueError("a joint has a matrix that is no rotation")


def rotations_of(poses: ndarray) -> ndarray:
    """Rotations (T, J, 3, 3) of poses (T, 3 J) in axis-angle vectors, radians.

    Raises:
        ValueError: There are no poses.
    """
    if not len(poses):
        raise ValueError("it has no frames")
    return axis_angle_to_matrix(torch.from_numpy(poses.reshape(len(poses), -1, 3))).numpy()


def bridged(frames: Sequence[int] | ndarray, motion: RecordedMotion) -> RecordedMotion:
    """The motion with the frames between its first and its last that it does not have.

    A joint turns at constant speed from one frame that is there to the next, and the body moves along a line.

    Args:
        frames: (T,) numbers of the motion's frames.
        motion: The motion, of which ``start`` becomes the first number.

    Raises:
        ValueError: The numbers are no whole ones that rise.
    """
    known = np.asarray(frames)
    if known.shape != (len(motion),) or known.dtype.kind not in "iu" or (np.diff(known) <= 0).any():
        raise ValueError("the numbers of its frames should be whole and rise")
    missing = int(known[-1] - known[0]) + 1 - len(known)
    if missing > LARGEST:
        raise ValueError("its frames are too far apart")
    motion = replace(motion, start=float(known[0]))
    if not missing:
        return motion
    wanted = np.arange(known[0], known[-1] + 1)
    after = np.searchsorted(known, wanted).clip(1)
    before = after - 1
    share = (wanted - known[before]) / (known[after] - known[before])
    first, last = motion.rotations[before], motion.rotations[after]
    turn = matrix_to_axis_angle(torch.from_numpy(first.swapaxes(-1, -2) @ last)).numpy() * share[:, None, None]
    place = motion.translation[before] * (1 - share)[:, None] + motion.translation[after] * share[:, None]
    rotations = first @ axis_angle_to_matrix(torch.from_numpy(turn)).numpy()
    rotations[known - known[0]] = motion.rotations  # exactly as they are
    note = f"{missing} frames in which the person was not seen are bridged."
    return replace(motion, rotations=rotations, translation=place, notes=(*motion.notes, note))


def upright_axis(rotations: ndarray) -> str | None:
    """The axis towards which a body's spine mostly points.

    Args:
        rotations: (T, 24, 3, 3) rotations, the first of which is global.

    Returns:
        One of :data:`UP`, or None if the body is not mostly upright, or points elsewhere.
    """
    spine = rotations[:, 0, :, 1].mean(0)
    along = {up: float(turn[1] @ spine) for up, turn in UP.items()}  # the second row is where that file's up is
    best = max(along, key=lambda up: along[up])
    return best if along[best] > 0.8 else None


def in_file(path: object, error: ValueError) -> InputError:
    """The error of a reader with the name of the file before it."""
    return error if isinstance(error, InputError) else InputError(f"{path}: {error}.")
