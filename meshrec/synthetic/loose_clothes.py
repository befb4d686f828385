"""People in clothes as a mask shows them: wider than their bodies, and their legs joined by skirts and coats.

The outline that a detector finds is that of hair and clothes. Here clothes are the body's own surface, moved outwards
by a thickness for each part, so that they follow any pose and are drawn as quickly as the body itself.
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

HAIR, SHOES = 0.015, 0.008  # typical thickness, metres
HEMS = (0.25, 0.5, 0.75, 1.0)  # where skirts and coats end, as shares of the way from hips to ankles
TOP = -0.15  # from where on they join the legs
UNEVEN = 0.2  # deviation of the logarithm of the thickness from part to part


@dataclass(frozen=True)
class ClothesMix:
    """How people are dressed, as far as their outline tells.

    Attributes:
        bare: Share of people whose clothes lie on the skin.
        thickness: Typical distance of other people's clothes from the trunk, metres.
        spread: Deviation of its logarithm from person to person.
        skirts: Share of dressed people whose skirt, dress or coat joins the legs.
        flare: By how much skirts stand off further at most at the knee, metres.
    """

    bare: float = 0.2
    thickness: float = 0.012
    spread: float = 0.6
    skirts: float = 0.15
    flare: float = 0.06


@dataclass(frozen=True)
class Clothes:
    """What B people wear.

    Attributes:
        thickness: (B, 24) of clothes or hair over the part of each joint, metres.
        hem: (B,) which of :data:`HEMS` the skirt or coat reaches; -1 without one.
    """

    thickness: Tensor
    hem: Tensor


def draw_clothes(streams: Streams, mix: ClothesMix = ClothesMix()) -> Clothes:
    """Dress people.

    Args:
        streams: One for each person.
        mix: How often in what.
    """

    def about(typical: float, spread: float) -> Tensor:
        return typical * (spread * streams.normal()).exp()

    dressed = ~streams.happens(mix.bare)
    hem = torch.where(dressed, streams.pick([mix.skirts / len(HEMS)] * len(HEMS)), -1)
    trunk = about(mix.thickness, mix.spread) * dressed
    sleeve = trunk * about(0.8, 0.3) * streams.happens(0.8)
    trousers = trunk * about(0.9, 0.4)
    over = {
        "trunk": trunk,
        "hips": trunk * about(1.0, 0.3),
        "upper arm": sleeve,
        "forearm": sleeve * about(0.7, 0.2) * streams.happens(0.5),
        "thigh": trousers,
        "calf": trousers * about(0.8, 0.3) * streams.happens(0.7) + (hem >= 0) * streams.uniform(high=mix.flare),
        "foot": about(SHOES, 0.5),
        "head": about(HAIR, 0.5),
        "neck": about(HAIR, 0.5) * streams.happens(0.3),
        "hand": torch.zeros_like(trunk),
    }
    thickness = torch.stack([over[_part(name)] for name in joint_set("smpl24")], dim=1)
    return Clothes(thickness * (UNEVEN * streams.normal(thickness.shape[1])).exp(), hem)


class Tailor:
    """Dresses one body.

    Args:
        body: Any; that of :func:`meshrec.body.coarse.coarse_body` is drawn fastest.
    """

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        self._skirts = [_between_the_legs(body, hem) for hem in HEMS]

    def dressed(self, vertices: Tensor, thickness: Tensor) -> Tensor:
        """Surfaces (B, V, 3) of clothes over bodies (B, V, 3), metres; see :attr:`Clothes.thickness`."""
        outwards = vertex_normals(vertices, self.body.faces)
        return vertices + (thickness.to(vertices) @ self.body.weights.T)[..., None] * outwards

    def mask(self, vertices: Tensor, camera: Camera, clothes: Clothes | None = None) -> Tensor:
        """(B, H, W) bool: the pixels whose centres lie on people.

        Args:
            vertices: (B, V, 3) of their bodies, camera space, metres.
            camera: Of the pictures.
            clothes: What they wear; default nothing.
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
    """(B, H, W) bool: where meshes (B, V, 3) on the screen are seen."""
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
    """What is worn over the part of a joint."""
    worn = {
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
    return worn.get(joint.removeprefix("left_").removeprefix("right_"), "trunk")
