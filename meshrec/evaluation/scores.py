"""Errors of estimates against the labels: one value for each person and measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import LIMB_JOINTS, BodyModel, joint_index
from meshrec.body.joints import convert_joints, joint_set
from meshrec.body.measures import MEASURES as SHAPE_MEASURES
from meshrec.body.measures import body_measures
from meshrec.detect.people import Detection
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.silhouettes import detected_overlap, part_pixels, part_scores, silhouette_scores
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth, from_pelvis
from meshrec.geometry.affine import apply
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import offsets
from meshrec.metrics import (
    Overlap,
    PointErrors,
    acceleration_errors,
    keypoint_errors,
    mesh_errors,
    point_errors,
    pose_errors,
    torso_size,
    vertex_parts,
)
from meshrec.metrics.posture import angle_between, knee_bends, lean, trunk_direction

MISSED_MM = 250.0  # error of a person who was not found
PCK_SHARE = 0.2  # distance within which a keypoint is correct, as a share of the torso's size
WHOLE = 0.5  # least confidence of every limb joint of a person who is seen whole


@dataclass(frozen=True)
class Measure:
    """A measure of one person.

    Attributes:
        label: Name in tables.
        unit: Unit of its values.
        missed: Value of a person who was not found; None where only those found are averaged.
    """

    label: str
    unit: str = ""
    missed: float | None = None


MEASURES = {
    "mpjpe": Measure("MPJPE", "mm", MISSED_MM),
    "pa_mpjpe": Measure("PA-MPJPE", "mm", MISSED_MM),
    "pa_mpjpe_marked": Measure("PA-MPJPE, joints as labelled", "mm", MISSED_MM),
    "n_mpjpe": Measure("N-MPJPE", "mm", MISSED_MM),
    "mpve": Measure("MPVE", "mm", MISSED_MM),
    "pa_mpve": Measure("PA-MPVE", "mm", MISSED_MM),
    "pck3d": Measure("PCK 150 mm", missed=0.0),
    "auc3d": Measure("AUC", missed=0.0),
    "acceleration": Measure("acceleration error", "mm/frame²"),
    "acceleration_camera": Measure("acceleration error, camera space", "mm/frame²"),
    "pck2d": Measure(f"2D PCK@{PCK_SHARE}", missed=0.0),
    "pck2d_marked": Measure(f"2D PCK@{PCK_SHARE}, joints as labelled", missed=0.0),
    "detector_pck2d": Measure("2D PCK of detections", missed=0.0),
    "mask_accuracy": Measure("mask accuracy", missed=0.0),
    "mask_f1": Measure("mask F1", missed=0.0),
    "mask_iou": Measure("mask IoU", missed=0.0),
    "detector_mask_iou": Measure("IoU with detected mask"),
    "whole_mask_iou": Measure("IoU with detected mask, whole people"),
    "part_accuracy": Measure("part accuracy", missed=0.0),
    "part_f1": Measure("part F1", missed=0.0),
    "trunk": Measure("trunk direction", "°"),
    "lean": Measure("lean to the camera, excess", "°"),
    "knee": Measure("knee bend", "°"),
    "knee_bias": Measure("knee bend, excess", "°"),
    "height": Measure("stature", "mm"),
    "chest": Measure("chest", "mm"),
    "waist": Measure("waist", "mm"),
    "hips": Measure("hips", "mm"),
    "volume": Measure("volume", "l"),
    "score": Measure("score", missed=0.0),
}
SHAPE = SHAPE_MEASURES
IN_MILLIMETRES = ("mpjpe", "n_mpjpe", "pa_mpjpe")


@dataclass(frozen=True)
class Scores:
    """Values of B people; NaN where there is no label.

    Attributes:
        people: By measure, (B,).
        joints: By measure in millimetres, (B, K) for each joint that is scored; empty where not asked for.
        parts: By measure, (B, P) means over the vertices of each part of the body, likewise.
        pixels: (B, 7) counts of :func:`meshrec.evaluation.silhouettes.part_pixels`, or None.
        predicted: (B, K, 3) the predicted joints, NaN for people who were not found.
    """

    people: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    pixels: Overlap | None
    predicted: np.ndarray


@torch.no_grad()
def score(
    subjects: Sequence[Subject],
    found: np.ndarray,
    bodies: Bodies,
    truth: Truth,
    body: BodyModel,
    joints: str,
    everything: bool = True,
    marked: LandmarkMoments | None = None,
) -> Scores:
    """Score the bodies of B people.

    Args:
        subjects: The people.
        found: (B,) bool, who was found; the bodies of the others are placeholders.
        bodies: B predicted bodies.
        truth: The labels.
        body: Body model of the predicted bodies.
        joints: Name of the joint set that is scored.
        everything: Whether to take also the slower measures, which are reported for final results only: errors by
            joint and part, silhouettes, shape, posture, marked joints.
        marked: Limb joints where the labels mark them, see :func:`marked_limbs`; None where that is not known.
    """
    points = body.joints_from(bodies.vertices.to(body.v_template), joints).cpu()
    true, certain = truth.joints.split((3, 1), dim=-1)
    of_joints = pose_errors(points, true, certain[..., 0], joints)
    of_mesh = mesh_errors(from_pelvis(body, bodies.vertices), truth.vertices, truth.vertices_confidence[:, None])
    people = {name: _each(errors) for name, errors in (of_joints | of_mesh).items()}
    people["pck2d"] = _pck(_reprojected(subjects, points), truth.keypoints, joints)
    if any(s.detection is not None for s in subjects):
        people["detector_pck2d"] = _detector_pck(subjects, truth, joints)
    by_joint, parts, pixels = {}, {}, None
    if everything:
        groups = vertex_parts(body).values()
        by_joint = {name: _values(of_joints[name]) for name in IN_MILLIMETRES}
        parts = {n: np.stack([_values(e)[:, rows].mean(1) for rows in groups], axis=1) for n, e in of_mesh.items()}
        people |= _posture(points, truth.joints, joints) | silhouette_scores(subjects, bodies.vertices, body)
        people |= _detected_masks(subjects, bodies.vertices, body)
        pixels = part_pixels(subjects, found, bodies.vertices, truth, body)
        people |= part_scores(pixels)
        if bodies.betas is not None:
            people |= shape_errors(body, bodies.betas, truth)
        if bodies.state is not None and marked is not None:
            people |= _marked(subjects, landmark_positions(marked, bodies.state).float(), truth, joints)
        if bodies.scores is not None:
            people["score"] = bodies.scores.double().numpy().copy()
    return _with_missed(Scores(people, by_joint, parts, pixels, points.numpy().copy()), found)


@torch.no_grad()
def score_detections(subjects: Sequence[Subject], truth: Truth, joints: str) -> Scores:
    """Score the detector's own output for B people: its 3D joints, which come without a body, and its keypoints.

    Args:
        subjects: The people; those without a detection were not found.
        truth: The labels.
        joints: Name of the joint set that is scored.
    """
    found = np.array([s.detection is not None for s in subjects])
    true, certain = truth.joints.split((3, 1), dim=-1)
    points, has = true.clone(), torch.ones(true.shape[:2])  # people who were not found get their values below
    for i in np.flatnonzero(found):
        points[i], has[i] = _detected_joints(subjects[i].detected, joints)
    of_joints = pose_errors(points, true, certain[..., 0] * has, joints)
    people = {name: _each(errors) for name, errors in of_joints.items()}
    people["pck2d"] = _detector_pck(subjects, truth, joints)
    people |= _posture(points, torch.cat([true, certain * has[..., None]], dim=-1), joints)
    people["score"] = np.array([0.0 if s.detection is None else s.detection.score for s in subjects])
    by_joint = {name: _values(of_joints[name]) for name in IN_MILLIMETRES}
    return _with_missed(Scores(people, by_joint, {}, None, points.numpy().copy()), found)


def marked_limbs(body: BodyModel, joints: str) -> LandmarkMoments:
    """The limb joints of a body, placed where annotators of a joint set mark them.

    Args:
        body: Body model.
        joints: Name of the joint set.

    Returns:
        Moments of 12 landmarks, in the order of ``limb12``.
    """
    order, places = [joint_index(name, joints) for name in LIMB_JOINTS], offsets(joints)
    return LandmarkMoments.of_body(body, body.joint_regressor(joints)[order], [places[i] for i in order])


def shape_errors(body: BodyModel, betas: Tensor, truth: Truth) -> dict[str, np.ndarray]:
    """(B,) absolute errors of shapes, by measure of :data:`SHAPE`; betas (B, S), or (1, S) one for everybody."""
    measures = body_measures(body, betas.to(body.v_template))
    return {name: (measures[name].cpu() - truth.measures[name]).abs().numpy() for name in SHAPE}


def acceleration_of(
    predicted: np.ndarray, true: np.ndarray, joints: str | None, sequences: Sequence[str], times: np.ndarray
) -> np.ndarray:
    """(N,) mean acceleration error at each person whose neighbours in time are known too, millimetres per frame^2.

    Args:
        predicted: (N, K, 3) metres, NaN for people who were not found.
        true: (N, K, 4) metres, and confidence.
        joints: Name of their joint set, to take accelerations relative to its root. None takes those in camera space.
        sequences: (N,) names of motions; empty for single pictures.
        times: (N,) seconds. Frames are neighbours if no more than 1.5 times the median step lies between them.
    """
    result = np.full(len(predicted), np.nan)
    names = np.asarray(sequences)
    for name in np.unique(names[names != ""]):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(times[rows], kind="stable")]
        rows = rows[~np.isnan(predicted[rows]).any((1, 2))]
        steps = np.diff(times[rows])
        if not len(steps):
            continue
        for run in np.split(rows, np.flatnonzero(steps > 1.5 * np.median(steps)) + 1):
            if len(run) >= 3:
                known = true[run]
                result[run[1:-1]] = _each(acceleration_errors(predicted[run], known[..., :3], known[..., 3], joints))
    return result


def _posture(points: Tensor, true: Tensor, joints: str) -> dict[str, np.ndarray]:
    """Errors of trunk and knees of people whose limb joints are all known."""
    known = (true[:, [joint_index(name, joints) for name in LIMB_JOINTS], 3] > 0).all(1)
    true = true[..., :3]
    bends = knee_bends(points, joints) - knee_bends(true, joints)
    values = {
        "trunk": angle_between(trunk_direction(points, joints), trunk_direction(true, joints)),
        "lean": lean(points, joints) - lean(true, joints),
        "knee": bends.abs().mean(1),
        "knee_bias": bends.mean(1),
    }
    return {name: torch.where(known, value, torch.nan).numpy() for name, value in values.items()}


def _marked(subjects: Sequence[Subject], points: Tensor, truth: Truth, joints: str) -> dict[str, np.ndarray]:
    """Errors of limb joints (B, 12, 3) where the labels mark them."""
    order = [joint_index(name, joints) for name in LIMB_JOINTS]
    true, certain = truth.joints[:, order].split((3, 1), dim=-1)
    return {
        "pa_mpjpe_marked": _each(point_errors(points, true, certain[..., 0], align="similarity")),
        "pck2d_marked": _pck(_reprojected(subjects, points), truth.keypoints[:, order], "limb12"),
    }


def _detected_masks(subjects: Sequence[Subject], vertices: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
    """Overlap with detected masks, of everybody and of people who are seen whole."""
    overlap = detected_overlap(subjects, vertices, body)
    whole = np.array([s.detection is not None and _is_whole(s.detection, s.camera.size) for s in subjects])
    scores = {"detector_mask_iou": overlap, "whole_mask_iou": np.where(whole, overlap, np.nan)}
    return {name: values for name, values in scores.items() if not np.isnan(values).all()}


def _is_whole(detection: Detection, size: tuple[int, int]) -> bool:
    """Whether all limb joints are in the picture of (width, height) and clearly seen."""
    limbs = detection.keypoints[[joint_index(name, detection.joint_set) for name in LIMB_JOINTS]]
    inside = (limbs[:, :2] >= 0).all() and (limbs[:, :2] < size).all()
    return bool(inside and (limbs[:, 2] >= WHOLE).all())


def _pck(points: Tensor, labels: Tensor, joints: str, has: Tensor | None = None) -> np.ndarray:
    """(B,) share of each person's keypoints that are correct.

    Args:
        points: (B, K, 2) in crop coordinates.
        labels: (B, K, 3) likewise, and confidence.
        joints: Name of their joint set.
        has: (B, K) keypoints that are scored; default all.
    """
    places, certain = labels[..., :2], labels[..., 2]
    size = torso_size(places, joints, certain)
    return _each(keypoint_errors(points, places, size, certain if has is None else certain * has).below(PCK_SHARE))


def _detector_pck(subjects: Sequence[Subject], truth: Truth, joints: str) -> np.ndarray:
    detected, has = zip(*(_detected(s, joints) for s in subjects))
    return _pck(torch.stack(detected), truth.keypoints, joints, torch.stack(has))


def _detected(subject: Subject, joints: str) -> tuple[Tensor, Tensor]:
    """Detected keypoints (K, 2) in the crop, and which (K,) the detector has at all."""
    if subject.detection is None:
        return torch.zeros(len(joint_set(joints)), 2), torch.ones(len(joint_set(joints)))
    points, has = convert_joints(subject.detection.keypoints[:, :2], subject.detection.joint_set, joints)
    return _in_crop(subject, points), torch.from_numpy(has)


def _detected_joints(detection: Detection, joints: str) -> tuple[Tensor, Tensor]:
    """The detector's 3D joints (K, 3), metres, and which (K,) it gives."""
    if detection.world is None:
        return torch.zeros(len(joint_set(joints)), 3), torch.zeros(len(joint_set(joints)))
    points, has = convert_joints(detection.world, detection.joint_set, joints)
    return torch.from_numpy(points), torch.from_numpy(has)


