"""Training losses. Each is a few lines, takes a confidence for every label, and is zero where that is zero.

Missing labels, of confidence 0, take no part: their gradient is exactly zero.

Every loss is the mean over all entries of the batch, missing labels included as zeros, of the confidence times the
penalty. Dividing by the number of labels instead would make a batch split over two processes another loss than the
same batch in one, and one labelled sample in a batch of sixty-four would weigh as much as all of them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from meshrec.body.edge_lengths import edge_lengths
from meshrec.body.joints import root_indices
from meshrec.geometry import procrustes
from meshrec.render import silhouette
from meshrec.render.screen import AnyCamera

Penalty = Callable[[Tensor], Tensor]


def absolute(difference: Tensor) -> Tensor:
    """Sum of the absolute coordinates: (..., D) -> (...)."""
    return difference.abs().sum(-1)


def squared(difference: Tensor) -> Tensor:
    """Sum of the squared coordinates: (..., D) -> (...)."""
    return difference.square().sum(-1)


def length(difference: Tensor) -> Tensor:
    """Euclidean: (..., D) -> (...)."""
    return torch.linalg.vector_norm(difference, dim=-1)


def geman_mcclure(difference: Tensor, scale: float) -> Tensor:
    """r^2 / (1 + r^2 / scale^2), r the length: squared while small, ``scale^2`` at most (Geman & McClure 1987).

    Args:
        difference: (..., D).
        scale: Length at which half of that is reached; ``functools.partial(geman_mcclure, scale=0.1)`` is a penalty.

    Returns:
        (...).
    """
    ratio = squared(difference) / scale**2
    return scale**2 * ratio / (1 + ratio)


def reprojection_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = absolute
) -> Tensor:
    """Projected joints against 2D keypoints.

    Args:
        predicted: (..., K, 2) in the target's unit, usually a crop's, whose edges are -1 and 1.
        target: (..., K, 2).
        confidence: (..., K); None is 1 for all.
        penalty: :func:`absolute`, as Kanazawa et al. 2018 do, or a robust one such as :func:`geman_mcclure`.

    Returns:
        () as from every loss here.
    """
    return _mean_penalty(predicted, target, confidence, penalty)


def joint_loss(
    predicted: Tensor,
    target: Tensor,
    confidence: Tensor | None,
    joints: str,
    penalty: Penalty = absolute,
    which: Sequence[int] | None = None,
) -> Tensor:
    """3D joints, each pose measured from its own root.

    Args:
        predicted: (..., K, 3) metres.
        target: (..., K, 3) metres.
        confidence: (..., K). A pose whose root has a confidence of 0 takes no part.
        joints: Name of the joint set.
        penalty: What a difference costs.
        which: Of the K joints, those to compare; None is all.
    """
    root = root_indices(joints)
    predicted, target = (p - p[..., root, :].mean(-2, keepdim=True) for p in (predicted, target))
    if confidence is not None:
        confidence = confidence * (confidence[..., root] > 0).all(-1, keepdim=True)
    if which is not None:
        predicted, target = predicted[..., which, :], target[..., which, :]
        confidence = None if confidence is None else confidence[..., which]
    return _mean_penalty(predicted, target, confidence, penalty)


def aligned_joint_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = length
) -> Tensor:
    """3D joints after the best turn, scale and shift of each pose: what the reconstruction error measures.

    Args:
        predicted: (..., K, 3) metres.
        target: (..., K, 3) metres.
        confidence: (..., K).
        penalty: What a difference costs.
    """
    labelled = None if confidence is None else confidence[..., None]
    predicted, target = _masked(predicted, labelled), _masked(target, labelled)
    best = procrustes(predicted, target, confidence)
    return _mean_penalty(best.apply(predicted), target, confidence, penalty)


def vertex_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = absolute) -> Tensor:
    """Vertices where they are; of one topology.

    Args:
        predicted: (B, V, 3) metres.
        target: (B, V, 3) metres.
        confidence: (B,).
        penalty: What a difference costs.
    """
    return _mean_penalty(predicted, target, _of_each(confidence), penalty)


def edge_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor | None, edges: Tensor, penalty: Penalty = absolute
) -> Tensor:
    """Lengths of the mesh's edges, which keep a regressed surface even.

    Args:
        predicted: (B, V, 3) metres.
        target: (B, V, 3) metres.
        confidence: (B,).
        edges: (E, 2) int64, as from :func:`meshrec.body.topology.edges`.
        penalty: What a difference of lengths costs.
    """
    ours, true = (edge_lengths(vertices, edges)[..., None] for vertices in (predicted, target))
    return _mean_penalty(ours, true, _of_each(confidence), penalty)


def rotation_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = squared) -> Tensor:
    """Rotations of the parts. Their squared difference is 8 sin^2(a / 2) for an angle a between them.

    Args:
        predicted: (..., J, 3, 3).
        target: (..., J, 3, 3).
        confidence: (..., J).
        penalty: What a difference (..., J, 9) costs.
    """
    return _mean_penalty(predicted.flatten(-2), target.flatten(-2), confidence, penalty)


def betas_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = squared) -> Tensor:
    """Shape. Both must be of the same body: give a confidence of 0 where they are not.

    Args:
        predicted: (B, S).
        target: (B, S).
        confidence: (B,).
        penalty: What a difference costs.
    """
    return _mean_penalty(predicted, target, confidence, penalty)


def silhouette_loss(
    vertices: Tensor,
    faces: Tensor,
    camera: AnyCamera,
    target: Tensor,
    confidence: Tensor | None,
    softness_px: float = 1.0,
    soft: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """One minus the soft intersection over union of the drawn and the true silhouette (Liu et al. 2019).

    Args:
        vertices: (B, V, 3) in camera space, metres.
        faces: (F, 3).
        camera: As for :func:`meshrec.render.silhouette`.
        target: (B, H, W) coverage in [0, 1], or bool.
        confidence: (B,).
        softness_px, soft, backend: As for :func:`meshrec.render.silhouette`.
    """
    coverage = silhouette(vertices, faces, camera, softness_px, soft, backend)
    return coverage_loss(coverage, target, confidence)


def coverage_loss(coverage: Tensor, target: Tensor, confidence: Tensor | None) -> Tensor:
    """:func:`silhouette_loss` of a picture already drawn, (B, H, W). Two empty pictures agree: their loss is 0."""
    target = _masked(target.to(coverage), None if confidence is None else confidence[:, None, None])
    shared = (coverage * target).sum((-1, -2))
    either = (coverage + target).sum((-1, -2)) - shared
    # A clamp at one pixel keeps the slope finite where next to nothing is drawn.
    return _mean_of((either - shared) / either.clamp(min=1), confidence)


def ordinal_depth_loss(depths: Tensor, relations: Tensor, confidence: Tensor | None, scale: float = 0.1) -> Tensor:
    """Which of two joints is nearer to the camera (Pavlakos et al. 2018, "Ordinal depth supervision").

    A pair in the right order costs log(1 + exp(-d)), one in the wrong order log(1 + exp(d)), one that should be equally
    far d^2, d the difference of depths over ``scale``.

    Args:
        depths: (..., K) metres.
        relations: (..., K, K): 1 where joint i is nearer than j, -1 where it is farther, 0 where they are equally far.
        confidence: (..., K, K) of the relations; 0 for pairs without a label.
        scale: Metres of difference that count as one.
    """
    difference = _masked((depths[..., :, None] - depths[..., None, :]) / scale, confidence)
    relations = relations.to(difference)
    penalty = torch.where(relations == 0, difference.square(), softplus(relations * difference))
    return _mean_of(penalty, confidence)


def ordinal_relations(
    depths: Tensor, confidence: Tensor | None = None, tolerance: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Relations and their confidence from depths that are known, for :func:`ordinal_depth_loss`.

    Args:
        depths: (..., K) metres.
        confidence: (..., K).
        tolerance: Metres within which joints count as equally far.

    Returns:
        Relations (..., K, K), and confidences (..., K, K): products of the two joints', 0 on the diagonal.
    """
    behind = depths[..., None, :] - depths[..., :, None]
    relations = behind.sign() * (behind.abs() > tolerance)
    confidence = torch.ones_like(depths) if confidence is None else confidence
    pairs = confidence[..., :, None] * confidence[..., None, :]
    return relations, pairs * (1 - torch.eye(depths.shape[-1], dtype=pairs.dtype, device=pairs.device))


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the critics minimise: 1 for real, 0 for fake (Mao et al. 2017), summed over the critics.

    Args:
        real: (B, C) scores of C critics for real poses and shapes.
        fake: (B', C) scores for predicted ones, which the regressor's gradient must not reach: detach them.
    """
    return (real - 1).square().sum(-1).mean() + fake.square().sum(-1).mean()


def fooling_loss(fake: Tensor, confidence: Tensor | None = None) -> Tensor:
    """What the regressor minimises: that critics take its poses for real (Kanazawa et al. 2018).

    Args:
        fake: (B, C) scores of C critics for predicted poses and shapes.
        confidence: (B,).
    """
    return _mean_of((fake - 1).square().sum(-1), confidence)


def _mean_penalty(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty) -> Tensor:
    """``predicted`` and ``target`` (..., D), ``confidence`` (...) or broadcasting to it."""
    if predicted.shape != target.shape:
        raise ValueError(f"a prediction of shape {tuple(predicted.shape)} has no target {tuple(target.shape)}")
    difference = _masked(predicted - target, None if confidence is None else confidence[..., None])
    return _mean_of(penalty(difference), confidence)


def _masked(values: Tensor, confidence: Tensor | None) -> Tensor:
    """Zero where there is no label: multiplying by 0 would let infinite or undefined values through as NaN."""
    return values if confidence is None else torch.where(confidence > 0, values, 0)


def _mean_of(penalty: Tensor, confidence: Tensor | None) -> Tensor:
    return (penalty if confidence is None else penalty * confidence).mean()


def _of_each(confidence: Tensor | None) -> Tensor | None:
    """(B,) for entries (B, N)."""
    return None if confidence is None else confidence[:, None]
