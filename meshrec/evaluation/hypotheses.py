"""Measures of methods that give several poses for the same person: the best of them, and whether their spread is right.

The best of N poses is chosen by the truth: it tells how good a method could be with something that chooses, and not how
good it is. The spread is right if as many true coordinates lie in an interval as the interval says.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from meshrec.evaluation.lifting import LiftingSet, joint_errors

QUANTILES_AT_ONCE = 200  # people


def best_of(
    poses: Tensor, people: LiftingSet, counts: Sequence[int], measure: str = "pa_mpjpe"
) -> dict[int, np.ndarray]:
    """The least error among the first N poses of each person.

    Args:
        poses: (B, M, K, 3) poses, metres.
        people: The B people.
        counts: Numbers N, at most M.
        measure: Name of the error, as in :data:`meshrec.evaluation.lifting.JOINT_MEASURES`.

    Returns:
        (B,) millimetres by N.
    """
    if max(counts) > poses.shape[1]:
        raise ValueError(f"there are {poses.shape[1]} poses of each person, not {max(counts)}")
    errors = np.stack([joint_errors(points, people)[measure] for points in poses[:, : max(counts)].unbind(1)], axis=1)
    return {count: errors[:, :count].min(1) for count in counts}


def coverage(poses: Tensor, true: Tensor, share: float) -> Tensor:
    """How often true coordinates lie in the central interval that holds a share of the drawn ones.

    Args:
        poses: (B, M, K, 3) poses drawn for each person.
        true: (B, K, 4) true joints and confidence; joints of confidence 0 do not count.
        share: Share of the distribution that the interval holds, in (0, 1).

    Returns:
        (K,) shares of the B people's coordinates; near ``share`` if the spread is right.

    Example:
        >>> import torch
        >>> from meshrec.evaluation.hypotheses import coverage
        >>> generator = torch.Generator().manual_seed(0)
        >>> poses = torch.randn(500, 200, 2, 3, generator=generator)
        >>> true = torch.cat([torch.randn(500, 2, 3, generator=generator), torch.ones(500, 2, 1)], dim=-1)
        >>> [round(value, 1) for value in coverage(poses, true, 0.9).tolist()]
        [0.9, 0.9]
    """
    limits = torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=poses.dtype)
    inside = []
    for some, points in zip(poses.split(QUANTILES_AT_ONCE), true[..., :3].split(QUANTILES_AT_ONCE)):
        low, high = torch.quantile(some, limits, dim=1)
        inside.append(((low <= points) & (points <= high)).double().mean(-1))
    counts = (true[..., 3] > 0).double()
    return (torch.cat(inside) * counts).sum(0) / counts.sum(0)
