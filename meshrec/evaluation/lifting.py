"""The comparison of methods that end in 3D joints: the frozen benchmark's people, seen as 2D joints.

A method gets the joints that a simulated detector reports in a crop, and gives their positions relative to the root,
in the space of the camera that looks at the crop's centre. A body is then fitted to them, by one step for all methods,
so that each ends in a mesh.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import root_indices
from meshrec.body.mesh_fit import FitOptions, ParameterFitter
from meshrec.evaluation.datasets import EvaluationSet, synthetic_set
from meshrec.evaluation.prediction import Predictor
from meshrec.evaluation.subjects import Subject, assumed_camera, load_subjects
from meshrec.evaluation.truth import from_pelvis, labelled_joints
from meshrec.metrics import PointErrors, mesh_errors, pose_errors
from meshrec.models.encoders import EncoderConfig
from meshrec.regress.crops import person_inputs
from meshrec.synthetic.benchmark import SyntheticBenchmark

AT_ONCE = 100  # people: their vertices take 10 MB
JOINT_ERROR = 0.05
"""Standard deviation of a coordinate of a joint, metres: that of a method with an MPJPE of 80 mm."""
JOINT_MEASURES = ("mpjpe", "n_mpjpe", "pa_mpjpe")
MESH_MEASURES = ("mpve", "pa_mpve")

Lifter = Callable[[Tensor], Tensor]
"""From (B, K, 3) keypoints in the crop, of confidence 0 where they are missing, to (B, K, 3) joints, metres."""


@dataclass(frozen=True, eq=False)
class LiftingSet:
    """N people to compare methods on, in the cameras that look at their crops' centres.

    Attributes:
        joints: Name of the joint set that is seen, lifted and scored.
        keypoints: (N, K, 3) x and y in the crop, and confidence; x and y of missing joints are zero.
        true: (N, K, 4) true joints relative to the root, metres, and confidence.
        pose: (N, 24, 3, 3) true rotations.
        betas: (N, S) true shapes.
        groups: Rows of each group of people by name.
        mask: (N, R, R) bool, the detector's masks in the crops of the keypoints; None where they were not asked for.
    """

    joints: str
    keypoints: Tensor
    true: Tensor
    pose: Tensor
    betas: Tensor
    groups: dict[str, list[int]]
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.true)


def benchmark_to_lift(
    body: BodyModel, joints: str = "h36m17", limit: int | None = None, resolution: int | None = None
) -> LiftingSet:
    """The frozen benchmark, whose simulated detector sees the joints that are lifted.

    Args:
        body: The people's body.
        joints: Name of the joint set.
        limit: Largest number of people, evenly spread. Default: all 2,000.
        resolution: Side of the masks in pixels. Default: no masks.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation.lifting import benchmark_to_lift
        >>> people = benchmark_to_lift(meshrec.load_body("neutral"), limit=4)
        >>> people.keypoints.shape, list(people.groups)
        (torch.Size([4, 17, 3]), ['usual', 'floor', 'heavy', 'hard'])
    """
    data = synthetic_set(body)
    data = data if limit is None else data.thinned(limit)
    seen = replace(data, samples=SyntheticBenchmark(body, detected_joints=joints))
    sees: tuple[str, ...] = ("keypoints",) if resolution is None else ("keypoints", "silhouette")
    encoder = EncoderConfig(inputs=sees, resnet=0, joints=joints, resolution=resolution or EncoderConfig.resolution)
    parts, masks, root = [], [], root_indices(joints)
    for subjects in _chunks(seen, assumed_camera):
        each = [person_inputs(encoder, s.picture, [s.detected], s.camera) for s in subjects]
        keypoints = torch.cat([inputs.keypoints for inputs, _ in each if inputs.keypoints is not None])
        masks += [inputs.silhouette[:, 0] > 0.5 for inputs, _ in each if inputs.silhouette is not None]
        turn = torch.cat([turn for _, turn in each])
        true = torch.from_numpy(np.stack([labelled_joints(s.sample, joints) for s in subjects]))
        points = (true[..., :3] - true[:, root, :3].mean(1, keepdim=True)) @ turn.mT
        pose = torch.from_numpy(np.stack([s.sample.pose for s in subjects]))
        pose = torch.cat([turn[:, None] @ pose[:, :1], pose[:, 1:]], dim=1)
        betas = torch.from_numpy(np.stack([s.sample.betas for s in subjects]))
        parts.append((keypoints, torch.cat([points, true[..., 3:]], dim=-1), pose, betas))
    keypoints, true, pose, betas = (torch.cat(values) for values in zip(*parts))
    mask = torch.cat(masks) if masks else None
    return LiftingSet(joints, keypoints, true, pose, betas, data.members(), mask)


@torch.no_grad()
def lifting_errors(lifter: Lifter, people: LiftingSet, body: BodyModel | None = None) -> dict[str, np.ndarray]:
    """The errors of a method that lifts the people's keypoints, as :func:`joint_errors` has them."""
    return joint_errors(lifter(people.keypoints), people, body)


