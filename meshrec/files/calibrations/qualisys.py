"""Qualisys' ``.qca.txt``: XML with a ``<camera>`` for each camera.

``<intrinsic>`` gives focal lengths and centre in 1/64 pixel of the whole sensor, ``<fov_video>`` the part of it that
the video shows, ``<transform>`` the camera's place in millimetres and its axes r11 ... r33, of which y points up and z
backwards. The distortion coefficients are taken as they are written.
"""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from meshrec.errors import InputError
from meshrec.files.calibrations.entries import CalibrationFile, CameraEntry, array, picture_size

SUBPIXELS = 64.0
VIDEO_MODELS = ("video", "hybrid", "none")  # parts of names of models that film; the others see markers only
OPENCV_AXES = np.array([[1.0], [-1.0], [-1.0]])  # of Qualisys' camera, x right, y up, z backwards


def read_cameras(path: Path, root: Element) -> CalibrationFile:
    """The cameras of a file that film.

    Args:
        path: The file, for messages.
        root: Its root element, ``<calibration>``.

    Raises:
        InputError: An attribute is missing or no number.
    """
    found = [camera for camera in root.findall("cameras/camera") if camera.get("active", "1") != "0"]
    filming = [camera for camera in found if any(kind in camera.get("model", "none").lower() for kind in VIDEO_MODELS)]
    notes = [
        f"camera {camera.get('serial')} has viewrotation={camera.get('viewrotation')}, which is not applied: its "
        "calibration is that of the video as it was recorded"
        for camera in filming
        if camera.get("viewrotation", "0") not in ("0", "")
    ]
    if left_out := len(found) - len(filming):
        notes.append(f"{left_out} cameras for markers, which do not film, are left out")
    entries = tuple(_camera(path, camera, number) for number, camera in enumerate(filming, 1))
    return CalibrationFile("Qualisys", entries, unit="mm", up="z", notes=tuple(notes))


def _camera(path: Path, camera: Element, number: int) -> CameraEntry:
    name = camera.get("serial") or f"camera{number}"
    what = f"{path}: camera {name}"

    def numbers(tag: str, *names: str) -> Any:
        element = camera.find(tag)
        if element is None:
            raise InputError(f"{what} has no <{tag}>, which a calibration needs.")
        if missing := [key for key in names if element.get(key) is None]:
            raise InputError(f"{what}: its <{tag}> has no '{missing[0]}'.")
        return array([element.get(key) for key in names], f"{what}: {', '.join(names)} of its <{tag}>", (len(names),))

    left, top, right, bottom = numbers("fov_video", "left", "top", "right", "bottom")
    fx, fy, cx, cy = numbers("intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV") / SUBPIXELS
    k1, k2 = numbers("intrinsic", "radialDistortion1", "radialDistortion2")
    p1, p2 = numbers("intrinsic", "tangentalDistortion1", "tangentalDistortion2")
    # Files of older versions have no third coefficient.
    k3 = (
        numbers("intrinsic", "radialDistortion3")[0]
        if camera.find("intrinsic[@radialDistortion3]") is not None
        else 0.0
    )
    axes = numbers("transform", *(f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))).reshape(3, 3)
    place = numbers("transform", "x", "y", "z")
    rotation = OPENCV_AXES * axes
    return CameraEntry(
        name=name,
        matrix=np.array([[fx, 0, cx - left], [0, fy, cy - top], [0, 0, 1]]),
        distortion=np.array([k1, k2, p1, p2, k3]),
        size=picture_size([right - left + 1, bottom - top + 1], f"{what}: the size of its <fov_video>"),
        rotation=rotation,
        translation=-rotation @ place,
    )
