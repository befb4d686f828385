"""Gathers the scores of one method, a few people at a time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.joints import joint_set
from meshrec.detect.people import Detection
from meshrec.evaluation.datasets import EvaluationSet
from meshrec.evaluation.prediction import Bodies, Stages
from meshrec.evaluation.report import STAGE_MEASURES, Case, Report
from meshrec.evaluation.scores import Scores, acceleration_of, marked_limbs, score, score_detections, shape_errors
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth
from meshrec.metrics import Overlap, vertex_parts

RANKED_BY = {
    "pa_mpjpe": 1,
    "pck2d": -1,
}  # people are ranked by the first measure that is known; its highest (1) or lowest (-1) value is the worst


class Collector:
    """The scores of a method so far.

    Args:
        data: The data set.
        body: Body model of the predicted bodies.
        worst: Number of the worst people to keep.
        keep_detections: Whether to keep the detections.
    """

    def __init__(self, data: EvaluationSet, body: BodyModel, worst: int, keep_detections: bool) -> None:
        self._worst: list[Case] = []
        self._detections: dict[str, Detection | None] = {}
        self._data, self._body, self._count, self._keeps = data, body, worst, keep_detections
        self._marked = marked_limbs(body, data.marked_as) if data.marked_as else None
        self._parts: list[Scores] = []
        self._stages: dict[str, list[Scores]] = {}
        self._baseline: list[dict[str, np.ndarray]] = []
        self._found: list[np.ndarray] = []
        self._truth: list[np.ndarray] = []
        self._subjects: list[tuple[str, str, float]] = []

    def add(self, subjects: Sequence[Subject], found: np.ndarray, stages: Stages, truth: Truth) -> None:
        """Score a few more people.

        Args:
            subjects: B people.
            found: (B,) bool, who was found.
            stages: Their bodies at every stage, the last of which is the result; without any, the detections are
                scored.
            truth: Their labels.
        """
        joints = self._data.joints
        if stages:
            *earlier, last = stages
            for name in earlier:
                scores = score(subjects, found, stages[name], truth, self._body, joints, everything=False)
                self._stages.setdefault(name, []).append(scores)
            scores = score(subjects, found, stages[last], truth, self._body, joints, marked=self._marked)
            self._stages.setdefault(last, []).append(scores)
            self._keep_worst(subjects, found, stages[last], truth, scores)
        else:
            scores = score_detections(subjects, truth, joints)
        self._parts.append(scores)
        mean_shape = shape_errors(self._body, torch.zeros(1, 1), truth)
        self._baseline.append({name: np.where(found, values, np.nan) for name, values in mean_shape.items()})
        self._found.append(found)
        self._truth.append(truth.joints.numpy())
        self._subjects += [(s.sample.name, s.sample.sequence, s.sample.time) for s in subjects]
        if self._keeps:
            self._detections |= {s.sample.name: s.detection for s in subjects}

    def _keep_worst(
        self, subjects: Sequence[Subject], found: np.ndarray, bodies: Bodies, truth: Truth, scores: Scores
    ) -> None:
        name = next((n for n in RANKED_BY if not np.isnan(scores.people.get(n, np.nan)).all()), "")
        for i in np.flatnonzero(found & ~np.isnan(scores.people[name])) if name else ():
            true = truth.vertices[i] if truth.vertices_confidence[i] > 0 else None
            value = float(scores.people[name][i])
            subject = replace(subjects[i], image=None)  # it is read again if it is drawn
            self._worst.append(Case(subject, bodies.vertices[i], true, truth.joints[i], self._data.joints, name, value))
        self._worst.sort(key=lambda case: (list(RANKED_BY).index(case.measure), -RANKED_BY[case.measure] * case.value))
        del self._worst[self._count :]

    def report(self, settings: dict) -> Report:
        """Make the report on all people added so far.

        Args:
            settings: The method, the data set and the options of the evaluation, as the report names them.
        """
        names, sequences, times = zip(*self._subjects)
        found = np.concatenate(self._found)
        sizes = [len(part) for part in self._found]
        people, joints, parts = (
            _joined([getattr(part, name) for part in self._parts], sizes) for name in ("people", "joints", "parts")
        )
        if not self._stages:
            people, joints = (_given(values, found) for values in (people, joints))
        predicted = np.concatenate([part.predicted for part in self._parts])
        for name, joint_names in (("acceleration", self._data.joints), ("acceleration_camera", None)):
            moving = acceleration_of(
                predicted, np.concatenate(self._truth), joint_names, sequences, np.array(times, float)
            )
            if not np.isnan(moving).all():
                people[name] = moving
        stages = {name: _joined([scores.people for scores in of], sizes) for name, of in self._stages.items()}
        pixels = [part.pixels for part in self._parts if part.pixels is not None]
        return Report(
            settings=settings,
            names=names,
            found=found,
            groups=self._data.members(),
            people=people,
            baseline=_joined(self._baseline, sizes),
            joint_names=joint_set(self._data.joints),
            joints=joints,
            part_names=list(vertex_parts(self._body)),
            parts=parts,
            pixels=Overlap.cat(pixels) if pixels else None,
            stages={name: {m: v for m, v in of.items() if m in STAGE_MEASURES} for name, of in stages.items()},
            body=self._body,
            worst=self._worst,
            detections=self._detections,
        )


def _joined(parts: Sequence[dict[str, np.ndarray]], sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Values of chunks of people one after the other, (N, ...) by measure; NaN where a chunk lacks a measure."""
    shapes = {name: values.shape[1:] for part in parts for name, values in part.items()}
    return {
        name: np.concatenate([part.get(name, np.full((size, *shape), np.nan)) for part, size in zip(parts, sizes)])
        for name, shape in shapes.items()
    }


def _given(values: dict[str, np.ndarray], found: np.ndarray) -> dict[str, np.ndarray]:
    """Set the values (N, ...) to NaN that the detector gives for none of the people it found: they are no errors."""
    if not found.any():
        return values
    return {name: np.where(np.isnan(of[found]).all(0), np.nan, of) for name, of in values.items()}
