"""Motions of the people of a film in the ``.pkl`` files of VIBE, WHAM and 4D-Humans (PHALP).

All three write a dictionary with joblib; :mod:`meshrec.files.joblib_files` reads it without executing anything in it.

=========  =============================================================================================================
program    layout
=========  =============================================================================================================
VIBE       by person: ``pose`` (T, 72), ``betas`` (T, 10), ``orig_cam`` (T, 4) as sx, sy, tx, ty of a weak-perspective
           camera for the whole picture, ``frame_ids`` (T,). Camera space, y down.
WHAM       by person: ``pose_world`` (T, 72), ``trans_world`` (T, 3) of the hips' middle in a world with y up; ``pose``,
           ``trans`` in camera space, y down; ``betas`` (T, 10), ``frame_ids`` (T,).
4D-Humans  by frame: ``time``, its number, and lists of ``tid``, the person, ``smpl``, a dictionary of ``global_orient``
           (1, 3, 3), ``body_pose`` (23, 3, 3), ``betas`` (10,), and ``camera`` (3,), the translation before a camera
           whose focal length is 5000 in a picture of 256 pixels. Where ``tracked_time`` is not 0 the person was not
           seen. Camera space, y down.
=========  =============================================================================================================

None of them knows the frame rate. A weak-perspective camera, and one with a field of view of 3 degrees, do not tell
distances; they follow here from a field of view that cameras have.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE
from meshrec.files.arrays import PickledArrays
from meshrec.files.joblib_files import unpickle_tables
from meshrec.motion.recorded import ADDED, HIPS, RecordedMotion, bridged, numbers, rotations_of

CAMERA_UP, WORLD_UP = "-y", "y"


@dataclass(frozen=True)
class AssumedCamera:
    """The camera from which distances are derived where a file has none.

    Attributes:
        field_of_view: Of the whole picture's width, degrees.
        phalp_focal, phalp_size: Focal length of PHALP's camera and the side of its picture, pixels.
    """

    field_of_view: float = 55.0
    phalp_focal: float = 5000.0
    phalp_size: float = 256.0

    @property
    def focal(self) -> float:
        """Focal length over half the picture's width."""
        return 1 / math.tan(math.radians(self.field_of_view) / 2)

    @property
    def phalp_shrink(self) -> float:
        """By how much people are nearer to this camera than to PHALP's."""
        return self.focal * self.phalp_size / (2 * self.phalp_focal)


def read_tracked_people(
    path: str | Path, up: str | None = None, camera: AssumedCamera = AssumedCamera()
) -> list[RecordedMotion]:
    """Read the motions of all people in a ``.pkl`` of VIBE, WHAM or 4D-Humans, ordered by their numbers.

    Args:
        path: The file.
        up: ``-y`` for WHAM's motion in camera space. Default: its motion in the world.
        camera: The camera that VIBE's and 4D-Humans' distances are derived from.

    Raises:
        InputError: The file is missing or damaged, or asks for code to be run.
        ValueError: It is of another kind, or a value in it is wrong.
    """
    tables = unpickle_tables(path).tables
    first: Mapping[str, object] = next(iter(tables.values()), {})
    if "smpl" in first and "tid" in first:
        people = _phalp(tables, camera)
    elif "pose_world" in first and "trans_world" in first:
        people = {key: _wham(table, up) for key, table in tables.items()}
    elif "pose" in first and ("orig_cam" in first or "pred_cam" in first):
        people = {key: _vibe(table, camera) for key, table in tables.items()}
    else:
        raise ValueError("it is laid out neither as VIBE's, WHAM's nor 4D-Humans' results of a film are")
    if not people:
        raise ValueError("nobody is in it")
    ordered = sorted(people, key=lambda key: (len(key), key))
    return [replace(people[key], name=f"person_{key}") for key in ordered]


