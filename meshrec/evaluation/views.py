"""Evaluation of several calibrated cameras: one body in all views, compared with the truth in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from meshrec.body.joints import convert_joints, joint_index, joint_set
from meshrec.data.sample import with_middles
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.detect.people import Detection, person_at
from meshrec.evaluation.progress import followed
from meshrec.fit.initial import Initial
from meshrec.fit.view_sequence import MultiViewSequenceFitter
from meshrec.fit.views import MultiViewFitter
from meshrec.geometry import Camera
from meshrec.metrics import acceleration_error, mpjpe, pa_mpjpe
from meshrec.reconstruct.observations import joined
from meshrec.reconstruct.reconstructor import Reconstructor

JOINTS = "lsp14"
LEAST_JOINTS = 10  # known ones of an instant that is scored


@dataclass(frozen=True)
class ViewsReport:
    """Errors of bodies that are fitted in several views, means over the sets of cameras and the instants.

    Attributes:
        cameras: Number of cameras.
        takes: Whether all instants of a take were fitted together; otherwise each alone.
        fits: Number of bodies.
        absolute: MPJPE in the world without any alignment, mm.
        root: MPJPE relative to the hips, mm.
        aligned: PA-MPJPE, mm.
        acceleration: Acceleration error in the world, mm/frame^2.
    """

    cameras: int
    takes: bool
    fits: int
    absolute: float
    root: float
    aligned: float
    acceleration: float


@dataclass(frozen=True, eq=False)
class _View:
    """What one camera shows of the labelled person at one instant.

    Attributes:
        camera: With extrinsics.
        person: The detection; None if the person is not found.
        initial: The regressor's estimate in camera space.
    """

    camera: Camera
    person: Detection | None
    initial: Initial | None


def evaluate_views(
    reconstructor: Reconstructor, samples: MultiviewSamples, counts: Sequence[int], progress: bool = False
) -> list[ViewsReport]:
    """Evaluate the fit by all sets of 2, 3 or more cameras: of each instant alone, and of whole takes.

    Args:
        reconstructor: Finds and fits the people.
        samples: Synchronised pictures of calibrated cameras that stand still.
        counts: Numbers of cameras.
        progress: Show a progress bar.

    Returns:
        For each number of cameras a report of instants and one of takes.
    """
    times = np.unique(samples.time)
    truth, views = [], []
    for time in followed(times.tolist()) if progress else times.tolist():
        rows = np.flatnonzero(samples.time == time)
        truth.append(true_joints(samples, int(rows[0])))
        views.append([_view(reconstructor, samples, int(row)) for row in rows])
    true = known_joints(np.stack(truth))
    reports = []
    for count in counts:
        for fit in (_instants, _takes):
            own = [
                _errors(fit(reconstructor, [[view[c] for c in chosen] for view in views], times), true)
                for chosen in combinations(range(len(views[0])), count)
            ]
            bodies = len(own) * int((true[..., 3] > 0).any(1).sum())
            reports.append(ViewsReport(count, fit is _takes, bodies, *np.nanmean(own, axis=0).tolist()))
    return reports


def _instants(reconstructor: Reconstructor, views: Sequence[Sequence[_View]], times: np.ndarray) -> np.ndarray:
    """Joints (T, 14, 3) of bodies that are fitted to each of T instants alone, in the world; NaN where nobody is."""
    assert reconstructor.fitter is not None
    fitter = MultiViewFitter(reconstructor.fitter)
    joints = []
    for seen in views:
        if all(view.person is None for view in seen):
            joints.append(np.full((len(joint_set(JOINTS)), 3), np.nan))
            continue
        fit = fitter([v.person for v in seen], [v.camera for v in seen], [v.initial for v in seen])
        joints.append(joints_of(reconstructor, fit.betas, fit.rotations[None], fit.translation[None])[0])
    return np.stack(joints)


def _takes(reconstructor: Reconstructor, views: Sequence[Sequence[_View]], times: np.ndarray) -> np.ndarray:
    """Joints (T, 14, 3) of one body that is fitted to all T instants, in the world."""
    assert reconstructor.fitter is not None
    fitter = MultiViewSequenceFitter(reconstructor.fitter)
    cameras = [view.camera for view in views[0]]
    people = [[seen[c].person for seen in views] for c in range(len(cameras))]
    initial = [_all_instants([seen[c].initial for seen in views]) for c in range(len(cameras))]
    fit = fitter(people, times, cameras, initial)
    return joints_of(reconstructor, fit.betas, fit.rotations, fit.translation)


def _all_instants(initials: Sequence[Initial | None]) -> Initial | None:
    """A regressor's estimates of all instants; where there is none, any other's, which is not read."""
    some = next((initial for initial in initials if initial is not None), None)
    return None if some is None else joined([initial or some for initial in initials])


def print_views(reports: Sequence[ViewsReport]) -> None:
    """Print a table of reports."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"one body in several views, {JOINTS}, mm", title_justify="left")
    for column in ("cameras", "fit of", "bodies", "absolute MPJPE", "MPJPE", "PA-MPJPE", "acceleration, mm/frame²"):
        table.add_column(column, justify="right")
    for report in reports:
        values = (report.absolute, report.root, report.aligned, report.acceleration)
        kind = "takes" if report.takes else "instants"
        table.add_row(str(report.cameras), kind, str(report.fits), *(f"{value:.1f}" for value in values))
    Console().print(table)


