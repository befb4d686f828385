"""Files of OpenCV's ``FileStorage`` for one camera.

The file has ``camera_matrix`` (or ``K``), ``distortion_coefficients`` (or ``D``, ``dist``), mostly
``image_width`` and ``image_height``, and sometimes ``R`` (a matrix or a Rodrigues vector) and ``T``, world to camera,
or ``rvec`` and ``tvec``. It has no unit; metres are assumed. The camera's name is that of the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshrec.errors import InputError
from meshrec.files.calibrations.entries import CameraEntry, array, distortion, picture_size, pose

# The names that programs give to a key, without underscores and in lower case.
MATRIX = ("cameramatrix", "k", "m", "intrinsicmatrix", "intrinsics", "matrix")
DISTORTION = ("distortioncoefficients", "distcoeffs", "dist", "d", "distortion", "distortions", "distcoef")
WIDTH, HEIGHT, SIZE = ("imagewidth", "width"), ("imageheight", "height"), ("imagesize", "size", "resolution")
ROTATION = ("r", "rvec", "rotation", "rotationmatrix", "rotationvector", "rot")
TRANSLATION = ("t", "tvec", "translation", "translationvector", "trans")
FISHEYE = ("fisheyemodel", "fisheye")


def is_camera(table: Mapping[str, Any]) -> bool:
    """Whether a file describes one camera."""
    return _find(table, MATRIX) is not None


def read_camera(path: Path, table: Mapping[str, Any]) -> CameraEntry:
    """The camera of a file.

    Args:
        path: The file, whose name is the camera's.
        table: Its content.

    Raises:
        InputError: A key is missing or is not what it should be.
    """
    matrix = _find(table, MATRIX)
    if matrix is None:
        raise InputError(f"{path}: there is no 'camera_matrix' in it; each camera needs a file with its own.")
    width, height, size = _find(table, WIDTH), _find(table, HEIGHT), _find(table, SIZE)
    if size is None and width is not None and height is not None:
        size = [width, height]
    rotation, translation = pose(_find(table, ROTATION), _find(table, TRANSLATION), str(path))
    fisheye = _find(table, FISHEYE) or str(_find(table, ("distortionmodel",))) in ("fisheye", "equidistant")
    return CameraEntry(
        name=path.name.split(".")[0] or path.name,
        matrix=array(matrix, f"{path}: its camera matrix", (3, 3)),
        distortion=distortion(_find(table, DISTORTION), f"{path}: its distortion coefficients"),
        fisheye=bool(fisheye),
        size=None if size is None else picture_size(size, f"{path}: its picture's size"),
        rotation=rotation,
        translation=translation,
    )


def _find(table: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of several keys, whatever their case and underscores."""
    plain = {key.replace("_", "").lower(): value for key, value in table.items()}
    return next((plain[name] for name in names if plain.get(name) is not None), None)
