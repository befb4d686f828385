"""RGB pictures of synthetic people: textured, lit, in front of a background, seen through a camera."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize

from meshrec.body import BodyModel
from meshrec.body.topology import vertex_normals
from meshrec.data.streams import Streams
from meshrec.render import Fragments, rasterize
from meshrec.render.screen import supersampled
from meshrec.synthetic.backgrounds import Backgrounds, noise_backgrounds
from meshrec.synthetic.people import People
from meshrec.synthetic.textures import TextureLayout, draw_textures
from meshrec.synthetic.visibility import inside_photo

LAMPS = 3
BLUR_REACH = 4  # half width of the blur's kernel, pixels


@dataclass(frozen=True)
class Pictures:
    """How pictures are drawn.

    Attributes:
        layout: Texture layout of the body.
        backgrounds: Draws the backgrounds: noise, or crops of the pictures in a folder.
        supersample: Samples per pixel along each axis.
    """

    layout: TextureLayout
    backgrounds: Backgrounds = noise_backgrounds
    supersample: int = 2


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
    fragments = rasterize(people.vertices, body.faces, supersampled(people.camera, pictures.supersample))
    texture = draw_textures(streams, pictures.layout)
    normals = fragments.facing(fragments.interpolate(vertex_normals(people.vertices, fragments.faces)))
    colors = texels(texture, pictures.layout, fragments) * lit(normals, fragments.sample, streams)
    behind = pictures.backgrounds(streams, size[0], device)
    picture = fragments.picture(colors.clamp_(0, 1), behind.movedim(1, -1), shrink=pictures.supersample).movedim(-1, 1)
    # Occluders show the background upside down: their texture must not tell a network where they are.
    picture = torch.where(people.covered[:, None], behind.flip(-1, -2), picture)
    picture = exposed(blurred(picture, streams), streams)
    return (picture * inside_photo(people.photo, size)[:, None] * 255 + 0.5).to(torch.uint8)


def texels(texture: Tensor, layout: TextureLayout, fragments: Fragments) -> Tensor:
    """Look up the nearest texels of the covered pixels.

    Args:
        texture: (B, N, N, 3) RGB.
        layout: Texture layout of the body.
        fragments: The P covered pixels.

    Returns:
        (P, 3) RGB.
    """
    corners = layout.uv[layout.faces.long()].flatten(1)[fragments.face].view(-1, 3, 2)
    uv = (corners * fragments.barycentric[..., None]).sum(1)
    column, row = (layout.size * uv).long().clamp_(0, layout.size - 1).unbind(-1)
    row = layout.size - 1 - row
    return texture.view(-1, 3)[(fragments.sample * layout.size + row) * layout.size + column]


def lit(normals: Tensor, sample: Tensor, streams: Streams) -> Tensor:
    """Light on surfaces: ambient light, stronger from above, and Lambert's law for a few coloured lamps.

    Args:
        normals: (P, 3) unit normals in camera space.
        sample: (P,) index of the person to whom each normal belongs.
        streams: One random stream per person.

    Returns:
        (P, 3) RGB factors on the colours of the surfaces.
    """
    towards = streams.normal(LAMPS, 3)
    towards[..., 1] = -towards[..., 1].abs() - 0.3  # lamps hang above ...
    towards[:, 0, 2] = -towards[:, 0, 2].abs()  # ... and the first is on the camera's side
    towards = normalize(towards, dim=-1)
    strength = streams.uniform(LAMPS, 1) ** 2 * torch.tensor([[1.0], [0.5], [0.3]])
    lamps = (strength * (1 + 0.1 * streams.normal(LAMPS, 3))).clamp_min(0)
    sky = streams.uniform(1, low=0.35, high=0.8) * (1 + 0.06 * streams.normal(3))
    above = streams.uniform(1, high=0.5)
    towards, lamps, sky, above = (value.to(normals)[sample] for value in (towards, lamps, sky, above))
    facing = torch.bmm(towards, normals[..., None]).squeeze(-1).clamp_min_(0)
    return torch.bmm(facing[:, None], lamps).squeeze(1) + sky * (1 - above * (0.5 + 0.5 * normals[:, 1:2]))


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
