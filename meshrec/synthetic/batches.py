"""Synthetic people as training batches, in the form that readers of datasets give."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body import NUM_BETAS
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.geometry import Camera
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.people import SyntheticPeople, to_normalized
from meshrec.synthetic.pictures import Pictures, photograph
from meshrec.synthetic.simulated_detector import observe


def synthetic_batch(
    source: SyntheticPeople,
    indices: Sequence[int],
    joints: str = "union55",
    detected_joints: str = "mediapipe33",
    noise: DetectorNoise | None = None,
    pictures: Pictures | None = None,
) -> tuple[Batch, Proxies]:
    """Make people with all labels, and simulate a detector that sees them.

    Args:
        source: The data set.
        indices: Numbers of the people in it.
        joints: Joint set of the labels.
        detected_joints: Joint set of the detector.
        noise: Errors of the detector; by default those measured on MediaPipe.
        pictures: How to draw pictures; without it ``Batch.image`` is empty.

    Returns:
        The labels with the true masks, and what the detector reports.

    Example:
        >>> import meshrec
        >>> source = SyntheticPeople(meshrec.load_body("neutral"), resolution=64)
        >>> batch, seen = synthetic_batch(source, range(3))
        >>> batch.joints_3d.shape, batch.mask.shape, seen.keypoints.shape
        (torch.Size([3, 55, 4]), torch.Size([3, 64, 64]), torch.Size([3, 33, 3]))
    """
    people = source.draw(indices)
    seen = observe(people, source.body, source.streams(indices, "detector"), detected_joints, noise)
    names = tuple(f"synthetic {source.seed} person {i}" for i in people.indices)
    points = source.body.joints_from(people.vertices, joints)
    batch = labels(points, people.rotations, people.betas, people.camera, source.body.hash, joints, names)
    mask = (255 * seen.exact_silhouette[:, 0]).to(torch.uint8)
    batch = replace(batch, mask=mask, mask_confidence=torch.ones_like(batch.time))
    if pictures is not None:
        batch = replace(batch, image=photograph(people, source.body, pictures, source.streams(indices, "picture")))
    return batch, seen


def labels(
    points: Tensor,
    rotations: Tensor,
    betas: Tensor,
    camera: Camera,
    body: str,
    joints: str,
    names: tuple[str, ...],
) -> Batch:
    """A batch of people without pictures and masks, in which all other labels have a confidence of 1.

    Joints that are hidden or lie outside the crop are labelled too.

    Args:
        points: (B, K, 3) joints in camera space, metres.
        rotations: (B, 24, 3, 3) local rotations, the first in camera space.
        betas: (B, S) shape coefficients.
        camera: The cameras of the crops.
        body: Hash of the body that the betas belong to.
        joints: Joint set of ``points``.
        names: Names of the B people.
    """
    size = camera.size[0]
    certain, ones = torch.ones_like(points[..., :1]), points.new_ones(len(points))
    matrix = camera.matrix.to(points).expand(len(points), 3, 3)
    place = to_normalized(camera.project(points)[..., :2], size)
    return Batch(
        image=torch.empty(0, dtype=torch.uint8, device=points.device),
        mask=torch.empty(0, dtype=torch.uint8, device=points.device),
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