def _reprojected(subjects: Sequence[Subject], points: Tensor) -> Tensor:
    """Joints (B, K, 3) of the pictures' cameras as places (B, K, 2) in the crops."""
    return torch.stack([_in_crop(s, s.camera.project(p)[:, :2].numpy()) for s, p in zip(subjects, points)])


def _in_crop(subject: Subject, pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(apply(subject.sample.to_crop, pixels)).float()


def _with_missed(scores: Scores, found: np.ndarray) -> Scores:
    """Set the scores of people who were not found, where they have a label, to what a missed person counts."""
    for name, values in scores.people.items():
        missed = MEASURES[name].missed
        values[~found & ~np.isnan(values)] = np.nan if missed is None else missed
    for values in (*scores.joints.values(), *scores.parts.values()):
        values[~found[:, None] & ~np.isnan(values)] = MISSED_MM
    scores.predicted[~found] = np.nan
    return scores


def _values(errors: PointErrors) -> np.ndarray:
    """(B, K) values with NaN for points that are not scored."""
    return errors.values.where(errors.counts, torch.nan).numpy().copy()


def _each(errors: PointErrors) -> np.ndarray:
    """(B,) means over the points of each person that are scored; NaN where none is."""
    total = errors.values.where(errors.counts, 0).sum(-1)
    return (total / errors.counts.sum(-1)).double().numpy().copy()
