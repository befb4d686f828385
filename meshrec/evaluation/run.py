"""Evaluate methods on a data set: networks with or without the fit, the fit alone, the detector itself."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from meshrec.body import LIMB_JOINTS, NUM_BETAS, BodyModel, load_body
from meshrec.body.joints import joint_index, joint_set
from meshrec.compiled.device import usable_device
from meshrec.detect import Detector, load_detector
from meshrec.errors import InputError
from meshrec.evaluation.collector import Collector
from meshrec.evaluation.datasets import DRESSED, SYNTHETIC, EvaluationSet, open_evaluation_set
from meshrec.evaluation.methods import DETECTOR, Method, load_method
from meshrec.evaluation.progress import followed
from meshrec.evaluation.report import Report
from meshrec.evaluation.subjects import (
    Detected,
    DetectionSource,
    Kept,
    Labelled,
    assumed_camera,
    load_subjects,
)
from meshrec.evaluation.truth import truth_of
from meshrec.reconstruct.body_estimator import Regressor
from meshrec.synthetic.benchmark import SyntheticBenchmark
from meshrec.synthetic.textures import TextureLayout

CHUNK = 64
PHOTO_RESOLUTION, RESOLUTION = 448, 224  # of synthetic pictures: for the detector, and for networks
DETECTIONS = (DETECTOR, "simulated", "labels")
WORST = 8


def evaluate(
    checkpoint: str | Path | Regressor | None,
    dataset: str | EvaluationSet,
    body: str | Path | BodyModel = "neutral",
    pictures: str | Path | None = None,
    bodies: Mapping[str, str | Path] | None = None,
    detections: str | Path | Detector | None = None,
    fit: bool = False,
    joints: str | None = None,
    limit: int | None = None,
    mirror: bool = True,
    h36m_regressor: str | Path | None = None,
    device: str = "cpu",
    worst: int = WORST,
    progress: bool = False,
    network: str = "",
) -> Report:
    """Evaluate one method.

    Args:
        checkpoint: A shipped network's name, a checkpoint's file, a regressor; ``"detector"`` for the detector's own
            joints; or None for the fit alone.
        dataset: A name for :func:`meshrec.evaluation.datasets.open_evaluation_set`, or an open data set. The people of
            the synthetic benchmark are of ``body`` or, where that has no texture layout to be painted by, as SMPL's own
            files, of the open neutral body; errors of vertices are then unknown.
        body: The body that the network was trained with.
        pictures, bodies: See :func:`meshrec.evaluation.datasets.open_evaluation_set`; bodies are names or files.
        detections: Source of the detections: ``detector`` for the default detector, or any detector; for the synthetic
            benchmark, ``simulated`` ones; the data set's own ``labels``; or a file of detections that an earlier run
            wrote. Default: simulated where they can be, else by the default detector. Networks that see RGB alone,
            without the fit, need none and see crops as the data set cuts them.
        fit: Refine the network's estimates.
        joints: Name of the joint set to score instead of the data set's usual one.
        limit: Greatest number of people, evenly spread over the data set.
        mirror: Average with the mirror image's estimate, where people are detected.
        h36m_regressor: The field's ``J_regressor_h36m.npy``, by which published numbers are taken.
        device: Device of the network.
        worst: Number of the worst people to keep for pictures.
        progress: Show a progress bar.
        network: Import path of the user's own network that checkpoints may hold, such as
            ``my_package.my_module:MyNetwork``; they cannot have any other code imported.

    Raises:
        InputError: An argument names something that does not exist, or the arguments do not fit together.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import synthetic_set
        >>> body = meshrec.load_body("neutral")
        >>> report = meshrec.evaluate("keypoints", synthetic_set(body, resolution=64).thinned(1), body)
        >>> report.title, 0 < report.mean("mpjpe") < 300  # millimetres
        ('keypoints on synthetic benchmark', True)
    """
    (report,) = compare(
        [Method(checkpoint, fit, mirror)],
        dataset,
        body=body,
        pictures=pictures,
        bodies=bodies,
        detections=detections,
        joints=joints,
        limit=limit,
        h36m_regressor=h36m_regressor,
        device=device,
        worst=worst,
        progress=progress,
        network=network,
    )
    return report


def compare(
    methods: Sequence[Method],
    dataset: str | EvaluationSet,
    body: str | Path | BodyModel = "neutral",
    pictures: str | Path | None = None,
    bodies: Mapping[str, str | Path] | None = None,
    detections: str | Path | Detector | None = None,
    joints: str | None = None,
    limit: int | None = None,
    h36m_regressor: str | Path | None = None,
    device: str = "cpu",
    worst: int = WORST,
    progress: bool = False,
    network: str = "",
) -> list[Report]:
    """Evaluate several methods on the same people and the same detections.

    Args:
        methods: The methods, in the order of the reports. The other arguments are those of :func:`evaluate`.

    Raises:
        InputError: An argument names something that does not exist, or the arguments do not fit together.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import compare, methods_of, synthetic_set
        >>> body = meshrec.load_body("neutral")
        >>> data = synthetic_set(body, resolution=64).thinned(1)
        >>> [report.title for report in compare(methods_of(["keypoints", "graph"]), data, body)]
        ['keypoints on synthetic benchmark', 'graph on synthetic benchmark']
    """
    own = body if isinstance(body, BodyModel) else load_body(body).truncated(NUM_BETAS)
    others = {name: load_body(file).truncated(NUM_BETAS) for name, file in (bodies or {}).items()}
    if h36m_regressor is not None:
        own = with_h36m_rows(own, h36m_regressor)
        others = {name: with_h36m_rows(one, h36m_regressor) for name, one in others.items()}
    own = copy(own).to(usable_device(device))
    loaded = [load_method(method, own, detections is not None, network) for method in methods]
    said: str | Path | Detector | None = None
    if not all(ready.in_crops for ready in loaded):
        said = detections or ("simulated" if _is_synthetic(dataset) else DETECTOR)
    painted = own
    if isinstance(dataset, EvaluationSet):
        data = dataset
    else:
        resolution = RESOLUTION if said in (None, "simulated", "labels") else PHOTO_RESOLUTION
        if _is_synthetic(dataset) and not TextureLayout.fits(own):
            painted = copy(load_body("neutral")).to(own.v_template.device)
        data = open_evaluation_set(dataset, painted, pictures, others, resolution)
    data = replace(data, joints=_known_set(joints)) if joints else data
    data = data.thinned(limit) if limit is not None else data
    if not len(data):
        raise InputError(f"{data.name} holds nobody to evaluate.")
    source = _source(said, data)
    known = {one.hash: one for one in (painted, own, *others.values())}
    label = "none" if said is None else str(said) if isinstance(said, str | Path) else DETECTOR

    collectors = [Collector(data, own, worst, keep_detections=label == DETECTOR) for _ in methods]
    looks = any(ready.looks for ready in loaded)
    starts = range(0, len(data), CHUNK)
    for start in followed(starts) if progress else starts:
        rows = [data.rows[i] for i in range(start, min(start + CHUNK, len(data)))]
        subjects = load_subjects(data, rows, source, assumed_camera, looks)
        truth = truth_of([s.sample for s in subjects], data, own, known)
        for ready, collector in zip(loaded, collectors):
            seen = ready.seen(subjects)
            found = np.array([ready.in_crops or s.detection is not None for s in seen])
            collector.add(seen, found, ready.stages(seen, found, own), truth)
    reports = [
        collector.report(
            {
                "method": method.name,
                "checkpoint": method.label,
                "dataset": data.name,
                "detections": "none" if ready.in_crops else label,
                "fit": method.fit,
                "joints": data.joints,
                "mirror": method.mirror and method.checkpoint not in (None, DETECTOR) and not ready.in_crops,
                "body": own.data.name,
                "source": data.source,
                "notes": list(data.notes),
            }
        )
        for method, ready, collector in zip(methods, loaded, collectors)
    ]
    for report in reports:
        measured = [values for name, values in report.people.items() if name != "score"]
        if all(np.isnan(values).all() for values in measured):
            raise InputError(
                f"{data.name} has no label to compare with: no joint of {data.joints}, no mask, no known shape."
            )
    return reports


def with_h36m_rows(body: BodyModel, path: str | Path) -> BodyModel:
    """A body that takes the joints of H36M, LSP and its limbs from the field's regressor, as Kanazawa et al. 2018 do.

    LSP's neck is then H36M's thorax.

    Args:
        body: The body to extend, which stays as it is.
        path: ``J_regressor_h36m.npy`` (17, V).

    Raises:
        InputError: The file is no such regressor of this body.
    """
    body = load_body(body, dtype=body.v_template.dtype, h36m_regressor=path)
    order = [joint_index("thorax" if name == "neck" else name, "h36m17") for name in joint_set("lsp14")]
    rows = body.joint_regressor("h36m17")[order]
    return body.with_regressor("lsp14", rows).with_regressor("limb12", rows[: len(LIMB_JOINTS)])  # the first of LSP's


def _source(said: str | Path | Detector | None, data: EvaluationSet) -> DetectionSource | None:
    if said is None:
        return None
    if callable(said):
        return Detected(said, data.search)
    if said == "simulated":
        if not _is_synthetic(data):
            raise InputError(f"detections can be simulated for '{SYNTHETIC}' alone; choose detector or labels.")
        return None
    if said == "labels":
        return Labelled()
    if said == DETECTOR:
        return Detected(load_detector(), data.search)
    if not Path(said).is_file():
        raise InputError(f"there are no detections '{said}'; give {', '.join(DETECTIONS)}, or a file of them.")
    return Kept(said)


def _is_synthetic(dataset: str | EvaluationSet) -> bool:
    if isinstance(dataset, EvaluationSet):
        return isinstance(dataset.samples, SyntheticBenchmark)
    return dataset in (SYNTHETIC, DRESSED)


def _known_set(joints: str) -> str:
    try:
        joint_set(joints)
    except ValueError as error:
        raise InputError(f"{error}.") from None
    return joints
