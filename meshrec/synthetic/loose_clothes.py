"""Clothes in masks, which make people wider than their bodies and close the gap between the legs.

The outline that a detector finds is that of hair and clothes. Here clothes are the body's own surface, moved outwards
by a thickness per part of the body. So they follow any pose and are rendered as fast as the body itself.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.topology import edges, vertex_normals
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import to_screen

HAIR, SHOES = 0.015, 0.008  # median thickness, metres
HEMS = (0.25, 0.5, 0.75, 1.0)  # heights where skirts and coats end, as shares of the way from the hips to the ankles
TOP = -0.15  # the height from which skirts and coats join the legs, likewise
UNEVEN = 0.2  # standard deviation of the logarithm of the thickness between the parts of a person


@dataclass(frozen=True)
class ClothesMix:
    """Distribution of the clothes, as far as they change the outline.

    Attributes:
        bare: Share of people whose clothes are skin-tight.
        thickness: Median distance of other people's clothes from the trunk, metres.
        spread: Standard deviation of the logarithm of that distance between people.
        skirts: Share of people in other than skin-tight clothes who wear a skirt, dress or coat that joins the legs.
        flare: Largest additional distance of skirts from the calves, metres.
    """

    bare: float = 0.2
    thickness: float = 0.012
    spread: float = 0.6
    skirts: float = 0.15
    flare: float = 0.06


@dataclass(frozen=True)
class Clothes:
    """Clothes of B people.

    Attributes:
        thickness: (B, 24) thickness of clothes or hair over the part of the body that each joint moves, metres.
        hem: (B,) index into :data:`HEMS` of the skirt or coat, -1 for people without one.
    """

    thickness: Tensor
    hem: Tensor


def draw_clothes(streams: Streams, mix: ClothesMix = ClothesMix()) -> Clothes:
    """Draw clothes.

    Args:
        streams: One random stream per person.
        mix: Distribution of the clothes.
    """

    def log_normal(median: float, spread: float) -> Tensor:
        return median * (spread * streams.normal()).exp()

    dressed = ~streams.happens(mix.bare)
    hem = torch.where(dressed, streams.pick([mix.skirts / len(HEMS)] * len(HEMS)), -1)
    trunk = log_normal(mix.thickness, mix.spread) * dressed
    sleeve = trunk * log_normal(0.8, 0.3) * streams.happens(0.8)
    trousers = trunk * log_normal(0.9, 0.4)
    over = {
        "trunk": trunk,
        "hips": trunk * log_normal(1.0, 0.3),
        "upper arm": sleeve,
        "forearm": sleeve * log_normal(0.7, 0.2) * streams.happens(0.5),
        "thigh": trousers,
        "calf": trousers * log_normal(0.8, 0.3) * streams.happens(0.7) + (hem >= 0) * streams.uniform(high=mix.flare),
        "foot": log_normal(SHOES, 0.5),
        "head": log_normal(HAIR, 0.5),
        "neck": log_normal(HAIR, 0.5) * streams.happens(0.3),
        "hand": torch.zeros_like(trunk),
    }
    thickness = torch.stack([over[_part(name)] for name in joint_set("smpl24")], dim=1)
    return Clothes(thickness * (UNEVEN * streams.normal(thickness.shape[1])).exp(), hem)


class Tailor:
    """Puts clothes on one body model and draws their masks.

    Args:
        body: The body model; the one of :func:`meshrec.body.coarse.coarse_body` is rendered fastest.
    """

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        self._skirts = [_between_the_legs(body, hem) for hem in HEMS]

    def dressed(self, vertices: Tensor, thickness: Tensor) -> Tensor:
        """Move the surfaces of bodies outwards to those of their clothes.

        Args:
            vertices: (B, V, 3) bodies, metres.
            thickness: (B, 24) as in :class:`Clothes`.

        Returns:
            (B, V, 3) metres.
        """
        outwards = vertex_normals(vertices, self.body.faces)
        return vertices + (thickness.to(vertices) @ self.body.weights.T)[..., None] * outwards

    def mask(self, vertices: Tensor, camera: Camera, clothes: Clothes | None = None) -> Tensor:
        """Render masks of people.

        Args:
            vertices: (B, V, 3) bodies in camera space, metres.
            camera: The cameras of the pictures.
            clothes: Clothes of the people; by default none.

        Returns:
            (B, H, W) bool, true for the pixels whose centres lie on the person.
        """
        if clothes is None:
            return _covered(to_screen(vertices, camera), self.body.faces, camera)
        screen = to_screen(self.dressed(vertices, clothes.thickness), camera)
        mask = _covered(screen, self.body.faces, camera)
        for hem, skirt in enumerate(self._skirts):
            wearing = (clothes.hem == hem).to(mask.device)
            if wearing.any():
                mask[wearing] |= _covered(screen[wearing], skirt, camera)
        return mask


def _covered(screen: Tensor, faces: Tensor, camera: Camera) -> Tensor:
    """(B, H, W) bool, the pixels that meshes cover, whose vertices (B, V, 3) are in screen space."""
    return rasterizer(pick(None, screen.device)).visible_faces(screen, faces, camera.size, True) >= 0


def _between_the_legs(body: BodyModel, hem: float) -> Tensor:
    """(F, 3) faces that join each edge of the left leg down to a hem with its mirror image on the right leg."""
    rest, joints = (part[0] for part in body.rest())
    at = dict(zip(body.joint_names, joints))
    down = (at["left_hip"] - rest)[:, 1] / (at["left_hip"] - at["left_ankle"])[1]
    arms = rest[:, 0].abs() > at["left_shoulder"][0] + 0.25
    left = (rest[:, 0] > 0) & (down > TOP) & (down < hem) & ~arms
    of_left = torch.from_numpy(edges(body.faces.cpu().numpy()).astype(np.int64)).to(rest.device)
    of_left = of_left[left[of_left].all(1)]
    mirror = torch.cdist(rest * rest.new_tensor([-1.0, 1.0, 1.0]), rest).argmin(1)
    a, b = of_left.unbind(1)
    return torch.cat([torch.stack([a, b, mirror[b]], 1), torch.stack([a, mirror[b], mirror[a]], 1)]).to(body.faces)


def _part(joint: str) -> str:
    """The part of the body, as :func:`draw_clothes` names them, that a joint moves."""
    parts = {
        "pelvis": "hips",
        "hip": "thigh",
        "knee": "calf",
        "ankle": "foot",
        "foot": "foot",
        "neck": "neck",
        "head": "head",
        "shoulder": "upper arm",
        "elbow": "forearm",
        "wrist": "hand",
        "hand": "hand",
    }
    return parts.get(joint.removeprefix("left_").removeprefix("right_"), "trunk")
