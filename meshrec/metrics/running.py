"""Means over a whole data set, accumulated batch by batch and over all processes of a distributed run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class Measured(Protocol):
    """Measurements of a batch: :class:`meshrec.metrics.PointErrors` or :class:`meshrec.metrics.Overlap`."""

    def totals(self) -> Any:
        """The sums and counts of the batch on the CPU, in an object that adds with ``+`` and knows its means."""
        ...


@dataclass(frozen=True)
class PointMeans:
    """Means of K values, one for each joint or vertex, over the poses in which it counts.

    Attributes:
        total: (K,) float64 sums.
        count: (K,) float64 number of values in each sum.

    Example:
        >>> import torch
        >>> from meshrec.metrics import PointMeans
        >>> means = PointMeans(torch.tensor([30.0, 90.0]), torch.tensor([1.0, 2.0]))
        >>> means.mean, means.per_point.tolist()
        (40.0, [30.0, 45.0])
    """

    total: Tensor
    count: Tensor

    def __add__(self, other: "PointMeans") -> "PointMeans":
        return PointMeans(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> float:
        """The mean of all values that count, all with the same weight; NaN if there are none."""
        return float(self.total.sum() / self.count.sum())

    @property
    def per_point(self) -> Tensor:
        """The mean (K,) of each point; NaN for a point that never counted."""
        return self.total / self.count

    def grouped(self, groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """The mean over each group of points, given by their indices, as :func:`meshrec.metrics.joint_parts` does."""
        return {name: PointMeans(self.total[list(i)], self.count[list(i)]).mean for name, i in groups.items()}


class RunningMeans:
    """Metrics by name, accumulated over batches.

    Sums and counts are kept, so that neither the sizes of batches nor the distribution of samples over processes
    matters. Samples that a distributed sampler repeats, so that all processes get equally many, count twice.

    Example:
        >>> import torch
        >>> from meshrec.metrics import RunningMeans, mesh_errors
        >>> running = RunningMeans()
        >>> for error in (0.001, 0.003):
        ...     running.update(mesh_errors(torch.tensor([[[error, 0.0, 0.0]]]), torch.zeros(1, 1, 3)))
        >>> round(running.compute()["mpve"].mean, 3)
        2.0
    """

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}

    def update(self, measured: Mapping[str, Measured]) -> None:
        """Add a batch, e.g. the result of :func:`meshrec.metrics.pose_errors`."""
        self._sums = _added([self._sums, {name: values.totals() for name, values in measured.items()}])

    def compute(self) -> dict[str, Any]:
        """The results by name: :class:`PointMeans`, or a pooled :class:`meshrec.metrics.Overlap`.

        Where ``torch.distributed`` runs, results are over all processes, and all of them must call this, even one
        without samples.
        """
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return dict(self._sums)
        everywhere: list = [None] * distributed.get_world_size()
        distributed.all_gather_object(everywhere, self._sums)
        return _added(everywhere)

    def reset(self) -> None:
        """Forget everything."""
        self._sums = {}


def _added(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            sums[name] = sums[name] + value if name in sums else value
    return sums
