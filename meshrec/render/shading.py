"""Shaded pictures of coloured or textured meshes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from meshrec.body.topology import vertex_normals
from meshrec.render.fragments import Fragments, rasterize
from meshrec.render.lights import Light, Phong
from meshrec.render.screen import (
    AnyCamera,
    Array,
    as_faces,
    as_tensor,
    batched,
    drawable_points,
    is_perspective,
    supersampled,
)

GREY = (0.72, 0.72, 0.74)


@dataclass(frozen=True)
class Texture:
    """A picture wrapped around a mesh.

    Attributes:
        image: (H, W, 3) RGB in [0, 1]; its first row is the top, v = 1.
        uv: (T, 2) texture coordinates in [0, 1], v upwards as in OBJ files.
        faces: (F, 3) indices into ``uv``, one for each corner of the mesh's faces.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import Texture, shaded
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> faces, uv = torch.tensor([[0, 1, 2]]), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> red = Texture(torch.tensor([1.0, 0.0, 0.0]).expand(8, 8, 3), uv, faces)
        >>> picture = shaded(triangle, faces, Camera(focal=4.0, center=(0.0, 0.0), size=(3, 2)), red)
        >>> bool(picture[0, 0, 0] > picture[0, 0, 1])
        True
    """

    image: Tensor
    uv: Tensor
    faces: Tensor

    def at(self, fragments: Fragments) -> Tensor:
        """The texture's colour at the covered pixels, (P, 3), interpolated bilinearly."""
        image = as_tensor(self.image).to(fragments.barycentric)
        corners = as_tensor(self.faces).to(image.device).long()[fragments.face]
        uv = (as_tensor(self.uv).to(image)[corners] * fragments.barycentric[..., None]).sum(1)
        place = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)
        image = image.movedim(-1, 0)[None]
        return grid_sample(image, place[None, None], padding_mode="border", align_corners=False)[0, :, 0].T


def shaded(
    vertices: Array,
    faces: Array,
    camera: AnyCamera,
    colors: Array | tuple[float, float, float] | Texture = GREY,
    light: Light | None = None,
    background: Array | tuple[float, float, float] | float = 1.0,
    supersample: int = 1,
    backend: str | None = None,
) -> Tensor:
    """Draw a mesh with smooth normals.

    To draw several people who occlude each other, make one mesh of them with :func:`join`. The picture is
    differentiable in vertices, camera, colours, texture and light inside the mesh's outline, but not across it.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: Perspective or weak-perspective; one, or one per sample.
        colors: RGB in [0, 1]: one for all, (V, 3) or (B, V, 3) per vertex, or a :class:`Texture`.
        light: :class:`Phong` (the default) or :class:`SphericalHarmonics`.
        background: A grey value, RGB, or pictures (H, W, 3) or (B, H, W, 3): floats in [0, 1] or bytes.
        supersample: Samples per pixel along each axis: 2 or more smooths the edges.
        backend: A name in :func:`meshrec.render.backends`.

    Returns:
        (B, H, W, 3) RGB in [0, 1], or (H, W, 3) for one mesh (V, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import shaded
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> shaded(triangle, torch.tensor([[0, 1, 2]]), Camera(focal=4.0, size=(3, 2)), supersample=2).shape
        torch.Size([2, 3, 3])
    """
    light = light or Phong()
    fragments = rasterize(vertices, faces, supersampled(camera, supersample), backend)
    points = drawable_points(vertices).expand(len(fragments.face_id), -1, -1)

    # All attributes of vertices are interpolated together, which is faster.
    tint = points.new_zeros(1) if isinstance(colors, Texture) else as_tensor(colors).to(points)
    attributes = [vertex_normals(points, fragments.faces), points, *([tint] if tint.dim() > 1 else [])]
    given = torch.cat([attribute.expand_as(points) for attribute in attributes], dim=-1)
    normals, towards, *painted = fragments.interpolate(given).split(3, dim=-1)
    if isinstance(colors, Texture):
        albedo = colors.at(fragments)
    else:
        albedo = painted[0] if painted else tint
    towards = towards if is_perspective(camera) else points.new_tensor([[0.0, 0.0, 1.0]])
    factor, highlight = light(fragments.facing(normals), -normalize(towards, dim=-1))
    values = (albedo * factor + highlight).clamp(0, 1)
    picture = fragments.picture(values, as_picture(background, values), shrink=supersample)
    return picture if batched(vertices, camera) else picture[0]


def join(vertices: Sequence[Array], faces: Array | Sequence[Array]) -> tuple[Tensor, Tensor, Tensor]:
    """Join several meshes into one.

    Args:
        vertices: A list of N (V_i, 3).
        faces: (F, 3) vertex indices that all meshes share, or a list of N.

    Returns:
        Vertices (sum V_i, 3), faces (sum F_i, 3), and the number of the mesh that each vertex came from (sum V_i,).

    Example:
        >>> import torch
        >>> from meshrec.render import join
        >>> vertices, faces, owner = join([torch.zeros(3, 3), torch.ones(3, 3)], torch.tensor([[0, 1, 2]]))
        >>> faces.tolist(), owner.tolist()
        ([[0, 1, 2], [3, 4, 5]], [0, 0, 0, 1, 1, 1])
    """
    meshes = [as_tensor(v) for v in vertices]
    if not meshes:
        return torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    of_each = faces if isinstance(faces, list | tuple) else [faces] * len(meshes)
    triangles = [as_faces(own, mesh) for own, mesh in zip(of_each, meshes)]
    counts = torch.tensor([len(mesh) for mesh in meshes])
    starts = (counts.cumsum(0) - counts).tolist()
    owner = torch.arange(len(meshes)).repeat_interleave(counts)
    return torch.cat(meshes), torch.cat([t + s for t, s in zip(triangles, starts)]), owner


def as_picture(picture: Array | tuple[float, float, float] | float, like: Tensor) -> Tensor:
    """Convert a picture or colour to floats in [0, 1] of the type of ``like``; bytes are divided by 255."""
    tensor = as_tensor(picture)
    scale = 255 if tensor.dtype == torch.uint8 else 1
    return tensor.to(like) / scale
