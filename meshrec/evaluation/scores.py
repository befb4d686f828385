"""How far predicted bodies are from what is known of people: a number for each person and measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import convert_joints, joint_set
from meshrec.body.measures import MEASURES as SHAPE_MEASURES
from meshrec.body.measures import body_measures
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.silhouettes import part_pixels, part_scores, silhouette_scores
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth, from_pelvis
from meshrec.geometry.affine import apply
from meshrec.metrics import (
    Overlap,
    PointErrors,
    acceleration_errors,
    keypoint_errors,
    mesh_errors,
    pose_errors,
    torso_size,
    vertex_parts,
)
from meshrec.metrics.posture import angle_between, knee_bends, lean, trunk_direction

MISSED_MM = 250.0  # what a person who was not found counts
PCK_SHARE = 0.2  # of the torso, within which a keypoint is correct


@dataclass(frozen=True)
class Measure:
    """A measure of one person.

    Attributes:
        label: In tables.
        unit: Of its values.
        missed: What a person counts who was not found; None where only those found count.
    """

    label: str
    unit: str = ""
    missed: float | None = None


MEASURES = {
    "mpjpe": Measure("MPJPE", "mm", MISSED_MM),
    "pa_mpjpe": Measure("PA-MPJPE", "mm", MISSED_MM),
    "n_mpjpe": Measure("N-MPJPE", "mm", MISSED_MM),
    "mpve": Measure("MPVE", "mm", MISSED_MM),
    "pa_mpve": Measure("PA-MPVE", "mm", MISSED_MM),
    "pck3d": Measure("PCK 150 mm", missed=0.0),
    "auc3d": Measure("AUC", missed=0.0),
    "acceleration": Measure("acceleration error", "mm/frame²"),
    "pck2d": Measure(f"2D PCK@{PCK_SHARE}", missed=0.0),
    "detector_pck2d": Measure("2D PCK of detections", missed=0.0),
    "mask_accuracy": Measure("mask accuracy", missed=0.0),
    "mask_f1": Measure("mask F1", missed=0.0),
    "mask_iou": Measure("mask IoU", missed=0.0),
    "detector_mask_iou": Measure("IoU with detected mask"),
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
}
SHAPE = SHAPE_MEASURES
IN_MILLIMETRES = ("mpjpe", "n_mpjpe", "pa_mpjpe")


@dataclass(frozen=True)
class Scores:
    """Of B people; NaN where there is no label.

    Attributes:
        people: By measure, (B,).
        joints: By measure in millimetres, (B, K) for each joint that counts.
        parts: By measure, (B, P) means over the vertices of each part of the body.
        pixels: (B, 7) of :func:`meshrec.evaluation.silhouettes.part_pixels`; None where they were not asked for.
        predicted: (B, K, 3) the predicted joints, NaN of people who were not found.
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
) -> Scores:
    """Score B people.

    Args:
        subjects: Who they are.
        found: (B,) bool; the others' bodies are anything.
        bodies: Predicted, as many.
        truth: What is known of them.
        body: Whose vertices were predicted.
        joints: The set of the joints that count.
        everything: Also what takes longer and is asked of results alone: silhouettes, shape, posture.
    """
    points = body.joints_from(bodies.vertices.to(body.v_template), joints).cpu()
    true, certain = truth.joints.split((3, 1), dim=-1)
    of_joints = pose_errors(points, true, certain[..., 0], joints)
    of_mesh = mesh_errors(from_pelvis(body, bodies.vertices), truth.vertices, truth.vertices_confidence[:, None])
    people = {name: _each(errors) for name, errors in (of_joints | of_mesh).items()}
    people |= _keypoints(subjects, points, truth, joints)
    pixels = None
    if everything:
        people |= _posture(points, truth.joints, joints) | silhouette_scores(subjects, bodies.vertices, body)
        pixels = part_pixels(subjects, found, bodies.vertices, truth, body)
        people |= part_scores(pixels)
        if bodies.betas is not None:
            people |= shape_errors(body, bodies.betas, truth)
    by_joint = {name: _values(of_joints[name]) for name in IN_MILLIMETRES}
    groups = vertex_parts(body).values()
    parts = {name: np.stack([_values(e)[:, rows].mean(1) for rows in groups], axis=1) for name, e in of_mesh.items()}

    for name, values in people.items():
        missed = MEASURES[name].missed
        values[~found & ~np.isnan(values)] = np.nan if missed is None else missed
    for values in (*by_joint.values(), *parts.values()):
        values[~found[:, None] & ~np.isnan(values)] = MISSED_MM
    predicted = points.numpy().copy()
    predicted[~found] = np.nan
    return Scores(people, by_joint, parts, pixels, predicted)


