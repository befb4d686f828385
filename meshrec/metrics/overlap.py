"""Overlap of predicted silhouettes and body parts with the true ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from meshrec.metrics.points import Array


@dataclass(frozen=True)
class Overlap:
    """Numbers of pixels by true and predicted class, float64, all of one shape.

    A score without any pixel to count is NaN. The sum of two overlaps pools their pixels.

    Attributes:
        hit: Pixels inside both silhouettes (true positives).
        extra: Pixels inside the predicted silhouette only (false positives).
        missed: Pixels inside the true silhouette only (false negatives).
        empty: Pixels inside neither (true negatives).

    Example:
        >>> import torch
        >>> from meshrec.metrics import Overlap
        >>> counts = Overlap(*torch.tensor([6.0, 2.0, 2.0, 90.0]).double())
        >>> round(float(counts.iou), 3), round(float(counts.f1), 3), round(float(counts.accuracy), 3)
        (0.6, 0.75, 0.96)
    """

    hit: Tensor
    extra: Tensor
    missed: Tensor
    empty: Tensor

    @property
    def accuracy(self) -> Tensor:
        """Share of the pixels on which prediction and truth agree."""
        return (self.hit + self.empty) / (self.hit + self.extra + self.missed + self.empty)

    @property
    def precision(self) -> Tensor:
        """Share of the predicted silhouette that is right."""
        return self.hit / (self.hit + self.extra)

    @property
    def recall(self) -> Tensor:
        """Share of the true silhouette that is found."""
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
        """The pixels pooled over the first axis, on the CPU."""
        return Overlap(*(getattr(self, field.name).sum(0).cpu() for field in fields(self)))

    @classmethod
    def cat(cls, parts: Sequence["Overlap"]) -> "Overlap":
        """Concatenate several along the first axis."""
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
        confidence: (..., H, W), or broadcasting to it; pixels of confidence 0 are not counted. Default: all 1.
        threshold: Coverage from which a pixel is inside.

    Returns:
        Counts of shape (...).

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> import torch
        >>> from meshrec.metrics import silhouette_overlap
        >>> counts = silhouette_overlap(torch.tensor([[0.9, 0.6, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]]))
        >>> round(float(counts.iou), 3)
        0.5
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
        parts: Number of parts.
        confidence: (..., H, W), or broadcasting to it; pixels of confidence 0 are not counted. Default: all 1.

    Returns:
        Counts of shape (..., parts).

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> import torch
        >>> from meshrec.metrics import part_overlap
        >>> counts = part_overlap(torch.tensor([[0, 1, 1, -1]]), torch.tensor([[0, 0, 1, -1]]), parts=2)
        >>> counts.iou.round(decimals=3).tolist()
        [0.5, 0.5]
    """
    predicted = torch.as_tensor(predicted).long()
    target = torch.as_tensor(target, device=predicted.device).long()
    if predicted.shape != target.shape:
        raise ValueError(f"labels of shapes {tuple(predicted.shape)} and {tuple(target.shape)} do not compare")
    pictures, sides = predicted.shape[:-2], predicted.shape[-2:]
    # The confusion matrix of each picture, with one more row and column for pixels that belong to no part.
    size, count = parts + 1, math.prod(pictures)
    found, true = (torch.where((labels >= 0) & (labels < parts), labels, parts) for labels in (predicted, target))
    number = torch.arange(count, device=predicted.device).view(*pictures, 1, 1)
    pairs = (number * size + found) * size + true
    if confidence is not None:
        pairs = pairs[(torch.as_tensor(confidence, device=predicted.device) > 0).expand(*pictures, *sides)]
    table = torch.bincount(pairs.flatten(), minlength=count * size**2).double().view(*pictures, size, size)
    hit = table.diagonal(dim1=-2, dim2=-1)[..., :parts]
    extra, missed = table.sum(-1)[..., :parts] - hit, table.sum(-2)[..., :parts] - hit
    return Overlap(hit, extra, missed, table.sum((-1, -2))[..., None] - hit - extra - missed)
