"""Evaluate a network, with or without the fit after it, on a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from meshrec.body import BodyModel, load_body
from meshrec.body.joints import joint_index, joint_set
from meshrec.data.synthetic_benchmark import SyntheticBenchmark
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.evaluation.datasets import SYNTHETIC, EvaluationSet, open_evaluation_set
from meshrec.evaluation.pictures import Case
from meshrec.evaluation.prediction import Bodies, Fitted, FromCrops, FromDetections, Stages
from meshrec.evaluation.report import FIT_ALONE, STAGE_MEASURES, Report
from meshrec.evaluation.scores import Scores, acceleration_of, score, shape_errors
from meshrec.evaluation.subjects import Detected, DetectionSource, Kept, Labelled, Subject, load_subjects
from meshrec.evaluation.truth import Truth, truth_of
from meshrec.fit import Fitter
from meshrec.metrics import vertex_parts
from meshrec.models.checkpoints import load_checkpoint
from meshrec.regressor import NetworkRegressor, find_weights

CHUNK = 64
BETAS = 10
PHOTO_RESOLUTION, RESOLUTION = 448, 224  # of synthetic pictures: for the detector, and for networks
DETECTIONS = ("detector", "simulated", "labels")
WORST = 8
RANKED_BY = (("pa_mpjpe", 1), ("pck2d", -1))  # the first that is known tells the worst: its highest, or its lowest


def evaluate(
    checkpoint: str | Path | NetworkRegressor | None,
    dataset: str | EvaluationSet,
    body: str | Path | BodyModel = "neutral",
    pictures: str | Path | None = None,
    bodies: Mapping[str, str | Path] | None = None,
    detections: str | Path | None = None,
    fit: bool = False,
    joints: str | None = None,
    limit: int | None = None,
    mirror: bool = True,
    h36m_regressor: str | Path | None = None,
    device: str = "cpu",
    worst: int = WORST,
    progress: bool = False,
) -> Report:
    """Evaluate.

    Args:
        checkpoint: A shipped network's name, a checkpoint's file, a regressor; or None for the fit alone.
        dataset: As :func:`meshrec.evaluation.datasets.open_evaluation_set` takes it, or an open one.
        body: The body that the network was trained with.
        pictures, bodies: See :func:`meshrec.evaluation.datasets.open_evaluation_set`; bodies are names or files.
        detections: What the network and the fit are told of people: what the ``detector`` says of the person in the
            labelled box; for the synthetic benchmark, ``simulated`` ones; the data set's own ``labels``; or a file of
            detections that an earlier run wrote. Default: simulated where they can be, else the detector's. Networks
            that see RGB alone, without the fit, need none and see crops as the data set cuts them.
        fit: Refine the network's estimates.
        joints: Set of the joints that count instead of the data set's usual one.
        limit: At most so many people, evenly spread.
        mirror: Average with the mirror image's estimate, where people are detected.
        h36m_regressor: The field's ``J_regressor_h36m.npy``, by which published numbers are taken.
        device: Where the network runs.
        worst: How many of the worst people to keep for pictures.
        progress: Show a bar.

    Raises:
        InputError: Something of this does not exist or does not fit.
    """
    own = body if isinstance(body, BodyModel) else _load(body)
    others = {name: _load(file) for name, file in (bodies or {}).items()}
    for one in (own, *others.values()):
        if h36m_regressor is not None:
            use_h36m_rows(one, h36m_regressor)
    own = own.to(device)
    predictors, in_crops = _predictors(checkpoint, own, fit, detections, mirror)
    said = None if in_crops else detections or ("simulated" if dataset == SYNTHETIC else "detector")
    if isinstance(dataset, str):
        plain = said in (None, "simulated", "labels")
        resolution = RESOLUTION if plain else PHOTO_RESOLUTION
        data = open_evaluation_set(dataset, own, pictures, others, resolution)
    else:
        data = dataset
    data = replace(data, joints=_known_set(joints)) if joints else data
    data = data.thinned(limit) if limit is not None else data
    source = _source(said, data)
    known = {one.hash: one for one in (own, *others.values())}

    collector = _Collector(data, own, worst)
    starts = range(0, len(data), CHUNK)
    for start in _followed(starts) if progress else starts:
        rows = [data.rows[i] for i in range(start, min(start + CHUNK, len(data)))]
        first = predictors[0]
        subjects = load_subjects(data, rows, source, first.camera_of, any(p.looks for p in predictors))
        found = np.array([in_crops or s.detection is not None for s in subjects])
        stages = _predict(predictors, subjects, found, own)
        collector.add(subjects, found, stages, truth_of([s.sample for s in subjects], data, own, known))
    settings = {
        "checkpoint": _label(checkpoint) if checkpoint is not None else FIT_ALONE,
        "dataset": data.name,
        "detections": "none" if said is None else str(said),
        "fit": fit,
        "joints": data.joints,
        "mirror": mirror and checkpoint is not None and not in_crops,
        "body": own.data.name,
        "source": data.source,
    }
    return collector.report(settings)


def use_h36m_rows(body: BodyModel, path: str | Path) -> None:
    """Take H36M's and LSP's joints from the field's regressor, as Kanazawa et al. 2018 do.

    LSP's neck is then H36M's thorax.

    Raises:
        InputError: The file is no such regressor of this body.
    """
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy array of regressor rows ({error})") from None
    body.use_regressor("h36m17", rows)
    order = [joint_index("thorax" if name == "neck" else name, "h36m17") for name in joint_set("lsp14")]
    body.use_regressor("lsp14", rows[order])


class _Collector:
    """Scores of people, chunk by chunk."""

    def __init__(self, data: EvaluationSet, body: BodyModel, worst: int) -> None:
        self._worst: list[Case] = []
        self._detections: dict[str, Detection | None] = {}
        self._data, self._body, self._count = data, body, worst
        self._parts: list[Scores] = []
        self._stages: dict[str, list[dict[str, np.ndarray]]] = {}
        self._baseline: list[dict[str, np.ndarray]] = []
        self._found: list[np.ndarray] = []
        self._truth: list[np.ndarray] = []
        self._subjects: list[tuple[str, str, float]] = []

    def add(self, subjects: Sequence[Subject], found: np.ndarray, stages: Stages, truth: Truth) -> None:
        *earlier, last = stages
        for name in earlier:
            scores = score(subjects, found, stages[name], truth, self._body, self._data.joints, silhouettes=False)
            self._stages.setdefault(name, []).append(scores.people)
        scores = score(subjects, found, stages[last], truth, self._body, self._data.joints)
        self._stages.setdefault(last, []).append(scores.people)
        self._parts.append(scores)
        mean = torch.zeros(len(subjects), 1)
        self._baseline.append(shape_errors(self._body, mean, truth))
        self._found.append(found)
        self._truth.append(truth.joints.numpy())
        self._subjects += [(s.sample.name, s.sample.sequence, s.sample.time) for s in subjects]
        self._detections |= {s.sample.name: s.detection for s in subjects}
        self._keep_worst(subjects, found, stages[last], truth, scores)

    def _keep_worst(
        self, subjects: Sequence[Subject], found: np.ndarray, bodies: Bodies, truth: Truth, scores: Scores
    ) -> None:
        ranked = next(((n, s) for n, s in RANKED_BY if not np.isnan(scores.people.get(n, np.nan)).all()), None)
        if ranked is None:
            return
        name, sign = ranked
        for i in np.flatnonzero(found & ~np.isnan(scores.people[name])):
            true = truth.vertices[i] if truth.vertices_confidence[i] > 0 else None
            value = float(scores.people[name][i])
            subject = replace(subjects[i], image=None)  # it is read again if it is drawn
            self._worst.append(Case(subject, bodies.vertices[i], true, truth.joints[i], self._data.joints, name, value))
        self._worst.sort(key=lambda case: -sign * case.value)
        del self._worst[self._count :]

    def report(self, settings: dict) -> Report:
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
            stages={name: {m: v for m, v in of.items() if m in STAGE_MEASURES} for name, of in stages.items()},
            body=self._body,
            worst=self._worst,
            detections=self._detections,
        )


def _predictors(
    checkpoint: str | Path | NetworkRegressor | None,
    body: BodyModel,
    fit: bool,
    detections: str | Path | None,
    mirror: bool,
) -> tuple[list, bool]:
    """What makes bodies, one after the other, and whether it sees crops alone, without detections."""
    if checkpoint is None:
        if not fit:
            raise InputError("without a checkpoint there is only the fit to evaluate: add --fit.")
        return [Fitted(Fitter(body))], False
    published = False
    regressor = checkpoint
    if not isinstance(regressor, NetworkRegressor):
        loaded = load_checkpoint(find_weights(checkpoint), body)
        published = "converted_from" in loaded.provenance
        regressor = NetworkRegressor(loaded.network, body, covariance=loaded.error_covariance, mirror=mirror)
    if regressor.encoder.inputs == ("rgb",) and not fit and detections is None:
        return [FromCrops(regressor.network, body, centred=not published)], True
    network = FromDetections(regressor, body)
    return ([network, Fitted(Fitter(body), regressor)] if fit else [network]), False


def _predict(predictors: list, subjects: Sequence[Subject], found: np.ndarray, body: BodyModel) -> Stages:
    """Bodies of all subjects at every stage; of those not found, a body at rest."""
    rows = np.flatnonzero(found)
    stages: Stages = {}
    for predictor in predictors:
        bodies = predictor([subjects[i] for i in rows]) if len(rows) else dict.fromkeys(predictor.stages)
        stages |= {name: _spread(bodies[name], rows, len(subjects), body) for name in predictor.stages}
    return stages


def _spread(bodies: Bodies | None, rows: np.ndarray, count: int, body: BodyModel) -> Bodies:
    """Bodies of some rows among those of all."""
    vertices = (body.v_template.cpu() + torch.tensor([0.0, 0.0, 3.0])).repeat(count, 1, 1)
    betas = torch.zeros(count, BETAS)
    if bodies is not None:
        vertices[rows] = bodies.vertices
        if bodies.betas is None:
            return Bodies(vertices, None)
        betas = torch.zeros(count, bodies.betas.shape[1])
        betas[rows] = bodies.betas
    return Bodies(vertices, betas)


def _source(said: str | Path | None, data: EvaluationSet) -> DetectionSource | None:
    if said is None:
        return None
    if said == "simulated":
        if not isinstance(data.samples, SyntheticBenchmark):
            raise InputError(f"detections can be simulated for '{SYNTHETIC}' alone; choose detector or labels.")
        return None
    if said == "labels":
        return Labelled()
    if said == "detector":
        from meshrec.detect.mediapipe_detector import MediaPipeDetector

        return Detected(MediaPipeDetector())
    if not Path(said).is_file():
        raise InputError(f"there are no detections '{said}'; give {', '.join(DETECTIONS)}, or a file of them.")
    return Kept(said)


def _load(body: str | Path) -> BodyModel:
    model = load_body(body)
    return model if model.num_betas <= BETAS else load_body(model.data.with_betas(BETAS))


def _known_set(joints: str) -> str:
    try:
        joint_set(joints)
    except ValueError as error:
        raise InputError(f"{error}.") from None
    return joints


def _label(checkpoint: str | Path | NetworkRegressor) -> str:
    return type(checkpoint.network).__name__ if isinstance(checkpoint, NetworkRegressor) else str(checkpoint)


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Values of chunks one after the other; NaN where a chunk lacks a measure."""
    names = dict.fromkeys(name for part in parts for name in part)
    sizes = [len(next(iter(part.values()))) for part in parts]
    return {
        name: np.concatenate([part.get(name, np.full(size, np.nan)) for part, size in zip(parts, sizes)])
        for name in names
    }


def _followed(starts: range):
    from rich.console import Console
    from rich.progress import track

    return track(starts, "evaluating", console=Console(stderr=True), transient=True)