def known_joints(truth: np.ndarray) -> np.ndarray:
    """True joints (T, 14, 4), with confidence 0 in instants of which too few are known to be scored."""
    scored = (truth[..., 3] > 0).sum(1) >= LEAST_JOINTS
    return np.concatenate([truth[..., :3], truth[..., 3:] * scored[:, None, None]], -1)


def _view(reconstructor: Reconstructor, samples: MultiviewSamples, row: int) -> _View:
    camera, image, person = person_in_row(reconstructor, samples, row)
    initial = None
    if person is not None and reconstructor.regressor is not None:
        initial = reconstructor.regressor(image, [person], Camera(camera.focal, camera.center, camera.size))
    return _View(camera, person, initial)


def person_in_row(
    reconstructor: Reconstructor, samples: MultiviewSamples, row: int
) -> tuple[Camera, np.ndarray, Detection | None]:
    """The camera of one picture, with extrinsics, the picture, and the labelled person in it, if found."""
    sample = samples[row]
    image = sample.read_image()
    size = (image.shape[1], image.shape[0])
    matrix = samples.calibration[row]
    plain = Camera.from_matrix(matrix, size)
    camera = Camera(plain.focal, plain.center, size, samples.rotation[row], samples.translation[row])
    found = [person for person in reconstructor.detector(image, None) if person.score > 0]
    return camera, image, person_at(found, samples.boxes[row])


def true_joints(samples: MultiviewSamples, row: int) -> np.ndarray:
    """(14, 4) true joints in the world, metres, and confidence."""
    seen = samples.joints_3d[row].copy()
    seen[:, :3] = (seen[:, :3] - samples.translation[row]) @ samples.rotation[row]
    names = joint_set(JOINTS)
    return with_middles(convert_joints(seen, samples.joints, names)[0], names)


def joints_of(
    reconstructor: Reconstructor, betas: np.ndarray, rotations: np.ndarray, translation: np.ndarray
) -> np.ndarray:
    """(T, 14, 3) joints of one shape in T poses, metres."""
    body = reconstructor.body
    shape = torch.from_numpy(betas).expand(len(rotations), -1).to(body.v_template)
    turns, place = (torch.from_numpy(part).to(body.v_template) for part in (rotations, translation))
    with torch.no_grad():
        return body.joints_from(body(shape, turns[:, 1:], turns[:, 0], place).vertices, JOINTS).cpu().numpy()


def _errors(own: np.ndarray, truth: np.ndarray) -> list[float]:
    """Absolute, root-aligned, Procrustes-aligned and acceleration error of T bodies, mm.

    Args:
        own: (T, 14, 3) joints, metres; NaN where there is no body.
        truth: (T, 14, 4) true joints, and confidence.
    """
    found = ~np.isnan(own).any((1, 2)) & (truth[..., 3] > 0).any(1)
    ours, true = torch.from_numpy(own[found]).float(), torch.from_numpy(truth[found]).float()
    places, known = true[..., :3], true[..., 3]
    absolute = float((ours - places).norm(dim=-1)[known > 0].mean()) * 1000
    hips = known[:, [joint_index(f"{side}_hip", JOINTS) for side in ("left", "right")]].min(1).values > 0
    root = float(mpjpe(ours[hips], places[hips], known[hips], JOINTS))
    moving = float(acceleration_error(ours, places, known)) if len(ours) > 2 else float("nan")
    return [absolute, root, float(pa_mpjpe(ours, places, known)), moving]
