"""Random textures: skin, hair, clothes and shoes, painted on a body's texture layout.

What a texel shows follows from its place on the body at rest: sleeves end at some share of the arm, trousers at some
share of the leg. So the same code paints any body that has a texture layout.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.geometry.cameras import WeakPerspectiveCamera
from meshrec.render import rasterize

# Scales of RGB colours, between which colours are interpolated.
SKIN = ((0.93, 0.78, 0.70), (0.84, 0.64, 0.52), (0.70, 0.48, 0.35), (0.47, 0.30, 0.21), (0.26, 0.16, 0.12))
HAIR = ((0.05, 0.04, 0.04), (0.15, 0.09, 0.06), (0.35, 0.21, 0.12), (0.66, 0.50, 0.28), (0.62, 0.61, 0.60))
EYE, LIP = (0.12, 0.08, 0.07), (0.62, 0.25, 0.25)


@dataclass(frozen=True)
class TextureLayout:
    """Places of N x N texels on the body at rest.

    Attributes:
        uv: (T, 2) texture coordinates, v upwards.
        faces: (F, 3) indices into ``uv``.
        position: (N, N, 3) rest positions, metres. Outside the layout's islands that of the nearest texel inside.
        arm: (N, N) share of the way along the arm, 0 at the shoulder and 1 at the wrist; negative elsewhere.
        leg: (N, N) share of the way along the leg, 0 at the hip and 1 at the ankle; negative above and on the arms.
        hair: (N, N) distance inside the hairline, metres; negative outside.
        neck: (N, N) height above the neck joint, metres.
        eyes, lips: (N, N) bool.
    """

    uv: Tensor
    faces: Tensor
    position: Tensor
    arm: Tensor
    leg: Tensor
    hair: Tensor
    neck: Tensor
    eyes: Tensor
    lips: Tensor

    @property
    def size(self) -> int:
        """N, the number of texels along a side."""
        return len(self.position)

    @staticmethod
    def fits(body: BodyModel) -> bool:
        """Whether a body can be painted: it has texture coordinates and landmarks of the face."""
        return body.data.uv is not None and body.data.landmark_regressor is not None

    @classmethod
    def of_body(cls, body: BodyModel, size: int = 192) -> "TextureLayout":
        """Measure the layout of a body.

        Args:
            body: A body with texture coordinates and landmarks of the face, such as the open body.
            size: Number of texels along a side.

        Raises:
            InputError: The body has no texture layout or no landmarks of the face.
        """
        data = body.data
        if not cls.fits(body):
            raise InputError(
                f"{data.name or 'this body'} has no texture layout or no landmarks of the face, so it cannot be painted"
            )
        device = body.v_template.device
        uv, faces = (torch.as_tensor(array, device=device) for array in (data.uv, data.uv_faces))
        rest, joints = (part[0] for part in body.rest())
        position = _rest_positions(uv, faces.long(), rest[body.faces], size)
        at = dict(zip(body.joint_names, joints))
        rows = torch.as_tensor(data.landmark_regressor, dtype=rest.dtype, device=device)
        face = dict(zip(data.landmark_names, rows @ rest))

        x, y, z = position.unbind(-1)
        shoulder, wrist = at["left_shoulder"], at["left_wrist"]
        arm = torch.where(y > at["spine3"][1] - 0.05, (x.abs() - shoulder[0]) / (wrist[0] - shoulder[0]), -1)
        hip, ankle = at["left_hip"][1], at["left_ankle"][1]
        leg = torch.where(x.abs() < shoulder[0] + 0.25, (hip - y) / (hip - ankle), -1)
        forehead, ear = face["left_eye"][1] + 0.05, face["left_ear"][2]
        hair = torch.maximum(y - forehead, ear - 0.01 - z)
        hair = torch.where((y > at["neck"][1]) & (x.abs() < 0.12), hair, -1)
        eyes = torch.minimum(*((position - face[name]).norm(dim=-1) for name in ("left_eye", "right_eye"))) < 0.011
        shares = torch.linspace(0, 1, 7, device=device)
        mouth = torch.stack([torch.lerp(face["mouth_left"], face["mouth_right"], share) for share in shares])
        lips = torch.cdist(position.view(-1, 3), mouth).amin(1).view_as(y) < 0.009
        return cls(uv, faces, position, arm, leg, hair, y - at["neck"][1], eyes, lips)


def draw_textures(streams: Streams, layout: TextureLayout) -> Tensor:
    """Draw a texture for each person.

    Args:
        streams: One random stream per person.
        layout: Texture layout of the body.

    Returns:
        (B, N, N, 3) RGB in [0, 1].
    """
    position = layout.position
    noise = _noise(streams, layout.size, position.device)
    tone = _mix(SKIN, streams.uniform()).to(position.device)
    texture = tone[:, None, None] * (1 + 0.12 * noise[..., :1])
    texture[:, layout.eyes] = texture.new_tensor(EYE)
    texture[:, layout.lips] = (0.5 * tone + 0.5 * tone.new_tensor(LIP))[:, None]

    def drawn(low: float, high: float) -> Tensor:
        return streams.uniform(1, 1, low=low, high=high).to(position.device)

    bald = streams.happens(0.08)[:, None, None].to(position.device)
    hair = layout.hair - drawn(-0.012, 0.02)
    hair_color = draw_hair_color(streams).to(position.device)
    texture = torch.where(((hair > 0) & ~bald)[..., None], _tinted(hair_color, 1 + 0.3 * noise[..., 1:2]), texture)

    # Extents of the garments: the shirt's sleeves, hem and collar, the length of skirt and trousers, the shoes' height.
    sleeve, hem, collar = drawn(-0.05, 1.1), drawn(0.0, 0.25), drawn(-0.12, 0.0)
    skirt = streams.happens(0.1)[:, None, None].to(position.device) * drawn(0.2, 0.7)
    length, shoe = drawn(0.15, 1.15), drawn(0.93, 1.05)
    on_arm, on_leg, neck = layout.arm, layout.leg, layout.neck
    worn = {
        "trousers": (neck < -0.4) & (on_leg > -0.25) & (on_leg < length),
        "shirt": (neck < collar) & (on_leg < torch.maximum(hem - 0.1, skirt)) & (on_arm < sleeve),
        "shoes": on_leg > shoe,
    }
    without = {"trousers": 0.02, "shirt": 0.1, "shoes": 0.25}  # shares of people
    for name, area in worn.items():
        area = area & ~streams.happens(without[name])[:, None, None].to(position.device)
        texture = torch.where(area[..., None], _cloth(streams, layout, noise), texture)
    return texture.clamp_(0, 1)


@dataclass(frozen=True)
class Cloth:
    """The cloth of one garment of each of B people.

    Attributes:
        first, second: (B, 3) RGB colours; the second is that of the pattern.
        per_metre: (B, 2) stripes per metre along and across the limb.
        pattern: (B,) index into :data:`PATTERNS`.
    """

    first: Tensor
    second: Tensor
    per_metre: Tensor
    pattern: Tensor

    def at(self, person: Tensor, position: Tensor) -> Tensor:
        """Colours of places on garments.

        Args:
            person: (P,) the person to whom each place belongs.
            position: (P, 3) the places at rest, metres.

        Returns:
            (P, 3) RGB.
        """
        x, y, z = position.unbind(-1)
        arm = (x.abs() > 0.2) & (y > 0.1)  # arms lie along x at rest, trunk and legs along y
        stripes, columns = _stripes(torch.where(arm, x, y), torch.where(arm, y + z, x + z), self.per_metre[person])
        plain = torch.zeros_like(stripes)
        patterns = torch.stack([plain, stripes, columns, stripes ^ columns, plain, plain])
        chosen = patterns[self.pattern[person], torch.arange(len(person), device=person.device)]
        return torch.where(chosen[:, None], self.second[person], self.first[person])

    def to(self, device: torch.device) -> "Cloth":
        """The same cloth with its tensors on a device."""
        return Cloth(*(values.to(device) for values in (self.first, self.second, self.per_metre, self.pattern)))


PATTERNS = {"plain": 0.6, "striped": 0.14, "in columns": 0.08, "checked": 0.08, "blotched": 0.06, "speckled": 0.04}


def draw_cloth(streams: Streams) -> Cloth:
    """Draw the cloth of one garment per person, with the shares of :data:`PATTERNS`."""
    first, second = _cloth_color(streams), _cloth_color(streams)
    per_metre = streams.uniform(2, low=8, high=45)
    return Cloth(first, second, per_metre, streams.pick(tuple(PATTERNS.values())).clamp_min(0))


def draw_hair_color(streams: Streams) -> Tensor:
    """Draw a colour of hair (B, 3) for each person, mostly dark."""
    return _mix(HAIR, streams.uniform() ** 1.5)


def _cloth(streams: Streams, layout: TextureLayout, noise: Tensor) -> Tensor:
    """Paint one garment per person (B, N, N, 3), with folds."""
    x, y, z = layout.position.unbind(-1)
    cloth = draw_cloth(streams).to(x.device)
    along = torch.where(layout.arm > 0.1, x, y)  # arms lie along x at rest, trunk and legs along y
    across = torch.where(layout.arm > 0.1, y + z, x + z)
    stripes, columns = _stripes(along, across, cloth.per_metre[:, None, None])
    blotches = noise[..., 0] > 0.2
    speckles = noise[..., 2] > 0.9
    pattern = torch.stack([torch.zeros_like(stripes), stripes, columns, stripes ^ columns, blotches, speckles])
    chosen = pattern[cloth.pattern, torch.arange(len(cloth.pattern), device=x.device)]
    folds = 1 + 0.22 * noise[..., 1:2]
    return torch.where(chosen[..., None], cloth.second[:, None, None], cloth.first[:, None, None]) * folds


def _stripes(along: Tensor, across: Tensor, per_metre: Tensor) -> tuple[Tensor, Tensor]:
    """Whether places lie on stripes of both directions; ``per_metre`` (..., 2) broadcasts against the places."""
    stripes, columns = ((place * per_metre[..., i]).frac().abs() > 0.5 for i, place in enumerate((along, across)))
    return stripes, columns


def _cloth_color(streams: Streams) -> Tensor:
    """Draw colours (B, 3) of cloth: any hue, a third of them grey, white or black."""
    value = streams.uniform(1, low=0.04, high=0.95)
    hue = 0.5 + 0.5 * torch.cos(2 * math.pi * (streams.uniform(1) + torch.tensor([0, 1 / 3, 2 / 3])))
    saturation = streams.uniform(1) ** 1.5 * ~streams.happens(0.35, 1)
    return value * (1 - saturation + saturation * hue)


def _tinted(color: Tensor, factor: Tensor) -> Tensor:
    """Colours (B, 3) times factors (B, N, N, 1)."""
    return color[:, None, None] * factor


def _mix(scale: tuple[tuple[float, ...], ...], place: Tensor) -> Tensor:
    """Interpolate a scale of colours at places (B,) in [0, 1]: (B, 3)."""
    colors = torch.tensor(scale)
    step = place.clamp(0, 1) * (len(colors) - 1)
    low = step.long().clamp_max(len(colors) - 2)
    return torch.lerp(colors[low], colors[low + 1], (step - low)[:, None])


def _noise(streams: Streams, size: int, device: torch.device) -> Tensor:
    """Smooth noise (B, N, N, 3) of mean zero, one channel each of coarse, medium and fine noise."""
    layers = [
        interpolate(streams.normal(1, cells, cells).to(device), (size, size), mode="bilinear")
        for cells in (size // 20, size // 9, size // 3)
    ]
    return torch.cat(layers, dim=1).movedim(1, -1).clamp(-1.5, 1.5)


def _rest_positions(uv: Tensor, faces: Tensor, corners: Tensor, size: int) -> Tensor:
    """Rest positions of all texels, found by rasterising the layout like a flat mesh.

    Args:
        uv: (T, 2) texture coordinates.
        faces: (F, 3) indices into ``uv``.
        corners: (F, 3, 3) rest positions of the faces' corners, metres.
        size: Number N of texels along a side.

    Returns:
        (N, N, 3) metres.
    """
    from scipy.ndimage import distance_transform_edt

    flat = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1], torch.ones_like(uv[:, 0])], dim=-1)
    fragments = rasterize(flat, faces, WeakPerspectiveCamera(1.0, size=(size, size)))
    places = (fragments.barycentric[..., None] * corners[fragments.face]).sum(1)
    picture = fragments.picture(places)[0]
    empty = (fragments.face_id[0] < 0).cpu().numpy()
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    row, column = (torch.from_numpy(np.ascontiguousarray(i)).long().to(picture.device) for i in nearest)
    return picture[row, column]
