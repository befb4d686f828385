"""MakeHuman's base mesh on the open body: where its vertices, to which garments are bound, lie on a posed person."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body.library import find_body
from meshrec.errors import InputError
from meshrec.files.npz import read_npz

FILE = "base_mesh.npz"


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The 19,158 vertices of MakeHuman's base mesh "hm08", each bound to a triangle of the open body.

    The helper geometry of the base mesh (tights, skirt, hair) is bound in the same way, so that it follows the skin.

    Attributes:
        corners: (B, 3) int64 vertices of the open body for each vertex of the base mesh.
        shares: (B, 3) barycentric weights of the corners; rows sum to one.
        offsets: (B, 3) displacements in metres along the axes of :func:`triangle_frames`.

    Example:
        >>> from meshrec.body import load_body
        >>> from meshrec.body.base_mesh import load_base_mesh
        >>> tuple(load_base_mesh().vertices(load_body("neutral")().vertices).shape)
        (1, 19158, 3)
    """

    corners: Tensor
    shares: Tensor
    offsets: Tensor

    def vertices(self, body_vertices: Tensor) -> Tensor:
        """The vertices of the base mesh on bodies of any shape and pose.

        Args:
            body_vertices: (N, V, 3) vertices of the open body, metres.

        Returns:
            (N, B, 3) of the same type.
        """
        triangles = body_vertices[:, self.corners.to(body_vertices.device)]
        foot = (self.shares.to(triangles)[..., None] * triangles).sum(dim=2)
        return foot + (triangle_frames(triangles) @ self.offsets.to(triangles)[..., None])[..., 0]


def load_base_mesh() -> BaseMesh:
    """Read the shipped binding of the open body, which all its genders share.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = find_body(FILE)
    arrays = read_npz(path)
    try:
        corners, shares, offsets = (arrays[key] for key in ("corners", "shares", "offsets"))
    except KeyError as error:
        raise InputError(f"{path}: has no array {error}") from error
    if not corners.shape == shares.shape == offsets.shape == (len(corners), 3):
        raise InputError(f"{path}: corners, shares and offsets must have one shape (B, 3)")
    return BaseMesh(
        corners=torch.from_numpy(corners.astype(np.int64)),
        shares=torch.from_numpy(shares.astype(np.float32)),
        offsets=torch.from_numpy(offsets.astype(np.float32)),
    )


def triangle_frames(triangles: Tensor) -> Tensor:
    """Orthonormal axes of triangles (..., 3, 3): the columns are the first edge, the normal times it, the normal."""
    edge, other = (triangles[..., k, :] - triangles[..., 0, :] for k in (1, 2))
    normal = torch.linalg.cross(edge, other)
    edge, normal = (x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12) for x in (edge, normal))
    return torch.stack([edge, torch.linalg.cross(normal, edge), normal], dim=-1)
