"""Cameras: 3D points in camera space to pixels.

Camera space is OpenCV's: x right, y down, z forward, metres. Pixel centres lie at integer coordinates, so a picture of
width W covers u from -0.5 to W - 0.5. Projected points are ``screen = (u, v, depth)``: pixels, pixels, metres.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

Scalars = float | tuple[float, float] | Tensor


@dataclass(frozen=True)
class Camera:
    """A perspective camera without lens distortion (readers undistort).

    Attributes:
        focal: Focal length in pixels: a number, (fx, fy), or a tensor (2,) or (B, 2).
        center: Principal point (cx, cy) in pixels: a pair, or a tensor (2,) or (B, 2). Default: the picture's middle.
        size: Picture size (W, H) in pixels.
    """

    focal: Scalars
    center: Scalars | None = None
    size: tuple[int, int] = (224, 224)

    def __post_init__(self) -> None:
        width, height = self.size
        object.__setattr__(self, "size", (int(width), int(height)))
        if width < 1 or height < 1:
            raise ValueError(f"camera size must be at least 1 x 1 pixel, not {width} x {height}")
        if self.center is None:
            object.__setattr__(self, "center", ((width - 1) / 2, (height - 1) / 2))

    @classmethod
    def from_fov(cls, size: tuple[int, int], fov: float = math.radians(55)) -> "Camera":
        """A camera looking through the picture's middle.

        Args:
            size: (W, H) pixels.
            fov: Angle of view across the picture's diagonal, radians. 55 degrees is a 41 mm lens on 35 mm film:
                between a phone's main camera and a portrait lens.
        """
        return cls(focal=math.hypot(*size) / 2 / math.tan(fov / 2), size=size)

    @classmethod
    def from_matrix(cls, matrix: Tensor | np.ndarray, size: tuple[int, int] = (224, 224)) -> "Camera":
        """The camera of a calibration matrix K (3, 3); skew is left out.

        Args:
            matrix: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels.
            size: (W, H) pixels.
        """
        (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
        return cls((fx, fy), (cx, cy), size)

    def project(self, points: Tensor) -> Tensor:
        """Project points in camera space.

        Points at or behind the camera's plane come out as the formula gives them (mirrored or infinite); whoever draws
        them culls by their depth.

        Args:
            points: (..., N, 3) metres; (B, N, 3) where focal or center are per sample.

        Returns:
            (..., N, 3): u, v in pixels and depth in metres.
        """
        depth = points[..., 2:]
        pixels = points[..., :2] / depth * _pair(self.focal, points) + _pair(self.center, points)
        return torch.cat([pixels, depth], dim=-1)

    def unproject(self, screen: Tensor) -> Tensor:
        """The inverse of :meth:`project`.

        Args:
            screen: (..., N, 3) u, v in pixels and depth in metres.

        Returns:
            (..., N, 3) points in camera space, metres.
        """
        depth = screen[..., 2:]
        rays = (screen[..., :2] - _pair(self.center, screen)) / _pair(self.focal, screen)
        return torch.cat([rays * depth, depth], dim=-1)

    def crop(self, center: Scalars, side: float, resolution: int) -> "Camera":
        """The camera of a square crop of this picture, resized.

        Args:
            center: (cx, cy) of the crop in this picture's pixels.
            side: Side of the crop in this picture's pixels.
            resolution: Side of the resized crop in its own pixels.
        """
        scale = resolution / side
        focal, principal, middle = (torch.as_tensor(v, dtype=torch.float32) for v in (self.focal, self.center, center))
        moved = (principal - middle) * scale + (resolution - 1) / 2
        return Camera(focal=focal * scale, center=moved, size=(resolution, resolution))

    def resized(self, size: tuple[int, int]) -> "Camera":
        """The camera of this picture resized to ``size`` (W, H), its edges staying its edges."""
        ratio = torch.tensor([size[0] / self.size[0], size[1] / self.size[1]])
        focal = torch.as_tensor(self.focal, dtype=torch.float32) * ratio
        center = (torch.as_tensor(self.center, dtype=torch.float32) + 0.5) * ratio - 0.5
        return replace(self, focal=focal, center=center, size=size)

    @property
    def matrix(self) -> Tensor:
        """Calibration matrix K, (..., 3, 3) float32."""
        focal = torch.as_tensor(self.focal, dtype=torch.float32).expand(2) if _is_plain(self.focal) else self.focal
        center = torch.as_tensor(self.center, dtype=torch.float32) if _is_plain(self.center) else self.center
        focal, center = torch.broadcast_tensors(focal, center)
        k = torch.diag_embed(torch.cat([focal, torch.ones_like(focal[..., :1])], dim=-1))
        return torch.cat([k[..., :2], torch.cat([center, torch.ones_like(center[..., :1])], -1)[..., None]], dim=-1)


@dataclass(frozen=True)
class WeakPerspectiveCamera:
    """Scaled orthographic projection onto a crop: what networks put out as ``[s, tx, ty]`` (Kanazawa et al. 2018).

    In the crop's normalised coordinates, whose edges are -1 and 1: ``(x, y) -> s * (x + tx, y + ty)``.

    Attributes:
        scale: s, a number or a tensor (B,).
        translation: (tx, ty), a pair or a tensor (2,) or (B, 2), metres.
        size: Crop size (W, H) in pixels.
    """

    scale: float | Tensor
    translation: Scalars = (0.0, 0.0)
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
        pixels = (scale * (points[..., :2] + _pair(self.translation, points)) + 1) * half - 0.5
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
        return Camera(focal=focal, size=self.size), torch.cat([shift, depth[..., None]], dim=-1)


def _is_plain(value: object) -> bool:
    return not isinstance(value, Tensor)


def _pair(value: Scalars | None, like: Tensor) -> Tensor:
    """``value`` as a tensor that broadcasts against (..., N, 2) points: (2,), or (B, 1, 2) where it is per sample."""
    pair = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return pair.unsqueeze(-2) if pair.dim() > 1 else pair
