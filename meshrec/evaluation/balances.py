"""Balances of evidence and prior in the fit, compared on the same people, detections and first estimates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.evaluation.datasets import EvaluationSet
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.scores import score, score_detections
from meshrec.evaluation.subjects import DetectionSource, Subject, assumed_camera, load_subjects
from meshrec.evaluation.truth import truth_of
from meshrec.fit import FitResult, FitSettings, Fitter, Initial
from meshrec.fit.settings import Balance
from meshrec.reconstruct.body_estimator import Regressor

CHUNK = 64  # people at a time
DETECTOR, REGRESSOR = "detector", "regressor"
BALANCE_MEASURES = ("pck2d", "pa_mpjpe", "mpjpe")


def compare_balances(
    data: EvaluationSet,
    body: BodyModel,
    regressor: Regressor,
    source: DetectionSource | None,
    balances: Mapping[str, Balance],
    looks: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """Fit the same people with different balances; people who were not detected are left out.

    Args:
        data: The data set.
        body: The body to fit.
        regressor: Makes the first estimates, once for all balances.
        source: Source of the detections; None for those that the synthetic benchmark simulates.
        balances: Balances beside a regressor, by name.
        looks: Whether the regressor needs the pictures.

    Returns:
        For the detector, the regressor alone and each balance, the N people's values of
        :data:`BALANCE_MEASURES` that the data set has labels for; see :data:`meshrec.evaluation.scores.MEASURES`.
    """
    usual = FitSettings()
    fitters = {n: Fitter(body, settings=replace(usual, beside_regressor=b)) for n, b in balances.items()}
    parts: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in (DETECTOR, REGRESSOR, *balances)}
    for subjects in _chunks(data, source, looks):
        truth = truth_of([s.sample for s in subjects], data, body, {body.hash: body})
        initial = [regressor(s.picture, [s.detected], s.camera) for s in subjects]
        bodies = {REGRESSOR: _posed(body, [one.state for one in initial])}
        for name, fitter in fitters.items():
            bodies[name] = _posed(body, [_fitted(fitter, s, one) for s, one in zip(subjects, initial)])
        found = np.ones(len(subjects), bool)
        parts[DETECTOR].append(score_detections(subjects, truth, data.joints).people)
        for name, own in bodies.items():
            scores = score(subjects, found, own, truth, body, data.joints, everything=False)
            parts[name].append(scores.people)
    return {name: _joined(of) for name, of in parts.items()}


def _chunks(data: EvaluationSet, source: DetectionSource | None, looks: bool) -> Iterator[list[Subject]]:
    for start in range(0, len(data), CHUNK):
        subjects = load_subjects(data, data.rows[start : start + CHUNK], source, assumed_camera, looks)
        if seen := [subject for subject in subjects if subject.detection is not None]:
            yield seen


def _fitted(fitter: Fitter, subject: Subject, initial: Initial) -> BodyState:
    (fit,) = fitter([subject.detected], subject.camera, initial)
    return _state(fit)


def _state(fit: FitResult) -> BodyState:
    return BodyState(*(torch.from_numpy(part).double()[None] for part in (fit.rotations, fit.translation, fit.betas)))


@torch.no_grad()
def _posed(body: BodyModel, states: Sequence[BodyState]) -> Bodies:
    rotations, translation, betas = (
        torch.cat([getattr(state, name) for state in states]) for name in ("rotations", "translation", "betas")
    )
    placed = (part.to(body.v_template) for part in (betas, rotations[:, 1:], rotations[:, 0], translation))
    return Bodies(body(*placed).vertices.cpu(), betas.float())


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The measures that some people have labels for, people one after the other."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in BALANCE_MEASURES if name in parts[0]}
    return {name: values for name, values in joined.items() if not np.isnan(values).all()}
