"""How well two rendered people are followed who cross in front of several cameras, by the real detector.

Every pixel is drawn (:mod:`meshrec.synthetic.crossing`), so that the truth is known: who is who, and where each joint
is in the world.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meshrec.files.clips import open_clip
from meshrec.metrics import pa_mpjpe
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track
from meshrec.synthetic.crossing import Crossing, CrossingSettings, crossing


@dataclass(frozen=True)
class CrossingReport:
    """How well the two people are followed.

    Attributes:
        views: Number of cameras.
        instants: Number of instants.
        tracks: Number of people found; two are there.
        followed: Share of the instants of both people in which their track has a body.
        exchanged: Number of instants in which a body is nearer to the other person than to its own.
        absolute: Mean error of the ``smpl24`` joints in the world without any alignment, mm; the mean of both people.
        aligned: The same after Procrustes alignment, mm.
        seconds: Processor time of the reconstruction, seconds an instant.
    """

    views: int
    instants: int
    tracks: int
    followed: float
    exchanged: int
    absolute: float
    aligned: float
    seconds: float


def evaluate_crossings(
    reconstructor: Reconstructor, counts: Sequence[int], settings: CrossingSettings = CrossingSettings()
) -> list[CrossingReport]:
    """Film the people by several numbers of cameras, reconstruct them, and compare.

    Args:
        reconstructor: Finds and fits the people.
        counts: Numbers of cameras.
        settings: What the cameras film.

    Returns:
        A report for each number of cameras.
    """
    reports = []
    for count in counts:
        scene = crossing(replace(settings, views=count))
        clips = {
            name: open_clip(list(scene.images(name)), fps=settings.frame_rate) for name in scene.calibration.cameras
        }
        begin = time.process_time()
        tracks = reconstructor.clip(clips, scene.calibration)
        spent = (time.process_time() - begin) / settings.frames
        reports.append(compared(tracks, scene, spent))
    return reports


def compared(tracks: Sequence[Track], scene: Crossing, seconds: float = 0.0) -> CrossingReport:
    """Compare tracks with the two people of a scene; each person's track is the one that is nearest on the whole.

    Args:
        tracks: The tracks, whose frames are those of the scene.
        scene: The scene.
        seconds: Processor time of an instant.
    """
    import torch

    truth = scene.joints()
    people, count = truth.shape[:2]
    own = np.full((len(tracks), count, *truth.shape[2:]), np.nan, np.float32)
    for i, track in enumerate(tracks):
        own[i, track.frames] = track.joints()
    apart = np.linalg.norm(own[:, None] - truth[None], axis=-1).mean(-1)  # (tracks, people, instants)
    errors, aligned, there, exchanged = [], [], [], 0
    for person in range(people):
        known = np.isfinite(apart[:, person])
        # Where a track has no body it is as far off as anything that is not the person.
        cost = np.where(known, np.minimum(apart[:, person], 1.0), 1.0).mean(1)
        if not len(tracks):
            there.append(0.0)
            continue
        best = int(cost.argmin())
        index = np.flatnonzero(known[best])
        there.append(len(index) / count)
        exchanged += int((apart[best][:, index].argmin(0) != person).sum())
        errors.append(float(apart[best, person, index].mean()))
        pair = (torch.from_numpy(part[index]) for part in (own[best], truth[person]))
        aligned.append(float(pa_mpjpe(*pair)))
    absolute = 1000 * float(np.mean(errors)) if errors else float("nan")
    shape = (scene.settings.views, count, len(tracks), float(np.mean(there)), exchanged)
    return CrossingReport(*shape, absolute, float(np.mean(aligned)) if aligned else float("nan"), seconds)
