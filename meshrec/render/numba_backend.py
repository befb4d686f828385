"""The numba backend, the default on the CPU: compiled loops, with one thread for each picture of a batch."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled.threads import over_items
from meshrec.render import numba_kernels as kernels
from meshrec.render.edges import mesh_edges


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre; same contract as :func:`meshrec.render.torch_backend.visible_faces`."""
    points, triangles = _screen_array(screen), _faces_array(faces)
    width, height = size
    face_id = np.full((len(points), height, width), -1, dtype=np.int32)
    over_items(lambda i: kernels.draw_faces(points[i], triangles, perspective, face_id[i]), len(points))
    return torch.from_numpy(face_id).to(screen.device)


def paint(
    screen: Tensor, faces: Tensor, perspective: bool, colors: Tensor, canvas: np.ndarray, samples: int, opacity: float
) -> None:
    """Draw one coloured mesh over a picture, with smooth edges and without derivatives.

    Args:
        screen: (1, V, 3) vertices on a screen with ``samples`` times the pixels of the picture along each axis, as
            :func:`meshrec.render.screen.to_screen` returns them.
        faces: (F, 3) vertex indices.
        perspective: Whether 1 / depth, rather than depth, is linear on the screen.
        colors: (V, 3) RGB in [0, 1].
        canvas: (H, W, 3) uint8 RGB, which is drawn over.
        samples: Samples along each axis of a pixel.
        opacity: Opacity of the mesh, in [0, 1].
    """
    points, triangles = _screen_array(screen)[0], _faces_array(faces)
    drawable = points[np.isfinite(points).all(1), :2]
    if not len(drawable):
        return
    # Only the mesh's box is drawn and painted.
    height, width = canvas.shape[:2]
    left, top = np.floor(drawable.min(0) / samples).clip(0, (width, height)).astype(int)
    right, bottom = (np.floor(drawable.max(0) / samples) + 1).clip(0, (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    points = points - (samples * left, samples * top, 0)
    part = np.ascontiguousarray(canvas[top:bottom, left:right])
    face_id = np.full(((bottom - top) * samples, (right - left) * samples), -1, dtype=np.int32)
    kernels.draw_faces(points, triangles, perspective, face_id)
    tint = np.ascontiguousarray(colors.numpy(), dtype=np.float32)
    kernels.paint_faces(points, triangles, perspective, face_id, tint, samples, float(opacity), part)
    canvas[top:bottom, left:right] = part


def outline(screen: Tensor, faces: Tensor, size: tuple[int, int], softness: float) -> Tensor:
    """Coverage (B, H, W); same contract as :func:`meshrec.render.torch_outline.outline`."""
    return _Outline.apply(screen, faces, size, softness)


class _Outline(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, screen: Tensor, faces: Tensor, size: tuple[int, int], softness: float) -> Tensor:
        points, triangles = _screen_array(screen), _faces_array(faces)
        edges = mesh_edges(triangles)
        width, height = size
        coverage = torch.zeros(len(points), height, width, dtype=screen.dtype)
        pictures = coverage.numpy()

        def job(i: int) -> tuple:
            return kernels.draw_outline(points[i], triangles, edges, softness, pictures[i])

        ctx.slopes = over_items(job, len(points))
        ctx.points = screen.shape
        return coverage.to(screen.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        upstream = np.ascontiguousarray(grad.cpu().numpy()).reshape(len(grad), -1)
        gradient = torch.zeros(ctx.points, dtype=grad.dtype)
        out = gradient.numpy()
        for i, (pixel, ends, slope) in enumerate(ctx.slopes):
            kernels.outline_gradient(upstream[i], pixel, ends, slope, out[i])
        return gradient.to(grad.device), None, None, None


def soft_silhouette(
    screen: Tensor, faces: Tensor, size: tuple[int, int], sigma: float, reach: float, sliver: float
) -> Tensor:
    """Coverage (B, H, W); same contract as :func:`meshrec.render.torch_soft.soft_silhouette`."""
    return _Soft.apply(screen, faces, size, sigma, reach, sliver)


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, screen: Tensor, faces: Tensor, size: tuple[int, int], *scale: float) -> Tensor:
        ctx.points, ctx.triangles, ctx.scale = _screen_array(screen), _faces_array(faces), scale
        width, height = size
        ctx.empty = np.ones((len(ctx.points), height, width))
        over_items(lambda i: kernels.draw_soft(ctx.points[i], ctx.triangles, *scale, ctx.empty[i]), len(ctx.points))
        return 1 - torch.from_numpy(ctx.empty).to(screen)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        upstream = np.ascontiguousarray(grad.cpu().numpy(), dtype=np.float64)
        gradient = np.zeros_like(ctx.points)

        def job(i: int) -> None:
            kernels.soft_gradient(ctx.points[i], ctx.triangles, *ctx.scale, ctx.empty[i], upstream[i], gradient[i])

        over_items(job, len(ctx.points))
        return torch.from_numpy(gradient).to(grad), None, None, None, None, None


def _screen_array(screen: Tensor) -> np.ndarray:
    """(B, V, 3) float64: exact for float32 input too, and one compiled version of each loop serves all."""
    return np.ascontiguousarray(screen.detach().cpu().numpy(), dtype=np.float64)


def _faces_array(faces: Tensor) -> np.ndarray:
    """(F, 3) int32."""
    return np.ascontiguousarray(faces.detach().cpu().numpy(), dtype=np.int32)
