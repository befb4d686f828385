"""Synthetic people: random bodies in random poses before random cameras, with everything about them known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.topology import enclosed_volume
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.synthetic.cameras import ViewMix, draw_orientations, draw_views
from meshrec.synthetic.occluders import draw_occluders
from meshrec.synthetic.poses import PoseMix, draw_poses


@dataclass(frozen=True)
class ShapeMix:
    """Shares of shapes; the others are the body's population, betas ~ N(0, 1).

    Attributes:
        wide: Share whose betas are half as large again, so that what is rare in the population is not in training.
        heavy: Share moved two and a half deviations towards heaviness.
    """

    wide: float = 0.25
    heavy: float = 0.06


@dataclass(frozen=True)
class People:
    """B people, each in the crop of a photo of their own, in the camera space of that photo.

    Attributes:
        indices: Their numbers in the data set.
        rotations: (B, 24, 3, 3) local rotations, the first from body space to camera space.
        betas: (B, S).
        translation: (B, 3) metres.
        camera: Of the crops; focal lengths and centres are (B, 2).
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3) metres.
        global_rotations: (B, 24, 3, 3) of every joint's part, from rest to camera space.
        photo: (B, 4) x0, y0, x1, y1, the photo's outer edges in pixels of the crop; nothing is known beyond them.
        box: (B, 4) around what the photo shows of the person, pixels of the crop.
        covered: (B, H, W) bool, the crop's pixels where something stands in front of everything else.
        kind: (B,) of the pose, an index into :data:`meshrec.synthetic.poses.KINDS`.
        truncated: (B,) bool, whether the photo's edge cuts them.
        heavy: (B,) bool, whether their shape was moved towards heaviness.
    """

    indices: tuple[int, ...]
    rotations: Tensor
    betas: Tensor
    translation: Tensor
    camera: Camera
    vertices: Tensor
    joints: Tensor
    global_rotations: Tensor
    photo: Tensor
    box: Tensor
    covered: Tensor
    kind: Tensor
    truncated: Tensor
    heavy: Tensor

    def __len__(self) -> int:
        return len(self.indices)


class SyntheticPeople:
    """An endless data set: person i of a seed is always the same one.

    Args:
        body: Whose shape space and mesh; its device is where everything is made.
        seed: Of the whole set.
        split: Which poses of the shipped motion and of the authored poses.
        resolution: Side of the crops in pixels.
        poses, views, shapes: How often which.
    """

    def __init__(
        self,
        body: BodyModel,
        seed: int = 0,
        split: Literal["train", "held_out", "all"] = "train",
        resolution: int = 224,
        poses: PoseMix | None = None,
        views: ViewMix | None = None,
        shapes: ShapeMix | None = None,
    ) -> None:
        self.body, self.seed, self.resolution = body, seed, resolution
        self.bank = load_pose_bank(split)
        self.authored, self.everyday = authored_poses(split), everyday_poses(split)
        self.poses, self.views, self.shapes = poses or PoseMix(), views or ViewMix(), shapes or ShapeMix()
        self.heaviness = heaviness(body)

    def streams(self, indices: Sequence[int], purpose: str) -> Streams:
        """Random numbers for these people that only this purpose uses."""
        return Streams(self.seed, indices, purpose)

    @torch.no_grad()
    def draw(self, indices: Sequence[int]) -> People:
        """The people of these numbers."""
        device = self.body.v_template.device
        pose, kind = draw_poses(self.streams(indices, "pose"), self.bank, self.authored, self.everyday, self.poses)
        view = self.streams(indices, "view")
        pose[:, 0] = draw_orientations(view, self.views) @ pose[:, 0]
        betas, heavy = draw_shapes(self.streams(indices, "shape"), self.heaviness, self.shapes)
        pose, betas = pose.to(device), betas.to(device)
        out = self.body(betas, pose[:, 1:], pose[:, 0])
        views = draw_views(out.vertices, view, self.resolution, self.views)
        moved = views.translation[:, None]
        things = draw_occluders(self.streams(indices, "occluder"), views.box, self.views.occluded)
        return People(
            indices=tuple(int(i) for i in indices),
            rotations=pose,
            betas=betas,
            translation=views.translation,
            camera=views.camera,
            vertices=out.vertices + moved,
            joints=out.joints + moved,
            global_rotations=out.rotations,
            photo=views.photo,
            box=views.box,
            covered=things.pictures(views.camera.size),
            kind=kind.to(device),
            truncated=views.truncated,
            heavy=heavy.to(device),
        )


def draw_shapes(streams: Streams, heavier: Tensor, mix: ShapeMix = ShapeMix()) -> tuple[Tensor, Tensor]:
    """Betas (B, S), and who (B,) was made heavy.

    Args:
        streams: One for each person.
        heavier: (S,) unit direction in which bodies grow heavy.
        mix: How often which.
    """
    betas = streams.normal(len(heavier))
    betas = torch.where(streams.happens(mix.wide)[:, None], 1.5 * betas, betas)
    heavy = streams.happens(mix.heavy)
    return betas + 2.5 * heavy[:, None] * heavier, heavy


def heaviness(body: BodyModel) -> Tensor:
    """(S,) the direction of unit length in which the mean shape's volume over squared stature grows fastest."""
    step = torch.eye(body.num_betas, dtype=body.v_template.dtype, device=body.v_template.device)
    vertices, _ = body.rest(torch.cat([step, -step]))
    stature = vertices[..., 1].amax(1) - vertices[..., 1].amin(1)
    index = enclosed_volume(vertices, body.faces) / stature**2
    slope = index[: len(step)] - index[len(step) :]
    return (slope / slope.norm()).float().cpu()


def project(people: People, points: Tensor) -> Tensor:
    """Points (B, K, 3) in camera space to pixels (B, K, 2) of the crop."""
    return people.camera.project(points)[..., :2]


def to_normalized(pixels: Tensor, resolution: int) -> Tensor:
    """Pixels of a crop to the coordinates in which its edges are -1 and 1."""
    return (2 * pixels + 1) / resolution - 1
