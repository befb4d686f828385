"""Gathers the scores of an evaluation, a few people at a time."""

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
from meshrec.evaluation.scores import Scores, acceleration_of, score, shape_errors
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth
from meshrec.metrics import Overlap, vertex_parts

RANKED_BY = {"pa_mpjpe": 1, "pck2d": -1}  # the first that is known tells the worst: its highest (1), or lowest


class Collector:
    """What an evaluation found so far.

    Args:
        data: Whom it is about.
        body: Whose bodies are predicted.
        worst: How many of the worst people to keep.
        keep_detections: Whether to keep what was detected.
    """

    def __init__(self, data: EvaluationSet, body: BodyModel, worst: int, keep_detections: bool) -> None:
        self._worst: list[Case] = []
        self._detections: dict[str, Detection | None] = {}
        self._data, self._body, self._count, self._keeps = data, body, worst, keep_detections
        self._parts: list[Scores] = []
        self._stages: dict[str, list[dict[str, np.ndarray]]] = {}
        self._baseline: list[dict[str, np.ndarray]] = []
        self._found: list[np.ndarray] = []
        self._truth: list[np.ndarray] = []
        self._subjects: list[tuple[str, str, float]] = []

    def add(self, subjects: Sequence[Subject], found: np.ndarray, stages: Stages, truth: Truth) -> None:
        """Score a few more people.

        Args:
            subjects: Who they are.
            found: Whether they were.
            stages: Their bodies at every stage, the last being the result.
            truth: What is known of them.
        """
        *earlier, last = stages
        for name in earlier:
            scores = score(subjects, found, stages[name], truth, self._body, self._data.joints, everything=False)
            self._stages.setdefault(name, []).append(scores.people)
        scores = score(subjects, found, stages[last], truth, self._body, self._data.joints)
        self._stages.setdefault(last, []).append(scores.people)
        self._parts.append(scores)
        mean_shape = shape_errors(self._body, torch.zeros(len(subjects), 1), truth)
        self._baseline.append({name: np.where(found, values, np.nan) for name, values in mean_shape.items()})
        self._found.append(found)
        self._truth.append(truth.joints.numpy())
        self._subjects += [(s.sample.name, s.sample.sequence, s.sample.time) for s in subjects]
        if self._keeps:
            self._detections |= {s.sample.name: s.detection for s in subjects}
        self._keep_worst(subjects, found, stages[last], truth, scores)

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
        """All that was found; ``settings`` say what was evaluated."""
        names, sequences, times = zip(*self._subjects)
        people = _joined([part.people for part in self._parts])
        predicted = np.concatenate([part.predicted for part in self._parts])
        moving = acceleration_of(
            predicted, np.concatenate(self._truth), self._data.joints, sequences, np.array(times, float)
        )
        if not np.isnan(moving).all():
            people["acceleration"] = moving
        stages = {name: _joined(parts) for name, parts in self._stages.items()}
        return Report(
            settings=settings,
            names=names,
            found=np.concatenate(self._found),
            groups=self._data.members(),
            people=people,
            baseline=_joined(self._baseline),
            joint_names=joint_set(self._data.joints),
            joints=_joined([part.joints for part in self._parts]),
            part_names=list(vertex_parts(self._body)),
            parts=_joined([part.parts for part in self._parts]),
            pixels=Overlap.cat([part.pixels for part in self._parts if part.pixels is not None]),
            stages={name: {m: v for m, v in of.items() if m in STAGE_MEASURES} for name, of in stages.items()},
            body=self._body,
            worst=self._worst,
            detections=self._detections,
        )


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Values of chunks one after the other; NaN where a chunk lacks a measure."""
    names = dict.fromkeys(name for part in parts for name in part)
    sizes = [len(next(iter(part.values()))) for part in parts]
    return {
        name: np.concatenate([part.get(name, np.full(size, np.nan)) for part, size in zip(parts, sizes)])
        for name in names
    }
