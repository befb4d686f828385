"""Maps of what each pixel sees: depth, normals and parts."""

from torch import Tensor

from meshrec.body.topology import vertex_normals
from meshrec.render.fragments import rasterize
from meshrec.render.screen import AnyCamera, Array, as_tensor, batched, drawable_points


def depth(
    vertices: Array, faces: Array, camera: AnyCamera, background: float = 0.0, backend: str | None = None
) -> Tensor:
    """Depth of the nearest surface, differentiable in vertices and camera inside the outline.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: Perspective or weak-perspective; one, or one per sample.
        background: Value of the pixels that see no surface.
        backend: A name in :func:`meshrec.render.backends`.

    Returns:
        (B, H, W) metres, or (H, W) for one mesh (V, 3).

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import depth
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> depth(triangle, torch.tensor([[0, 1, 2]]), Camera(focal=4.0, center=(0.0, 0.0), size=(3, 2))).tolist()
        [[2.0, 2.0, 2.0], [2.0, 2.0, 0.0]]
    """
    fragments = rasterize(vertices, faces, camera, backend)
    picture = fragments.picture(fragments.depth[:, None], background)[..., 0]
    return picture if batched(vertices, camera) else picture[0]


def normals(vertices: Array, faces: Array, camera: AnyCamera, backend: str | None = None) -> Tensor:
    """Unit normals of the nearest surface in camera space, smooth across faces and turned towards the eye.

    Args:
        vertices, faces, camera, backend: As for :func:`depth`.

    Returns:
        (B, H, W, 3), or (H, W, 3) for one mesh (V, 3); zero where nothing is seen.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import normals
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> seen = normals(triangle, torch.tensor([[0, 1, 2]]), Camera(focal=4.0, center=(0.0, 0.0), size=(3, 2)))
        >>> seen[0, 0].round().int().tolist()
        [0, 0, -1]
    """
    fragments = rasterize(vertices, faces, camera, backend)
    smooth = fragments.interpolate(vertex_normals(drawable_points(vertices), fragments.faces))
    picture = fragments.picture(fragments.facing(smooth))
    return picture if batched(vertices, camera) else picture[0]


def part_map(vertices: Array, faces: Array, camera: AnyCamera, face_parts: Array, backend: str | None = None) -> Tensor:
    """The body part that each pixel sees.

    Args:
        vertices, faces, camera, backend: As for :func:`depth`.
        face_parts: (F,) the number of each face's part.

    Returns:
        (B, H, W) int64, or (H, W) for one mesh (V, 3); -1 where nothing is seen.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import part_map
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> camera = Camera(focal=4.0, center=(0.0, 0.0), size=(3, 2))
        >>> part_map(triangle, torch.tensor([[0, 1, 2]]), camera, torch.tensor([7])).tolist()
        [[7, 7, 7], [7, 7, -1]]
    """
    fragments = rasterize(vertices, faces, camera, backend)
    parts = as_tensor(face_parts).to(fragments.pixel)[fragments.face]
    picture = fragments.picture(parts[:, None], -1)[..., 0]
    return picture if batched(vertices, camera) else picture[0]
