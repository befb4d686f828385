"""Evaluate a network, with or without the fit after it, on a data set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from meshrec.body import BodyModel, load_body
from meshrec.body.joints import joint_index, joint_set
from meshrec.compiled.device import usable_device
from meshrec.errors import InputError
from meshrec.evaluation.collector import Collector
from meshrec.evaluation.datasets import SYNTHETIC, EvaluationSet, open_evaluation_set
from meshrec.evaluation.prediction import Bodies, Fitted, FromCrops, FromDetections, Predictor, Stages
from meshrec.evaluation.report import FIT_ALONE, Report
from meshrec.evaluation.subjects import Detected, DetectionSource, Kept, Labelled, Subject, load_subjects
from meshrec.evaluation.truth import truth_of
from meshrec.fit import Fitter
from meshrec.models.checkpoints import load_checkpoint
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import find_weights
from meshrec.synthetic.benchmark import SyntheticBenchmark

CHUNK = 64
BETAS = 10
PHOTO_RESOLUTION, RESOLUTION = 448, 224  # of synthetic pictures: for the detector, and for networks
DETECTIONS = ("detector", "simulated", "labels")
WORST = 8
PUBLISHED = "converted_from"  # is noted in the provenance of imported checkpoints


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
    own = own.to(usable_device(device))
    predictors, in_crops = _predictors(checkpoint, own, fit, detections, mirror)
    said = None if in_crops else detections or ("simulated" if _is_synthetic(dataset) else "detector")
    if isinstance(dataset, EvaluationSet):
        data = dataset
    else:
        resolution = RESOLUTION if said in (None, "simulated", "labels") else PHOTO_RESOLUTION
        data = open_evaluation_set(dataset, own, pictures, others, resolution)
    data = replace(data, joints=_known_set(joints)) if joints else data
    data = data.thinned(limit) if limit is not None else data
    if not len(data):
        raise InputError(f"{data.name} holds nobody to evaluate.")
    source = _source(said, data)
    known = {one.hash: one for one in (own, *others.values())}

    collector = Collector(data, own, worst, keep_detections=said == "detector")
    starts = range(0, len(data), CHUNK)
    for start in _followed(starts) if progress else starts:
        rows = [data.rows[i] for i in range(start, min(start + CHUNK, len(data)))]
        subjects = load_subjects(data, rows, source, predictors[0].camera_of, any(p.looks for p in predictors))
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
    report = collector.report(settings)
    if all(np.isnan(values).all() for values in report.people.values()):
        raise InputError(
            f"{data.name} has no label to compare with: no joint of {data.joints}, no mask, no known shape."
        )
    return report


def use_h36m_rows(body: BodyModel, path: str | Path) -> None:
    """Take H36M's and LSP's joints from the field's regressor, as Kanazawa et al. 2018 do.

    LSP's neck is then H36M's thorax.

    Raises:
        InputError: The file is no such regressor of this body.
    """
    try:
        rows = np.load(path, allow_pickle=False)
        if not isinstance(rows, np.ndarray):
            raise ValueError("it is an archive")
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a readable .npy array of regressor rows ({reason})") from None
    body.use_regressor("h36m17", rows)
    order = [joint_index("thorax" if name == "neck" else name, "h36m17") for name in joint_set("lsp14")]
    body.use_regressor("lsp14", rows[order])


def _predictors(
    checkpoint: str | Path | NetworkRegressor | None,
    body: BodyModel,
    fit: bool,
    detections: str | Path | None,
    mirror: bool,
) -> tuple[list[Predictor], bool]:
    """What makes bodies, one after the other, and whether it sees crops alone, without detections."""
    if checkpoint is None:
        if not fit:
            raise InputError("without a checkpoint there is only the fit to evaluate: add --fit.")
        return [Fitted(Fitter(body))], False
    published = False
    if isinstance(checkpoint, NetworkRegressor):
        regressor = checkpoint
    else:
        loaded = load_checkpoint(find_weights(checkpoint), body)
        published = PUBLISHED in loaded.provenance
        measured = loaded.error_covariance, loaded.shape_calibration
        regressor = NetworkRegressor(loaded.network, body, body, *measured, mirror)
    if regressor.encoder.inputs == ("rgb",) and not fit and detections is None:
        return [FromCrops(regressor.network, body, centred=not published)], True
    network = FromDetections(regressor, body)
    return ([network, Fitted(Fitter(body), regressor)] if fit else [network]), False


def _predict(
    predictors: Sequence[Predictor], subjects: Sequence[Subject], found: np.ndarray, body: BodyModel
) -> Stages:
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
        if not _is_synthetic(data):
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


def _is_synthetic(dataset: str | EvaluationSet) -> bool:
    if isinstance(dataset, EvaluationSet):
        return isinstance(dataset.samples, SyntheticBenchmark)
    return dataset == SYNTHETIC


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


def _followed(starts: range) -> Iterable[int]:
    from rich.console import Console
    from rich.progress import track

    return track(starts, "evaluating", console=Console(stderr=True), transient=True)
