"""Motions in ``.npz`` files as AMASS (Mahmood et al. 2019) stores them, and as meshrec does.

=====================  =========================================================================================
key                    value
=====================  =========================================================================================
poses                  (T, 72) of SMPL, (T, 156) of SMPL+H or (T, 165) of SMPL-X: axis-angle, radians
trans                  (T, 3) metres, added to the posed body
betas                  (S,) shape; AMASS has 16 of SMPL+H's or SMPL-X's
gender                 ``neutral``, ``male`` or ``female``
mocap_framerate        frames per second, ``mocap_frame_rate`` in the files of SMPL-X
=====================  =========================================================================================

Space is **z up**, as in AMASS, whose readers expect it. Files of meshrec have these keys too, of a body with 72
numbers, and ``format`` (``"meshrec.animation"``), ``version``, ``up_axis``, ``body_name``, ``body_hash``, ``name`` and
``start``, the seconds before the first frame on the clock that people of a film share. The first 66 numbers of a pose
mean the same in all three bodies. Behind them SMPL has two hand joints, which SMPL+H and SMPL-X replace by fingers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from meshrec.body.genders import gender_named
from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.files.npz import read_npz
from meshrec.geometry import matrix_to_axis_angle
from meshrec.motion.recorded import UP, RecordedMotion, numbers, rotations_of, upright_axis

FORMAT, VERSION = "meshrec.animation", 1
UP_AXIS = "z"

BODY_JOINTS = 22  # that SMPL has in common with SMPL+H and SMPL-X, which have fingers for its last two
OTHER_BODIES = {3 * 52: "SMPL+H", 3 * 55: "SMPL-X"}  # by the length of a pose
FRAME_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")


def read_amass(path: str | Path) -> RecordedMotion:
    """Read the motion of a person from an ``.npz`` of AMASS or of meshrec.

    Raises:
        InputError: The file is missing or damaged.
        ValueError: It is of another kind, or a value in it is wrong.
    """
    arrays = read_npz(path, pass_objects=True)
    if "poses" not in arrays or "trans" not in arrays:
        raise ValueError("it has no poses and trans, as files of AMASS and animations of meshrec have")
    own = "format" in arrays
    if own:
        _require_version(arrays)
    poses = numbers(arrays["poses"], (None, None), "poses")
    notes: list[str] = []
    if poses.shape[1] in OTHER_BODIES:
        other = OTHER_BODIES[poses.shape[1]]
        notes.append(f"Fingers of {other} are left out" + (" with jaw and eyes." if other == "SMPL-X" else "."))
        poses = np.concatenate([poses[:, : 3 * BODY_JOINTS], np.zeros((len(poses), POSE_SIZE - 3 * BODY_JOINTS))], 1)
    if poses.shape[1] != POSE_SIZE:
        sizes = ", ".join(map(str, (POSE_SIZE, *OTHER_BODIES)))
        raise ValueError(f"its poses have {poses.shape[1]} numbers, but those of bodies have {sizes}")
    rotations = rotations_of(poses)
    rates = [float(numbers(arrays[key], (), key)) for key in FRAME_RATES if key in arrays]
    start = float(numbers(arrays["start"], (), "start")) if own and "start" in arrays else 0.0
    return RecordedMotion(
        rotations,
        numbers(arrays["trans"], (None, 3), "trans"),
        betas=_shape(arrays["betas"]) if "betas" in arrays else None,
        frame_rate=rates[0] if rates else None,
        up=_up(arrays, rotations),
        start=start * rates[0] if rates else 0.0,
        name=_text(arrays, "name") or Path(path).stem,
        gender=gender_named(_text(arrays, "gender")),
        body_name=_text(arrays, "body_name") if own else None,
        body_hash=_text(arrays, "body_hash") if own else None,
        notes=tuple(notes),
    )


def _shape(betas: ndarray) -> ndarray:
    """One shape (S,), also of a file that repeats it for each frame."""
    if betas.ndim == 2 and len(betas):
        return np.median(numbers(betas, (None, None), "betas"), axis=0)
    return numbers(betas, (None,), "betas")


def _up(arrays: Mapping[str, ndarray], rotations: ndarray) -> str | None:
    """What is up: as the file says; else z as in AMASS, unless the body is upright along another axis."""
    if "up_axis" in arrays:
        up = _text(arrays, "up_axis")
        if up not in UP:
            raise ValueError(f"its up_axis should be one of {', '.join(UP)}, not '{up}'")
        return up
    spine = upright_axis(rotations)
    return UP_AXIS if spine in (None, UP_AXIS) else None


def _require_version(arrays: Mapping[str, ndarray]) -> None:
    if (found := _text(arrays, "format")) != FORMAT:
        raise ValueError(f"its format is '{found}', not '{FORMAT}'")
    version = arrays.get("version")
    if version is None or version.shape != () or version.dtype.kind not in "iu" or version < 1:
        raise ValueError("its version should be a whole number")
    if version > VERSION:
        raise ValueError(f"version {version} is not known here, {VERSION} is the newest that is; update meshrec")


def _text(arrays: Mapping[str, ndarray], key: str) -> str:
    """A text of one line, or nothing where there is none. AMASS has some as bytes, or in an array of one."""
    if key not in arrays or arrays[key].size != 1 or arrays[key].dtype.kind not in "US":
        return ""
    value = arrays[key].reshape(-1)[0]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if text.isprintable() and len(text) <= 300 else ""


def amass_arrays(motion: RecordedMotion) -> dict[str, ndarray]:
    """The arrays of a file, from a motion whose axes are z up, whose translation is added to the posed body, and whose
    body is known: the inverse of :func:`read_amass`.
    """
    assert motion.up == UP_AXIS and motion.frame_rate is not None and motion.betas is not None
    poses = matrix_to_axis_angle(torch.from_numpy(motion.rotations)).numpy().reshape(len(motion), 3 * NUM_JOINTS)
    return {
        "poses": poses,
        "trans": motion.translation,
        "betas": motion.betas,
        "gender": np.array(motion.gender or "neutral"),
        "mocap_framerate": np.array(float(motion.frame_rate)),
        "surface_model_type": np.array("smpl"),
        "format": np.array(FORMAT),
        "version": np.array(VERSION),
        "up_axis": np.array(UP_AXIS),
        "body_name": np.array(motion.body_name or ""),
        "body_hash": np.array(motion.body_hash or ""),
        "name": np.array(motion.name),
        "start": np.array(motion.start / motion.frame_rate),
    }
