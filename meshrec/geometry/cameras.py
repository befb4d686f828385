"""Cameras: 3D points in camera space to pixels, and from world to camera space.

Camera space is OpenCV's: x right, y down, z forward, metres. Pixel centres lie at integer coordinates, so a picture of
width W covers u from -0.5 to W - 0.5. Projected points are ``screen = (u, v, depth)``: pixels, pixels, metres.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

Pair = tuple[float, float] | Tensor
Triple = tuple[float, float, float]
IDENTITY: tuple[Triple, Triple, Triple] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
ORIGIN: Triple = (0.0, 0.0, 0.0)
ROUNDING = 1e-3  # by how much the columns of a rotation may fail to be orthonormal: files round them


@dataclass(frozen=True, init=False)
class Camera:
    """A perspective camera without lens distortion (readers undistort).

    Parameters are plain numbers, or tensors where gradients or one camera per sample are wanted. A camera is checked
    when it is made: plain numbers always; the values of tensors only on the CPU and outside of autograd and tracing,
    where looking at them costs no synchronisation.

    Attributes:
        focal: Focal lengths (fx, fy) in pixels, a pair of floats or a tensor (2,) or (B, 2). The constructor also takes
            one number for both.
        center: Principal point (cx, cy) in pixels, a pair of floats or a tensor (2,) or (B, 2). Default: the middle of
            the picture.
        size: Picture size (W, H) in pixels.
        rotation: Extrinsic rotation from world to camera axes (OpenCV's R): three rows of floats, or a tensor (3, 3) or
            (B, 3, 3). Default: the identity, so that world space is camera space.
        translation: Extrinsic translation in metres (OpenCV's t), so that a world point X lies at
            ``rotation @ X + translation`` in camera space: three floats, or a tensor (3,) or (B, 3). Default: zero.

    Raises:
        ValueError: A parameter is not of these shapes or not finite, a focal length is not positive, the size is less
            than one pixel, or ``rotation`` is no rotation.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> camera = Camera(500.0, size=(640, 480))
        >>> camera.project(torch.tensor([[0.0, 0.0, 2.0], [0.5, 0.0, 2.0]])).tolist()
        [[319.5, 239.5, 2.0], [444.5, 239.5, 2.0]]
    """

    focal: Pair
    center: Pair
    size: tuple[int, int]
    rotation: tuple[Triple, Triple, Triple] | Tensor
    translation: Triple | Tensor

    def __init__(
        self,
        focal: float | Sequence[float] | np.ndarray | Tensor,
        center: Sequence[float] | np.ndarray | Tensor | None = None,
        size: tuple[int, int] = (224, 224),
        rotation: Sequence[Sequence[float]] | np.ndarray | Tensor = IDENTITY,
        translation: Sequence[float] | np.ndarray | Tensor = ORIGIN,
    ) -> None:
        width, height = (int(length) for length in size)
        if width < 1 or height < 1:
            raise ValueError(f"camera size must be at least 1 x 1 pixel, not {width} x {height}")
        middle = ((width - 1) / 2, (height - 1) / 2)
        values = {
            "focal": _focal(focal),
            "center": middle if center is None else _vector(center, 2, "camera center"),
            "size": (width, height),
            "rotation": IDENTITY if rotation is IDENTITY else _rotation(rotation),
            "translation": ORIGIN if translation is ORIGIN else _vector(translation, 3, "camera translation"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_fov(cls, size: tuple[int, int], fov: float = math.radians(55)) -> "Camera":
        """A camera looking through the picture's middle.

        Args:
            size: (W, H) pixels.
            fov: Angle of view across the picture's diagonal, radians. 55 degrees is a 41 mm lens on 35 mm film:
                between a phone's main camera and a portrait lens.
        """
        return cls(math.hypot(*size) / 2 / math.tan(fov / 2), size=size)

    @classmethod
    def from_matrix(cls, matrix: Tensor | np.ndarray, size: tuple[int, int] = (224, 224)) -> "Camera":
        """The camera of a calibration matrix K (3, 3); skew is left out.

        Args:
            matrix: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels.
            size: (W, H) pixels.
        """
        (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
        return cls((fx, fy), (cx, cy), size)

    def world_to_camera(self, points: Tensor) -> Tensor:
        """World points (..., N, 3) in camera space, ``rotation @ X + translation``; (B, N, 3) for B cameras."""
        rotation, translation = self._extrinsics(points)
        return points @ rotation.mT + translation

    def camera_to_world(self, points: Tensor) -> Tensor:
        """The inverse of :meth:`world_to_camera`."""
        rotation, translation = self._extrinsics(points)
        return (points - translation) @ rotation

    def project(self, points: Tensor) -> Tensor:
        """Project points of camera space; the extrinsics take no part (:meth:`world_to_camera` applies them).

        Points at or behind the camera's plane come out as the formula gives them (mirrored or infinite); renderers cull
        them by their depth.

        Args:
            points: (..., N, 3) in camera space, metres; (B, N, 3) where focal or center are per sample.

        Returns:
            (..., N, 3): u, v in pixels and depth in metres.
        """
        depth = points[..., 2:]
        pixels = points[..., :2] / depth * _per_point(self.focal, points) + _per_point(self.center, points)
        return torch.cat([pixels, depth], dim=-1)

    def unproject(self, screen: Tensor) -> Tensor:
        """The inverse of :meth:`project`.

        Args:
            screen: (..., N, 3) u, v in pixels and depth in metres.

        Returns:
            (..., N, 3) points in camera space, metres.
        """
        depth = screen[..., 2:]
        rays = (screen[..., :2] - _per_point(self.center, screen)) / _per_point(self.focal, screen)
        return torch.cat([rays * depth, depth], dim=-1)

    def crop(self, center: Pair, side: float, resolution: int) -> "Camera":
        """The camera of a square crop of this picture, resized; it stands where this one does.

        Args:
            center: (cx, cy) of the crop in this picture's pixels.
            side: Side of the crop in this picture's pixels.
            resolution: Side of the resized crop in its own pixels.
        """
        scale = resolution / side
        focal, principal, middle = (torch.as_tensor(v, dtype=torch.float32) for v in (self.focal, self.center, center))
        moved = (principal - middle) * scale + (resolution - 1) / 2
        return replace(self, focal=focal * scale, center=moved, size=(resolution, resolution))

    def resized(self, size: tuple[int, int]) -> "Camera":
        """The camera of this picture resized to ``size`` (W, H), its edges staying its edges."""
        ratio = torch.tensor([size[0] / self.size[0], size[1] / self.size[1]])
        focal = torch.as_tensor(self.focal, dtype=torch.float32) * ratio
        center = (torch.as_tensor(self.center, dtype=torch.float32) + 0.5) * ratio - 0.5
        return replace(self, focal=focal, center=center, size=size)

    @property
    def matrix(self) -> Tensor:
        """Calibration matrix K, (..., 3, 3) float32."""
        given = (self.focal, self.center)
        focal, center = (v if isinstance(v, Tensor) else torch.tensor(v, dtype=torch.float32) for v in given)
        focal, center = torch.broadcast_tensors(focal, center)
        k = torch.diag_embed(torch.cat([focal, torch.ones_like(focal[..., :1])], dim=-1))
        return torch.cat([k[..., :2], torch.cat([center, torch.ones_like(center[..., :1])], -1)[..., None]], dim=-1)

    def _extrinsics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation (3, 3) or (B, 3, 3), and translation (3,) or (B, 1, 3), with the type and device of ``like``."""
        rotation = torch.as_tensor(self.rotation, dtype=like.dtype, device=like.device)
        return rotation, _per_point(self.translation, like)


@dataclass(frozen=True)
class WeakPerspectiveCamera:
    """Scaled orthographic projection onto a crop: what networks put out as ``[s, tx, ty]`` (Kanazawa et al. 2018).

    In the crop's normalised coordinates, whose edges are -1 and 1: ``(x, y) -> s * (x + tx, y + ty)``.

    Attributes:
        scale: s, a number or a tensor (B,).
        translation: (tx, ty), a pair or a tensor (2,) or (B, 2), metres.
        size: Crop size (W, H) in pixels.

    Example:
        >>> import torch
        >>> from meshrec.geometry import WeakPerspectiveCamera
        >>> camera = WeakPerspectiveCamera(0.5, (0.0, 0.0), size=(224, 224))
        >>> camera.project(torch.tensor([[1.0, 0.0, 0.5]])).tolist()
        [[167.5, 111.5, 0.5]]
    """

    scale: float | Tensor
    translation: Pair = (0.0, 0.0)
    size: tuple[int, int] = (224, 224)

    def project(self, points: Tensor) -> Tensor:
        """Project points; their z stays as the depth.

        Args:
            points: (..., N, 3) metres.

        Returns:
            (..., N, 3): u, v in pixels and depth in metres.
        """
        scale = torch.as_tensor(self.scale, dtype=points.dtype, device=points.device)[..., None, None]
        half = points.new_tensor(self.size) / 2
        pixels = (scale * (points[..., :2] + _per_point(self.translation, points)) + 1) * half - 0.5
        return torch.cat([pixels, points[..., 2:]], dim=-1)

    def to_perspective(self, focal: float) -> tuple[Camera, Tensor]:
        """The perspective camera and translation under which a body at the origin looks the same at its own depth.

        Args:
            focal: Focal length in pixels of the crop.

        Returns:
            The camera through the crop's middle, and the translation (..., 3) in metres: tz = 2 f / (W s).
        """
        scale = torch.as_tensor(self.scale, dtype=torch.float32)
        shift = torch.as_tensor(self.translation, dtype=torch.float32)
        depth = 2 * focal / (self.size[0] * scale)
        return Camera(focal, size=self.size), torch.cat([shift, depth[..., None]], dim=-1)


def _focal(given: float | Sequence[float] | np.ndarray | Tensor) -> Pair:
    """Checked focal lengths (fx, fy)."""
    pair: Any = given
    if isinstance(given, Real):
        pair = (given, given)
    elif isinstance(given, Tensor) and given.dim() == 0:
        pair = given.expand(2)
    focal = _vector(pair, 2, "camera focal length")
    if not all(number > 0 for number in _checkable(focal)):
        raise ValueError(f"camera focal length must be positive, not {_checkable(focal)}")
    return focal


def _vector(given: Sequence[float] | np.ndarray | Tensor, length: int, name: str) -> Any:
    """Checked numbers: a tuple of floats, or the tensor as it is."""
    if isinstance(given, Tensor):
        fits = given.dim() in (1, 2) and given.shape[-1] == length
    else:
        try:
            given = tuple(float(number) for number in given)
        except TypeError:
            given = ()
        fits = len(given) == length
    if not fits:
        found = f", not {tuple(given.shape)}" if isinstance(given, Tensor) else ""
        raise ValueError(f"{name} must be {length} numbers, or a tensor ({length},) or (B, {length}){found}")
    if not all(map(math.isfinite, _checkable(given))):
        raise ValueError(f"{name} must be finite, not {_checkable(given)}")
    return given


def _rotation(given: Sequence[Sequence[float]] | np.ndarray | Tensor) -> Any:
    """A checked rotation: rows of floats, or the tensor as it is."""
    if not isinstance(given, Tensor):
        given = tuple(_vector(row, 3, "a row of the camera rotation") for row in given)
    shape = tuple(given.shape) if isinstance(given, Tensor) else (len(given), 3)
    if shape[-2:] != (3, 3) or len(shape) > 3:
        raise ValueError(f"camera rotation must be (3, 3), or a tensor (3, 3) or (B, 3, 3), not {shape}")
    if _checkable(given) and not torch.compiler.is_compiling():
        matrix = torch.as_tensor(given, dtype=torch.float64)
        error = (matrix @ matrix.mT - torch.eye(3, dtype=torch.float64)).abs().max()
        if not (error <= ROUNDING and (torch.linalg.det(matrix) > 0).all()):
            raise ValueError("camera rotation must be orthonormal with determinant 1")
    return given


def _checkable(values: Any) -> tuple:
    """The numbers of a parameter that can be checked at no cost.

    These are all plain numbers, and the minimum and maximum of a CPU tensor, which are NaN if it contains one. Other
    tensors give an empty tuple: reading them would wait for a GPU, or break a trace.
    """
    if not isinstance(values, Tensor):
        return values
    if values.device.type != "cpu" or values.requires_grad or torch.compiler.is_compiling():
        return ()
    try:
        return tuple(bound.item() for bound in values.aminmax())
    except RuntimeError:  # an empty batch, or a tensor inside of torch.func.vmap
        return ()


def _per_point(value: Any, like: Tensor) -> Tensor:
    """``value`` as a tensor that broadcasts against (..., N, D) points: (D,), or (B, 1, D) where it is per sample."""
    vector = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return vector.unsqueeze(-2) if vector.dim() > 1 else vector
