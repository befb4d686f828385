"""The camera of a photo, and of a clip's first frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from meshrec.errors import InputError
from meshrec.files import Photo
from meshrec.files.photos import FILM_DIAGONAL, field_of_view, is_plausible
from meshrec.geometry import Camera

if TYPE_CHECKING:
    from meshrec.files.clips import Clip

FocalEstimator = Callable[[np.ndarray], float]
"""Estimates the focal length in pixels from a picture (H, W, 3) uint8 RGB."""


def clip_camera(
    clip: Clip, focal: float | None, camera: Camera | None, name: str, estimate: FocalEstimator | None = None
) -> Camera:
    """Choose the camera of a clip's first frame.

    Args:
        clip: The clip.
        focal: Focal length in pixels. Default: an estimate, else one that gives a diagonal field of view of 55 degrees.
        camera: The camera, instead of ``focal``.
        name: Name of the clip, for messages.
        estimate: Estimates the focal length from the first frame.

    Raises:
        InputError: As for :func:`photo_camera`.
    """
    known = None
    if estimate is not None and focal is None and camera is None and (first := clip.first()) is not None:
        known = estimate(first.image)
    return _camera(clip.size, name, known, focal, camera)


def photo_camera(
    photo: Photo, focal: float | None = None, camera: Camera | None = None, estimate: FocalEstimator | None = None
) -> Camera:
    """Choose the camera of a photo.

    Args:
        photo: The photo.
        focal: Focal length in pixels. Default: that of the photo's EXIF data, which tells of the lens itself, else an
            estimate, else one that gives a diagonal field of view of 55 degrees.
        camera: The camera, instead of ``focal``.
        estimate: Estimates the focal length from the picture.

    Returns:
        The camera that is given, or one with this focal length.

    Raises:
        InputError: The camera has another picture size, both are given, or the focal length is not a positive number of
            pixels with which a camera could have taken the photo.
    """
    known = photo.focal_px
    if estimate is not None and known is None and focal is None and camera is None:
        known = estimate(photo.image)
    return _camera((photo.image.shape[1], photo.image.shape[0]), photo.path, known, focal, camera)


def _camera(
    size: tuple[int, int], name: object, known: float | None, focal: float | None, camera: Camera | None
) -> Camera:
    """The camera that is given, else one with the given focal length, or the known one."""
    if camera is not None:
        if focal is not None:
            raise InputError("give a focal length or a camera, not both.")
        if camera.size != size:
            width, height = camera.size
            raise InputError(
                f"{name}: the pictures have {size[0]} x {size[1]} pixels, their camera {width} x {height}."
            )
        return camera
    if focal is not None and not (math.isfinite(focal) and focal > 0):
        raise InputError(f"the focal length must be a positive number of pixels, not {focal}.")
    focal = known if focal is None else float(focal)
    if focal is not None and not is_plausible(focal, size):
        raise InputError(
            f"{name}: a focal length of {focal:g} pixels would be a field of view of "
            f"{field_of_view(focal, size):.3g} degrees; give it in pixels, not in millimetres (1 mm of a 35 mm camera "
            f"is {math.hypot(*size) / FILM_DIAGONAL:.3g} pixels here)."
        )
    return Camera.from_fov(size) if focal is None else Camera(float(focal), size=size)
