"""How well photos become bodies: 3D joints of a filmed man, 2D joints and silhouettes of sports photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from meshrec.body import LIMB_JOINTS, joint_index, joint_set, load_body
from meshrec.data.lspe import read_lspe
from meshrec.data.multiview import read_multiview
from meshrec.detect.people import Detection, Detector, box_iou
from meshrec.errors import InputError
from meshrec.fit import BodyState, FitResult, Fitter
from meshrec.geometry import Camera
from meshrec.metrics import pa_mpjpe, pck2d, torso_size

MISSED_MM = 250.0  # what a person nobody found counts
LEAST_JOINTS = 10  # of the twelve limb joints, for a row to be scored
LEAST_OVERLAP = 0.3  # of a detection's box with the true one
GOOD_PCK = 0.8  # from which a result counts as good when scores are judged
WHOLE = 0.5  # least confidence of every landmark of a person seen whole


def run(data: Path = Path("../shared"), step: int = 1) -> dict[str, dict]:
    """Measure the default detector and fit on ``multiview`` and ``lspe``, print tables and return their figures.

    Args:
        data: The folder that holds the two.
        step: Use every so many photos.

    Returns:
        Figures by data set: ``multiview`` and ``lspe``.

    Raises:
        InputError: The folder does not hold them.
    """
    from meshrec.detect.mediapipe_detector import MediaPipeDetector

    if not (data / "multiview").is_dir() or not (data / "lspe" / "val.tar").is_file():
        raise InputError(f"{data} holds no multiview/ and lspe/val.tar; name the folder that does with --data.")
    console, detector, fitter = Console(), MediaPipeDetector(), Fitter(load_body("neutral"))
    figures = {
        "multiview": benchmark_multiview(data / "multiview", detector, fitter, step),
        "lspe": benchmark_lspe(data / "lspe" / "val.tar", detector, fitter, step),
    }
    for name, values in figures.items():
        table = Table(title=name)
        table.add_column("figure")
        table.add_column("value", justify="right")
        for key, value in values.items():
            table.add_row(key, f"{value:.3g}" if isinstance(value, float) else str(value))
        console.print(table)
    return figures


def benchmark_multiview(folder: Path, detector: Detector, fitter: Fitter, step: int = 1) -> dict:
    """Joint errors against triangulated truth, photos taken one by one with their true cameras.

    Returns:
        ``rows`` scored and ``missed``; ``pa_mpjpe_mm`` over the limb joints after Procrustes alignment, its median, the
        same for each camera, and with the joints taken where the detector sees them, as the truth's were;
        ``trunk_degrees``, the median angle between true and fitted trunk, and ``trunk_lean_degrees``, how much more on
        average it leans towards the camera than the true one; ``knee_degrees``, the mean error of the knees' bend, and
        ``knee_bias_degrees``, how much more than the truth they bend.
    """
    truth = read_multiview(folder)
    order = [joint_index(name, truth.joints) for name in LIMB_JOINTS]
    hips = [LIMB_JOINTS.index(name) for name in ("left_hip", "right_hip")]
    cameras, errors, as_detected, trunks, leans, knees = [], [], [], [], [], []
    missed = 0
    for row in track(range(0, len(truth), step), "multiview"):
        true, valid = torch.from_numpy(truth.joints_3d[row, order]).float().split((3, 1), dim=-1)
        valid = valid[:, 0] > 0
        if valid.sum() < LEAST_JOINTS or not valid[hips].all():
            continue
        cameras.append(int(truth.cameras[row]))
        image, matrix = truth[row].image.read(), truth.calibration[row]
        detection = _match(detector(image), truth.boxes[row])
        if detection is None:
            missed += 1
            errors.append(MISSED_MM)
            as_detected.append(MISSED_MM)
            continue
        camera = Camera((matrix[0, 0], matrix[1, 1]), (matrix[0, 2], matrix[1, 2]), (image.shape[1], image.shape[0]))
        (result,) = fitter([detection], camera)
        fitted = fitted_joints(fitter, result, "lsp14")[: len(LIMB_JOINTS)]
        errors.append(float(pa_mpjpe(fitted, true, valid)))
        as_detected.append(float(pa_mpjpe(detected_joints(fitter, result, detection.joint_set), true, valid)))
        if valid.all():
            ours, theirs = trunk_direction(fitted), trunk_direction(true)
            trunks.append(float(torch.rad2deg(torch.acos((ours @ theirs).clamp(-1, 1)))))
            leans.append(float(torch.rad2deg(torch.asin(theirs[2]) - torch.asin(ours[2]))))
            knees.extend((knee_bends(fitted) - knee_bends(true)).tolist())
    figures = {"rows": len(errors), "missed": missed, "pa_mpjpe_mm": float(np.mean(errors))}
    for camera in sorted(set(cameras)):
        of_camera = [error for error, c in zip(errors, cameras) if c == camera]
        figures[f"pa_mpjpe_mm_camera_{camera}"] = float(np.mean(of_camera))
    return figures | {
        "pa_mpjpe_mm_median": float(np.median(errors)),
        "pa_mpjpe_mm_detector_joints": float(np.mean(as_detected)),
        "trunk_degrees": float(np.median(trunks)),
        "trunk_lean_degrees": float(np.mean(leans)),
        "knee_degrees": float(np.abs(knees).mean()),
        "knee_bias_degrees": float(np.mean(knees)),
    }


def benchmark_lspe(archive: Path, detector: Detector, fitter: Fitter, step: int = 1) -> dict:
    """2D joints against labels, and silhouettes against the detector's masks, on crops around one labelled person.

    Labels are rough: a third have a wrong limb. The detector is told where the crop's person is.

    Returns:
        ``photos``; ``pck`` of the reprojected limb joints and ``detector_pck`` of the detected ones, a missed person
        counting 0; ``mask_iou``, the median where a whole person is seen; ``score_spearman``, the rank correlation of
        scores and each photo's PCK; ``score_auc``, the chance that a good result scores above a bad one.
    """
    people = read_lspe(archive)
    limbs = len(LIMB_JOINTS)  # the first of lsp14
    ours, theirs, scores, overlaps = [], [], [], []
    for row in track(range(0, len(people), step), "lspe"):
        labels = torch.from_numpy(people.keypoints_2d[row]).float()
        torso = torso_size(labels[:, :2], "lsp14", labels[:, 2])
        if torso == 0:
            continue
        image = people[row].image.read()
        size = image.shape[1], image.shape[0]
        person = np.array([size[0] / 6, size[1] / 6, size[0] * 5 / 6, size[1] * 5 / 6], np.float32)
        (detection,) = detector(image, person[None])
        if detection.score == 0:
            ours.append(0.0)
            theirs.append(0.0)
            scores.append(0.0)
            continue
        camera = Camera.from_fov(size)
        (result,) = fitter([detection], camera)
        fitted = camera.project(fitted_joints(fitter, result, "lsp14"))[:limbs, :2]
        detected = detection.keypoints[[joint_index(name, detection.joint_set) for name in LIMB_JOINTS], :2]
        for points, rates in ((fitted, ours), (torch.from_numpy(detected), theirs)):
            rates.append(float(pck2d(points, labels[:limbs, :2], torso, labels[:limbs, 2])))
        scores.append(result.score)
        if result.mask_iou is not None and _is_whole(detection, size):
            overlaps.append(result.mask_iou)
    figures = {"photos": len(ours), "pck": float(np.mean(ours)), "detector_pck": float(np.mean(theirs))}
    if overlaps:
        figures |= {"mask_iou": float(np.median(overlaps)), "whole_people": len(overlaps)}
    return figures | {
        "score_spearman": _spearman(scores, ours),
        "score_auc": _auc(scores, [rate >= GOOD_PCK for rate in ours]),
    }


def fitted_joints(fitter: Fitter, result: FitResult, joints: str) -> Tensor:
    """Joints (K, 3) of a named set of a fitted body, camera space, float32."""
    pose = torch.from_numpy(result.pose)[None]
    betas, translation = torch.from_numpy(result.betas)[None], torch.from_numpy(result.translation)[None]
    with torch.no_grad():
        vertices = fitter.body(betas, pose[:, 1:], pose[:, 0], translation).vertices
    return fitter.body.joints_from(vertices, joints)[0]


def detected_joints(fitter: Fitter, result: FitResult, joints: str) -> Tensor:
    """Limb joints (12, 3) of a fitted body where the detector of a joint set sees them, camera space, float32."""
    state = BodyState(
        *(torch.tensor(a, dtype=torch.float64)[None] for a in (result.pose, result.translation, result.betas))
    )
    order = [joint_index(name, joints) for name in LIMB_JOINTS]
    return fitter.landmarks(joints).positions(state)[0, order].float()


def trunk_direction(limbs: Tensor) -> Tensor:
    """Unit vector (3,) from the middle of the hips to the middle of the shoulders; limb joints (12, 3)."""
    middle = {part: limbs[_sides(part)].mean(0) for part in ("shoulder", "hip")}
    return torch.nn.functional.normalize(middle["shoulder"] - middle["hip"], dim=0)


def knee_bends(limbs: Tensor) -> Tensor:
    """Degrees (2,) by which the knees are bent, 0 when straight; limb joints (12, 3)."""
    hip, knee, ankle = (limbs[_sides(part)] for part in ("hip", "knee", "ankle"))
    return torch.rad2deg(torch.acos(torch.cosine_similarity(knee - hip, ankle - knee).clamp(-1, 1)))


def _sides(part: str) -> list[int]:
    return [LIMB_JOINTS.index(f"{side}_{part}") for side in ("left", "right")]


def _match(people: Sequence[Detection], box: np.ndarray) -> Detection | None:
    """The detection that covers a box best, None when none does."""
    overlaps = [float(box_iou(person.box[None], box[None])[0, 0]) for person in people]
    best = int(np.argmax(overlaps)) if overlaps else 0
    return people[best] if overlaps and overlaps[best] >= LEAST_OVERLAP else None


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

    ranks, good = rankdata(scores), np.array(good)
    positives = good.sum()
    return float((ranks[good].sum() - positives * (positives + 1) / 2) / max(positives * (~good).sum(), 1))
