"""Evaluation of cameras that are not calibrated: how well the people in them tell where they stand.

Bodies and cameras are adjusted together (:func:`meshrec.fit.uncalibrated.bundle_adjust`), from one instant or from
instants of a whole take, without any stature. A scene that is found so has no place, direction and size of its own.
Errors are given in two ways: with the first camera where it truly is and the scene scaled about it to its true size, so
that all else, also a wrong focal length, counts; and after the one similarity that brings all instants closest to the
truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.evaluation.progress import followed
from meshrec.evaluation.views import JOINTS, joints_of, known_joints, person_in_row, true_joints
from meshrec.fit.initial import Initial
from meshrec.fit.uncalibrated import bundle_adjust
from meshrec.geometry import Camera, procrustes
from meshrec.geometry.rotations import rotation_angle
from meshrec.metrics import pa_mpjpe
from meshrec.reconstruct.reconstructor import Reconstructor

INSTANTS = 12  # of a take


@dataclass(frozen=True)
class UncalibratedReport:
    """Errors of cameras that were found from one person, and of the person; means over sets of cameras and instants.

    Attributes:
        cameras: Number of cameras.
        instants: Number of instants from which cameras were found together.
        guessed: Whether focal lengths were guessed, and one factor found; otherwise they are the true ones.
        bodies: Number of bodies.
        turn: Error of the cameras' rotations relative to the first, degrees.
        focal: Error of focal lengths, shares of the true ones.
        first: MPJPE in the world with the first camera where it is, scaled about it to the true size, mm.
        similar: MPJPE after one similarity for all instants that were adjusted together, mm.
        aligned: PA-MPJPE, mm.
    """

    cameras: int
    instants: int
    guessed: bool
    bodies: int
    turn: float
    focal: float
    first: float
    similar: float
    aligned: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """The person in one picture: the camera with extrinsics, the detection, and estimates with both focal lengths."""

    camera: Camera
    person: Detection | None
    estimates: tuple[Initial | None, Initial | None]


def evaluate_uncalibrated(
    reconstructor: Reconstructor,
    samples: MultiviewSamples,
    counts: Sequence[int],
    progress: bool = False,
    instants: int = INSTANTS,
) -> list[UncalibratedReport]:
    """Evaluate cameras that are found from people, by all sets of so many of the data set's cameras.

    Args:
        reconstructor: Finds and fits the people.
        samples: Synchronised pictures of cameras that stand still. Of their calibration the true focal lengths are
            used, or nothing.
        counts: Numbers of cameras, 2 or more.
        progress: Show a progress bar.
        instants: Most instants of the take that are used, evenly spread.

    Returns:
        For each number of cameras reports with true and guessed focal lengths, of single instants and of a take.

    Raises:
        InputError: A number is less than 2, or there is no fit or no network.
    """
    if min(counts) < 2:
        raise InputError("cameras are found from two or more of them.")
    if reconstructor.fitter is None or reconstructor.regressor is None:
        raise InputError("cameras are found from a network's estimates and by the fit.")
    times = np.unique(samples.time)
    chosen = times[np.unique(np.linspace(0, len(times) - 1, min(instants, len(times))).round().astype(int))]
    views, truth = [], []
    for time in followed(chosen.tolist()) if progress else chosen.tolist():
        rows = np.flatnonzero(samples.time == time)
        truth.append(true_joints(samples, int(rows[0])))
        views.append([_seen(reconstructor, samples, int(row)) for row in rows])
    true = torch.from_numpy(known_joints(np.stack(truth))).double()
    reports = []
    for count in counts:
        for guessed in (False, True):
            for parts in ([[t] for t in range(len(chosen))], [list(range(len(chosen)))]):
                found = []
                for some in combinations(range(len(views[0])), count):
                    for part in parts:
                        own = [[views[t][v] for t in part] for v in some]
                        found += _errors(reconstructor, own, true[part], guessed)
                means = np.nanmean(found, axis=0).tolist() if found else [np.nan] * 5
                bodies = int(sum(len(part) for part in parts)) * len(list(combinations(views[0], count)))
                reports.append(UncalibratedReport(count, len(parts[0]), guessed, bodies, *means))
    return reports


def print_uncalibrated(reports: Sequence[UncalibratedReport]) -> None:
    """Print a table of reports."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"cameras found from one person, {JOINTS}, mm", title_justify="left")
    columns = ("cameras", "focal", "instants", "bodies", "turn, deg", "focal, %")
    for column in (*columns, "first camera", "similarity", "PA-MPJPE"):
        table.add_column(column, justify="right")
    for report in reports:
        values = (report.turn, 100 * report.focal, report.first, report.similar, report.aligned)
        kind = "guessed" if report.guessed else "true"
        cells = (str(report.cameras), kind, str(report.instants), str(report.bodies))
        table.add_row(*cells, *(f"{value:.1f}" for value in values))
    Console().print(table)


