"""How well photos become bodies: 3D joints of a filmed man, 2D joints and silhouettes of sports photos."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.methods import Method, Result, limbs_seen, methods_of
from meshrec.body import LIMB_JOINTS, joint_index, joint_set, load_body
from meshrec.datasets.lspe import read_lspe
from meshrec.datasets.multiview import read_multiview
from meshrec.detect import load_detector
from meshrec.detect.people import Detection, Detector, inner_box, person_at
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.metrics import pa_mpjpe, pck2d, torso_size
from meshrec.metrics.posture import angle_between, knee_bends, lean, trunk_direction

DATA = Path("../shared")
MISSED_MM = 250.0  # what a person nobody found counts
LEAST_JOINTS = 10  # of the twelve limb joints, for a row to be scored
GOOD_PCK = 0.8  # from which a result counts as good when scores are judged
WHOLE = 0.5  # least confidence of every landmark of a person seen whole

Columns = dict[str, list[float]]  # what was measured of people, by name


def run(data: Path = DATA, step: int = 1, regressor: str | None = None) -> dict[str, dict]:
    """Measure the detector with regressor, fit and both on ``multiview`` and ``lspe``, print tables, return figures.

    Args:
        data: The folder that holds the two.
        step: Use every so many photos.
        regressor: As for :class:`meshrec.Reconstructor`, by name or path.

    Returns:
        Figures by data set, ``multiview`` and ``lspe``, and by method.

    Raises:
        InputError: The folder does not hold them, or there is no such regressor.
    """
    require_data(data)
    methods = methods_of(load_body("neutral"), regressor)
    detector = load_detector()
    figures = {
        "multiview": benchmark_multiview(data / "multiview", detector, methods, step),
        "lspe": benchmark_lspe(data / "lspe" / "val.tar", detector, methods, step),
    }
    for title, columns in figures.items():
        _print(title, columns)
    return figures


def require_data(data: Path = DATA) -> None:
    """Refuse a folder without the data sets.

    Raises:
        InputError: It lacks one.
    """
    if not (data / "multiview").is_dir() or not (data / "lspe" / "val.tar").is_file():
        raise InputError(f"{data} holds no multiview/ and lspe/val.tar; name the folder that does with --data.")


def headlines(figures: dict[str, dict]) -> list[Headline]:
    """Of each method, its errors and time."""
    found = []
    for method, row in figures["multiview"].items():
        found.append(Headline(f"photos, {method}: PA-MPJPE of multiview", row["pa_mpjpe_mm"], "mm"))
        found.append(Headline(f"photos, {method}: a person of multiview", row["milliseconds"], "ms"))
    for method, row in figures["lspe"].items():
        ratio = row["pck"] / row["detector_pck"]
        found.append(Headline(f"photos, {method}: PCK of LSP-extended", row["pck"], "", "detector", ratio))
        if "mask_iou" in row:
            found.append(Headline(f"photos, {method}: mask IoU of LSP-extended", row["mask_iou"], ""))
    return found


def benchmark_multiview(
    folder: Path, detector: Detector, methods: Mapping[str, Method], step: int = 1
) -> dict[str, dict]:
    """Joint errors against triangulated truth, photos taken one by one with their true cameras.

    Returns:
        For each method ``rows`` scored and ``missed``; ``pa_mpjpe_mm`` over the limb joints after Procrustes alignment,
        its median, the same for each camera, and with the joints taken where the detector sees them, as the truth's
        were; ``trunk_degrees``, the median angle between true and found trunk, and ``trunk_lean_degrees``, how much
        more on average it leans towards the camera than the true one; ``knee_degrees``, the mean error of the knees'
        bend, and ``knee_bias_degrees``, how much more than the truth they bend; ``milliseconds``, the median time.
    """
    truth = read_multiview(folder)
    order = [joint_index(name, truth.joints) for name in LIMB_JOINTS]
    hips = [LIMB_JOINTS.index(name) for name in ("left_hip", "right_hip")]
    columns: dict[str, Columns] = {name: defaultdict(list) for name in methods}
    cameras, missed = [], 0
    for row in track(range(0, len(truth), step), "multiview"):
        true, valid = torch.from_numpy(truth.joints_3d[row, order]).float().split((3, 1), dim=-1)
        valid = valid[:, 0] > 0
        if valid.sum() < LEAST_JOINTS or not valid[hips].all():
            continue
        cameras.append(int(truth.cameras[row]))
        image = truth[row].read_image()
        detection = person_at(detector(image), truth.boxes[row])
        missed += detection is None
        camera = Camera.from_matrix(truth.calibration[row], (image.shape[1], image.shape[0]))
        for name, method in methods.items():
            if detection is None:
                measured = {"error": [MISSED_MM], "as_detected": [MISSED_MM]}
            else:
                measured = _errors_in_3d(method, method(image, detection, camera), detection.joint_set, true, valid)
            _append(columns[name], measured)
    return {name: _figures_in_3d(column, cameras, missed) for name, column in columns.items()}


def benchmark_lspe(archive: Path, detector: Detector, methods: Mapping[str, Method], step: int = 1) -> dict[str, dict]:
    """2D joints against labels, and silhouettes against the detector's masks, on crops around one labelled person.

    Labels are rough: a third have a wrong limb. The detector is told where the crop's person is.

    Returns:
        For each method ``photos``; ``pck`` of the body's limb joints where LSP's annotators mark them
        (:mod:`meshrec.landmarks.placements`), ``pck_own_joints`` of the joints of its skeleton, and ``detector_pck``
        of the detected ones, a missed person counting 0; ``mask_iou``, the median where a whole person is seen;
        ``score_spearman``, the rank correlation of scores and each photo's PCK; ``score_auc``, the chance that a good
        result scores above a bad one.
    """
    people = read_lspe(archive)
    limbs = len(LIMB_JOINTS)  # the first of lsp14
    columns: dict[str, Columns] = {name: defaultdict(list) for name in methods}
    theirs = []
    for row in track(range(0, len(people), step), "lspe"):
        labels = torch.from_numpy(people.keypoints_2d[row]).float()
        torso = torso_size(labels[:, :2], "lsp14", labels[:, 2])
        if torso == 0:
            continue
        image = people[row].read_image()
        camera = Camera.from_fov((image.shape[1], image.shape[0]))
        (detection,) = detector(image, inner_box(camera.size)[None])
        correct = partial(_pck, labels=labels[:limbs], torso=torso)
        found = detection.score > 0
        at = torch.from_numpy(detection.keypoints[[joint_index(n, detection.joint_set) for n in LIMB_JOINTS], :2])
        theirs.append(correct(at) if found else 0.0)
        for name, method in methods.items():
            if not found:
                measured = {"pck": [0.0], "pck_own_joints": [0.0], "score": [0.0]}
            else:
                measured = _scores_in_2d(method, method(image, detection, camera), detection, camera, correct)
            _append(columns[name], measured)
    return {name: _figures_in_2d(column, theirs) for name, column in columns.items()}


def _append(columns: Columns, measured: Columns) -> None:
    for name, values in measured.items():
        columns[name].extend(values)


def _errors_in_3d(method: Method, result: Result, detected: str, true: Tensor, valid: Tensor) -> Columns:
    """Errors of one person.

    Args:
        method, result: What it made of the person.
        detected: The detector's joint set.
        true: (12, 3) limb joints, camera space, metres.
        valid: (12,) bool, which of them are known.
    """
    joints = result.joints(method.fitter.body, "lsp14")[: len(LIMB_JOINTS)]
    seen_at = limbs_seen(method.fitter, result.state, detected)
    errors = {
        "error": [float(pa_mpjpe(joints, true, valid))],
        "as_detected": [float(pa_mpjpe(seen_at, true, valid))],
        "milliseconds": [1e3 * result.seconds],
    }
    if valid.all():
        trunks = [trunk_direction(points, "lsp14") for points in (joints, true)]
        errors["trunk"] = [float(angle_between(*trunks))]
        errors["lean"] = [float(lean(joints, "lsp14") - lean(true, "lsp14"))]
        errors["knees"] = (knee_bends(joints, "lsp14") - knee_bends(true, "lsp14")).tolist()
    return errors


def _figures_in_3d(column: Columns, cameras: Sequence[int], missed: int) -> dict[str, float]:
    """What :func:`benchmark_multiview` returns of a method; ``cameras`` are those of its errors."""
    figures = {"rows": len(cameras), "missed": missed, "pa_mpjpe_mm": float(np.mean(column["error"]))}
    for number in sorted(set(cameras)):
        of_camera = [error for error, camera in zip(column["error"], cameras) if camera == number]
        figures[f"pa_mpjpe_mm_camera_{number}"] = float(np.mean(of_camera))
    return figures | {
        "pa_mpjpe_mm_median": float(np.median(column["error"])),
        "pa_mpjpe_mm_detector_joints": float(np.mean(column["as_detected"])),
        "trunk_degrees": float(np.median(column["trunk"])),
        "trunk_lean_degrees": float(np.mean(column["lean"])),
        "knee_degrees": float(np.abs(column["knees"]).mean()),
        "knee_bias_degrees": float(np.mean(column["knees"])),
        "milliseconds": float(np.median(column["milliseconds"])),
    }


def _scores_in_2d(
    method: Method, result: Result, detection: Detection, camera: Camera, correct: Callable[[Tensor], float]
) -> Columns:
    """Scores of one person; ``correct`` tells the share of limb joints (12, 2), pixels, that are right."""
    marked = limbs_seen(method.fitter, result.state, "lsp14")
    own = result.joints(method.fitter.body, "lsp14")[: len(LIMB_JOINTS)]
    scores = {
        "pck": [correct(camera.project(marked)[:, :2])],
        "pck_own_joints": [correct(camera.project(own)[:, :2])],
        "score": [result.score],
    }
    if result.mask_iou is not None and _is_whole(detection, camera.size):
        scores["overlap"] = [result.mask_iou]
    return scores


def _figures_in_2d(column: Columns, detected: Sequence[float]) -> dict[str, float]:
    """What :func:`benchmark_lspe` returns of a method; ``detected`` are the PCK of the detector."""
    pck, scores, overlaps = column["pck"], column["score"], column["overlap"]
    figures = {
        "photos": len(pck),
        "pck": float(np.mean(pck)),
        "pck_own_joints": float(np.mean(column["pck_own_joints"])),
        "detector_pck": float(np.mean(detected)),
    }
    if overlaps:
        figures |= {"mask_iou": float(np.median(overlaps)), "whole_people": len(overlaps)}
    good = [share >= GOOD_PCK for share in pck]
    return figures | {"score_spearman": _spearman(scores, pck), "score_auc": _auc(scores, good)}


def _pck(points: Tensor, labels: Tensor, torso: Tensor) -> float:
    """Share of points (12, 2) near labels (12, 3) with confidence; pixels."""
    return float(pck2d(points, labels[:, :2], torso, labels[:, 2]))


def _print(title: str, columns: Mapping[str, Mapping[str, float]]) -> None:
    table = Table("figure", title=title)
    for name in columns:
        table.add_column(name, justify="right")
    for key in next(iter(columns.values())):
        values = [column[key] for column in columns.values()]
        table.add_row(key, *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))
    Console().print(table)


def _is_whole(detection: Detection, size: tuple[int, int]) -> bool:
    """Whether the limbs are all in the photo and clearly seen."""
    limbs = detection.keypoints[[joint_index(name, joint_set(detection.joint_set)) for name in LIMB_JOINTS]]
    inside = (limbs[:, :2] >= 0).all() and (limbs[:, :2] < size).all()
    return bool(inside and (limbs[:, 2] >= WHOLE).all())


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def _auc(scores: Sequence[float], good: Sequence[bool]) -> float:
    """Chance that a good result's score is above a bad one's (Mann & Whitney 1947)."""
    from scipy.stats import rankdata

    ranks, is_good = rankdata(scores), np.array(good)
    positives = is_good.sum()
    return float((ranks[is_good].sum() - positives * (positives + 1) / 2) / max(positives * (~is_good).sum(), 1))
