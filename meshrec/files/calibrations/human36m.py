"""JSON of Human3.6M's cameras: ``intrinsics`` of each camera, ``extrinsics`` of each subject and camera.

``{"intrinsics": {camera: {"calibration_matrix", "distortion"}}, "extrinsics": {subject: {camera: {"R", "t"}}}}``: world
to camera, millimetres, z up. The size of the pictures is not in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.calibrations.entries import CalibrationFile, CameraEntry, array, distortion, needed, pose


def read_subject(path: Path, content: Mapping[str, Any], subject: str | None = None) -> CalibrationFile:
    """The cameras as they stood for one subject.

    Args:
        path: The file, for messages.
        content: Its content.
        subject: Name of the subject, such as ``S1``. It may be left out if the file has only one.

    Raises:
        InputError: There is no such subject, or a key is missing or is not what it should be.
    """
    intrinsics, subjects = needed(content, "intrinsics", str(path)), needed(content, "extrinsics", str(path))
    if not isinstance(intrinsics, Mapping) or not isinstance(subjects, Mapping) or not subjects:
        raise InputError(f"{path}: its intrinsics and extrinsics must be tables of cameras.")
    names = ", ".join(list(subjects)[:20])
    if subject is None and len(subjects) > 1:
        raise InputError(f"{path} has the cameras of several subjects; choose one of {names}.")
    chosen = next(iter(subjects)) if subject is None else subject
    if chosen not in subjects:
        raise InputError(f"{path} has no subject {chosen}; choose one of {names}.")
    cameras = subjects[chosen]
    if not isinstance(cameras, Mapping):
        raise InputError(f"{path}: the extrinsics of {chosen} must be a table of cameras.")
    entries = []
    for name, placed in cameras.items():
        what = f"{path}: camera {name}"
        lens = needed(intrinsics, name, f"{path}: the table 'intrinsics'")
        matrix = array(needed(lens, "calibration_matrix", what), f"{what}: its calibration_matrix", (3, 3))
        rotation, translation = pose(needed(placed, "R", what), needed(placed, "t", what), what)
        coefficients = distortion(lens.get("distortion"), f"{what}: its distortion")
        entries.append(CameraEntry(name, matrix, coefficients, rotation=rotation, translation=translation))
    return CalibrationFile("Human3.6M", tuple(entries), unit="mm", up="z")
