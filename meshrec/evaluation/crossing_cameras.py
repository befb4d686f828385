"""Two rendered people who cross in front of several cameras: instants alone, and cameras that are not calibrated.

The scene is that of :mod:`meshrec.evaluation.crossing`, which evaluates whole clips of calibrated cameras.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch

from meshrec.files.clips import open_clip
from meshrec.geometry import Camera, procrustes
from meshrec.geometry.rotations import rotation_angle
from meshrec.metrics import pa_mpjpe
from meshrec.reconstruct.cameras import LEVEL
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.uncalibrated_clips import reconstruct_uncalibrated_clips
from meshrec.synthetic.crossing import Crossing, CrossingSettings, crossing

SAME = 0.4  # mean distance of joints up to which a body is a person's, metres


@dataclass(frozen=True)
class InstantsReport:
    """How well the two people are found in instants alone.

    Attributes:
        views: Number of cameras.
        instants: Number of instants.
        found: Share of the people who have a body within :data:`SAME` of theirs.
        others: Number of bodies that are nobody's.
        absolute: Mean error of their ``smpl24`` joints in the world without any alignment, mm.
        aligned: The same after Procrustes alignment, mm.
        seconds: Processor time of an instant, seconds.
    """

    views: int
    instants: int
    found: float
    others: int
    absolute: float
    aligned: float
    seconds: float


def evaluate_instants(
    reconstructor: Reconstructor,
    counts: Sequence[int],
    settings: CrossingSettings = CrossingSettings(),
    every: int = 4,
) -> list[InstantsReport]:
    """Reconstruct every so many instants of the scene, each by itself, and compare.

    Args:
        reconstructor: Finds and fits the people.
        counts: Numbers of cameras.
        settings: What the cameras film.
        every: One of so many instants is used.

    Returns:
        A report for each number of cameras.
    """
    reports = []
    for count in counts:
        scene = crossing(replace(settings, views=count))
        level, truth = LEVEL[scene.calibration.up or "-y"], scene.joints()
        numbers = range(0, settings.frames, every)
        spent, others, pairs = 0.0, 0, []
        for number in numbers:
            images = {name: scene.image(name, number) for name in scene.calibration.cameras}
            begin = time.process_time()
            people = reconstructor.cameras(images, scene.calibration)
            spent += time.process_time() - begin
            joints = np.stack([person.joints() @ level for person in people]) if people else np.zeros((0, 24, 3))
            apart = np.linalg.norm(joints[:, None] - truth[None, :, number], axis=-1).mean(-1)
            others += int((apart > SAME).all(1).sum())
            for person in range(len(truth)):
                if len(apart) and apart[:, person].min() < SAME:
                    pairs.append((joints[apart[:, person].argmin()], truth[person, number]))
        if not pairs:
            nothing = (0.0, others, np.nan, np.nan)
            reports.append(InstantsReport(count, len(numbers), *nothing, spent / len(numbers)))
            continue
        own, true = (np.stack(part).astype(np.float32) for part in zip(*pairs))
        absolute = 1000 * float(np.linalg.norm(own - true, axis=-1).mean())
        aligned = float(pa_mpjpe(torch.from_numpy(own), torch.from_numpy(true)))
        share = len(pairs) / (len(truth) * len(numbers))
        reports.append(InstantsReport(count, len(numbers), share, others, absolute, aligned, spent / len(numbers)))
    return reports


@dataclass(frozen=True)
class FoundReport:
    """How well cameras are found from the clips of the two people.

    Attributes:
        views: Number of cameras.
        tracks: Number of people found; two are there.
        turn: Mean error of the rotations relative to the first camera, degrees.
        turn_deviation: Mean of the standard deviations that are reported for it, degrees.
        focal: Error of the focal length, as a share of the true one.
        focal_deviation: Standard deviation that is reported for it, as a share.
        similar: Mean error of the ``smpl24`` joints of both people after one similarity of everything, mm.
        seconds: Processor time of an instant, seconds.
    """

    views: int
    tracks: int
    turn: float
    turn_deviation: float
    focal: float
    focal_deviation: float
    similar: float
    seconds: float


def evaluate_found_cameras(
    reconstructor: Reconstructor, counts: Sequence[int], settings: CrossingSettings = CrossingSettings()
) -> list[FoundReport]:
    """Find the cameras and the people from clips alone, and compare.

    Focal lengths begin at 55 degrees of view, and are found with the rest.

    Args:
        reconstructor: Finds and fits the people.
        counts: Numbers of cameras, two or more.
        settings: What the cameras film.

    Returns:
        A report for each number of cameras.
    """
    reports = []
    for count in counts:
        scene = crossing(replace(settings, views=count))
        names = list(scene.calibration.cameras)
        clips = {name: open_clip(list(scene.images(name)), fps=settings.frame_rate) for name in names}
        begin = time.process_time()
        tracks, found = reconstruct_uncalibrated_clips(reconstructor, clips)
        spent = (time.process_time() - begin) / settings.frames
        own, true = (
            [calibration.cameras[name].camera for name in names]
            for calibration in (found.calibration, scene.calibration)
        )
        focal = float(np.mean(own[0].focal)) / float(np.mean(true[0].focal)) - 1
        deviation = float(np.degrees(found.deviations.turn[1:].mean()))
        similar = _similar([(track.frames, track.joints()) for track in tracks], scene)
        reports.append(
            FoundReport(
                views=count,
                tracks=len(tracks),
                turn=turn_errors(own, true),
                turn_deviation=deviation,
                focal=focal,
                focal_deviation=float(found.deviations.focal[0]),
                similar=similar,
                seconds=spent,
            )
        )
    return reports


def turn_errors(found: Sequence[Camera], cameras: Sequence[Camera]) -> float:
    """Mean error of the rotations of V cameras relative to the first, degrees; they may be of different worlds."""
    first, second = ([torch.as_tensor(c.rotation, dtype=torch.float64) for c in own] for own in (found, cameras))
    angles = [float(rotation_angle(a @ first[0].T, b @ second[0].T)) for a, b in zip(first[1:], second[1:])]
    return float(np.degrees(np.mean(angles)))


def _similar(tracks: Sequence[tuple[np.ndarray, np.ndarray]], scene: Crossing) -> float:
    """Mean error of joints (T, 24, 3) of two tracks in some frames after one similarity, mm; NaN of fewer tracks."""
    truth = scene.joints()
    errors = [np.nan]
    for order in permutations(range(len(tracks)), len(truth)):
        chosen = [tracks[i] for i in order]
        own = torch.from_numpy(np.concatenate([joints.reshape(-1, 3) for _, joints in chosen])).double()
        true = [truth[person, frames].reshape(-1, 3) for person, (frames, _) in enumerate(chosen)]
        target = torch.from_numpy(np.concatenate(true)).double()
        errors.append(1000 * float((procrustes(own, target).apply(own) - target).norm(dim=-1).mean()))
    return float(np.nanmin(errors)) if len(errors) > 1 else np.nan
