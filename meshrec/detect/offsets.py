"""By how much the clocks of unsynchronised cameras differ, found from the motion of the people they see.

How fast a body's points move up and down looks alike from all sides to cameras that stand upright, so the speeds are
correlated over a shift in time. With the cameras' calibration the shift is refined: it is the one at which rays of the
same points meet best. Both vary smoothly with the shift, and a parabola gives it to a fraction of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from meshrec.detect.matching import person_size
from meshrec.geometry.cameras import Camera
from meshrec.geometry.rays import epipolar_distance, fundamental_matrix


@dataclass(frozen=True)
class OffsetSettings:
    """How offsets are looked for.

    Attributes:
        most: Greatest offset between two cameras, seconds.
        step: Step of the common times, seconds.
        smooth: Standard deviation of the Gaussian by which keypoints are smoothed, seconds.
        least_overlap: Least time that two cameras have to share, seconds.
        least_confidence: Keypoints of lower confidence do not count.
        good: Correlation from which an offset may be sure; noise of keypoints lowers it.
        near: Range around the correlation's offset in which the rays decide, seconds.
        most_miss: Distance from the epipolar line, as a share of the person's size, from which it counts no more.
        longest_gap: Longest time over which a keypoint is interpolated, seconds.
    """

    most: float = 3.0
    step: float = 0.02
    smooth: float = 0.06
    least_overlap: float = 1.5
    least_confidence: float = 0.3
    good: float = 0.25
    near: float = 0.25
    most_miss: float = 0.1
    longest_gap: float = 0.3


@dataclass(frozen=True, eq=False)
class CameraTracks:
    """What one camera saw of people over time.

    Attributes:
        times: (T,) seconds of the camera's own clock, rising.
        keypoints: (P, T, K, 3) x, y in pixels and confidence of P people, all cameras' in one joint set; a confidence
            of 0 where somebody is not seen. People may be in any order in each camera.
        joints: Names of the K keypoints.
    """

    times: np.ndarray
    keypoints: np.ndarray
    joints: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Offsets:
    """Offsets of cameras' clocks.

    Attributes:
        seconds: (C,) what to add to a camera's times to get those of the first camera.
        confidence: (C,) in [0, 1], that of the first camera is 1; below 0.3 an offset is a guess, and 0 if nothing ties
            a camera to the others.
    """

    seconds: np.ndarray
    confidence: np.ndarray


def find_offsets(
    tracks: Sequence[CameraTracks], cameras: Sequence[Camera] | None = None, settings: OffsetSettings = OffsetSettings()
) -> Offsets:
    """Find the offsets of the cameras' clocks from that of the first camera.

    Args:
        tracks: What each camera saw.
        cameras: Their calibration, if it is known; pixels are then without lens distortion.
        settings: How offsets are looked for.

    Returns:
        The offsets, in which all pairs of cameras agree best.

    Raises:
        ValueError: There is no camera, or the numbers of cameras differ.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect.offsets import CameraTracks, find_offsets
        >>> def seen(times, late):  # somebody who jumps, faster and faster
        ...     height = 100 * np.sin((times + late) ** 2)
        ...     points = np.stack([np.full_like(times, 300), 200 + height, np.ones_like(times)], -1)
        ...     return CameraTracks(times, np.stack([points, points + [0, 200, 0]], 1)[None], ("nose", "left_ankle"))
        >>> times = np.arange(0, 6, 0.04)
        >>> find_offsets([seen(times, 0.0), seen(times, 0.73)]).seconds.round(2).tolist()
        [0.0, 0.73]
    """
    if not tracks or (cameras is not None and len(cameras) != len(tracks)):
        raise ValueError(f"there are tracks of {len(tracks)} cameras, but {len(cameras or ())} cameras")
    signals = [_resampled(one, settings) for one in tracks]
    found: list[tuple[int, int, float, float]] = []
    for i, j in combinations(range(len(tracks)), 2):
        offset, sure = _correlated(signals[i], signals[j], settings)
        if sure > 0 and cameras is not None:
            offset = _meeting(signals[i], signals[j], (cameras[i], cameras[j]), offset, settings)
        if sure > 0:
            found.append((i, j, offset, sure))
    return _agreed(len(tracks), found)


@dataclass(frozen=True, eq=False)
class _Signal:
    """One camera on common steps: index of the first step, points (P, N, K, 2) in pixels with NaN where unknown, speeds
    upwards (P, N, K) in sizes per second, and sizes (P,) in pixels."""

    first: int
    points: np.ndarray
    speeds: np.ndarray
    sizes: np.ndarray


def _resampled(tracks: CameraTracks, settings: OffsetSettings) -> _Signal:
    """Points and speeds of one camera on multiples of the step."""
    times = np.asarray(tracks.times, np.float64)
    first, last = int(np.ceil(times[0] / settings.step)), int(np.floor(times[-1] / settings.step))
    steps = np.arange(first, last + 1) * settings.step
    people, _, count = tracks.keypoints.shape[:3]
    points = np.full((people, len(steps), count, 2), np.nan)
    sizes = np.ones(people)
    for p, keypoints in enumerate(tracks.keypoints):
        seen = keypoints[..., 2] >= settings.least_confidence
        sizes[p] = np.median([person_size(k, tracks.joints) for k in keypoints[seen.any(1)]] or [1.0])
        for k in range(count):
            own = times[seen[:, k]]
            if len(own) < 4:
                continue
            after = np.clip(np.searchsorted(own, steps), 1, len(own) - 1)
            known = (own[after] - own[after - 1] <= settings.longest_gap) & (steps >= own[0]) & (steps <= own[-1])
            for axis in (0, 1):
                values = np.interp(steps, own, keypoints[seen[:, k], k, axis])
                points[p, known, k, axis] = values[known]
    smooth = _smoothed(points, settings.smooth / settings.step)
    speeds = -np.gradient(smooth[..., 1], settings.step, axis=1) if len(steps) > 1 else np.zeros(points.shape[:3])
    return _Signal(first, smooth, speeds / sizes[:, None, None], sizes)


def _smoothed(values: np.ndarray, deviation: float) -> np.ndarray:
    """Values (P, N, ...) after a Gaussian along N, in steps; NaN stays NaN and takes no part."""
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(values)
    total = gaussian_filter1d(np.where(known, values, 0), deviation, axis=1, mode="constant")
    weight = gaussian_filter1d(known.astype(np.float64), deviation, axis=1, mode="constant")
    return np.where(known, total / np.maximum(weight, 1e-9), np.nan)


def _correlated(a: _Signal, b: _Signal, settings: OffsetSettings) -> tuple[float, float]:
    """What to add to the times of b, seconds, and how sure it is, in [0, 1].

    At each shift the people of both cameras are assigned to each other so that their speeds correlate best.
    """
    from scipy.optimize import linear_sum_assignment

    least = round(settings.least_overlap / settings.step)
    reach = round(settings.most / settings.step)
    shifts = np.arange(-reach, reach + 1)
    table = np.full((len(a.speeds), len(b.speeds), len(shifts)), np.nan)
    for p, q in np.ndindex(*table.shape[:2]):
        table[p, q] = _correlation(a.speeds[p], b.speeds[q], a.first - b.first, shifts, least)
    scores = np.full(len(shifts), np.nan)
    for n in range(len(shifts)):
        values = np.where(np.isnan(table[..., n]), -1.0, table[..., n])
        rows, columns = linear_sum_assignment(-values)
        chosen = table[rows, columns, n]
        if np.isfinite(chosen).any():
            scores[n] = np.nanmean(chosen)
    if not np.isfinite(scores).any():
        return 0.0, 0.0
    best = int(np.nanargmax(scores))
    far = np.abs(shifts - shifts[best]) * settings.step > settings.near
    second = np.nanmax(np.where(far, scores, np.nan), initial=0.0) if np.isfinite(scores[far]).any() else 0.0
    peak = float(scores[best])
    # Motion that repeats, and noise, correlate at other shifts nearly as well.
    distinct = 2 * (1 - max(second, 0.0) / max(peak, 1e-9))
    sure = float(np.clip(peak / settings.good, 0, 1) * np.clip(distinct, 0, 1))
    return float((shifts[best] + _vertex(-scores, best)) * settings.step), sure


def _correlation(a: np.ndarray, b: np.ndarray, ahead: int, shifts: np.ndarray, least: int) -> np.ndarray:
    """Correlation of speeds (N, K) and (M, K), the first of which starts ``ahead`` steps after the second, at shifts of
    the second; NaN where less than ``least`` steps are common."""
    result = np.full(len(shifts), np.nan)
    for n, shift in enumerate(shifts):
        start = shift - ahead  # of b in steps of a
        low, high = max(0, start), min(len(a), start + len(b))
        if high - low < least:
            continue
        x, y = a[low:high], b[low - start : high - start]
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < least * 0.5 * min(x.shape[1], 4):
            continue
        x, y = np.where(known, x, 0), np.where(known, y, 0)
        norm = np.sqrt((x * x).sum() * (y * y).sum())
        result[n] = (x * y).sum() / norm if norm > 0 else np.nan
    return result


def _meeting(a: _Signal, b: _Signal, cameras: tuple[Camera, Camera], offset: float, settings: OffsetSettings) -> float:
    """The offset near another at which points of both cameras lie best on each other's epipolar lines."""
    from scipy.optimize import linear_sum_assignment

    matrix = fundamental_matrix(*cameras)
    middle, reach = round(offset / settings.step), round(settings.near / settings.step)
    shifts = np.arange(middle - reach, middle + reach + 1)
    costs = np.full((len(a.points), len(b.points), len(shifts)), settings.most_miss)
    for p, q, n in np.ndindex(*costs.shape):
        start = b.first + shifts[n] - a.first
        low, high = max(0, start), min(a.points.shape[1], start + b.points.shape[1])
        if high <= low:
            continue
        in_a, in_b = epipolar_distance(matrix, a.points[p, low:high], b.points[q, low - start : high - start])
        miss = (in_a / a.sizes[p] + in_b / b.sizes[q]) / 2
        known = np.isfinite(miss)
        if known.sum() > settings.least_overlap / settings.step:
            costs[p, q, n] = np.sqrt(np.mean(np.minimum(miss[known], settings.most_miss) ** 2))
    rows, columns = linear_sum_assignment(costs.min(2))
    total = np.square(costs[rows, columns]).sum(0)
    best = int(total.argmin())
    return float((shifts[best] + _vertex(total, best)) * settings.step) if 0 < best < len(shifts) - 1 else offset


