"""How well photos become bodies: 3D joints of a filmed man, 2D joints and silhouettes of sports photos."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from meshrec.benchmarks.headlines import Headline
from meshrec.body import LIMB_JOINTS, BodyModel, joint_index, joint_set, load_body
from meshrec.data.lspe import read_lspe
from meshrec.data.multiview import read_multiview
from meshrec.detect.people import Detection, Detector, inner_box, person_at
from meshrec.errors import InputError
from meshrec.fit import BodyState, Fitter
from meshrec.fit.outline import MaskView, drawn_faces
from meshrec.geometry import Camera
from meshrec.metrics import pa_mpjpe, pck2d, torso_size
from meshrec.metrics.posture import angle_between, knee_bends, lean, trunk_direction
from meshrec.reconstruct import Regressor
from meshrec.regressor import NONE, load_regressor, regressor_name

DATA = Path("../shared")
MISSED_MM = 250.0  # what a person nobody found counts
LEAST_JOINTS = 10  # of the twelve limb joints, for a row to be scored
GOOD_PCK = 0.8  # from which a result counts as good when scores are judged
WHOLE = 0.5  # least confidence of every landmark of a person seen whole


@dataclass(frozen=True)
class Method:
    """One way from a detected person to a body: a regressor, the fit, or the fit from a regressor's estimate.

    Attributes:
        regressor: None for the fit alone.
        fitter: Its body is the regressor's too.
        refine: False for the regressor alone.
    """

    regressor: Regressor | None
    fitter: Fitter
    refine: bool = True

    def __call__(self, image: np.ndarray, detection: Detection, camera: Camera) -> "Result":
        started = perf_counter()
        initial = self.regressor and self.regressor(image, [detection], camera)
        score = detection.score
        if self.refine:
            (fit,) = self.fitter([detection], camera, initial)
            score = fit.score
            parts = (torch.tensor(a, dtype=torch.float64)[None] for a in (fit.pose, fit.translation, fit.betas))
            state = BodyState(*parts)
        else:
            assert initial is not None
            state = initial.state
        seconds, overlap = perf_counter() - started, None
        if detection.mask is not None:
            view = MaskView.around(detection, [], camera)
            overlap = view.overlap(drawn_faces(self.fitter.body, state, view.camera)[1])
        return Result(state, score, overlap, seconds)


@dataclass(frozen=True)
class Result:
    """What a method made of one person: one body, its score, its overlap with the detector's mask, and the time."""

    state: BodyState
    score: float
    mask_iou: float | None
    seconds: float

    def vertices(self, body: BodyModel) -> Tensor:
        """(1, V, 3) camera space, float32."""
        rotations, translation, betas = (part.float() for part in vars(self.state).values())
        with torch.no_grad():
            return body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices

    def joints(self, body: BodyModel, joints: str) -> Tensor:
        """Joints (K, 3) of a named set, camera space, float32."""
        return body.joints_from(self.vertices(body), joints)[0]


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
    from meshrec.detect.mediapipe_detector import MediaPipeDetector

    require_data(data)
    methods = methods_of(load_body("neutral"), regressor)
    detector = MediaPipeDetector()
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


def methods_of(body: BodyModel, regressor: str | None = None) -> dict[str, Method]:
    """A regressor, the fit from its estimate, and the fit alone, by name; without a regressor the last one only.

    Args:
        body: To estimate.
        regressor: By name or path; default: the one that photos get.

    Raises:
        InputError: There is no such regressor.
    """
    name, fitter = regressor_name(regressor), Fitter(body)
    alone = {"fit": Method(None, fitter)}
    if name == NONE:
        return alone
    network = load_regressor(name, body)
    return {name: Method(network, fitter, refine=False), f"{name} + fit": Method(network, fitter)} | alone


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
    columns: dict[str, defaultdict[str, list]] = {name: defaultdict(list) for name in methods}
    cameras, missed = [], 0
    for row in track(range(0, len(truth), step), "multiview"):
        true, valid = torch.from_numpy(truth.joints_3d[row, order]).float().split((3, 1), dim=-1)
        valid = valid[:, 0] > 0
        if valid.sum() < LEAST_JOINTS or not valid[hips].all():
            continue
        cameras.append(int(truth.cameras[row]))
        image, matrix = truth[row].read_image(), truth.calibration[row]
        detection = person_at(detector(image), truth.boxes[row])
        missed += detection is None
        camera = Camera((matrix[0, 0], matrix[1, 1]), (matrix[0, 2], matrix[1, 2]), (image.shape[1], image.shape[0]))
        for name, method in methods.items():
            column = columns[name]
            if detection is None:
                column["error"].append(MISSED_MM)
                column["as_detected"].append(MISSED_MM)
                continue
            result = method(image, detection, camera)
            ours = result.joints(method.fitter.body, "lsp14")[: len(LIMB_JOINTS)]
            seen_at = limbs_seen(method.fitter, result.state, detection.joint_set)
            column["error"].append(float(pa_mpjpe(ours, true, valid)))
            column["as_detected"].append(float(pa_mpjpe(seen_at, true, valid)))
            column["milliseconds"].append(1e3 * result.seconds)
            if valid.all():
                trunks = [trunk_direction(points, "lsp14") for points in (ours, true)]
                column["trunk"].append(float(angle_between(*trunks)))
                column["lean"].append(float(lean(ours, "lsp14") - lean(true, "lsp14")))
                column["knees"].extend((knee_bends(ours, "lsp14") - knee_bends(true, "lsp14")).tolist())
    figures = {}
    for name, column in columns.items():
        figures[name] = {"rows": len(cameras), "missed": missed, "pa_mpjpe_mm": float(np.mean(column["error"]))}
        for number in sorted(set(cameras)):
            of_camera = [error for error, camera in zip(column["error"], cameras) if camera == number]
            figures[name][f"pa_mpjpe_mm_camera_{number}"] = float(np.mean(of_camera))
        figures[name] |= {
            "pa_mpjpe_mm_median": float(np.median(column["error"])),
            "pa_mpjpe_mm_detector_joints": float(np.mean(column["as_detected"])),
            "trunk_degrees": float(np.median(column["trunk"])),
            "trunk_lean_degrees": float(np.mean(column["lean"])),
            "knee_degrees": float(np.abs(column["knees"]).mean()),
            "knee_bias_degrees": float(np.mean(column["knees"])),
            "milliseconds": float(np.median(column["milliseconds"])),
        }
    return figures


