"""The result of an evaluation: a value for each person and measure, and their means."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.detect.people import Detection
from meshrec.evaluation.ranking import ranking
from meshrec.evaluation.scores import MEASURES, MISSED_MM
from meshrec.evaluation.subjects import Subject
from meshrec.metrics import SILHOUETTE_PARTS, Overlap

PCK_MM = np.arange(0, 205, 5)  # thresholds of the curve
STAGE_MEASURES = ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve", "pck3d", "auc3d", "pck2d")


@dataclass(frozen=True)
class Case:
    """A person and the predicted body.

    Attributes:
        subject: The person.
        vertices: (V, 3) predicted, in the picture's camera, metres.
        true_vertices: (V, 3) metres in the camera's axes, or None where they are not known.
        joints: (K, 4) true joints in the camera's axes, metres, and confidence.
        joint_names: Name of their joint set.
        measure: Name of the measure by which the person is among the worst.
        value: Value of the measure.
    """

    subject: Subject
    vertices: Tensor
    true_vertices: Tensor | None
    joints: Tensor
    joint_names: str
    measure: str
    value: float


@dataclass(frozen=True)
class Report:
    """The result of one method for N people.

    Attributes:
        settings: What was evaluated, on what, and how; ``method`` is its name.
        names: (N,) names of the people.
        found: (N,) bool, who was found.
        groups: By name of the group, indices of its people.
        people: By measure of :data:`meshrec.evaluation.scores.MEASURES`, (N,) values, NaN where there is no label.
        baseline: By shape measure, (N,) errors of the mean shape, NaN where there is no label.
        joint_names: (K,) names of the joints that are scored.
        joints: By measure, (N, K) errors of the joints, millimetres.
        part_names: (P,) names of the parts of the body.
        parts: By measure, (N, P) mean vertex errors of the parts, millimetres.
        pixels: (N, 7) counts for the background and each silhouette part, see
            :func:`meshrec.evaluation.silhouettes.part_pixels`; None where no bodies were predicted.
        stages: By stage of the method (feedback 1, 2, ..., fit), by measure, (N,) values.
        body: Body model of the predicted bodies.
        worst: The people with the worst results among those found, the worst first.
        detections: By the people's names, their detections; None for people who were not found.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import synthetic_set
        >>> body = meshrec.load_body("neutral")
        >>> report = meshrec.evaluate("keypoints", synthetic_set(body, resolution=64).thinned(1), body)
        >>> report.title, len(report), report.mean("pa_mpjpe") > 0  # millimetres
        ('keypoints on synthetic benchmark', 1, True)
    """

    settings: dict
    names: Sequence[str]
    found: np.ndarray
    groups: dict[str, list[int]]
    people: dict[str, np.ndarray]
    baseline: dict[str, np.ndarray]
    joint_names: Sequence[str]
    joints: dict[str, np.ndarray]
    part_names: Sequence[str]
    parts: dict[str, np.ndarray]
    pixels: Overlap | None
    stages: dict[str, dict[str, np.ndarray]]
    body: BodyModel
    worst: Sequence[Case]
    detections: dict[str, Detection | None]

    def __len__(self) -> int:
        return len(self.names)

    def mean(self, measure: str, group: str | None = None) -> float:
        """Mean of a measure over the people with a label, or over those in a group; NaN where there is none."""
        return mean_of(self.people.get(measure), self.groups[group] if group else None)

    def pck(self, group: str | None = None) -> np.ndarray:
        """Share of joints nearer to the truth than each of :data:`PCK_MM`, measured from the root; NaN without 3D."""
        errors = self.joints["mpjpe"] if group is None else self.joints["mpjpe"][self.groups[group]]
        known = errors[~np.isnan(errors)]
        if not len(known):
            return np.full(len(PCK_MM), np.nan)
        return np.searchsorted(np.sort(known), PCK_MM, side="left") / len(known)

    def part_silhouettes(self) -> dict[str, dict[str, float]]:
        """Accuracy, F1 and IoU of each silhouette part over the pixels of all people; empty without true bodies.

        ``all`` holds the two numbers that SPIN and GraphCMR report: the share of pixels whose label is right, and the
        mean F1 of the background and the six parts.
        """
        pooled = self.pixels and self.pixels.totals()
        if pooled is None or not (pooled.hit + pooled.missed).sum():
            return {}
        values = {name: getattr(pooled, name).tolist() for name in ("accuracy", "f1", "iou")}
        labels = ("background", *SILHOUETTE_PARTS)
        by_label = {label: _known({name: v[i] for name, v in values.items()}) for i, label in enumerate(labels)}
        right = pooled.hit.sum() / (pooled.hit + pooled.missed).sum()
        return by_label | {"all": {"accuracy": float(right), "f1": float(pooled.f1.nanmean())}}

    def ranking(self) -> dict[str, float]:
        """How well scores tell good results from bad ones, see :func:`meshrec.evaluation.ranking.ranking`.

        Results are judged by their 2D PCK, where it is known with the joints as the labels mark them. Empty without
        scores or 2D labels.
        """
        judged = self.people.get("pck2d_marked", self.people.get("pck2d"))
        if judged is None or "score" not in self.people:
            return {}
        return ranking(self.people["score"], judged)

    def figures(self) -> dict:
        """All means as plain numbers, as ``report.json`` holds them; what was not measured is absent."""
        measured = {name: values for name, values in self.people.items() if not np.isnan(values).all()}
        curves = {"all": self.pck()} | {group: self.pck(group) for group in self.groups}
        return {
            "settings": self.settings,
            "people": len(self),
            "missed": int((~self.found).sum()),
            "missed_counts_mm": MISSED_MM,
            "units": {name: MEASURES[name].unit for name in measured},
            "measures": {
                name: {
                    "mean": mean_of(values),
                    "median": float(np.nanmedian(values)),
                    "people": int((~np.isnan(values)).sum()),
                }
                for name, values in measured.items()
            },
            "groups": {
                group: {"people": len(rows)} | _known({name: mean_of(v, rows) for name, v in measured.items()})
                for group, rows in self.groups.items()
            },
            "stages": {
                stage: _known({name: mean_of(v) for name, v in values.items()}) for stage, values in self.stages.items()
            },
            "mean_shape": _known({name: mean_of(values) for name, values in self.baseline.items()}),
            "mean_shape_groups": {
                group: _known({name: mean_of(values, rows) for name, values in self.baseline.items()})
                for group, rows in self.groups.items()
            },
            "joints": {name: _columns(self.joint_names, v) for name, v in self.joints.items()},
            "parts": {name: _columns(self.part_names, v) for name, v in self.parts.items()},
            "silhouette_parts": self.part_silhouettes(),
            "score_ranking": self.ranking(),
            "pck3d": {"thresholds_mm": PCK_MM.tolist()}
            | {name: curve.tolist() for name, curve in curves.items() if not np.isnan(curve).any()},
        }

    def rows(self) -> str:
        """A line for each person, as ``rows.csv`` holds them; unknown values are empty cells."""
        group_of = {row: name for name, rows in reversed(self.groups.items()) for row in rows}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "group", "found", *self.people])
        for i, name in enumerate(self.names):
            values = ["" if math.isnan(v[i]) else f"{v[i]:.5g}" for v in self.people.values()]
            writer.writerow([name, group_of.get(i, ""), int(self.found[i]), *values])
        return text.getvalue()

    @property
    def title(self) -> str:
        """The method and the data set."""
        return f"{self.settings['method']} on {self.settings['dataset']}"


def mean_of(values: np.ndarray | None, rows: Sequence[int] | None = None) -> float:
    """Mean of the values that are not NaN, of all or of some rows; NaN where there are none."""
    if values is None:
        return math.nan
    values = values if rows is None else values[rows]
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _known(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _columns(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return _known({name: mean_of(values[:, i]) for i, name in enumerate(names)})