def _vibe(table: PickledArrays, camera: AssumedCamera) -> RecordedMotion:
    rotations = rotations_of(numbers(table["pose"], (None, POSE_SIZE), "pose"))
    if "orig_cam" in table:
        scale, _, x, y = numbers(table["orig_cam"], (len(rotations), 4), "orig_cam").T
        if (scale <= 0).any():
            raise ValueError("orig_cam holds a scale that is not positive")
        place, note = np.stack([x, y, camera.focal / scale], 1), _distances(camera)
    else:
        place, note = np.zeros((len(rotations), 3)), "It has no camera of the whole picture: the person stays in place."
    return _person(table, rotations, place, CAMERA_UP, ADDED, note)


def _wham(table: PickledArrays, up: str | None) -> RecordedMotion:
    suffix = "" if up == CAMERA_UP else "_world"
    rotations = rotations_of(numbers(table[f"pose{suffix}"], (None, POSE_SIZE), f"pose{suffix}"))
    place = numbers(table[f"trans{suffix}"], (len(rotations), 3), f"trans{suffix}")
    if up == CAMERA_UP:
        return _person(table, rotations, place, CAMERA_UP, ADDED)
    return _person(table, rotations, place, WORLD_UP, HIPS)


def _person(
    table: PickledArrays, rotations: ndarray, place: ndarray, up: str, anchor: str, *notes: str
) -> RecordedMotion:
    betas = np.median(numbers(table["betas"], (len(rotations), None), "betas"), axis=0)
    motion = RecordedMotion(rotations, place, betas, up=up, anchor=anchor, notes=notes)
    return bridged(np.asarray(table["frame_ids"]), motion) if "frame_ids" in table else motion


def _phalp(frames: dict[str, PickledArrays], camera: AssumedCamera) -> dict[str, RecordedMotion]:
    seen: dict[str, dict[int, tuple[ndarray, ndarray, ndarray]]] = {}
    for index, table in enumerate(frames.values()):
        time = table.get("time", index)
        people, bodies, cameras = (_list(table, key) for key in ("tid", "smpl", "camera"))
        ages = _list(table, "tracked_time") if "tracked_time" in table else [0] * len(people)
        if not isinstance(time, int | np.integer) or not len(people) == len(bodies) == len(cameras) == len(ages):
            raise ValueError(f"frame {index} has lists of different lengths")
        for person, body, place, age in zip(people, bodies, cameras, ages):
            if age == 0:
                seen.setdefault(str(person), {})[int(time)] = (*_phalp_body(body), numbers(place, (3,), "camera"))
    return {person: _phalp_person(found, camera) for person, found in seen.items()}


def _phalp_body(body: object) -> tuple[ndarray, ndarray]:
    if not isinstance(body, dict) or not {"global_orient", "body_pose", "betas"} <= body.keys():
        raise ValueError("smpl should hold global_orient, body_pose and betas")
    orient = numbers(body["global_orient"], (1, 3, 3), "global_orient")
    pose = numbers(body["body_pose"], (NUM_JOINTS - 1, 3, 3), "body_pose")
    return np.concatenate([orient, pose]), numbers(body["betas"], (None,), "betas")


def _phalp_person(found: dict[int, tuple[ndarray, ndarray, ndarray]], camera: AssumedCamera) -> RecordedMotion:
    times = sorted(found)
    if len({len(found[time][1]) for time in times}) > 1:
        raise ValueError("betas differ in length from frame to frame")
    rotations, betas, place = (np.stack([found[time][part] for time in times]) for part in range(3))
    place = place * np.array([1, 1, camera.phalp_shrink])
    motion = RecordedMotion(rotations, place, np.median(betas, axis=0), up=CAMERA_UP, notes=(_distances(camera),))
    return bridged(times, motion)


def _distances(camera: AssumedCamera) -> str:
    return f"Distances from the camera are those of a field of view of {camera.field_of_view:g} degrees."


def _list(table: PickledArrays, key: str) -> list:
    values = table.get(key)
    if not isinstance(values, list | tuple):
        raise ValueError(f"its frames should have a list {key}")
    return list(values)
