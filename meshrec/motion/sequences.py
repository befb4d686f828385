"""Motions of SMPL bodies from the files of other programs and of meshrec: ``.npz``, ``.pkl`` and ``.bvh``."""

from pathlib import Path

import numpy as np
from numpy import ndarray

from meshrec.body.joints import JOINT_SETS
from meshrec.errors import InputError
from meshrec.motion.amass import read_amass
from meshrec.motion.bvh import read_bvh
from meshrec.motion.motion import Motion
from meshrec.motion.recorded import PELVIS, UP, RecordedMotion, in_file
from meshrec.motion.retargeting import retarget, retarget_translation
from meshrec.motion.tracked_people import read_tracked_people

SUFFIXES = (".npz", ".pkl", ".pickle", ".joblib", ".bvh")
SMPL_JOINTS = JOINT_SETS["smpl24"]
MIXAMO_JOINTS = tuple(
    f"mixamorig:{name}"
    for name in (
        "Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot", "Spine2",
        "LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm",
        "LeftForeArm", "RightForeArm", "LeftHand", "RightHand", "LeftHandMiddle1", "RightHandMiddle1",
    )
)  # fmt: skip
"""Mixamo's names of the joints of ``smpl24``, in its order. SMPL's hand joints are the knuckles of middle fingers."""
JOINT_NAMES = {"smpl": SMPL_JOINTS, "mixamo": MIXAMO_JOINTS}
LONGEST_LEG = 10.0  # metres: a longer one is in centimetres


def read_motions(path: str | Path, rest_joints: ndarray, up: str | None = None) -> list[RecordedMotion]:
    """Read the motions of all people in a file.

    Args:
        path: An ``.npz`` of AMASS or meshrec (:mod:`meshrec.motion.amass`), a ``.pkl`` of VIBE, WHAM or 4D-Humans
            (:mod:`meshrec.motion.tracked_people`), or a ``.bvh``: one that meshrec wrote, or of CMU's motion capture.
        rest_joints: (24, 3) joints in the T-pose of the body that a ``.bvh`` is for, metres.
        up: Which of the file's axes points up. Only WHAM's files, which have two, need it here.

    Returns:
        At least one motion, in the axes of the file.

    Raises:
        InputError: The file is missing, damaged or of another kind, or a value in it is wrong.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.motion.sequences import read_motions
        >>> poses = np.zeros((9, 156))
        >>> poses[:, 0] = np.pi / 2  # upright in a space whose z axis is up
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/walk.npz", poses=poses, trans=np.zeros((9, 3)), mocap_framerate=120)
        ...     (walk,) = read_motions(f"{folder}/walk.npz", np.zeros((24, 3)))
        >>> len(walk), walk.frame_rate, walk.up, walk.notes
        (9, 120.0, 'z', ('Fingers of SMPL+H are left out.',))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the name of a motion must end in {', '.join(SUFFIXES)}")
    try:
        if suffix == ".npz":
            return [read_amass(path)]
        if suffix == ".bvh":
            return [_from_bvh(read_bvh(path), rest_joints, path.stem)]
        return read_tracked_people(path, up)
    except KeyError as error:
        raise InputError(f"{path}: it has no {error.args[0]}.") from None
    except ValueError as error:
        raise in_file(path, error) from error


def _from_bvh(motion: Motion, rest_joints: ndarray, name: str) -> RecordedMotion:
    """The motion of the joints of ``smpl24``: as they are in a file with their names, retargeted from another one."""
    frame_rate = 1 / motion.frame_time
    if abs(frame_rate - round(frame_rate)) < 1e-3:  # files have 0.033333 for a thirtieth
        frame_rate = float(round(frame_rate))
    names = motion.skeleton.names
    for joints in JOINT_NAMES.values():
        if set(joints) <= set(names):
            order = [names.index(joint) for joint in joints]
            bones = motion.skeleton.offsets[order] * [[0], *[[1]] * (len(order) - 1)]
            scale = 0.01 if _leg(bones) > LONGEST_LEG else 1.0
            turn = _to_y_up(bones)  # for the rest pose as for the world: each joint's frame turns with it
            return RecordedMotion(
                turn @ motion.rotations[:, order] @ turn.T,
                motion.translation @ turn.T * scale,
                frame_rate=frame_rate,
                up="y",
                anchor=PELVIS,
                name=name,
                bones=bones @ turn.T * scale,
            )
    rotations = retarget(motion, rest_joints)
    places = retarget_translation(motion, rotations, rest_joints)
    note = "The motion is scaled by the length of the legs."
    return RecordedMotion(rotations, places, frame_rate=frame_rate, up="y", name=name, notes=(note,))


def _leg(offsets: ndarray) -> float:
    """Length of the left leg from hip to ankle, of offsets (24, 3) in SMPL's order."""
    joints = [SMPL_JOINTS.index(name) for name in ("left_knee", "left_ankle")]
    return float(np.linalg.norm(offsets[joints], axis=1).sum())


def _to_y_up(bones: ndarray) -> ndarray:
    """The rotation (3, 3) to y up from the axes of a rest pose, which Blender exports with z up."""
    spine = bones[[SMPL_JOINTS.index(name) for name in ("spine1", "spine2", "spine3", "neck")]].sum(0)
    return UP[max(UP, key=lambda up: float(UP[up][1] @ spine))]