def shape_errors(body: BodyModel, betas: Tensor, truth: Truth) -> dict[str, np.ndarray]:
    """By measure of :data:`SHAPE`, (B,) absolute errors of shapes (B, S); of the mean shape, give betas of zero."""
    measures = body_measures(body, betas.to(body.v_template))
    return {name: (measures[name].cpu() - truth.measures[name]).abs().numpy() for name in SHAPE}


def acceleration_of(
    predicted: np.ndarray, true: np.ndarray, joints: str, sequences: Sequence[str], times: np.ndarray
) -> np.ndarray:
    """(N,) mean acceleration error at each person whose neighbours in time are known too, millimetres per frame^2.

    Args:
        predicted: (N, K, 3) metres, NaN of people who were not found.
        true: (N, K, 4) metres, and confidence.
        joints: Their set.
        sequences: (N,) names of motions; empty ones are single pictures.
        times: (N,) seconds. Frames count as neighbours where no more than 1.5 times the usual step lies between them.
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
    names = joint_set(joints)
    needed = [f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "hip", "knee", "ankle")]
    if not set(needed) <= set(names):
        return {}
    known = (true[:, [names.index(name) for name in needed], 3] > 0).all(1)
    true = true[..., :3]
    bends = knee_bends(points, joints) - knee_bends(true, joints)
    values = {
        "trunk": angle_between(trunk_direction(points, joints), trunk_direction(true, joints)),
        "lean": lean(points, joints) - lean(true, joints),
        "knee": bends.abs().mean(1),
        "knee_bias": bends.mean(1),
    }
    return {name: torch.where(known, value, torch.nan).numpy() for name, value in values.items()}


def _keypoints(subjects: Sequence[Subject], points: Tensor, truth: Truth, joints: str) -> dict[str, np.ndarray]:
    places, certain = truth.keypoints.split((2, 1), dim=-1)
    certain = certain[..., 0]
    size = torso_size(places, joints, certain)
    seen = torch.stack([_in_crop(s, s.camera.project(p)[:, :2].numpy()) for s, p in zip(subjects, points)])
    scores = {"pck2d": _each(keypoint_errors(seen, places, size, certain).below(PCK_SHARE))}
    if any(s.detection is not None for s in subjects):
        detected, has = zip(*(_detected(s, joints) for s in subjects))
        errors = keypoint_errors(torch.stack(detected), places, size, certain * torch.stack(has))
        scores["detector_pck2d"] = _each(errors.below(PCK_SHARE))
    return scores


def _detected(subject: Subject, joints: str) -> tuple[Tensor, Tensor]:
    """Detected keypoints (K, 2) in the crop, and which (K,) the detector has at all."""
    if subject.detection is None:
        return torch.zeros(len(joint_set(joints)), 2), torch.ones(len(joint_set(joints)))
    points, has = convert_joints(subject.detection.keypoints[:, :2], subject.detection.joint_set, joints)
    return _in_crop(subject, points), torch.from_numpy(has)


def _in_crop(subject: Subject, pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(apply(subject.sample.to_crop, pixels)).float()


def _values(errors: PointErrors) -> np.ndarray:
    """(B, K) with NaN where nothing counts."""
    return errors.values.where(errors.counts, torch.nan).numpy().copy()


def _each(errors: PointErrors) -> np.ndarray:
    """(B,) means of each person's points that count; NaN where none does."""
    total = errors.values.where(errors.counts, 0).sum(-1)
    return (total / errors.counts.sum(-1)).double().numpy().copy()
