"""Evaluation of several calibrated cameras: one body in all views, compared with the truth in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from meshrec.body.joints import convert_joints, joint_set
from meshrec.data.sample import with_middles
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.detect.people import Detection, person_at
from meshrec.fit.initial import Initial
from meshrec.fit.views import MultiViewFitter
from meshrec.geometry import Camera
from meshrec.metrics import mpjpe, pa_mpjpe
from meshrec.reconstruct.reconstructor import Reconstructor

JOINTS = "lsp14"
LEAST_JOINTS = 10  # known ones of an instant that is scored


@dataclass(frozen=True)
class ViewsReport:
    """Errors of bodies that are fitted in several views, means over the instants and the sets of cameras.

    Attributes:
        cameras: Number of cameras.
        fits: Number of bodies.
        absolute: MPJPE in the world without any alignment, mm.
        root: MPJPE relative to the hips, mm.
        aligned: PA-MPJPE, mm.
    """

    cameras: int
    fits: int
    absolute: float
    root: float
    aligned: float


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
    """Evaluate the fit of single instants by all sets of 2, 3 or more of the cameras.

    Args:
        reconstructor: Finds and fits the people.
        samples: Pictures of calibrated cameras.
        counts: Numbers of cameras.
        progress: Show a progress bar.

    Returns:
        A report for each number of cameras.
    """
    assert reconstructor.fitter is not None
    fitter = MultiViewFitter(reconstructor.fitter)
    errors: dict[int, list[list[float]]] = {count: [] for count in counts}
    times = sorted(set(samples.time.tolist()))
    for time in _followed(times) if progress else times:
        rows = np.flatnonzero(samples.time == time)
        truth = _truth(samples, int(rows[0]))
        if int((truth[:, 3] > 0).sum()) < LEAST_JOINTS:
            continue
        views = [_view(reconstructor, samples, int(row)) for row in rows]
        for count in counts:
            for chosen in combinations(views, count):
                if all(view.person is None for view in chosen):
                    continue
                fit = fitter([v.person for v in chosen], [v.camera for v in chosen], [v.initial for v in chosen])
                errors[count].append(_errors(reconstructor, fit, truth))
    return [ViewsReport(count, len(of), *np.nanmean(of, axis=0).tolist()) for count, of in errors.items()]


def print_views(reports: Sequence[ViewsReport]) -> None:
    """Print a table of reports."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"one body in several views, {JOINTS}, mm", title_justify="left")
    for column in ("cameras", "fits", "absolute MPJPE", "MPJPE", "PA-MPJPE"):
        table.add_column(column, justify="right")
    for report in reports:
        values = (report.absolute, report.root, report.aligned)
        table.add_row(str(report.cameras), str(report.fits), *(f"{value:.1f}" for value in values))
    Console().print(table)


def _view(reconstructor: Reconstructor, samples: MultiviewSamples, row: int) -> _View:
    sample = samples[row]
    image = sample.read_image()
    size = (image.shape[1], image.shape[0])
    matrix = samples.calibration[row]
    plain = Camera.from_matrix(matrix, size)
    camera = Camera(plain.focal, plain.center, size, samples.rotation[row], samples.translation[row])
    found = [person for person in reconstructor.detector(image, None) if person.score > 0]
    person = person_at(found, samples.boxes[row])
    initial = None
    if person is not None and reconstructor.regressor is not None:
        initial = reconstructor.regressor(image, [person], plain)
    return _View(camera, person, initial)


def _truth(samples: MultiviewSamples, row: int) -> np.ndarray:
    """(14, 4) true joints in the world, metres, and confidence."""
    seen = samples.joints_3d[row].copy()
    seen[:, :3] = (seen[:, :3] - samples.translation[row]) @ samples.rotation[row]
    names = joint_set(JOINTS)
    return with_middles(convert_joints(seen, samples.joints, names)[0], names)


def _errors(reconstructor: Reconstructor, fit: object, truth: np.ndarray) -> list[float]:
    """Absolute, root-aligned and Procrustes-aligned error of one body, mm."""
    body = reconstructor.body
    parts = [torch.from_numpy(getattr(fit, name))[None] for name in ("betas", "rotations", "translation")]
    betas, rotations, translation = (part.to(body.v_template) for part in parts)
    with torch.no_grad():
        vertices = body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices
        own = body.joints_from(vertices, JOINTS)[0].cpu()
    true, known = torch.from_numpy(truth[:, :3]).float(), torch.from_numpy(truth[:, 3]).float()
    absolute = float((own - true).norm(dim=-1)[known > 0].mean()) * 1000
    return [absolute, float(mpjpe(own, true, known, JOINTS)), float(pa_mpjpe(own, true, known))]


def _followed(times: Sequence[float]) -> Sequence[float]:
    from rich.console import Console
    from rich.progress import track

    return track(times, "evaluating", console=Console(stderr=True), transient=True)  # type: ignore[return-value]
