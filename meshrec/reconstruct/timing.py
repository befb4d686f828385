"""Motions at other instants: what has frames at uneven times, as phones film, at a constant rate."""

from __future__ import annotations

import numpy as np
import torch

from meshrec.geometry.tangent import turned, turns_between

ROUNDED = 0.1  # of a frame, by which times may miss those of a constant rate


def is_constant(times: np.ndarray, rate: float) -> bool:
    """Whether frames come at a constant rate, but for what is rounded in their times.

    Args:
        times: (T,) seconds, rising.
        rate: Frames per second.

    Example:
        >>> import numpy as np
        >>> from meshrec.reconstruct.timing import is_constant
        >>> is_constant(np.array([0, 0.033, 0.067, 0.1]), 30), is_constant(np.array([0, 0.033, 0.1]), 30)
        (True, False)
    """
    return bool(np.abs((times - times[0]) * rate - np.arange(len(times))).max() < ROUNDED)


def even_times(times: np.ndarray, rate: float) -> np.ndarray:
    """The instants of a constant rate from the first of some times to the last.

    Args:
        times: (T,) seconds, rising.
        rate: Instants per second.

    Returns:
        (N,) seconds; the last is at most one instant before the last of the times.

    Example:
        >>> import numpy as np
        >>> from meshrec.reconstruct.timing import even_times
        >>> even_times(np.array([1.0, 1.1, 1.7]), 4).tolist()
        [1.0, 1.25, 1.5]
    """
    count = int(np.floor((times[-1] - times[0]) * rate + ROUNDED)) + 1
    return times[0] + np.arange(count) / rate


def values_at(values: np.ndarray, times: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Interpolate values linearly; before the first time and after the last they stay.

    Args:
        values: (T, ...).
        times: (T,) seconds, rising.
        instants: (N,) seconds.

    Returns:
        (N, ...) of the values' type.
    """
    before, after, share = _between(times, instants)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return (values[before] + share * (values[after] - values[before])).astype(values.dtype)


def rotations_at(rotations: np.ndarray, times: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Interpolate rotations along the shortest way, at a constant speed between two times (slerp; Shoemake 1985).

    Args:
        rotations: (T, ..., 3, 3).
        times: (T,) seconds, rising.
        instants: (N,) seconds.

    Returns:
        (N, ..., 3, 3) of the rotations' type.

    Example:
        >>> import numpy as np
        >>> from meshrec.reconstruct.timing import rotations_at
        >>> turns = np.array([np.eye(3), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]])  # by 90 degrees about z
        >>> half = rotations_at(turns, np.array([0.0, 1.0]), np.array([0.5]))[0]
        >>> round(float(np.degrees(np.arctan2(half[1, 0], half[0, 0]))), 6)
        45.0
    """
    before, after, share = _between(times, instants)
    start, end = (torch.from_numpy(np.asarray(rotations[index], np.float64)) for index in (before, after))
    steps = torch.from_numpy(share.reshape(-1, *[1] * (rotations.ndim - 2))) * turns_between(start, end)
    return turned(start, steps).numpy().astype(rotations.dtype)


def _between(times: np.ndarray, instants: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each instant the time before it, the time after it, and the share of the way from one to the other."""
    after = np.searchsorted(times, instants).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    span = np.where(after > before, times[after] - times[before], 1.0)
    return before, after, ((instants - times[before]) / span).clip(0, 1)
