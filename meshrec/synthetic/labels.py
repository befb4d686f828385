"""Synthetic people as training samples: the same batches that readers of datasets make."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body import NUM_BETAS
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.geometry import Camera
from meshrec.synthetic.backgrounds import Backgrounds, noise_backgrounds
from meshrec.synthetic.clothes import TextureLayout
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.people import SyntheticPeople, to_normalized
from meshrec.synthetic.proxy import observe
from meshrec.synthetic.rgb import photograph


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
    names = tuple(f"synthetic {source.seed} person {i}" for i in people.indices)
    points = source.body.joints_from(people.vertices, joints)
    batch = labels(points, people.rotations, people.betas, people.camera, source.body.hash, joints, names)
    mask = (255 * seen.exact_silhouette[:, 0]).to(torch.uint8)
    batch = replace(batch, mask=mask, mask_confidence=torch.ones_like(batch.time))
    return batch if image is None else replace(batch, image=image), seen


def labels(
    points: Tensor,
    rotations: Tensor,
    betas: Tensor,
    camera: Camera,
    body: str,
    joints: str,
    names: tuple[str, ...],
) -> Batch:
    """Labels of people without pictures and masks, all of them certain: also of joints that are hidden or cut off.

    Args:
        points: (B, K, 3) their joints in camera space, metres.
        rotations: (B, 24, 3, 3) local, the first in camera space.
        betas: (B, S).
        camera: Of the crops.
        body: Hash of the body that the betas belong to.
        joints: Set of the labels.
        names: Of the people.
    """
    size = camera.size[0]
    certain, ones = torch.ones_like(points[..., :1]), points.new_ones(len(points))
    matrix = camera.matrix.to(points).expand(len(points), 3, 3)
    place = to_normalized(camera.project(points)[..., :2], size)
    return Batch(
        image=torch.empty(0, dtype=torch.uint8, device=points.device),
        mask=torch.zeros(len(points), size, size, dtype=torch.uint8, device=points.device),
        mask_confidence=torch.zeros_like(ones),
        joint_set=joints,
        keypoints_2d=torch.cat([place, certain], -1),
        joints_3d=torch.cat([points, certain], -1),
        pose=rotations,
        pose_confidence=ones[:, None].repeat(1, rotations.shape[1]),
        betas=pad(betas, (0, NUM_BETAS - betas.shape[1])),
        betas_confidence=ones,
        bodies=(body,) * len(points),
        focal=matrix[:, (0, 1), (0, 1)] * 2 / size,
        principal=to_normalized(matrix[:, :2, 2], size),
        camera_confidence=ones,
        names=names,
        sequences=("",) * len(points),
        time=torch.zeros_like(ones),
    )