@torch.no_grad()
def joint_errors(points: Tensor, people: LiftingSet, body: BodyModel | None = None) -> dict[str, np.ndarray]:
    """The errors of a method's joints, and of the bodies that are fitted to them.

    Args:
        points: (N, K, 3) the method's joints relative to the root, metres.
        people: N people.
        body: The people's body. Without it no bodies are fitted.

    Returns:
        For each of :data:`JOINT_MEASURES`, and with a body of :data:`MESH_MEASURES`, (N,) millimetres.
    """
    true, certain = people.true.split((3, 1), dim=-1)
    errors = errors_by_person(points, true, certain[..., 0], people.joints)
    if body is None:
        return errors
    parts = []
    for rows in torch.arange(len(people)).split(AT_ONCE):
        vertices = bodies_from_joints(body, points[rows], people.joints)
        parts.append(_of_meshes(vertices, people.pose[rows], people.betas[rows], body))
    return errors | {name: np.concatenate([part[name] for part in parts]) for name in MESH_MEASURES}


@torch.no_grad()
def parameter_errors(rotations: Tensor, betas: Tensor, people: LiftingSet, body: BodyModel) -> dict[str, np.ndarray]:
    """The errors of a method that ends in bodies by itself, scored with the joints of these bodies.

    Args:
        rotations: (N, 24, 3, 3) the method's local rotations, the first in the space of the joints.
        betas: (N, S) the method's shapes.
        people: N people.
        body: The body of people and method.

    Returns:
        For each of :data:`JOINT_MEASURES` and :data:`MESH_MEASURES`, (N,) millimetres.
    """
    parts = []
    for rows in torch.arange(len(people)).split(AT_ONCE):
        pose, true = rotations[rows], people.true[rows]
        vertices = body(betas[rows], pose[:, 1:], pose[:, :1]).vertices
        points = body.joints_from(vertices, people.joints)
        of_joints = errors_by_person(points, true[..., :3], true[..., 3], people.joints)
        parts.append(of_joints | _of_meshes(vertices, people.pose[rows], people.betas[rows], body))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@torch.no_grad()
def bodies_from_joints(body: BodyModel, points: Tensor, joints: str = "h36m17") -> Tensor:
    """The step that ends every method in a mesh: the most probable bodies for joints that are :data:`JOINT_ERROR` off.

    Joints say nothing of how bones turn about themselves and little of the shape, for which the fit has Gaussian priors
    (:class:`meshrec.body.mesh_fit.ParameterFitter`).

    Args:
        body: The body.
        points: (B, K, 3) joints, metres.
        joints: Name of their joint set.

    Returns:
        (B, V, 3) vertices, metres.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation.lifting import bodies_from_joints
        >>> body = meshrec.load_body("neutral")
        >>> bodies_from_joints(body, body.joints_from(body().vertices, "h36m17")).shape == body().vertices.shape
        True
    """
    return ParameterFitter(body, options=FitOptions(noise=JOINT_ERROR))(joints=points, joint_set=joints).vertices(body)


@torch.no_grad()
def network_errors(
    predictor: Predictor, body: BodyModel, joints: str = "h36m17", limit: int | None = None
) -> dict[str, np.ndarray]:
    """The errors of a network that ends in a mesh by itself, on the same people.

    It sees the landmarks that it was trained with, and is scored with the joints of its own mesh.

    Args:
        predictor: The network.
        body: The body of people and network.
        joints: Name of the joint set that is scored.
        limit: As in :func:`benchmark_to_lift`.

    Returns:
        For each of :data:`JOINT_MEASURES` and :data:`MESH_MEASURES`, (N,) millimetres.
    """
    data = synthetic_set(body)
    parts = []
    for subjects in _chunks(data if limit is None else data.thinned(limit), predictor.camera_of):
        vertices = predictor(subjects)[predictor.stages[-1]].vertices
        true = torch.from_numpy(np.stack([labelled_joints(s.sample, joints) for s in subjects]))
        pose, betas = (torch.from_numpy(np.stack([getattr(s.sample, n) for s in subjects])) for n in ("pose", "betas"))
        points = body.joints_from(vertices, joints)
        parts.append(
            errors_by_person(points, true[..., :3], true[..., 3], joints) | _of_meshes(vertices, pose, betas, body)
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def group_means(errors: dict[str, np.ndarray], groups: dict[str, list[int]]) -> dict[str, dict[str, float]]:
    """The mean errors of each group by the group's name and the measure's."""
    return {group: {name: float(of[rows].mean()) for name, of in errors.items()} for group, rows in groups.items()}


def errors_by_person(points: Tensor, true: Tensor, certain: Tensor, joints: str) -> dict[str, np.ndarray]:
    """The errors of joints, for each person the mean over the joints that are known.

    Args:
        points, true: (N, K, 3) metres.
        certain: (N, K) confidence of the true joints.
        joints: Name of the joint set.

    Returns:
        For each of :data:`JOINT_MEASURES`, (N,) millimetres.
    """
    if points.shape[1] != len(joint_set(joints)):
        raise ValueError(f"{joints} has {len(joint_set(joints))} joints, not {points.shape[1]}")
    errors = pose_errors(points, true, certain, joints)
    return {name: _each(errors[name]) for name in JOINT_MEASURES}


def _of_meshes(vertices: Tensor, pose: Tensor, betas: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
    true = from_pelvis(body, body(betas, pose[:, 1:], pose[:, :1]).vertices)
    return {name: _each(errors) for name, errors in mesh_errors(from_pelvis(body, vertices), true).items()}


def _each(errors: PointErrors) -> np.ndarray:
    """(N,) means over the points of each person."""
    return (errors.values.where(errors.counts, 0).sum(-1) / errors.counts.sum(-1)).double().numpy()


def _chunks(data: EvaluationSet, camera_of: Callable) -> Sequence[list[Subject]]:
    return [
        load_subjects(data, data.rows[first : first + AT_ONCE], None, camera_of, looks=False)
        for first in range(0, len(data), AT_ONCE)
    ]
