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
        faces: (F, 3) each face's corners in ``uv``.
    """

    image: Tensor
    uv: Tensor
    faces: Tensor

    def at(self, fragments: Fragments) -> Tensor:
        """The texture's colour at the covered pixels, (P, 3), bilinear."""
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
    """A picture of a mesh with smooth normals.

    Several people go into one picture, each hiding what is behind, as one mesh: :func:`join` puts them together.
    Differentiable in vertices, camera, colours, texture and light inside the mesh's outline; not across it.

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
    """
    light = light or Phong()
    fragments = rasterize(vertices, faces, supersampled(camera, supersample), backend)
    points = drawable_points(vertices).expand(len(fragments.face_id), -1, -1)

    # Everything given per vertex is interpolated at once.
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
    """Several meshes as one.

    Args:
        vertices: A list of N (V_i, 3).
        faces: One (F, 3) that all share, or a list of N.

    Returns:
        Vertices (sum V_i, 3), faces (sum F_i, 3), and the number of the mesh that each vertex came from (sum V_i,).
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
    """A picture or colour as floats in [0, 1]; bytes are divided by 255."""
    tensor = as_tensor(picture)
    scale = 255 if tensor.dtype == torch.uint8 else 1
    return tensor.to(like) / scale
