"""Hard rasterisation: the face that each pixel sees, and the point on it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import AnyCamera, Array, as_faces, is_perspective, to_screen


@dataclass(frozen=True)
class Fragments:
    """The visible surface points of B pictures. All fields but ``face_id`` and ``faces`` are for P covered pixels only.

    Attributes:
        face_id: (B, H, W) int32: the nearest face whose projection contains the pixel's centre, or -1.
        faces: (F, 3) vertex indices.
        pixel: (P,) covered pixels as indices into the flattened (B, H, W).
        barycentric: (P, 3) weights of the face's corners, perspective-correct; differentiable in vertices and camera.
        depth: (P,) metres; differentiable likewise.
        turned_away: (P,) bool: whether the pixel sees the face's back, where its corners run clockwise.

    Example:
        >>> import torch
        >>> from meshrec.render import Fragments
        >>> nearest = torch.tensor([[[-1, 0]]])  # one picture of two pixels; the right one sees face 0
        >>> weights = torch.tensor([[0.5, 0.5, 0.0]])
        >>> seen = Fragments(nearest, torch.tensor([[0, 1, 2]]), torch.tensor([1]), weights, torch.ones(1), None)
        >>> seen.interpolate(torch.tensor([[0.0], [10.0], [20.0]])).tolist()
        [[5.0]]
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
        """Interpolate values of vertices at the covered pixels.

        Args:
            values: (V, C), or (B, V, C) where they differ between samples.

        Returns:
            (P, C)
        """
        corners = self.faces.index_select(0, self.face)
        if values.dim() == 3 and len(values) == 1:
            values = values[0]
        elif values.dim() == 3:
            corners = corners + (self.sample * values.shape[1])[:, None]
            values = values.flatten(0, 1)
        weights = self.barycentric.to(values.dtype)
        if torch.is_grad_enabled() and (values.requires_grad or weights.requires_grad):
            at_corners = values.index_select(0, corners.flatten()).view(*corners.shape, values.shape[-1])
            return torch.bmm(weights[:, None], at_corners)[:, 0]
        # The same without the large intermediate, but with a slow backward pass.
        return embedding_bag(corners, values, per_sample_weights=weights, mode="sum")

    def facing(self, normals: Tensor) -> Tensor:
        """Interpolated normals (P, 3) as unit vectors, turned towards the eye where it sees the back of a face."""
        return normalize(torch.where(self.turned_away[:, None], -normals, normals), dim=-1)

    def picture(self, values: Tensor, background: Tensor | float = 0.0, shrink: int = 1) -> Tensor:
        """Spread values at the covered pixels over the pictures.

        Args:
            values: (P, C)
            background: Values of the other pixels: anything that broadcasts to (B, H, W, C).
            shrink: Average blocks of ``shrink`` x ``shrink`` pixels; H and W are then those of the smaller pictures.

        Returns:
            (B, H, W, C)
        """
        count, height, width = self.face_id.shape
        shape = (count, height // shrink, width // shrink, values.shape[-1])
        background = torch.as_tensor(background, dtype=values.dtype, device=values.device).expand(shape)
        if shrink == 1:
            canvas = values.new_empty(shape).copy_(background)
            return canvas.view(-1, shape[-1]).index_copy_(0, self.pixel, values).view(shape)
        drawn = values.new_zeros(self.face_id.numel(), shape[-1]).index_copy_(0, self.pixel, values)
        drawn = _mean_of_blocks(drawn.view(count, height, width, shape[-1]), shrink)
        empty = _mean_of_blocks((self.face_id < 0).to(values.dtype)[..., None], shrink)
        return drawn + background * empty


def rasterize(vertices: Array, faces: Array, camera: AnyCamera, backend: str | None = None) -> Fragments:
    """Find the nearest face behind every pixel centre.

    Both sides of a face are drawn. A face with a corner that cannot be drawn (:func:`meshrec.render.screen.to_screen`)
    is left out, as is one seen exactly edge-on. Face numbers are constants; barycentrics and depth are differentiable.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: Perspective or weak-perspective; one, or one per sample.
        backend: A name in :func:`meshrec.render.backends`; by default the fastest for the vertices' device.

    Returns:
        What each pixel sees.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import rasterize
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> seen = rasterize(triangle, torch.tensor([[0, 1, 2]]), Camera(focal=4.0, center=(0.0, 0.0), size=(3, 2)))
        >>> seen.face_id.tolist()
        [[[0, 0, 0], [0, 0, -1]]]
    """
    screen = to_screen(vertices, camera)
    faces = as_faces(faces, screen)
    perspective = is_perspective(camera)
    face_id = _visible(screen, faces, camera, backend)

    pixel = torch.nonzero(face_id.flatten() >= 0).squeeze(-1)
    width, height = camera.size
    corners = faces.T.index_select(1, face_id.flatten()[pixel].long()) + pixel // (width * height) * screen.shape[1]
    u, v, z = (coordinate.take(corners) for coordinate in screen.unbind(-1))  # (3, P) each
    u, v = u - (pixel % width).to(u.dtype), v - (pixel // width % height).to(v.dtype)
    barycentric, depth = locate(u, v, z, perspective)
    with torch.no_grad():  # the screen's y runs down, so what is counter-clockwise to the eye has a negative area there
        turned_away = (u[1] - u[0]) * (v[2] - v[0]) > (v[1] - v[0]) * (u[2] - u[0])
    return Fragments(face_id, faces, pixel, barycentric, depth, turned_away)


def visible_faces(vertices: Array, faces: Array, camera: AnyCamera, backend: str | None = None) -> Tensor:
    """The nearest face behind every pixel centre alone, of :func:`rasterize`, whose arguments it has.

    Returns:
        (B, H, W) int32 numbers of faces, -1 where there is none.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render.fragments import visible_faces
        >>> triangle = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> visible_faces(triangle, torch.tensor([[0, 1, 2]]), Camera(4.0, center=(0.0, 0.0), size=(3, 2))).tolist()
        [[[0, 0, 0], [0, 0, -1]]]
    """
    screen = to_screen(vertices, camera)
    return _visible(screen, as_faces(faces, screen), camera, backend)


def _visible(screen: Tensor, faces: Tensor, camera: AnyCamera, backend: str | None) -> Tensor:
    draw = rasterizer(pick(backend, screen.device)).visible_faces
    return draw(screen.detach(), faces, camera.size, is_perspective(camera))


def locate(u: Tensor, v: Tensor, z: Tensor, perspective: bool) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates and depth of points of the screen in the triangles that contain them.

    Args:
        u, v: (3, P) the corners of each point's triangle relative to the point, pixels.
        z: (3, P) the corners' depth, metres.
        perspective: Whether 1 / depth, rather than depth, is linear on the screen.

    Returns:
        (P, 3) perspective-correct barycentric coordinates and (P,) depths.
    """
    (ua, ub, uc), (va, vb, vc) = u, v
    # Twice the signed areas of the three triangles that the point makes with the edges.
    weights = torch.stack([ub * vc - vb * uc, uc * va - vc * ua, ua * vb - va * ub])
    # The area of a needle may be lost in rounding: keep weights from being negative, and equal where all are zero.
    weights = (weights * weights.detach().sum(0).sign()).clamp_min(0) + torch.finfo(weights.dtype).tiny
    weights = weights / weights.sum(0)
    if perspective:
        weights = weights / z
        depth = 1 / weights.sum(0)
        return (weights * depth).T, depth
    return weights.T, (weights * z).sum(0)


def _mean_of_blocks(picture: Tensor, side: int) -> Tensor:
    """(B, H, W, C) -> (B, H / side, W / side, C)."""
    zero = picture.new_zeros(())
    rows = sum((picture[:, i::side] for i in range(side)), zero)
    return sum((rows[:, :, i::side] for i in range(side)), zero) / side**2
