"""RGB pictures of synthetic people: textured, lit, in front of a background, seen through a camera."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize

from meshrec.body import BodyModel
from meshrec.body.topology import vertex_normals
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.render import Fragments, rasterize
from meshrec.render.screen import supersampled
from meshrec.synthetic.backgrounds import Backgrounds, noise_backgrounds
from meshrec.synthetic.garments import Dressed
from meshrec.synthetic.people import People
from meshrec.synthetic.textures import TextureLayout, draw_textures
from meshrec.synthetic.visibility import inside_photo
from meshrec.synthetic.wardrobe import Fabrics, Outfit, Wardrobe

LAMPS = 3
BLUR_REACH = 4  # half width of the blur's kernel, pixels


@dataclass(frozen=True)
class Pictures:
    """How pictures are drawn.

    Attributes:
        layout: Texture layout of the body.
        backgrounds: Draws the backgrounds: noise, or crops of the pictures in a folder.
        supersample: Samples per pixel along each axis.
        wardrobe: Garments that people wear; by default they wear nothing but paint.
    """

    layout: TextureLayout
    backgrounds: Backgrounds = noise_backgrounds
    supersample: int = 2
    wardrobe: Wardrobe | None = None


@torch.no_grad()
def photograph(people: People, body: BodyModel, pictures: Pictures, streams: Streams) -> Tensor:
    """Draw pictures of people, each of the size of the person's crop.

    Args:
        people: The B people.
        body: The body that they were made with.
        pictures: How to draw them.
        streams: One random stream per person.

    Returns:
        (B, 3, H, W) uint8 RGB, black beyond the edges of the photos.
    """
    device, size = people.vertices.device, people.camera.size
    texture, lamps = draw_textures(streams, pictures.layout), draw_lamps(streams).to(device)
    behind = pictures.backgrounds(streams, size[0], device)
    everybody = torch.arange(len(people), device=device)
    if pictures.wardrobe is None:
        paint = _Paint(texture, pictures.layout)
        picture = _drawn(everybody, people, people.vertices, body.faces, paint, lamps, behind, pictures.supersample)
    else:
        picture = _dressed(everybody, people, texture, lamps, behind, pictures, pictures.wardrobe, streams)
    # Occluders show the background upside down: their texture must not tell a network where they are.
    picture = torch.where(people.covered[:, None], behind.flip(-1, -2), picture)
    picture = exposed(blurred(picture, streams), streams)
    return (picture * inside_photo(people.photo, size)[:, None] * 255 + 0.5).to(torch.uint8)


def _dressed(
    everybody: Tensor,
    people: People,
    texture: Tensor,
    lamps: "Lamps",
    behind: Tensor,
    pictures: Pictures,
    wardrobe: Wardrobe,
    streams: Streams,
) -> Tensor:
    """Pictures (B, 3, H, W) of people in random outfits, which are drawn one outfit at a time."""
    outfits, fabrics = wardrobe.draw(streams), Fabrics.draw(streams, everybody.device)
    picture = torch.empty_like(behind)
    for outfit in sorted(set(outfits)):
        dressed = wardrobe.dressed(outfit)
        rows = everybody[torch.tensor([own == outfit for own in outfits], device=everybody.device)]
        pose = people.rotations[rows]
        vertices = dressed.body(people.betas[rows], pose[:, 1:], pose[:, 0], people.translation[rows]).vertices
        paint = _Paint(texture, pictures.layout, _Worn(wardrobe, outfit, dressed, fabrics))
        picture[rows] = _drawn(rows, people, vertices, dressed.body.faces, paint, lamps, behind, pictures.supersample)
    return picture


def _drawn(
    rows: Tensor,
    people: People,
    vertices: Tensor,
    faces: Tensor,
    paint: "_Paint",
    lamps: "Lamps",
    behind: Tensor,
    supersample: int,
) -> Tensor:
    """Draw some people with meshes of the same faces in front of their backgrounds.

    Args:
        rows: (N,) their rows among all B people.
        people: All people.
        vertices: (N, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        paint: Colours of their surfaces.
        lamps: Lamps of all people.
        behind: (B, 3, H, W) backgrounds of all people.
        supersample: As in :class:`Pictures`.

    Returns:
        (N, 3, H, W) RGB in [0, 1].
    """
    focal, center = (torch.as_tensor(value)[rows] for value in (people.camera.focal, people.camera.center))
    camera = Camera(focal, center, people.camera.size)
    fragments = rasterize(vertices, faces, supersampled(camera, supersample))
    person = rows[fragments.sample]
    normals = fragments.facing(fragments.interpolate(vertex_normals(vertices, fragments.faces)))
    colors = (paint.colors(fragments, person) * lit(normals, person, lamps)).clamp_(0, 1)
    return fragments.picture(colors, behind[rows].movedim(1, -1), shrink=supersample).movedim(-1, 1)


@dataclass(frozen=True)
class _Worn:
    """An outfit that people wear, and what the garments of all people are made of."""

    wardrobe: Wardrobe
    outfit: Outfit
    dressed: Dressed
    fabrics: Fabrics


@dataclass(frozen=True)
class _Paint:
    """Colours of the surfaces of people: textures (B, N, N, 3) of all of them, and the outfit of those in question."""

    texture: Tensor
    layout: TextureLayout
    worn: _Worn | None = None

    def colors(self, fragments: Fragments, person: Tensor) -> Tensor:
        """RGB (P, 3) of the covered pixels, which show the people of rows ``person`` (P,)."""
        face, corners, worn = fragments.face, fragments.barycentric, self.worn
        if worn is None:
            return texels(self.texture, self.layout, face, corners, person)
        part, rest = worn.dressed.part[face], fragments.interpolate(worn.dressed.body.v_template)
        skin, colors = part == 0, torch.empty_like(rest)
        kept = worn.dressed.kept[face[skin]]
        colors[skin] = texels(self.texture, self.layout, kept, corners[skin], person[skin])
        cloth = part[~skin], rest[~skin], person[~skin]
        colors[~skin] = worn.wardrobe.colors(worn.outfit, *cloth, worn.fabrics)
        return colors


def texels(texture: Tensor, layout: TextureLayout, face: Tensor, barycentric: Tensor, person: Tensor) -> Tensor:
    """Look up the nearest texels of places on bodies.

    Args:
        texture: (B, N, N, 3) RGB.
        layout: Texture layout of the body.
        face: (P,) the body's face on which each place lies.
        barycentric: (P, 3) weights of the face's corners.
        person: (P,) the person to whom each place belongs.

    Returns:
        (P, 3) RGB.
    """
    corners = layout.uv[layout.faces.long()].flatten(1)[face].view(-1, 3, 2)
    uv = (corners * barycentric[..., None]).sum(1)
    column, row = (layout.size * uv).long().clamp_(0, layout.size - 1).unbind(-1)
    row = layout.size - 1 - row
    return texture.view(-1, 3)[(person * layout.size + row) * layout.size + column]


@dataclass(frozen=True)
class Lamps:
    """The light of B pictures: ambient light, stronger from above, and a few coloured lamps.

    Attributes:
        towards: (B, 3, 3) unit vectors towards the lamps in camera space.
        color: (B, 3, 3) their RGB strengths.
        sky: (B, 3) RGB strength of the ambient light.
        above: (B, 1) by how much it is weaker on surfaces that face down.
    """

    towards: Tensor
    color: Tensor
    sky: Tensor
    above: Tensor

    def to(self, device: torch.device) -> "Lamps":
        """The same lamps with their tensors on a device."""
        return Lamps(*(value.to(device) for value in vars(self).values()))


def draw_lamps(streams: Streams) -> Lamps:
    """Draw the light of a picture for each stream."""
    towards = streams.normal(LAMPS, 3)
    towards[..., 1] = -towards[..., 1].abs() - 0.3  # lamps hang above ...
    towards[:, 0, 2] = -towards[:, 0, 2].abs()  # ... and the first is on the camera's side
    towards = normalize(towards, dim=-1)
    strength = streams.uniform(LAMPS, 1) ** 2 * torch.tensor([[1.0], [0.5], [0.3]])
    color = (strength * (1 + 0.1 * streams.normal(LAMPS, 3))).clamp_min(0)
    sky = streams.uniform(1, low=0.35, high=0.8) * (1 + 0.06 * streams.normal(3))
    return Lamps(towards, color, sky, streams.uniform(1, high=0.5))


def lit(normals: Tensor, person: Tensor, lamps: Lamps) -> Tensor:
    """Light on surfaces, by Lambert's law.

    Args:
        normals: (P, 3) unit normals in camera space.
        person: (P,) index of the picture to which each normal belongs.
        lamps: The light of the B pictures.

    Returns:
        (P, 3) RGB factors on the colours of the surfaces.
    """
    towards, color, sky, above = (value[person] for value in (lamps.towards, lamps.color, lamps.sky, lamps.above))
    facing = torch.bmm(towards, normals[..., None]).squeeze(-1).clamp_min_(0)
    return torch.bmm(facing[:, None], color).squeeze(1) + sky * (1 - above * (0.5 + 0.5 * normals[:, 1:2]))


def blurred(pictures: Tensor, streams: Streams) -> Tensor:
    """Defocus: convolve each picture with a Gaussian of random width, which is mostly narrow.

    Args:
        pictures: (B, C, H, W).
        streams: One random stream per picture.

    Returns:
        (B, C, H, W).
    """
    count, channels, height, width = pictures.shape
    sigma = 0.3 + 1.5 * streams.uniform(1) ** 4
    steps = torch.arange(-BLUR_REACH, BLUR_REACH + 1)
    kernel = torch.exp(-((steps / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0).to(pictures)
    pictures = pictures.reshape(1, count * channels, height, width)
    for shape, padding in (((-1, 1, 1, len(steps)), (0, BLUR_REACH)), ((-1, 1, len(steps), 1), (BLUR_REACH, 0))):
        pictures = conv2d(pictures, kernel.view(shape), padding=padding, groups=count * channels)
    return pictures.view(count, channels, height, width)


def exposed(pictures: Tensor, streams: Streams) -> Tensor:
    """Apply a camera's random white balance, exposure, contrast and grain.

    Args:
        pictures: (B, 3, H, W) RGB in [0, 1].
        streams: One random stream per picture.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    gain = (1 + 0.05 * streams.normal(3)) * streams.uniform(1, low=0.8, high=1.25)
    power = (0.15 * streams.normal(1)).exp()
    grain = 0.04 * streams.uniform(1) ** 2
    gain, power, grain = (value.to(pictures)[..., None, None] for value in (gain, power, grain))
    noise = streams.normal(1, *pictures.shape[2:]).to(pictures)
    return ((pictures * gain).clamp_(1e-4, 1) ** power + grain * noise).clamp_(0, 1)
