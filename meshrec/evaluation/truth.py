"""The labels of a few samples side by side, in the joint sets and units of the errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import convert_joints, joint_index, joint_set
from meshrec.body.measures import MEASURES, body_measures
from meshrec.data.sample import Sample, pixels_of, with_middles
from meshrec.evaluation.datasets import EvaluationSet
from meshrec.geometry.affine import compose, warp


@dataclass(frozen=True)
class Truth:
    """The labels of B people. Unknown labels have confidence 0, or are NaN.

    Attributes:
        joints: (B, K, 4) joints of the scored set, metres, and confidence.
        keypoints: (B, K, 3) the same joints in the crops, whose edges are -1 and 1, and confidence.
        vertices: (B, V, 3) metres, relative to the pelvis.
        vertices_confidence: (B,) confidence of the vertices.
        pelvis: (B, 3) place of that pelvis in camera space, NaN where it is unknown.
        measures: By name, (B,) measures of :func:`meshrec.body.measures.body_measures`.
    """

    joints: Tensor
    keypoints: Tensor
    vertices: Tensor
    vertices_confidence: Tensor
    pelvis: Tensor
    measures: dict[str, Tensor]


@torch.no_grad()
def truth_of(samples: Sequence[Sample], data: EvaluationSet, body: BodyModel, bodies: Mapping[str, BodyModel]) -> Truth:
    """The labels of samples.

    Args:
        samples: B people.
        data: Data set, which says which joints are scored and where they come from.
        body: Body model of the predictions; true vertices are known for bodies with as many vertices.
        bodies: Bodies that the samples' betas belong to, by hash.
    """
    joints = np.stack([labelled_joints(sample, data.joints) for sample in samples])
    keypoints = np.stack([convert_joints(s.keypoints_2d, s.joints, data.joints)[0] for s in samples])
    count, size = len(samples), len(body.v_template)
    vertices, known = torch.zeros(count, size, 3), torch.zeros(count)
    pelvis = torch.full((count, 3), torch.nan)
    measures = {name: torch.full((count,), torch.nan) for name in MEASURES}
    labelled = torch.from_numpy(joints.copy())
    labelled[..., 3] *= torch.tensor([s.camera_confidence > 0 for s in samples])[:, None]
    if data.joints_of == "mesh":
        joints = np.zeros_like(joints)
    for hash_, own in bodies.items():
        rows = [i for i, s in enumerate(samples) if s.body == hash_ and s.betas_confidence > 0]
        if not rows:
            continue
        pose, betas = (torch.from_numpy(np.stack([getattr(samples[i], n) for i in rows])) for n in ("pose", "betas"))
        pose, betas = pose.to(own.v_template), betas[:, : own.num_betas].to(own.v_template)
        for name, values in body_measures(own, betas).items():
            measures[name][rows] = values.cpu()
        whole = [i for i, row in enumerate(rows) if samples[row].pose_confidence.min() > 0]
        posed = [rows[i] for i in whole]
        if not posed:
            continue
        mesh = own(betas[whole], pose[whole, 1:], pose[whole, :1]).vertices
        if len(own.v_template) == size:
            centred = from_pelvis(own, mesh)
            vertices[posed], known[posed] = centred.cpu(), 1
            places, certain = labelled[posed].split((3, 1), dim=-1)
            weights = (certain > 0) / (certain > 0).sum(1, keepdim=True)  # NaN where no joint is known
            pelvis[posed] = ((places - own.joints_from(centred, data.joints).cpu()) * weights).sum(1)
        if data.joints_of == "mesh":
            joints[posed, :, :3] = own.joints_from(mesh, data.joints).cpu().numpy()
            joints[posed, :, 3] = 1
    joints[..., 3] *= ((joints[..., 3] > 0).sum(1) >= data.least_joints)[:, None]
    return Truth(torch.from_numpy(joints), torch.from_numpy(keypoints).float(), vertices, known, pelvis, measures)


def from_pelvis(body: BodyModel, vertices: Tensor) -> Tensor:
    """Vertices (B, V, 3) relative to the pelvis that is regressed from them, which meshes without a pose have too."""
    row = torch.from_numpy(body.data.joint_regressor[joint_index("pelvis", "smpl24")]).to(vertices)
    return vertices - (row @ vertices)[:, None]


def labelled_joints(sample: Sample, joints: str) -> np.ndarray:
    """(K, 4) float32 labelled 3D joints of a named set, and confidence."""
    names = joint_set(joints)
    return with_middles(convert_joints(sample.joints_3d, sample.joints, names)[0], names).astype(np.float32)


def crop_masks(samples: Sequence[Sample], sizes: Sequence[tuple[int, int]], resolution: int) -> tuple[Tensor, Tensor]:
    """True masks over the crops, and the part of each crop that lies inside its picture.

    Args:
        samples: B people.
        sizes: (width, height) of their pictures.
        resolution: Side R of the results, pixels.

    Returns:
        (B, R, R) bool masks, False for samples without one, and (B, R, R) bool insides.
    """
    masks = torch.zeros(len(samples), resolution, resolution, dtype=torch.bool)
    inside = masks.clone()
    for i, (sample, (width, height)) in enumerate(zip(samples, sizes)):
        to_pixels = compose(pixels_of(resolution), sample.to_crop)
        for views, picture in ((masks, sample.mask), (inside, np.full((height, width), 255, np.uint8))):
            if picture is not None:
                views[i] = torch.from_numpy(warp(picture, to_pixels, (resolution,) * 2) > 127)
    return masks, inside
