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
    for end, name in _names(intrinsics):
        what = f"{path}: camera {name}"
        width, height = (intrinsics.get(f"{side}_{end}") for side in "WH")
        rotations = [extrinsics.get(f"{key}_{end}") for key in ("Rot", "R")]
        given = [array(value, f"{what}: its rotation", (3,), (3, 3)) for value in rotations if value is not None]
        given.sort(key=lambda value: -value.size)  # the matrix first, where there are both
        rotation, translation = pose(given[0] if given else None, extrinsics.get(f"T_{end}"), what)
        if extrinsics and rotation is None:
            raise InputError(f"{what} has no 'R_{end}' and 'T_{end}' in the file of extrinsics.")
        lens = intrinsics.get(f"dist_{end}")
        entries.append(
            CameraEntry(
                name=name,
                matrix=array(needed(intrinsics, f"K_{end}", what), f"{what}: its K", (3, 3)),
                distortion=distortion(
                    intrinsics.get(f"D_{end}") if lens is None else lens, f"{what}: its distortion coefficients"
                ),
                size=None if width is None or height is None else picture_size([width, height], f"{what}: its size"),
                rotation=rotation,
                translation=translation,
            )
        )
    return CalibrationFile("EasyMocap", tuple(entries), up="z")


def _names(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For each camera what its keys end in, and its name.

    The names are those of the list, unless it has numbers, which have lost their zeros in front. Pose2Sim lists names
    and numbers the keys.
    """
    ends = [key[2:] for key in table if key.startswith("K_")]
    listed = table.get("names")
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        return [(end, end) for end in ends]
    names = [name for name in listed if name != "none"]
    numbered = len(names) == len(ends) and not set(names) & set(ends)
    return list(zip(ends if numbered else names, names))
