"""Means over a whole data set: batch by batch, and over every process of a distributed run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class Measured(Protocol):
    """What a batch measured: :class:`meshrec.metrics.PointErrors`, or :class:`meshrec.metrics.Overlap`."""

    def totals(self) -> Any:
        """Its sums and counts on the CPU. They add up with ``+``, and tell the means of what they hold."""
        ...


@dataclass(frozen=True)
class PointMeans:
    """Means of K values, one for each joint or vertex, over the poses in which it counts.

    Attributes:
        total: (K,) float64 sums.
        count: (K,) float64, how many values each is the sum of.
    """

    total: Tensor
    count: Tensor

    def __add__(self, other: "PointMeans") -> "PointMeans":
        return PointMeans(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> float:
        """Over all points that count, each alike; NaN if there are none."""
        return float(self.total.sum() / self.count.sum())

    @property
    def per_point(self) -> Tensor:
        """(K,) the mean of each point; NaN for one that never counted."""
        return self.total / self.count

    def grouped(self, groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """The mean over each group of points, such as :func:`meshrec.metrics.joint_parts` gives."""
        return {name: PointMeans(self.total[list(of)], self.count[list(of)]).mean for name, of in groups.items()}


class RunningMeans:
    """Metrics by name, added up over batches.

    Sums and counts are kept, not means of means: neither the sizes of batches nor how samples are split over processes
    matter. A sampler that repeats samples to give every process as many makes them count twice.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}

    def update(self, measured: Mapping[str, Measured]) -> None:
        """Add a batch, e.g. the result of :func:`meshrec.metrics.pose_errors`."""
        self._sums = _added([self._sums, {name: values.totals() for name, values in measured.items()}])

    def compute(self) -> dict[str, Any]:
        """What was measured by name: :class:`PointMeans`, or a pooled :class:`meshrec.metrics.Overlap`.

        Where ``torch.distributed`` runs it is over all processes, and all must call this, also one that saw nothing.
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