def benchmark_lspe(archive: Path, detector: Detector, methods: Mapping[str, Method], step: int = 1) -> dict[str, dict]:
    """2D joints against labels, and silhouettes against the detector's masks, on crops around one labelled person.

    Labels are rough: a third have a wrong limb. The detector is told where the crop's person is.

    Returns:
        For each method ``photos``; ``pck`` of the body's limb joints where LSP's annotators mark them
        (:mod:`meshrec.detect.noise`), ``pck_own_joints`` of the joints of its skeleton, and ``detector_pck`` of the
        detected ones, a missed person counting 0; ``mask_iou``, the median where a whole person is seen;
        ``score_spearman``, the rank correlation of scores and each photo's PCK; ``score_auc``, the chance that a good
        result scores above a bad one.
    """
    people = read_lspe(archive)
    limbs = len(LIMB_JOINTS)  # the first of lsp14
    columns: dict[str, defaultdict[str, list]] = {name: defaultdict(list) for name in methods}
    theirs = []
    for row in track(range(0, len(people), step), "lspe"):
        labels = torch.from_numpy(people.keypoints_2d[row]).float()
        torso = torso_size(labels[:, :2], "lsp14", labels[:, 2])
        if torso == 0:
            continue
        image = people[row].read_image()
        size = image.shape[1], image.shape[0]
        (detection,) = detector(image, inner_box(size)[None])
        found = detection.score > 0
        at = torch.from_numpy(detection.keypoints[[joint_index(n, detection.joint_set) for n in LIMB_JOINTS], :2])
        theirs.append(float(pck2d(at, labels[:limbs, :2], torso, labels[:limbs, 2])) if found else 0.0)
        for name, method in methods.items():
            column = columns[name]
            if not found:
                column["pck"].append(0.0)
                column["pck_own_joints"].append(0.0)
                column["score"].append(0.0)
                continue
            camera = Camera.from_fov(size)
            result = method(image, detection, camera)
            marked = limbs_seen(method.fitter, result.state, "lsp14")
            own = result.joints(method.fitter.body, "lsp14")[:limbs]
            for measure, points in (("pck", marked), ("pck_own_joints", own)):
                at = camera.project(points)[:, :2]
                column[measure].append(float(pck2d(at, labels[:limbs, :2], torso, labels[:limbs, 2])))
            column["score"].append(result.score)
            if result.mask_iou is not None and _is_whole(detection, size):
                column["overlap"].append(result.mask_iou)
    figures = {}
    for name, column in columns.items():
        pck, scores, overlaps = column["pck"], column["score"], column["overlap"]
        figures[name] = {
            "photos": len(pck),
            "pck": float(np.mean(pck)),
            "pck_own_joints": float(np.mean(column["pck_own_joints"])),
            "detector_pck": float(np.mean(theirs)),
        }
        if overlaps:
            figures[name] |= {"mask_iou": float(np.median(overlaps)), "whole_people": len(overlaps)}
        figures[name] |= {
            "score_spearman": _spearman(scores, pck),
            "score_auc": _auc(scores, [rate >= GOOD_PCK for rate in pck]),
        }
    return figures


def limbs_seen(fitter: Fitter, state: BodyState, joints: str) -> Tensor:
    """Limb joints (12, 3) of a body where those who see a joint set see them, camera space, float32."""
    order = [joint_index(name, joints) for name in LIMB_JOINTS]
    return fitter.landmarks(joints).positions(state)[0, order].float()


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
