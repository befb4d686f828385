"""Random cameras: field of view, elevation, roll, the person's place in the photo, and a crop around the person."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.data.streams import Streams
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix

SIDES = (0.15, 0.15, 0.1, 0.6)  # probabilities that the photo cuts a person on the left, right, top, bottom
LEAST_DEPTH = 0.7  # least distance of a person from the camera, metres


@dataclass(frozen=True)
class ViewMix:
    """Distribution of the cameras.

    Attributes:
        fov: Smallest and largest field of view across the photo's longer side, degrees.
        height: Smallest and largest share of the photo's longer side that the person takes; small ones are likelier.
        elevation: Mean and standard deviation of the camera's elevation, degrees; positive looks down.
        any_elevation: Share of cameras with an elevation drawn uniformly from -40 to 85 degrees.
        roll: Standard deviation of the camera's roll, degrees.
        margin: Smallest and largest side of the crop over the longer side of the person's box.
        shift: Standard deviation of the crop's centre, as a share of its side.
        truncated: Share of people whom the photo's edge cuts.
        kept: Smallest and largest share of the box that the photo shows of a truncated person.
        occluded: Share of people with an occluder in front of them.
    """

    fov: tuple[float, float] = (25.0, 85.0)
    height: tuple[float, float] = (0.2, 1.0)
    elevation: tuple[float, float] = (7.0, 9.0)
    any_elevation: float = 0.12
    roll: float = 4.0
    margin: tuple[float, float] = (1.08, 1.4)
    shift: float = 0.03
    truncated: float = 0.12
    kept: tuple[float, float] = (0.4, 0.9)
    occluded: float = 0.15


def draw_orientations(streams: Streams, mix: ViewMix = ViewMix()) -> Tensor:
    """Rotations from a world with y up to cameras: a uniformly random heading, then elevation, then roll.

    Args:
        streams: One random stream per camera.
        mix: Distribution of the cameras.

    Returns:
        (B, 3, 3).
    """
    mean, deviation = mix.elevation
    usual, anywhere = mean + deviation * streams.normal(), streams.uniform(low=-40, high=85)
    elevation = torch.where(streams.happens(mix.any_elevation), anywhere, usual)
    heading = streams.uniform(high=360)
    roll = mix.roll * streams.normal()
    return _about(2, roll) @ _about(0, elevation) @ CAMERA_TO_Y_UP @ _about(1, heading)


@dataclass(frozen=True)
class Views:
    """Places of B people in front of their cameras, and their crops.

    Attributes:
        translation: (B, 3) from the given points to camera space, metres.
        camera: The cameras of the crops, with focal lengths and principal points (B, 2).
        photo: (B, 4) outer edges x0, y0, x1, y1 of the photo, in pixels of the crop.
        box: (B, 4) box around the part of the person inside the photo, in pixels of the crop.
        truncated: (B,) bool, whether the photo's edge cuts the person.
    """

    translation: Tensor
    camera: Camera
    photo: Tensor
    box: Tensor
    truncated: Tensor


def draw_views(points: Tensor, streams: Streams, resolution: int = 224, mix: ViewMix = ViewMix()) -> Views:
    """Place people in photos and crop them.

    Args:
        points: (B, V, 3) points of the people in the camera's axes, around any origin, metres.
        streams: One random stream per person.
        resolution: Side of the crops in pixels.
        mix: Distribution of the cameras.
    """
    # Units of the photo are half its longer side, over which focal lengths are; the origin is its centre.
    low, high = _extent(points)
    size = (high - low)[:, :2].amax(1)
    focal = 1 / (streams.uniform(low=mix.fov[0], high=mix.fov[1]).deg2rad() / 2).tan()
    focal = focal.to(points)
    least, largest = mix.height
    height = (least + (largest - least) * streams.uniform() ** 1.5).to(points)
    depth = focal * size / (2 * height)
    # Half of the person's extent along z is added, so that a foot stretched towards a near camera stays in front of it.
    depth = torch.maximum(depth, (high - low)[:, 2] / 2 + LEAST_DEPTH)
    room = (1 - height).clamp_min(0)[:, None] * torch.tensor([1.0, 0.8]).to(points)
    place = streams.uniform(2, low=-1, high=1).to(points) * room
    middle = torch.cat([place * (depth / focal)[:, None], depth[:, None]], dim=1)
    translation = middle - (low + high) / 2

    seen = points + translation[:, None]
    seen = seen[..., :2] / seen[..., 2:] * focal[:, None, None]
    low, high = _extent(seen)
    truncated = streams.happens(mix.truncated).to(points.device)
    photo, low, high = _cut(streams, low, high, truncated, mix)
    side = (high - low).amax(1) * streams.uniform(low=mix.margin[0], high=mix.margin[1]).to(points)
    center = (low + high) / 2 + mix.shift * side[:, None] * streams.normal(2).to(points)

    scale = (resolution / side)[:, None]
    corner = (resolution - 1) / 2
    camera = Camera(focal[:, None] * scale.expand(-1, 2), corner - center * scale, (resolution, resolution))

    def to_crop(box: Tensor) -> Tensor:
        return (box - center.repeat(1, 2)) * scale + corner

    return Views(translation, camera, to_crop(photo), to_crop(torch.cat([low, high], 1)), truncated)


def _cut(streams: Streams, low: Tensor, high: Tensor, truncated: Tensor, mix: ViewMix) -> tuple[Tensor, Tensor, Tensor]:
    """Fit photos to people: large enough to hold them, but cut where people are to be truncated.

    Args:
        streams: One random stream per person.
        low, high: (B, 2) corners of the people's boxes, in units of half the photo's longer side.
        truncated: (B,) bool, whether the photo is to cut the person.
        mix: Distribution of the cameras.

    Returns:
        Edges of the photos (B, 4), and corners (B, 2) and (B, 2) of the parts of the boxes inside.
    """
    one = torch.ones_like(low)
    photo = torch.cat([torch.minimum(low * 1.02, -one), torch.maximum(high * 1.02, one)], dim=1)
    side = streams.pick(SIDES).to(low.device)
    kept = streams.uniform(low=mix.kept[0], high=mix.kept[1]).to(low)[:, None]
    box = torch.cat([low, high], dim=1)
    extent = (high - low).repeat(1, 2) * kept
    # Where each edge of the photo lies if it is the one that cuts, measured from the opposite side of the box.
    edges = torch.cat([high, low], dim=1) + extent * extent.new_tensor([-1, -1, 1, 1])
    order = torch.tensor([0, 2, 1, 3], device=low.device)  # places of left, right, top, bottom in (x0, y0, x1, y1)
    cut = truncated[:, None] & (torch.arange(4, device=low.device) == order[side][:, None])
    photo, box = torch.where(cut, edges, photo), torch.where(cut, edges, box)
    return photo, box[:, :2], box[:, 2:]


def _extent(points: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest coordinates (B, D) of points (B, V, D)."""
    coordinates = points.transpose(1, 2).contiguous()  # reducing along contiguous memory is five times as fast
    return coordinates.amin(2), coordinates.amax(2)


def _about(axis: int, degrees: Tensor) -> Tensor:
    """Rotations (B, 3, 3) about a coordinate axis by angles (B,) in degrees."""
    vector = torch.zeros(len(degrees), 3)
    vector[:, axis] = degrees.deg2rad()
    return axis_angle_to_matrix(vector)