def _vertex(values: np.ndarray, best: int) -> float:
    """Where the parabola through a least value and its neighbours is least, in steps from it."""
    if not 0 < best < len(values) - 1 or not np.isfinite(values[best - 1 : best + 2]).all():
        return 0.0
    before, here, after = values[best - 1 : best + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend > 0 else 0.0


def _agreed(count: int, found: Sequence[tuple[int, int, float, float]]) -> Offsets:
    """Offsets (C,) that agree best with those of pairs (i, j, seconds, how sure): least absolute deviations by
    reweighted least squares. The confidence is that of the surest chain of pairs to the first camera that fits."""
    seconds = np.zeros(count)
    weights = np.array([sure**2 for *_, sure in found])
    given = np.array([offset for _, _, offset, _ in found])
    rows = np.zeros((len(found), count))
    for n, (i, j, *_) in enumerate(found):
        rows[n, [i, j]] = -1, 1
    off = np.zeros(len(found))
    for _ in range(20 if found else 0):
        scale = np.sqrt(weights / np.maximum(off, 0.01))[:, None]
        solved = np.linalg.lstsq(rows[:, 1:] * scale, given * scale[:, 0], rcond=None)[0]
        seconds = np.concatenate([[0.0], solved])
        off = np.abs(rows @ seconds - given)
    confidence = np.zeros(count)
    confidence[0] = 1.0
    for _ in range(count):
        for (i, j, _, sure), miss in zip(found, off):
            trust = sure if miss < 0.1 else 0.0
            confidence[j] = max(confidence[j], min(confidence[i], trust))
            confidence[i] = max(confidence[i], min(confidence[j], trust))
    return Offsets(seconds, confidence)
