"""Body measures in T-pose, such as a tailor takes. They make shapes of different body models comparable."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from meshrec.body.joints import joint_index
from meshrec.body.topology import edges, enclosed_volume

if TYPE_CHECKING:
    from meshrec.body import BodyModel

# Each girth's height is the mean height of these joints.
GIRTHS = {"chest": ("spine2", "spine3"), "waist": ("spine1", "spine2"), "hips": ("left_hip", "right_hip")}
MEASURES = ("height", *GIRTHS, "volume")
ARMS = ("shoulder", "elbow", "wrist", "hand")
DIRECTIONS = 90  # number of directions over which Cauchy's formula is summed
MILLIMETRES, LITRES = 1e3, 1e3


def body_measures(body: "BodyModel", betas: Tensor) -> dict[str, Tensor]:
    """Stature, girths and volume of shapes.

    A girth is the length of a tight tape around the level section of the body without its arms, at the height of the
    joints in :data:`GIRTHS`: the perimeter of the section's convex hull.

    Args:
        body: The body model that the betas belong to.
        betas: (B, S) shape coefficients.

    Returns:
        The names in :data:`MEASURES` to (B,) each: millimetres, except ``volume`` in litres.

    Example:
        >>> import torch
        >>> from meshrec.body import load_body
        >>> from meshrec.body.measures import body_measures
        >>> list(body_measures(load_body("neutral"), torch.zeros(1, 10)))
        ['height', 'chest', 'waist', 'hips', 'volume']
    """
    vertices, joints = body.rest(betas)
    measures = {"height": MILLIMETRES * stature(vertices)}
    pairs = _trunk_edges(body).to(vertices.device)
    for name, levels in GIRTHS.items():
        index = [joint_index(level, "smpl24") for level in levels]
        measures[name] = MILLIMETRES * girth(vertices, pairs, joints[:, index, 1].mean(1))
    return measures | {"volume": LITRES * enclosed_volume(vertices, body.faces)}


def stature(vertices: Tensor) -> Tensor:
    """Heights (B,) of bodies (B, V, 3) in T-pose, y up, in the unit of the vertices."""
    return vertices[..., 1].amax(1) - vertices[..., 1].amin(1)


def girth(vertices: Tensor, pairs: Tensor, level: Tensor) -> Tensor:
    """Perimeter of the convex hull of a horizontal section.

    By Cauchy's formula it is the integral of the hull's support function over all directions.

    Args:
        vertices: (B, V, 3) metres, y up.
        pairs: (E, 2) edges, as vertex indices, of the part of the body that is measured.
        level: (B,) height of the section, metres.

    Returns:
        (B,) metres; 0 where the section is empty.
    """
    above = vertices[..., 1] - level[:, None]
    crossing = (above[:, pairs[:, 0]] > 0) != (above[:, pairs[:, 1]] > 0)
    most = int(crossing.sum(1).max())
    if most == 0:
        return level.new_zeros(len(level))
    cut, which = crossing.byte().topk(most, dim=1)
    ends = pairs[which]  # (B, most, 2)
    low, high = (torch.take_along_dim(above, ends[..., i], 1) for i in (0, 1))
    share = torch.where(cut > 0, low / (low - high), 0)[..., None]
    start, end = (torch.take_along_dim(vertices, ends[..., i, None], 1)[..., [0, 2]] for i in (0, 1))
    points = start + share * (end - start)
    angle = torch.arange(DIRECTIONS).to(vertices) * (2 * math.pi / DIRECTIONS)
    reach = points @ torch.stack([angle.cos(), angle.sin()])
    support = reach.masked_fill(cut[..., None] == 0, -math.inf).amax(1)
    return torch.where(crossing.any(1), support.sum(1) * (2 * math.pi / DIRECTIONS), 0)


@lru_cache(maxsize=4)
def _trunk_edges(body: "BodyModel") -> Tensor:
    """The edges (E, 2) of a body without its arms."""
    kept = [not any(part in name for part in ARMS) for name in body.joint_names]
    pairs = torch.from_numpy(edges(body.faces.cpu().numpy()))
    return pairs[torch.tensor(kept)[body.data.weights.argmax(1)][pairs].all(1)]
