"""Projection from camera space to the screen, and the rule for which vertices can be drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera

Array = Tensor | np.ndarray
AnyCamera = Camera | WeakPerspectiveCamera

NEAR = 0.01  # metres: nothing nearer to a perspective camera's plane is drawn
FARTHEST_POINT = 1e6  # metres
FARTHEST_PIXEL = 1e7  # beyond it float32 no longer tells neighbouring pixels apart


def to_screen(vertices: Array, camera: AnyCamera) -> Tensor:
    """Project vertices; those that cannot be drawn become NaN, and a face with a NaN corner is left out everywhere.

    A vertex can be drawn if it is finite, has coordinates of at most 1,000 km, lies at least 1 cm in front of a
    perspective camera's plane, and lands within ten million pixels of the picture's corner. The others get a gradient
    of zero, never NaN.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        camera: One camera, or one per sample.

    Returns:
        (B, V, 3): u, v in pixels and depth in metres.

    Raises:
        TypeError: ``camera`` is no camera.
        ValueError: The vertices have another shape.
    """
    if not isinstance(camera, AnyCamera):
        raise TypeError(f"camera must be a Camera or a WeakPerspectiveCamera, not {type(camera).__name__}")
    points = as_vertices(vertices)
    if len(points) == 1:
        points = points.expand(camera_batch(camera), -1, -1)
    nearest = NEAR if is_perspective(camera) else -FARTHEST_POINT
    if _within(points, FARTHEST_POINT) and _within(points[..., 2], FARTHEST_POINT, nearest):
        screen = camera.project(points)
        if _within(screen, FARTHEST_PIXEL):
            return screen
    # False for NaN too.
    drawable = ((points.abs() <= FARTHEST_POINT) & (points[..., 2:] >= nearest)).all(-1, keepdim=True)
    # Undrawable points are replaced before the division and become NaN only after it: dividing by zero would turn their
    # zero gradients into NaN.
    screen = camera.project(torch.where(drawable, points, points.new_tensor([0.0, 0.0, 1.0])))
    drawable = drawable & (screen[..., :2].abs() <= FARTHEST_PIXEL).all(-1, keepdim=True)
    return torch.where(drawable, screen, screen.new_tensor(torch.nan))


def _within(values: Tensor, highest: float, lowest: float | None = None) -> bool:
    """Whether all values are at most ``highest`` and at least ``lowest``, by default its negative; false for NaN."""
    if values.numel() == 0:
        return True
    low, high = values.detach().aminmax()
    return bool((low >= (-highest if lowest is None else lowest)) & (high <= highest))


def is_perspective(camera: AnyCamera) -> bool:
    """Whether pictures shrink with depth, so that 1 / depth rather than depth is linear across a face on the screen."""
    return not isinstance(camera, WeakPerspectiveCamera)


def as_vertices(vertices: Array) -> Tensor:
    """Convert points (V, 3) or (B, V, 3) to a tensor (B, V, 3): float64 stays float64, other types become float32.

    Raises:
        ValueError: The shape is another one.
    """
    points = as_tensor(vertices)
    if points.dim() not in (2, 3) or points.shape[-1] != 3:
        raise ValueError(f"vertices must be (V, 3) or (B, V, 3), not {tuple(points.shape)}")
    points = points if points.dtype in (torch.float32, torch.float64) else points.float()
    return points if points.dim() == 3 else points[None]


def drawable_points(vertices: Array) -> Tensor:
    """Move points that no camera can draw to the origin, so that normals stay finite.

    Args:
        vertices: (V, 3) or (B, V, 3) points, metres.

    Returns:
        (B, V, 3).
    """
    points = as_vertices(vertices)
    if _within(points, FARTHEST_POINT):
        return points
    return torch.where((points.abs() <= FARTHEST_POINT).all(-1, keepdim=True), points, points.new_zeros(3))


def as_faces(faces: Array, vertices: Tensor) -> Tensor:
    """(F, 3) vertex indices as int64 on the vertices' device, checked against the number of vertices.

    Raises:
        ValueError: The shape is another one, or an index names no vertex.
    """
    faces = as_tensor(faces).long()
    if faces.dim() != 2 or faces.shape[-1] != 3:
        raise ValueError(f"faces must be (F, 3), not {tuple(faces.shape)}")
    count = vertices.shape[-2]
    if faces.numel() and not (int(faces.min()) >= 0 and int(faces.max()) < count):
        raise ValueError(
            f"faces name vertices {int(faces.min())} to {int(faces.max())}, but there are {count} vertices"
        )
    return faces.to(vertices.device)


def batched(vertices: Array, camera: AnyCamera) -> bool:
    """Whether a picture of these vertices keeps its batch dimension."""
    return np.ndim(vertices) == 3 or camera_batch(camera) > 1


def camera_batch(camera: AnyCamera) -> int:
    """How many cameras there are: 1 unless a parameter is a tensor with a batch dimension."""
    if isinstance(camera, WeakPerspectiveCamera):
        parameters: list[tuple[object, int]] = [(camera.scale, 1), (camera.translation, 2)]
    else:
        parameters = [(camera.focal, 2), (camera.center, 2)]
    return max(len(value) if isinstance(value, Tensor) and value.dim() >= dims else 1 for value, dims in parameters)


def supersampled(camera: AnyCamera, factor: int) -> AnyCamera:
    """The same view with ``factor`` times as many pixels along each axis."""
    if factor == 1:
        return camera
    size = (camera.size[0] * factor, camera.size[1] * factor)
    return replace(camera, size=size) if isinstance(camera, WeakPerspectiveCamera) else camera.resized(size)


def as_tensor(values: Any) -> Tensor:
    """Convert an array or numbers to a tensor, also numpy's flipped views and unsigned types, which torch refuses."""
    if isinstance(values, Tensor):
        return values
    array = np.ascontiguousarray(values)
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "u" and array.itemsize > 1 else array)
