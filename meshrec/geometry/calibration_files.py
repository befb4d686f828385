"""Reading and writing calibrations of several cameras: :mod:`meshrec.files.calibrations` made into cameras.

Here is checked what all formats share: rotations are rotations, focal lengths are positive and in pixels, names are
unique, and cameras stand as far apart as in a room.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from meshrec.errors import InputError
from meshrec.files.atomic import known_suffix, write_file
from meshrec.files.calibrations import CalibrationFile, CameraEntry, read_calibration_file
from meshrec.files.calibrations.entries import METRES
from meshrec.files.calibrations.pose2sim import NOT_CAMERAS, write_tables
from meshrec.geometry.alignment import nearest_rotation
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration, undistort_points
from meshrec.geometry.cameras import ROUNDING, Camera
from meshrec.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

FURTHEST, NEAREST = 100.0, 0.01  # metres between cameras of one room
MOST_METRES = 1e12  # of a coordinate; squares of larger numbers may be none
SHORTEST, LONGEST = 0.05, 100.0  # focal lengths in longer sides of the picture: wider than any lens, longer than any
MOST_TURN = 4 * math.pi  # radians; more is a vector in degrees
LARGEST = 1e6  # of a distortion coefficient; those of real lenses are below a few hundred
SKEW = 1e-2  # of the focal length, which is left out; more is not a camera's
MOST_NOTES = 5  # on cameras in the same place
UPRIGHT = 0.3  # mean of the cosines between the cameras' up directions and the world's that confirms a convention


def read_calibration(path: str | Path, unit: str | None = None, subject: str | None = None) -> Calibration:
    """Read a calibration; its content decides which of the formats it has (docs/formats.md).

    Args:
        path: The file. For EasyMocap one of its two files or their folder, and for OpenCV the file of a camera or a
            folder with a file for each.
        unit: Unit of its lengths, "m", "cm" or "mm". Default: what the file says, or else its format's.
        subject: For Human3.6M's file, for whom the cameras stood there.

    Returns:
        The calibration. Cameras without a size in the file are not ``sized``, those without extrinsics not ``placed``.

    Raises:
        InputError: The file cannot be read, lacks something, or describes no real cameras; or its unit must be given.
    """
    if unit is not None and unit not in METRES:
        raise InputError(f"the unit of a calibration must be one of {', '.join(METRES)}, not {unit!r}.")
    file = read_calibration_file(path, subject)
    used = unit or file.unit
    cameras: dict[str, CalibratedCamera] = {}
    for entry in file.entries:
        if entry.name in cameras:
            raise InputError(f"{path}: two cameras have the name {entry.name}; give each its own.")
        cameras[entry.name] = _camera(path, entry, METRES[used])
    placed = [camera for camera in cameras.values() if camera.placed]
    notes = list(file.notes)
    if missing := len(cameras) - len(placed):
        notes.append(f"{missing} of {len(cameras)} cameras have no rotation and translation in the calibration")
    notes += _check_distances(path, placed, used)
    up, doubt = _up(file, placed)
    return Calibration(cameras, up, tuple(notes + doubt))


def write_calibration(path: str | Path, calibration: Calibration) -> Path:
    """Write a calibration as Pose2Sim's TOML, metres, with unit and up axis in its metadata.

    Reading it again gives the same numbers; rotations, which the format stores as Rodrigues vectors, to float64
    precision.

    Args:
        path: The file, whose name ends in ``.toml``.
        calibration: The calibration.

    Returns:
        The path.

    Raises:
        InputError: The name ends otherwise, the file cannot be written, or a camera has a name that is a section of its
            own in this format.
        ValueError: A camera has no size or no extrinsics, or there is none.

    Example:
        >>> import tempfile
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration
        >>> from meshrec.geometry.calibration_files import read_calibration, write_calibration
        >>> lens = CalibratedCamera("cam1", Camera(1000.0, size=(1920, 1080), translation=(0, 1.2, 3)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_calibration(f"{folder}/calibration.toml", Calibration({"cam1": lens}, up="-y"))
        ...     read_calibration(path).cameras["cam1"].translation.tolist()
        [0.0, 1.2, 3.0]
    """
    known_suffix(path, (".toml",))
    if not calibration.cameras:
        raise ValueError("a calibration without cameras cannot be written")
    entries = []
    for name, calibrated in calibration.cameras.items():
        if not calibrated.sized or not calibrated.placed:
            raise ValueError(f"camera {name} cannot be written without its size and its extrinsics")
        if name in NOT_CAMERAS:
            raise InputError(f"{path}: a camera cannot be called {name} in this format; rename it.")
        entries.append(
            CameraEntry(
                name=name,
                matrix=calibrated.matrix,
                distortion=np.array(calibrated.distortion),
                fisheye=calibrated.fisheye,
                size=calibrated.camera.size,
                rotation=matrix_to_axis_angle(torch.as_tensor(calibrated.rotation)).numpy(),
                translation=calibrated.translation,
            )
        )
    comment = "Cameras by meshrec: world to camera, metres, pixels, Rodrigues vectors"
    return write_file(path, write_tables(entries, calibration.up, comment).encode())


def _camera(path: str | Path, entry: CameraEntry, metres: float) -> CalibratedCamera:
    """The checked camera of an entry."""
    what = f"{path}: camera {entry.name}"
    (fx, skew, cx), (low, fy, cy), last = entry.matrix.tolist()
    if last != [0, 0, 1] or low != 0:
        raise InputError(f"{what}: its matrix must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].")
    if not (fx > 0 and fy > 0):
        raise InputError(f"{what}: its focal lengths must be positive, not {fx:g} and {fy:g}.")
    if abs(skew) > SKEW * fx:
        raise InputError(f"{what}: its matrix has a skew of {skew:g} pixels, which no camera has.")
    notes = [f"camera {entry.name}: the skew of {skew:g} pixels is left out"] if skew else []
    size = entry.size or (max(round(2 * cx + 1), 1), max(round(2 * cy + 1), 1))
    width, height = size
    if not (SHORTEST * max(size) < min(fx, fy) and max(fx, fy) < LONGEST * max(size)):
        raise InputError(
            f"{what}: focal lengths of {fx:g} and {fy:g} do not belong to pictures of {width} x {height}; they must be "
            "in pixels."
        )
    if not (-width < cx < 2 * width and -height < cy < 2 * height):
        raise InputError(f"{what}: its principal point ({cx:g}, {cy:g}) is far outside of {width} x {height} pixels.")
    if len(entry.distortion) and np.abs(entry.distortion).max() > LARGEST:
        raise InputError(f"{what}: a distortion coefficient of {np.abs(entry.distortion).max():g} is of no lens.")
    rotation = None if entry.rotation is None else _rotation(what, entry.rotation)
    extrinsics = {}
    if rotation is not None and entry.translation is not None:
        extrinsics = {"rotation": rotation, "translation": entry.translation * metres}
    try:
        camera = Camera((fx, fy), (cx, cy), size, **extrinsics)
        calibrated = CalibratedCamera(
            name=entry.name,
            camera=camera,
            distortion=tuple(entry.distortion.tolist()),
            fisheye=entry.fisheye,
            sized=entry.size is not None,
            placed=bool(extrinsics),
        )
    except ValueError as error:
        raise InputError(f"{what}: {error}.") from error
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    if not undistort_points(corners, calibrated)[:, 2].all():
        notes.append(f"camera {entry.name}: its distortion turns back within the picture; what lies beyond is not used")
    return replace(calibrated, notes=tuple(notes))


def _rotation(what: str, given: np.ndarray) -> np.ndarray:
    """The rotation of a Rodrigues vector, or of a matrix whose digits a file has rounded."""
    values = torch.as_tensor(given)
    if values.dim() == 1:
        if values.norm() > MOST_TURN:
            raise InputError(f"{what}: its rotation must be a Rodrigues vector in radians, not {values.tolist()}.")
        return axis_angle_to_matrix(values).numpy()
    error = (values @ values.mT - torch.eye(3, dtype=values.dtype)).abs().max()
    if not (error <= ROUNDING and torch.linalg.det(values) > 0):
        raise InputError(f"{what}: its rotation is no rotation: the rows must be orthonormal, with determinant 1.")
    return nearest_rotation(values).numpy() if error > 1e-12 else given


def _check_distances(path: str | Path, cameras: Sequence[CalibratedCamera], unit: str) -> list[str]:
    """Whether cameras stand in one room; notes on those that stand in the same place."""
    if len(cameras) < 2:
        return []
    places = np.stack([camera.place for camera in cameras]).clip(-MOST_METRES, MOST_METRES)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    furthest = float(apart.max())
    if not NEAREST <= furthest <= FURTHEST:
        lengths = {other: furthest / METRES[unit] * metres for other, metres in METRES.items() if other != unit}
        likely = [other for other in METRES if other != unit and 0.1 <= lengths[other] <= 50]
        hint = ", or ".join(f"in {other} it would be {lengths[other]:.3g} m" for other in likely)
        raise InputError(
            f"{path}: read in {unit}, its cameras stand {_length(furthest)} apart"
            + (
                f"; {hint}: give the unit of the calibration (--unit)."
                if hint
                else ", which is no room; calibrate them again."
            )
        )
    close = np.argwhere(np.triu(apart < NEAREST, 1))
    return [f"cameras {cameras[a].name} and {cameras[b].name} stand in the same place" for a, b in close[:MOST_NOTES]]


def _length(metres: float) -> str:
    for name, size in (("km", 1e3), ("m", 1.0), ("cm", 1e-2)):
        if metres >= size:
            return f"{metres / size:.3g} {name}"
    return f"{metres * 1e3:.3g} mm"


def _up(file: CalibrationFile, cameras: Sequence[CalibratedCamera]) -> tuple[str | None, list[str]]:
    """The up axis of the world and notes. A format's convention counts only if the cameras stand upright by it."""
    if file.up is None or not cameras:
        return None, []
    axis = np.eye(3)["xyz".index(file.up[-1])] * (-1 if file.up.startswith("-") else 1)
    if file.up_is_stated or np.mean([-camera.rotation[1] @ axis for camera in cameras]) > UPRIGHT:
        return file.up, []
    return None, [f"which axis points up is not known: the cameras do not stand upright if it is {file.up}"]
