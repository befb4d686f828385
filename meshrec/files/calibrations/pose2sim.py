"""TOML of Pose2Sim, anipose and FreeMoCap: a table for each camera.

Each camera has ``name``, ``size`` [W, H], ``matrix`` (3, 3), ``distortions``, ``rotation`` (a Rodrigues vector) and
``translation``, both world to camera, and Pose2Sim's and anipose's ``fisheye``. FreeMoCap adds ``world_orientation``
and ``world_position``, the inverse, which are not read. Tables without any of these keys, such as ``[metadata]``, are
no cameras. Pose2Sim writes metres and FreeMoCap millimetres; files of meshrec name their ``unit`` and ``up`` axis in
``[metadata]``, which other programs ignore.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.calibrations.entries import (
    METRES,
    CalibrationFile,
    CameraEntry,
    array,
    distortion,
    needed,
    picture_size,
    pose,
)

CAMERA_KEYS = ("matrix", "distortions", "rotation", "translation")
NOT_CAMERAS = ("metadata", "capture_volume", "charuco", "checkerboard")  # names of tables that Pose2Sim skips
BARE = re.compile(r"[A-Za-z0-9_-]+")  # names of tables that need no quotes
MOST_DEPTH = 32  # of a key of TOML
AXES = ("x", "y", "z", "-x", "-y", "-z")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: It is no TOML, or nested too deeply.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    # Keys such as a.b.c are counted before parsing, which takes time with the square of their number.
    if any(part.count(".") > MOST_DEPTH for part in re.split(r"[,=\[\]{}\n]", text)):
        raise ValueError("it is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_tables(path: Path, tables: Mapping[str, Any]) -> CalibrationFile:
    """The cameras of a TOML file.

    Args:
        path: The file, for messages.
        tables: Its content.

    Raises:
        InputError: A key is missing or is not what it should be.
    """
    entries, freemocap = [], False
    for section, table in tables.items():
        if not isinstance(table, Mapping) or not any(key in table for key in CAMERA_KEYS):
            continue
        name = str(table.get("name", section))
        what = f"{path}: camera {name}"
        freemocap |= "world_position" in table or "world_orientation" in table
        size = table.get("size", table.get("image_size"))
        rotation, translation = pose(table.get("rotation"), table.get("translation"), what)
        entries.append(
            CameraEntry(
                name=name,
                matrix=array(needed(table, "matrix", what), f"{what}: its matrix", (3, 3)),
                distortion=distortion(table.get("distortions"), f"{what}: its distortions"),
                fisheye=table.get("fisheye", False) is True,
                size=None if size is None else picture_size(size, f"{what}: its size"),
                rotation=rotation,
                translation=translation,
            )
        )
    metadata = tables.get("metadata", {})
    metadata = metadata if isinstance(metadata, Mapping) else {}
    unit, up = metadata.get("unit"), metadata.get("up")
    if unit is not None and unit not in list(METRES):
        raise InputError(f"{path}: the unit in its metadata must be one of {', '.join(METRES)}.")
    if up is not None and up not in AXES:
        raise InputError(f"{path}: the up axis in its metadata must be one of {', '.join(AXES)}.")
    levelled = not freemocap or metadata.get("groundplane_applied") or metadata.get("groundplane_calibration")
    return CalibrationFile(
        layout="FreeMoCap" if freemocap else "Pose2Sim",
        entries=tuple(entries),
        unit=unit or ("mm" if freemocap else "m"),
        up=up or ("z" if levelled else None),
        up_is_stated=up is not None,
    )


def write_tables(entries: Sequence[CameraEntry], up: str | None, comment: str) -> str:
    """The TOML of cameras in metres, as Pose2Sim reads it; it gives back each number exactly.

    Args:
        entries: Cameras with size, rotation (3,) and translation (3,).
        up: Axis that points up in the world, or None if that is unknown.
        comment: A line for its head.
    """
    lines = [f"# {comment}", ""]
    for entry in entries:
        assert entry.size is not None and entry.rotation is not None and entry.translation is not None
        lines += [
            f"[{entry.name if BARE.fullmatch(entry.name) else _quoted(entry.name)}]",
            f"name = {_quoted(entry.name)}",
            f"size = [{entry.size[0]}, {entry.size[1]}]",
            f"matrix = {entry.matrix.tolist()}",
            f"distortions = {entry.distortion.tolist()}",
            f"rotation = {entry.rotation.tolist()}",
            f"translation = {entry.translation.tolist()}",
            f"fisheye = {str(entry.fisheye).lower()}",
            "",
        ]
    lines += ["[metadata]", "adjusted = false", "error = 0.0", 'unit = "m"', *([f'up = "{up}"'] if up else []), ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A printable text as a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
