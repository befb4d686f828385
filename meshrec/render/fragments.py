"""Hard rasterisation: which face each pixel sees, and where on it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import AnyCamera, Array, as_faces, is_perspective, to_screen


@dataclass(frozen=True)
class Fragments:
    """What the pixels of B pictures see. Only the P covered pixels carry more than a face number.

    Attributes:
        face_id: (B, H, W) int32: the nearest face whose projection contains the pixel's centre, or -1.
        faces: (F, 3) vertex indices.
        pixel: (P,) covered pixels as indices into the flattened (B, H, W).
        barycentric: (P, 3) weights of the face's corners, perspective-correct; differentiable in vertices and camera.
        depth: (P,) metres; differentiable likewise.
        turned_away: (P,) bool: whether the face shows its back: its corners run clockwise where it is seen from.
    """

    face_id: Tensor
    faces: Tensor
    pixel: Tensor
    barycentric: Tensor
    depth: Tensor
    turned_away: Tensor

    @property
    def face(self) -> Tensor:
        """(P,) the face of each covered pixel."""
        return self.face_id.flatten()[self.pixel].long()

    @property
    def sample(self) -> Tensor:
        """(P,) the picture in the batch that each covered pixel belongs to."""
        return self.pixel // (self.face_id.shape[1] * self.face_id.shape[2])

    def interpolate(self, values: Tensor) -> Tensor:
        """Values given per vertex, at the covered pixels.

        Args:
            values: (V, C), or (B, V, C) where they differ between samples.

        Returns:
            (P, C)
        """
        corners = self.faces[self.face]
        if values.dim() == 3:
            corners = corners + (self.sample * values.shape[1])[:, None]
            values = values.flatten(0, 1)
        return weighted_corners(values, corners, self.barycentric)

    def picture(self, values: Tensor, background: Tensor | float = 0.0) -> Tensor:
        """Spread values at the covered pixels over the pictures.

        Args:
            values: (P, C)
            background: What the other pixels show: anything that broadcasts to (B, H, W, C).

        Returns:
            (B, H, W, C)
        """
        shape = (*self.face_id.shape, values.shape[-1])
        background = torch.as_tensor(background, dtype=values.dtype, device=values.device)
        canvas = background.expand(shape).reshape(-1, shape[-1])
        return canvas.index_copy(0, self.pixel, values).view(shape)


def rasterize(vertices: Array, faces: Array, camera: AnyCamera, backend: str | None = None) -> Fragments:
    """Find the nearest face behind every pixel centre.

    Both sides of a face are drawn. A face with a corner that cannot be drawn (:func:`meshrec.render.screen.to_screen`)
    is left out, as is one seen exactly edge-on. Face numbers are constants; barycentrics and depth are differentiable.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: Perspective or weak-perspective; one, or one per sample.
        backend: A name in :func:`meshrec.render.backends`; by default the fastest for the vertices' device.
    """
    screen = to_screen(vertices, camera)
    faces = as_faces(faces, screen)
    perspective = is_perspective(camera)
    draw = rasterizer(pick(backend, screen.device)).visible_faces
    face_id = draw(screen.detach(), faces, camera.size, perspective)

    pixel = torch.nonzero(face_id.flatten() >= 0).squeeze(-1)
    width, height = camera.size
    sample = pixel // (width * height)
    corners = faces[face_id.flatten()[pixel].long()] + (sample * screen.shape[1])[:, None]
    triangle = screen.flatten(0, 1).index_select(0, corners.flatten()).view(-1, 3, 3)
    centre = torch.stack([pixel % width, pixel // width % height], dim=-1).to(screen.dtype)
    barycentric, depth = locate(triangle, centre, perspective)
    # The screen's y runs down, so what is counter-clockwise to the eye has a negative area there.
    (ux, uy), (vx, vy) = ((triangle[:, i, :2] - triangle[:, 0, :2]).detach().unbind(-1) for i in (1, 2))
    return Fragments(face_id, faces, pixel, barycentric, depth, turned_away=ux * vy > uy * vx)


def locate(triangle: Tensor, centre: Tensor, perspective: bool) -> tuple[Tensor, Tensor]:
    """Where on its triangle each point of the screen lies.

    Args:
        triangle: (P, 3 corners, 3) u, v, depth.
        centre: (P, 2) points inside their triangle, pixels.
        perspective: Whether 1 / depth, rather than depth, is linear on the screen.

    Returns:
        (P, 3) barycentrics in space and (P,) depths.
    """
    dx, dy = (triangle[..., :2] - centre[:, None]).unbind(-1)
    # Twice the signed areas of the three triangles that the point makes with the edges, a's opposite first.
    weights = dx.roll(-1, 1) * dy.roll(-2, 1) - dy.roll(-1, 1) * dx.roll(-2, 1)
    # Rounding may have eaten the area of a needle: no weight is negative, and all are equal where nothing is left.
    weights = (weights * weights.detach().sum(-1, keepdim=True).sign()).clamp_min(0) + torch.finfo(weights.dtype).tiny
    weights = weights / weights.sum(-1, keepdim=True)
    z = triangle[..., 2]
    if perspective:
        weights = weights / z
        depth = 1 / weights.sum(-1)
        return weights * depth[:, None], depth
    return weights, (weights * z).sum(-1)


def weighted_corners(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Sum of each row of ``corners`` (P, 3), taken from ``values`` (N, C), with ``weights`` (P, 3): (P, C)."""
    taken = values.index_select(0, corners.flatten()).view(*corners.shape, -1)
    return (taken * weights[..., None].to(values.dtype)).sum(1)