def _seen(reconstructor: Reconstructor, samples: MultiviewSamples, row: int) -> _Seen:
    camera, image, person = person_in_row(reconstructor, samples, row)
    plain = Camera(camera.focal, camera.center, camera.size)
    if person is None:
        return _Seen(camera, None, (None, None))
    assert reconstructor.regressor is not None
    true, guess = (reconstructor.regressor(image, [person], c) for c in (plain, Camera.from_fov(camera.size)))
    return _Seen(camera, person, (true, guess))


def _errors(
    reconstructor: Reconstructor, seen: Sequence[Sequence[_Seen]], truth: Tensor, guessed: bool
) -> list[list[float]]:
    """Errors as in a report, for the views (V) of some instants (T) together; none if cameras cannot be found.

    Args:
        reconstructor: Fits the person.
        seen: What V cameras see in T instants.
        truth: (T, 14, 4) true joints in the world, and confidence.
        guessed: Whether focal lengths are guessed.
    """
    assert reconstructor.fitter is not None
    some = next((s.estimates[guessed] for view in seen for s in view if s.person is not None), None)
    people = [[s.person for s in view] for view in seen]
    use = [t for t in range(len(truth)) if sum(view[t] is not None for view in people) > 1 and truth[t, :, 3].any()]
    if some is None or not use:
        return []
    true_cameras = [view[0].camera for view in seen]
    cameras = [Camera.from_fov(c.size) if guessed else Camera(c.focal, c.center, c.size) for c in true_cameras]
    estimates = [_together([(view[t].estimates[guessed] or some).state for t in use]) for view in seen]
    try:
        found = bundle_adjust(
            reconstructor.fitter,
            [[view[t] for t in use] for view in people],
            cameras,
            estimates,
            guessed=[guessed] * len(cameras),
        )
    except InputError:
        return []
    state = found.state
    arrays = (part.float().numpy() for part in (state.betas[0], state.rotations, state.translation))
    joints = torch.from_numpy(joints_of(reconstructor, *arrays)).double()
    return [scores_of(found.cameras, joints, true_cameras, truth[use])]


def scores_of(found: Sequence[Camera], joints: Tensor, cameras: Sequence[Camera], truth: Tensor) -> list[float]:
    """Errors of cameras and joints that were found together, in the order of :class:`UncalibratedReport`.

    Args:
        found: V cameras with extrinsics from the first one's space.
        joints: (T, 14, 3) joints in that space, metres.
        cameras: The true cameras.
        truth: (T, 14, 4) true joints in the true world, and confidence.

    Returns:
        Means of the rotations' errors, degrees, and of the focal lengths', shares; errors of the joints with the first
        camera and the size true, after one similarity, and after one for each instant, mm.
    """
    base = torch.as_tensor(cameras[0].rotation, dtype=torch.float64)
    turns = []
    for one, camera in zip(found[1:], cameras[1:]):
        relative = torch.as_tensor(camera.rotation, dtype=torch.float64) @ base.T
        turns.append(float(rotation_angle(torch.as_tensor(one.rotation, dtype=torch.float64), relative)))
    focal = [abs(float(np.mean(one.focal)) / float(np.mean(c.focal)) - 1) for one, c in zip(found, cameras)]
    places, known = cameras[0].world_to_camera(truth[..., :3]), truth[..., 3] > 0
    ours, true = joints[known], places[known]
    scale = (ours * true).sum() / ours.square().sum()
    first = (scale * ours - true).norm(dim=-1).mean()
    similar = (procrustes(ours, true).apply(ours) - true).norm(dim=-1).mean()
    aligned = pa_mpjpe(joints.float(), places.float(), truth[..., 3].float())
    errors = (1000 * float(first), 1000 * float(similar), float(aligned))
    return [float(np.degrees(np.mean(turns))), float(np.mean(focal)), *errors]


def _together(states: Sequence[BodyState]) -> BodyState:
    return BodyState(*(torch.cat([getattr(s, n) for s in states]) for n in ("rotations", "translation", "betas")))
