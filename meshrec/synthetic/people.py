"""Synthetic people: random bodies in random poses in front of random cameras, with everything about them known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.synthetic.occluders import draw_occluders
from meshrec.synthetic.random_cameras import ViewMix, draw_orientations, draw_views
from meshrec.synthetic.random_poses import PoseMix, PoseSources, draw_poses
from meshrec.synthetic.random_shapes import ShapeMix, draw_shapes, heaviness


@dataclass(frozen=True)
class People:
    """B people, each in the crop of a photo of their own and in the camera space of that photo.

    Attributes:
        indices: Numbers of the people in the data set.
        rotations: (B, 24, 3, 3) local rotations, the first from body space to camera space.
        betas: (B, S) shape coefficients.
        translation: (B, 3) metres.
        camera: The cameras of the crops, with focal lengths and principal points (B, 2).
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3) metres.
        global_rotations: (B, 24, 3, 3) rotations of the joints from rest to camera space.
        photo: (B, 4) outer edges x0, y0, x1, y1 of the photo, in pixels of the crop. Nothing is visible beyond them.
        box: (B, 4) box around the part of the person inside the photo, in pixels of the crop.
        covered: (B, H, W) bool, the crop's pixels that an occluder covers.
        kind: (B,) kinds of the poses, indices into :data:`meshrec.synthetic.random_poses.KINDS`.
        truncated: (B,) bool, whether the photo's edge cuts the person.
        heavy: (B,) bool, whether the shape was moved towards heaviness.
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

    def project(self, points: Tensor) -> Tensor:
        """Project points (B, K, 3) in camera space to pixels (B, K, 2) of the crops."""
        return self.camera.project(points)[..., :2]


class SyntheticPeople:
    """An endless data set in which person i of a seed is always the same.

    Args:
        body: The body model of the people; everything is made on its device.
        seed: Seed of the data set.
        split: Which of the shipped poses, captured and written, to draw from.
        resolution: Side of the crops in pixels.
        poses, views, shapes: Distributions of poses, cameras and shapes; by default those of the dataclasses.

    Example:
        >>> import meshrec
        >>> people = SyntheticPeople(meshrec.load_body("neutral"), seed=1).draw([0, 17])
        >>> people.betas.shape, people.joints.shape, people.camera.size
        (torch.Size([2, 10]), torch.Size([2, 24, 3]), (224, 224))
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
        self.pose_sources = PoseSources.load(split)
        self.poses, self.views, self.shapes = poses or PoseMix(), views or ViewMix(), shapes or ShapeMix()
        self.heaviness = heaviness(body)

    def streams(self, indices: Sequence[int], purpose: str) -> Streams:
        """Random streams of people for one purpose, independent of the streams for other purposes.

        Args:
            indices: Numbers of the people.
            purpose: A name such as ``picture``.
        """
        return Streams(self.seed, indices, purpose)

    @torch.no_grad()
    def draw(self, indices: Sequence[int]) -> People:
        """Make people.

        Args:
            indices: Numbers of the people, from 0 on.
        """
        device = self.body.v_template.device
        pose, kind = draw_poses(self.streams(indices, "pose"), self.pose_sources, self.poses)
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


def to_normalized(pixels: Tensor, resolution: int) -> Tensor:
    """Convert pixels of a square crop to crop coordinates, in which its edges are -1 and 1.

    Args:
        pixels: (...,) pixel coordinates; centres of pixels are integers.
        resolution: Side of the crop in pixels.

    Returns:
        (...,).
    """
    return (2 * pixels + 1) / resolution - 1
