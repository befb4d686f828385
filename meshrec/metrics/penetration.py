"""How far bodies go through themselves: the share of a part's vertices that lie inside the rest of the body."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from meshrec.body.joints import joint_index

if TYPE_CHECKING:
    from meshrec.body import BodyModel

SIDES = ("left", "right")
FOREARM = ("elbow", "wrist", "hand")  # joints whose vertices make up a forearm with its hand
CHUNK = 1 << 16  # pairs of a point and a face at a time


def winding_numbers(points: Tensor, vertices: Tensor, faces: Tensor) -> Tensor:
    """Generalised winding numbers of a mesh about points (Jacobson et al. 2013, "Robust inside-outside segmentation").

    The number is the solid angle of all faces as seen from a point over 4 pi, each by the formula of Van Oosterom &
    Strackee 1983. About a closed mesh it is 1 inside and 0 outside; a mesh with holes has numbers between, and 1/2 on
    the surface that would close them smoothly.

    Args:
        points: (N, 3).
        vertices: (V, 3), in the same unit.
        faces: (F, 3) vertex indices, counterclockwise as seen from outside.

    Returns:
        (N,).
    """
    corners = vertices[faces].unbind(1)
    step = max(1, CHUNK // max(len(faces), 1))
    return torch.cat([_solid_angles(part, corners) for part in points.split(step)]) / (4 * math.pi)


def _solid_angles(points: Tensor, corners: tuple[Tensor, ...]) -> Tensor:
    """Solid angles (N,) of triangles, whose three corners are (F, 3) each, as seen from points (N, 3)."""
    a, b, c = (corner - points[:, None] for corner in corners)
    la, lb, lc = (side.norm(dim=-1) for side in (a, b, c))
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    plane = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return 2 * torch.atan2(volume, plane).sum(-1)


def share_inside(vertices: Tensor, faces: Tensor, part: Tensor, joined: Tensor, every: int = 1) -> Tensor:
    """Share of a part's vertices that lie inside the rest of a mesh.

    Args:
        vertices: (V, 3).
        faces: (F, 3) vertex indices, counterclockwise as seen from outside.
        part: (V,) bool, the vertices of the part.
        joined: (V,) bool, vertices next to the part, which touch it in any pose. Faces with a corner among them or in
            the part are left out of the rest, and its hole there is closed as by :func:`winding_numbers`.
        every: Only one of so many vertices of the part is tested.

    Returns:
        A number in [0, 1].
    """
    rest = faces[~(part | joined)[faces].any(1)]
    corners = vertices[rest.flatten()]
    points = vertices[part][::every]
    near = ((points > corners.amin(0)) & (points < corners.amax(0))).all(1)
    inside = winding_numbers(points[near], vertices, rest) > 0.5
    return inside.sum() / max(len(points), 1)


def forearms_inside(body: "BodyModel", vertices: Tensor, every: int = 1) -> Tensor:
    """Share of the vertices of each forearm with its hand that lie inside the rest of the body.

    The upper arm does not count, since a bent elbow presses the forearm against it.

    Args:
        body: The body, whose vertices have parts.
        vertices: (B, V, 3) posed vertices, metres.
        every: Only one of so many vertices of a forearm is tested, which takes less time.

    Returns:
        (B, 2) shares in [0, 1], left and right.

    Example:
        >>> import meshrec
        >>> from meshrec.metrics import forearms_inside
        >>> body = meshrec.load_body("neutral")
        >>> forearms_inside(body, body().vertices).tolist()
        [[0.0, 0.0]]
    """
    parts, faces = torch.from_numpy(body.part_labels).to(vertices.device), body.faces.to(vertices.device)

    def of(side: str, names: tuple[str, ...]) -> Tensor:
        joints = [joint_index(f"{side}_{name}", "smpl24") for name in names]
        return torch.isin(parts, torch.tensor(joints).to(parts))

    shares = [
        torch.stack([share_inside(own, faces, of(side, FOREARM), of(side, ("shoulder",)), every) for side in SIDES])
        for own in vertices
    ]
    return torch.stack(shares)
