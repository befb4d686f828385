"""JSON of CMU's Panoptic Studio: a list ``cameras`` of ``name``, ``resolution``, ``K``, ``distCoef``, ``R`` and ``t``.

World to camera, centimetres, and the world's y axis points down. ``type``, ``panel`` and ``node`` are not read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.calibrations.entries import (
    CalibrationFile,
    CameraEntry,
    array,
    distortion,
    needed,
    picture_size,
    pose,
)


def read_studio(path: Path, content: Mapping[str, Any]) -> CalibrationFile:
    """The cameras of a file.

    Args:
        path: The file, for messages.
        content: Its content.

    Raises:
        InputError: A key is missing or is not what it should be.
    """
    cameras = content.get("cameras")
    if not isinstance(cameras, list):
        raise InputError(f"{path}: its 'cameras' must be a list.")
    entries = []
    for number, camera in enumerate(cameras, 1):
        name = str(needed(camera, "name", f"{path}: camera {number} of the list"))
        what = f"{path}: camera {name}"
        size = camera.get("resolution")
        rotation, translation = pose(needed(camera, "R", what), needed(camera, "t", what), what)
        entries.append(
            CameraEntry(
                name=name,
                matrix=array(needed(camera, "K", what), f"{what}: its K", (3, 3)),
                distortion=distortion(camera.get("distCoef"), f"{what}: its distCoef"),
                size=None if size is None else picture_size(size, f"{what}: its resolution"),
                rotation=rotation,
                translation=translation,
            )
        )
    return CalibrationFile("Panoptic", tuple(entries), unit="cm", up="-y")
