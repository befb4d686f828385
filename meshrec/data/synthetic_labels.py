"""Synthetic people as training samples: the same batches that readers of datasets make."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.data.sample import NUM_BETAS, Batch
from meshrec.data.synthetic_backgrounds import Backgrounds, noise_backgrounds
from meshrec.data.synthetic_clothes import TextureLayout
from meshrec.data.synthetic_people import People, SyntheticPeople, project, to_normalized
from meshrec.data.synthetic_proxy import DetectorNoise, Proxies, observe
from meshrec.data.synthetic_rgb import photograph


@dataclass(frozen=True)
class Pictures:
    """How people are painted and what is behind them.

    Attributes:
        layout: Of the body's texture.
        backgrounds: Noise, or pictures of a folder.
        supersample: Samples per pixel along each axis.
    """

    layout: TextureLayout
    backgrounds: Backgrounds = noise_backgrounds
    supersample: int = 2


def synthetic_batch(
    source: SyntheticPeople,
    indices: range | list[int],
    joints: str = "union55",
    detected_joints: str = "mediapipe33",
    noise: DetectorNoise | None = None,
    pictures: Pictures | None = None,
) -> tuple[Batch, Proxies]:
    """What is true of the people of these numbers, and what a detector would say of them.

    Args:
        source: Whose people.
        indices: Their numbers.
        joints: Set of the labels.
        detected_joints: Set of the detections.
        noise: Of the detector; default as measured.
        pictures: How to draw pictures; without them ``Batch.image`` is empty.
    """
    people = source.draw(indices)
    seen = observe(people, source.body, source.streams(indices, "detector"), detected_joints, noise)
    image = None
    if pictures is not None:
        streams = source.streams(indices, "picture")
        image = photograph(people, source.body, pictures.layout, streams, pictures.backgrounds, pictures.supersample)
    return labels(people, source.body, joints, seen.exact_silhouette, image, f"synthetic {source.seed}"), seen


def labels(
    people: People, body: BodyModel, joints: str, silhouette: Tensor, image: Tensor | None, name: str = "synthetic"
) -> Batch:
    """The labels of people, all of them certain: also of joints that are hidden or beyond the photo.

    Args:
        people: Whom.
        body: Whose mesh they have.
        joints: Set of the labels.
        silhouette: (B, 1, H, W) what is seen of them, 0 or 1.
        image: (B, 3, H, W) uint8 RGB, if they were drawn.
        name: Of the data set.
    """
    resolution = people.camera.size[0]
    points = body.joints_from(people.vertices, joints)
    ones = points.new_ones(len(people))
    certain = torch.ones_like(points[..., :1])
    place = to_normalized(project(people, points), resolution)
    return Batch(
        image=torch.empty(0, dtype=torch.uint8, device=points.device) if image is None else image,
        mask=(255 * silhouette[:, 0]).to(torch.uint8),
        mask_confidence=ones,
        joint_set=joints,
        keypoints_2d=torch.cat([place, certain], -1),
        joints_3d=torch.cat([points, certain], -1),
        pose=people.rotations,
        pose_confidence=ones[:, None].expand(-1, people.rotations.shape[1]).clone(),
        betas=torch.nn.functional.pad(people.betas, (0, NUM_BETAS - people.betas.shape[1])),
        betas_confidence=ones,
        bodies=(body.hash,) * len(people),
        focal=people.camera.focal * 2 / resolution,
        principal=to_normalized(people.camera.center, resolution),
        camera_confidence=ones,
        names=tuple(f"{name} person {i}" for i in people.indices),
        sequences=("",) * len(people),
        time=torch.zeros_like(ones),
    )
