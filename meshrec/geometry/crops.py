"""Square crops as a camera sees them that looks at their centre.

A crop away from the photo's middle is an oblique view: the optical axis of the photo's camera does not pass through it.
A network that sees the crop alone cannot know that. In training and in inference it is therefore given the view of the
*centred camera*, which stands at the same place and looks at the crop's centre. Rotating a camera about its centre
moves the picture by a homography, whatever stands in front of it (Hartley & Zisserman 2003, "Multiple View Geometry",
section 8.4).

A crop's own coordinates have its edges at -1 and 1, and focal lengths are in units of half its side. The centred camera
has one focal length and its principal point at zero.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

GRAZING = 1e-3  # least depth of a viewing ray in the centred camera: rays further aside land outside its picture


def look_along(directions: Tensor) -> Tensor:
    """Rotations (B, 3, 3) that bring directions (B, 3) to the z axis and keep the x axis level: no camera rolls."""
    z = normalize(directions, dim=-1)
    x = normalize(torch.stack([z[:, 2], torch.zeros_like(z[:, 0]), -z[:, 0]], -1), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=1)


def look_at(focal: Tensor, principal: Tensor) -> Tensor:
    """Rotations (B, 3, 3) from the photo's camera to the one that looks at the crop's centre.

    Args:
        focal: (B, 2) focal lengths of the photo's camera, in units of half the crop's side.
        principal: (B, 2) its principal point in the crop's coordinates.
    """
    return look_along(_ray_of_centre(focal, principal))


def centred_focal(focal: Tensor, principal: Tensor) -> Tensor:
    """(B,) focal length of the centred camera with which the picture keeps its area around the crop's centre.

    A small area dA of the plane at unit depth, seen along a ray, covers the solid angle dA / |ray|^3. The rotation that
    brings the ray to the optical axis keeps the solid angle, which equals the area there: areas shrink by |ray|^3, so
    the focal length grows by the root of that.

    Args:
        focal, principal: As in :func:`look_at`.
    """
    return focal.prod(-1).sqrt() * _ray_of_centre(focal, principal).norm(dim=-1) ** 1.5


def centre_points(points: Tensor, focal: Tensor, principal: Tensor) -> tuple[Tensor, Tensor]:
    """Move points of crops to where the centred camera sees them.

    Args:
        points: (B, K, 2) in the crop's coordinates.
        focal, principal: As in :func:`look_at`.

    Returns:
        The points (B, K, 2) in the coordinates of the centred crop, and the centred camera's focal length (B,).
    """
    centred = centred_focal(focal, principal)
    rays = _rays((points - principal[:, None]) / focal[:, None]) @ look_at(focal, principal).mT
    return centred[:, None, None] * rays[..., :2] / rays[..., 2:].clamp(min=GRAZING), centred


def centre_maps(maps: Tensor, focal: Tensor, principal: Tensor) -> Tensor:
    """Resample pictures or masks of crops as the centred camera sees them, zero beyond the crop.

    Args:
        maps: (B, C, H, W) floating-point pictures that cover the crops.
        focal, principal: As in :func:`look_at`.

    Returns:
        (B, C, H, W) pictures that cover the centred crops.
    """
    height, width = maps.shape[-2:]
    x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
    plane = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, device=maps.device)])
    centred = centred_focal(focal, principal)
    scale = torch.stack([1 / centred, 1 / centred, torch.ones_like(centred)], dim=-1)
    # Coordinate by coordinate, which is twice as fast as pixel by pixel.
    rays = look_at(focal, principal).mT * scale[:, None] @ plane.flatten(1).to(focal)
    places = rays[:, :2] / rays[:, 2:].clamp(min=GRAZING) * focal[..., None] + principal[..., None]
    return grid_sample(maps, places.unflatten(2, (height, width)).permute(0, 2, 3, 1).to(maps), align_corners=False)


def _ray_of_centre(focal: Tensor, principal: Tensor) -> Tensor:
    """The ray (B, 3) through the crop's centre, in the space of the photo's camera, with a depth of 1."""
    return _rays(-principal / focal)


def _rays(plane: Tensor) -> Tensor:
    """The rays (..., 3) through points (..., 2) of the plane at unit depth."""
    return torch.cat([plane, torch.ones_like(plane[..., :1])], dim=-1)
