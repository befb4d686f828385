"""The PyTorch3D backend. Its cameras are bypassed: it is given screen coordinates."""

import warnings

import torch
from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
from pytorch3d.structures import Meshes
from torch import Tensor

FACES_PER_PIXEL = 50  # how many of the nearest faces the soft silhouette sees


def visible_faces(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool) -> Tensor:
    """The face seen at each pixel centre; same contract as :func:`meshrec.render.torch_backend.visible_faces`."""
    if not len(faces):
        return torch.full((len(screen), size[1], size[0]), -1, dtype=torch.int32, device=screen.device)
    seen, _, _, _ = _rasterize(screen, faces, size, perspective_correct=perspective)
    return torch.where(seen < 0, -1, seen % len(faces))[..., 0].int()


def soft_silhouette(
    screen: Tensor,
    faces: Tensor,
    size: tuple[int, int],
    sigma: float,
    reach: float,
    sliver: float,
) -> Tensor:
    """Coverage (B, H, W); same contract as :func:`meshrec.render.torch_soft.soft_silhouette`.

    Only the nearest faces count, however, and PyTorch3D's own constant takes the place of ``sliver``.
    """
    if not len(faces):
        return (screen.sum() * 0).expand(len(screen), size[1], size[0])
    unit = (2 / min(size)) ** 2  # square pixels to PyTorch3D's units
    blur = {"blur_radius": reach**2 * unit, "clip_barycentric_coords": True, "perspective_correct": False}
    seen, _, _, signed = _rasterize(screen, faces, size, FACES_PER_PIXEL, **blur)
    inside = torch.sigmoid(-signed / (sigma * unit)) * (seen >= 0)
    return 1 - (1 - inside).prod(-1)


def _rasterize(
    screen: Tensor, faces: Tensor, size: tuple[int, int], faces_per_pixel: int = 1, **options: float
) -> tuple:
    if screen.device.type == "cpu":
        warnings.warn("PyTorch3D takes seconds for a picture on the CPU, numba a millisecond", stacklevel=4)
    width, height = size
    scale = min(width, height)
    # PyTorch3D's x and y run left and up from the picture's middle, and the shorter side has a length of 2.
    u, v, depth = screen.float().unbind(-1)
    ndc = torch.stack([(width - 1 - 2 * u) / scale, (height - 1 - 2 * v) / scale, depth], dim=-1)
    # Each face gets vertices of its own, so that a face that cannot be drawn can be shrunk to a point.
    corners = ndc[:, faces].flatten(1, 2)
    drawable = corners.view(len(screen), -1, 9).isfinite().all(-1).repeat_interleave(3, dim=1)
    corners = torch.where(drawable[..., None], corners, 0.0)
    triangles = torch.arange(corners.shape[1], device=screen.device).view(1, -1, 3).expand(len(screen), -1, -1)
    return rasterize_meshes(Meshes(corners, triangles), (height, width), faces_per_pixel=faces_per_pixel, **options)
