"""Cameras around a person: lens, height, roll, place in the photo, and the square crop that a detector would cut."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.data.streams import Streams
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix

SIDES = (0.15, 0.15, 0.1, 0.6)  # which side of the person the photo cuts off: left, right, top, bottom
LEAST_DEPTH = 0.7  # metres: no part of a person is nearer to the camera


@dataclass(frozen=True)
class ViewMix:
    """Which cameras.

    Attributes:
        fov: Least and largest angle of view across the photo's longer side, degrees.
        height: Least and largest share of the photo's longer side that the person takes; small ones are likelier.
        elevation: Mean and standard deviation of the camera's elevation, degrees; positive looks down.
        any_elevation: Share of cameras at any elevation from -40 to 85 degrees.
        roll: Standard deviation of the camera's roll, degrees.
        margin: Least and largest side of the crop over the longer side of the person's box.
        shift: Standard deviation of the crop's centre, share of its side.
        truncated: Share of people whom the photo's edge cuts.
        kept: Least and largest share of the person's box that is left then.
        occluded: Share of people with something in front of them.
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
    """Rotations (B, 3, 3) from a world whose y is up to the camera: any heading, then elevation, then roll."""
    mean, deviation = mix.elevation
    usual, anywhere = mean + deviation * streams.normal(), streams.uniform(low=-40, high=85)
    elevation = torch.where(streams.happens(mix.any_elevation), anywhere, usual)
    heading = streams.uniform(high=360)
    roll = mix.roll * streams.normal()
    return _about(2, roll) @ _about(0, elevation) @ CAMERA_TO_Y_UP @ _about(1, heading)


@dataclass(frozen=True)
class Views:
    """Where B people stand and how they are cropped.

    Attributes:
        translation: (B, 3) that moves the given points into the camera's view, metres.
        camera: Of the crops, focal lengths and centres (B, 2).
        photo: (B, 4) x0, y0, x1, y1, the outer edges of the photo in the crop's pixels.
        box: (B, 4) the person's part inside the photo, in the crop's pixels.
        truncated: (B,) bool, whether the photo's edge was made to cut the person.
    """

    translation: Tensor
    camera: Camera
    photo: Tensor
    box: Tensor
    truncated: Tensor


def draw_views(points: Tensor, streams: Streams, resolution: int = 224, mix: ViewMix = ViewMix()) -> Views:
    """Place people in photos and cut crops around them.

    Photos have a longer side of 2, so that focal lengths are over half of it, and their middle is the origin.

    Args:
        points: (B, V, 3) the people, turned as the camera sees them but not yet placed, metres.
        streams: One for each.
        resolution: Side of the crop in pixels.
        mix: Which cameras.
    """
    low, high = _extent(points)
    size = (high - low)[:, :2].amax(1)
    focal = 1 / (streams.uniform(low=mix.fov[0], high=mix.fov[1]).deg2rad() / 2).tan()
    focal = focal.to(points)
    least, largest = mix.height
    height = (least + (largest - least) * streams.uniform() ** 1.5).to(points)
    depth = focal * size / (2 * height)
    # Both ends of the person count: a foot towards a near camera must stay in front of it.
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
    """The photo (B, 4), grown to hold the person and shrunk where it is to cut them, and what is left of their box."""
    one = torch.ones_like(low)
    photo = torch.cat([torch.minimum(low * 1.02, -one), torch.maximum(high * 1.02, one)], dim=1)
    side = streams.pick(SIDES).to(low.device)
    kept = streams.uniform(low=mix.kept[0], high=mix.kept[1]).to(low)[:, None]
    box = torch.cat([low, high], dim=1)
    extent = (high - low).repeat(1, 2) * kept
    # The left and top edges (x0, y0) move right and down, the others left and up: kept is measured from the far side.
    edges = torch.cat([high, low], dim=1) + extent * extent.new_tensor([-1, -1, 1, 1])
    order = torch.tensor([0, 2, 1, 3], device=low.device)  # left, right, top, bottom in (x0, y0, x1, y1)
    cut = truncated[:, None] & (torch.arange(4, device=low.device) == order[side][:, None])
    photo, box = torch.where(cut, edges, photo), torch.where(cut, edges, box)
    return photo, box[:, :2], box[:, 2:]


def _extent(points: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest coordinates (B, D) of points (B, V, D); laid along memory, which is five times as fast."""
    coordinates = points.transpose(1, 2).contiguous()
    return coordinates.amin(2), coordinates.amax(2)


def _about(axis: int, degrees: Tensor) -> Tensor:
    """(B, 3, 3) rotations about a coordinate axis."""
    vector = torch.zeros(len(degrees), 3)
    vector[:, axis] = degrees.deg2rad()
    return axis_angle_to_matrix(vector)
