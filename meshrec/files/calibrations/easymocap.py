"""EasyMocap's ``intri.yml`` and ``extri.yml``, written for OpenCV's ``FileStorage``.

``names`` lists the cameras. ``intri.yml`` has ``K_<name>`` (3, 3), ``dist_<name>`` and sometimes ``W_<name>`` and
``H_<name>``; ``extri.yml`` has ``R_<name>``, a Rodrigues vector, ``Rot_<name>``, the same as a matrix, and
``T_<name>``, world to camera, metres. Some programs exchange ``R_`` and ``Rot_``, so that their shape decides.
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


def is_intrinsics(table: Mapping[str, Any]) -> bool:
    """Whether this is the content of an ``intri.yml``."""
    return any(key.startswith("K_") for key in table)


def is_extrinsics(table: Mapping[str, Any]) -> bool:
    """Whether this is the content of an ``extri.yml``."""
    return any(key.startswith("T_") for key in table)


def read_pair(path: Path, intrinsics: Mapping[str, Any], extrinsics: Mapping[str, Any]) -> CalibrationFile:
    """The cameras of both files.

    Args:
        path: The file with the intrinsics, for messages.
        intrinsics: Its content.
        extrinsics: The content of the other file; empty if there is none.

    Raises:
        InputError: A key is missing or is not what it should be.
    """
    entries = []
    for name in _names(intrinsics):
        what = f"{path}: camera {name}"
        width, height = (intrinsics.get(f"{side}_{name}") for side in "WH")
        rotations = [extrinsics.get(f"{key}_{name}") for key in ("Rot", "R")]
        given = [array(value, f"{what}: its rotation", (3,), (3, 3)) for value in rotations if value is not None]
        given.sort(key=lambda value: -value.size)  # the matrix first, where there are both
        rotation, translation = pose(given[0] if given else None, extrinsics.get(f"T_{name}"), what)
        if extrinsics and rotation is None:
            raise InputError(f"{what} has no 'R_{name}' and 'T_{name}' in the file of extrinsics.")
        lens = intrinsics.get(f"dist_{name}")
        entries.append(
            CameraEntry(
                name=name,
                matrix=array(needed(intrinsics, f"K_{name}", what), f"{what}: its K", (3, 3)),
                distortion=distortion(
                    intrinsics.get(f"D_{name}") if lens is None else lens, f"{what}: its distortion coefficients"
                ),
                size=picture_size([width, height], f"{what}: its size") if width and height else None,
                rotation=rotation,
                translation=translation,
            )
        )
    return CalibrationFile("EasyMocap", tuple(entries), up="z")


def _names(table: Mapping[str, Any]) -> list[str]:
    """The cameras' names: those of the list, unless it has numbers, which have lost their zeros in front."""
    listed = table.get("names")
    if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
        return [name for name in listed if name != "none"]
    return [key[2:] for key in table if key.startswith("K_")]
