"""How well silhouettes and body parts cover the true ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from meshrec.metrics.points import Array


@dataclass(frozen=True)
class Overlap:
    """Pixels counted by what they are and what they were said to be, float64, all of one shape.

    Scores of nothing (no such pixel in the truth or the prediction) are NaN. Add two to pool their pixels.

    Attributes:
        hit: Inside both.
        extra: Inside the predicted alone.
        missed: Inside the true alone.
        empty: Inside neither.
    """

    hit: Tensor
    extra: Tensor
    missed: Tensor
    empty: Tensor

    @property
    def accuracy(self) -> Tensor:
        """Share of pixels that agree."""
        return (self.hit + self.empty) / (self.hit + self.extra + self.missed + self.empty)

    @property
    def precision(self) -> Tensor:
        return self.hit / (self.hit + self.extra)

    @property
    def recall(self) -> Tensor:
        return self.hit / (self.hit + self.missed)

    @property
    def f1(self) -> Tensor:
        """Harmonic mean of precision and recall."""
        return 2 * self.hit / (2 * self.hit + self.extra + self.missed)

    @property
    def iou(self) -> Tensor:
        """Intersection over union."""
        return self.hit / (self.hit + self.extra + self.missed)

    def totals(self) -> "Overlap":
        """Pixels pooled over the first axis, on the CPU."""
        return Overlap(*(getattr(self, field.name).sum(0).cpu() for field in fields(self)))

    @classmethod
    def cat(cls, parts: Sequence["Overlap"]) -> "Overlap":
        """Several one after the other, along the first axis."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def silhouette_overlap(
    predicted: Array, target: Array, confidence: Array | None = None, threshold: float = 0.5
) -> Overlap:
    """Compare silhouettes picture by picture.

    Args:
        predicted: (..., H, W) coverage in [0, 1], or bool.
        target: (..., H, W) likewise.
        confidence: (..., H, W), or broadcasting to it; pixels of confidence 0 count for nothing.
        threshold: Coverage from which a pixel is inside.

    Returns:
        Counts of shape (...).
    """
    predicted = torch.as_tensor(predicted)
    target = torch.as_tensor(target, device=predicted.device)
    if predicted.shape != target.shape:
        raise ValueError(f"silhouettes of shapes {tuple(predicted.shape)} and {tuple(target.shape)} do not compare")
    inside, truth = predicted >= threshold, target >= threshold
    counts = torch.ones_like(inside) if confidence is None else torch.as_tensor(confidence, device=inside.device) > 0
    cases = (inside & truth, inside & ~truth, ~inside & truth, ~inside & ~truth)
    return Overlap(*((case & counts).sum((-1, -2), dtype=torch.float64) for case in cases))


def part_overlap(predicted: Array, target: Array, parts: int, confidence: Array | None = None) -> Overlap:
    """Compare pictures of part labels, such as :func:`meshrec.render.part_map` draws, part by part.

    Args:
        predicted: (..., H, W) int labels; those outside 0 to ``parts`` - 1 (-1: background) belong to no part.
        target: (..., H, W) likewise.
        parts: How many parts there are.
        confidence: (..., H, W); pixels of confidence 0 count for nothing.

    Returns:
        Counts of shape (..., parts).
    """
    predicted = torch.as_tensor(predicted).long()
    target = torch.as_tensor(target, device=predicted.device).long()
    if predicted.shape != target.shape:
        raise ValueError(f"labels of shapes {tuple(predicted.shape)} and {tuple(target.shape)} do not compare")
    pictures, sides = predicted.shape[:-2], predicted.shape[-2:]
    # How often which label was said to be which, picture by picture; one more row and column for what is no part.
    size, count = parts + 1, math.prod(pictures)
    said, true = (torch.where((labels >= 0) & (labels < parts), labels, parts) for labels in (predicted, target))
    number = torch.arange(count, device=predicted.device).view(*pictures, 1, 1)
    pairs = (number * size + said) * size + true
    if confidence is not None:
        pairs = pairs[(torch.as_tensor(confidence, device=predicted.device) > 0).expand(*pictures, *sides)]
    table = torch.bincount(pairs.flatten(), minlength=count * size**2).double().view(*pictures, size, size)
    hit = table.diagonal(dim1=-2, dim2=-1)[..., :parts]
    extra, missed = table.sum(-1)[..., :parts] - hit, table.sum(-2)[..., :parts] - hit
    return Overlap(hit, extra, missed, table.sum((-1, -2))[..., None] - hit - extra - missed)
