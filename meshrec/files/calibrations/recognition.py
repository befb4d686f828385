"""Which format a calibration has, by its content."""

import os
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.calibrations import easymocap, human36m, opencv, panoptic, pose2sim, qualisys
from meshrec.files.calibrations.entries import MOST_CAMERAS, CalibrationFile
from meshrec.files.calibrations.storage import matrices, parse_yaml_storage, xml_storage
from meshrec.files.json_text import parse_json
from meshrec.files.names import natural_key
from meshrec.files.regular import read_regular
from meshrec.files.xml_text import parse_xml

MOST_BYTES = 4 << 20  # of a file; that of a studio with 521 cameras has half a MiB
FORMATS = (
    "Pose2Sim's or FreeMoCap's .toml, EasyMocap's intri.yml and extri.yml, OpenCV's .yml or .xml, Qualisys' .qca.txt, "
    "or the JSON of Human3.6M or Panoptic"
)
YAML = (".yml", ".yaml")
STORAGE_SUFFIXES = (*YAML, ".xml")
SUFFIXES = (*STORAGE_SUFFIXES, ".toml", ".json", ".qca.txt")


def read_calibration_file(path: str | Path, subject: str | None = None) -> CalibrationFile:
    """Read a calibration of any of the formats.

    Args:
        path: The file. For EasyMocap one of its two files or their folder, and for OpenCV the file of a camera or a
            folder of such files; any other folder that has one calibration.
        subject: For Human3.6M, whose cameras.

    Raises:
        InputError: There is no such file, it has no format that is read, or something in it is wrong.
    """
    path = Path(path)
    try:
        read = _read_folder(path, subject) if path.is_dir() else _read_file(path, subject)
    except OSError as error:
        raise InputError(f"{path}: the calibration cannot be read ({error.strerror}).") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: {error}.") from error  # a path with a null byte
    if not read.entries:
        raise InputError(f"{path}: there is no camera in this calibration.")
    if len(read.entries) > MOST_CAMERAS:
        raise InputError(f"{path}: a calibration has at most {MOST_CAMERAS} cameras, not {len(read.entries)}.")
    return read


def _read_folder(folder: Path, subject: str | None) -> CalibrationFile:
    """The calibration of a folder: EasyMocap's pair, the only file with a calibration's suffix, or a file a camera."""
    names = sorted((name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES)), key=natural_key)
    pair = [name for name in names if name.lower().startswith(("intri", "extri")) and name.lower().endswith(YAML)]
    if pair:
        return _read_file(folder / pair[-1], subject)
    if len(names) == 1:
        return _read_file(folder / names[0], subject)
    if len(names) > MOST_CAMERAS or not names or not all(name.lower().endswith(STORAGE_SUFFIXES) for name in names):
        raise InputError(
            f"{folder}: this folder must have one calibration, or a .yml or .xml of OpenCV for each camera; give the "
            "calibration's file instead."
        )
    read = [_read_file(folder / name, subject) for name in names]
    if odd := [file for file, name in zip(read, names) if file.layout != "OpenCV"]:
        other = odd[0].layout
        raise InputError(f"{folder}: it has files of OpenCV and of {other}; give the calibration's file instead.")
    return CalibrationFile("OpenCV", tuple(entry for file in read for entry in file.entries))


def _read_file(path: Path, subject: str | None) -> CalibrationFile:
    data = read_regular(path, MOST_BYTES).removeprefix(b"\xef\xbb\xbf")
    start = data.lstrip()[:1]
    if not start:
        raise InputError(f"{path}: the file is empty.")
    try:
        if start == b"<":
            return _read_xml(path, data)
        if start == b"{":
            return _read_json(path, parse_json(data), subject)
        text = data.decode()
        if not text.lstrip().startswith("%YAML"):
            return _read_plain(path, text)
        return _read_storage(path, parse_yaml_storage(text.lstrip()))
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is no calibration that is read ({FORMATS}).") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the calibration is damaged ({' '.join(str(error).split())}).") from error


def _read_xml(path: Path, data: bytes) -> CalibrationFile:
    root = parse_xml(data)
    if root.tag == "calibration":
        return qualisys.read_cameras(path, root)
    if root.tag == "opencv_storage":
        return _read_storage(path, xml_storage(root))
    raise InputError(f"{path}: this is XML, but no calibration of Qualisys or OpenCV.")


def _read_json(path: Path, content: Any, subject: str | None) -> CalibrationFile:
    if isinstance(content, dict) and "cameras" in content:
        return panoptic.read_studio(path, content)
    if isinstance(content, dict) and ("intrinsics" in content or "extrinsics" in content):
        return human36m.read_subject(path, content, subject)
    if isinstance(content, dict):
        tables = {key: matrices(value) if isinstance(value, dict) else value for key, value in content.items()}
        if opencv.is_camera(tables):
            return _read_storage(path, tables)
    raise InputError(f"{path}: this is JSON, but no calibration of Human3.6M or Panoptic.")


def _read_plain(path: Path, text: str) -> CalibrationFile:
    """TOML, or YAML without its first line."""
    try:
        return pose2sim.read_tables(path, pose2sim.parse_toml(text))
    except InputError:
        raise
    except ValueError as error:
        if path.suffix.lower() == ".toml":
            raise
        try:
            table = parse_yaml_storage(text)
        except ValueError:
            reason = f"as TOML: {' '.join(str(error).split())}"
            raise InputError(f"{path}: this is no calibration that is read ({FORMATS}); {reason}.") from None
        return _read_storage(path, table)


def _read_storage(path: Path, table: dict[str, Any]) -> CalibrationFile:
    if easymocap.is_intrinsics(table):
        return easymocap.read_pair(path, table, _partner(path, "intri", "extri") or {})
    if easymocap.is_extrinsics(table) and not opencv.is_camera(table):
        intrinsics = _partner(path, "extri", "intri")
        if intrinsics is None:
            raise InputError(f"{path}: this file has extrinsics alone; put EasyMocap's intri.yml beside it.")
        return easymocap.read_pair(path, intrinsics, table)
    return CalibrationFile("OpenCV", (opencv.read_camera(path, table),))


def _partner(path: Path, ours: str, theirs: str) -> dict[str, Any] | None:
    """The content of EasyMocap's other file, or None if there is none."""
    other = path.with_name(path.name.replace(ours, theirs).replace(ours.title(), theirs.title()))
    if other == path or not other.is_file():
        return None
    try:
        return parse_yaml_storage(read_regular(other, MOST_BYTES).removeprefix(b"\xef\xbb\xbf").decode().lstrip())
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{other}: the calibration is damaged ({' '.join(str(error).split())}).") from error
