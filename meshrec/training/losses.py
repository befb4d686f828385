"""Training losses, weighted by the confidence of each label.

A loss is the mean of confidence times penalty over all entries of the batch, in which missing labels, of confidence 0,
count as zeros. Their gradient is exactly zero, whatever stands in their place. The mean is not over the labels alone,
for two reasons: the loss of a batch would change when the batch is divided among processes, and a single labelled
sample in a batch of 64 would weigh as much as 64 labelled ones.

All losses return a scalar tensor ().
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
"""A penalty of differences: (..., D) -> (...)."""


def absolute(difference: Tensor) -> Tensor:
    """Sum of the absolute coordinates: (..., D) -> (...)."""
    return difference.abs().sum(-1)


def squared(difference: Tensor) -> Tensor:
    """Sum of the squared coordinates: (..., D) -> (...)."""
    return difference.square().sum(-1)


def length(difference: Tensor) -> Tensor:
    """Euclidean length: (..., D) -> (...)."""
    return torch.linalg.vector_norm(difference, dim=-1)


def geman_mcclure(difference: Tensor, scale: float) -> Tensor:
    """The robust penalty of Geman & McClure 1987, r^2 / (1 + r^2 / scale^2) of the length r.

    It is close to r^2 for small lengths and never exceeds ``scale^2``. ``functools.partial(geman_mcclure, scale=0.1)``
    is a :data:`Penalty`.

    Args:
        difference: (..., D).
        scale: The length at which the penalty is half of its limit, in the unit of the difference.

    Returns:
        (...).

    Example:
        >>> geman_mcclure(torch.tensor([[0.01, 0.0], [0.6, 0.8], [60, 80]]), scale=1.0)
        tensor([9.9990e-05, 5.0000e-01, 9.9990e-01])
    """
    ratio = squared(difference) / scale**2
    return scale**2 * ratio / (1 + ratio)


def reprojection_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = absolute
) -> Tensor:
    """Distance of projected joints from 2D keypoints.

    Args:
        predicted: (..., K, 2) projected joints, in any unit, usually crop coordinates.
        target: (..., K, 2) keypoints in the same unit.
        confidence: (..., K) of the keypoints; None is 1 for all, here and below.
        penalty: Penalty of a difference: :func:`absolute` as in Kanazawa et al. 2018, or a robust one such as
            :func:`geman_mcclure`.

    Raises:
        ValueError: Prediction and target differ in shape, here and below.

    Example:
        >>> reprojection_loss(torch.full((1, 17, 2), 0.5), torch.zeros(1, 17, 2), torch.ones(1, 17))
        tensor(1.)
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
    """Distance of 3D joints from labels, both relative to their own root.

    Args:
        predicted: (..., K, 3) metres.
        target: (..., K, 3) metres.
        confidence: (..., K). A pose counts as unlabelled if a joint that defines its root has a confidence of 0.
        joints: Name of the joint set.
        penalty: Penalty of a difference.
        which: Indices of the joints to compare; None is all.

    Example:
        >>> joint_loss(torch.ones(2, 24, 3), torch.zeros(2, 24, 3), None, "smpl24")  # moved as a whole
        tensor(0.)
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
    """Distance of 3D joints from labels after Procrustes alignment of each pose: the reconstruction error as a loss.

    Args:
        predicted: (..., K, 3) metres.
        target: (..., K, 3) metres.
        confidence: (..., K), also the weights of the alignment.
        penalty: Penalty of a difference.

    Example:
        >>> target = torch.eye(3)[None]
        >>> bool(aligned_joint_loss(2 * target + 1, target, None) < 1e-6)
        True
    """
    labelled = None if confidence is None else confidence[..., None]
    predicted, target = _masked(predicted, labelled), _masked(target, labelled)
    best = procrustes(predicted, target, confidence)
    return _mean_penalty(best.apply(predicted), target, confidence, penalty)


def vertex_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = absolute) -> Tensor:
    """Distance of vertices from those of a mesh with the same topology, without any alignment.

    Args:
        predicted: (B, V, 3) metres.
        target: (B, V, 3) metres.
        confidence: (B,) of the meshes.
        penalty: Penalty of a difference.

    Example:
        >>> vertex_loss(torch.ones(2, 100, 3), torch.zeros(2, 100, 3), torch.tensor([1.0, 0.0]))
        tensor(1.5000)
    """
    return _mean_penalty(predicted, target, _of_each(confidence), penalty)


def edge_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor | None, edges: Tensor, penalty: Penalty = absolute
) -> Tensor:
    """Difference of the lengths of a mesh's edges from the true ones, which keeps a regressed surface smooth.

    Args:
        predicted: (B, V, 3) metres.
        target: (B, V, 3) metres.
        confidence: (B,) of the meshes.
        edges: (E, 2) int64 vertex indices, as from :func:`meshrec.body.topology.edges`.
        penalty: Penalty of a difference of lengths (..., 1).

    Example:
        >>> target = torch.tensor([[[0.0, 0, 0], [3, 4, 0]]])
        >>> edge_loss(2 * target, target, None, torch.tensor([[0, 1]]))
        tensor(5.)
    """
    ours, true = (edge_lengths(vertices, edges)[..., None] for vertices in (predicted, target))
    return _mean_penalty(ours, true, _of_each(confidence), penalty)


def rotation_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = squared) -> Tensor:
    """Distance of rotation matrices. By default it is their squared difference, 8 sin^2(a / 2) for an angle a.

    Args:
        predicted: (..., J, 3, 3) rotations.
        target: (..., J, 3, 3) rotations.
        confidence: (..., J).
        penalty: Penalty of a difference (..., J, 9).

    Example:
        >>> half_turn = torch.diag(torch.tensor([1.0, -1, -1]))
        >>> rotation_loss(half_turn[None], torch.eye(3)[None], None)
        tensor(8.)
    """
    return _mean_penalty(predicted.flatten(-2), target.flatten(-2), confidence, penalty)


def betas_loss(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty = squared) -> Tensor:
    """Distance of shape coefficients. Where the two belong to different bodies, the confidence must be 0.

    Args:
        predicted: (B, S) betas.
        target: (B, S) betas.
        confidence: (B,).
        penalty: Penalty of a difference.

    Example:
        >>> betas_loss(torch.ones(4, 10), torch.zeros(4, 10), torch.tensor([1.0, 0, 0, 1]))
        tensor(5.)
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
    """One minus the soft intersection over union of the rendered and the true silhouette (Liu et al. 2019, SoftRas).

    Args:
        vertices: (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: As for :func:`meshrec.render.silhouette`.
        target: (B, H, W) true coverage in [0, 1], or bool.
        confidence: (B,) of the silhouettes.
        softness_px, soft, backend: As for :func:`meshrec.render.silhouette`.

    Example:
        >>> from meshrec.geometry import Camera
        >>> triangle = torch.tensor([[[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]]])
        >>> camera = Camera(30.0, size=(32, 32))
        >>> silhouette_loss(triangle, torch.tensor([[0, 1, 2]]), camera, torch.zeros(1, 32, 32), None)
        tensor(1.)
    """
    coverage = silhouette(vertices, faces, camera, softness_px, soft, backend)
    return coverage_loss(coverage, target, confidence)


def coverage_loss(coverage: Tensor, target: Tensor, confidence: Tensor | None) -> Tensor:
    """:func:`silhouette_loss` of silhouettes that are already rendered. The loss of two empty silhouettes is 0.

    Args:
        coverage: (B, H, W) rendered coverage in [0, 1].
        target: (B, H, W) true coverage in [0, 1], or bool.
        confidence: (B,) of the silhouettes.

    Example:
        >>> coverage_loss(torch.ones(1, 8, 8), torch.arange(8).expand(1, 8, 8) < 4, None)
        tensor(0.5000)
    """
    target = _masked(target.to(coverage), None if confidence is None else confidence[:, None, None])
    shared = (coverage * target).sum((-1, -2))
    either = (coverage + target).sum((-1, -2)) - shared
    # The clamp at one pixel keeps the gradient finite where hardly anything is rendered.
    return _mean_of((either - shared) / either.clamp(min=1), confidence)


def ordinal_depth_loss(depths: Tensor, relations: Tensor, confidence: Tensor | None, scale: float = 0.1) -> Tensor:
    """Ranking loss on which of two joints is closer to the camera.

    It is that of Pavlakos et al. 2018, "Ordinal Depth Supervision for 3D Human Pose Estimation". With d the absolute
    difference of two depths over ``scale``, a pair in the right order costs log(1 + exp(-d)), a pair in the wrong order
    log(1 + exp(d)), and a pair that should have equal depths d^2.

    Args:
        depths: (..., K) predicted depths of the joints, metres.
        relations: (..., K, K) 1 where joint i is closer than joint j, -1 where it is farther, 0 where their depths are
            equal.
        confidence: (..., K, K) confidence of each relation, 0 for pairs without a label.
        scale: The difference of depths for which d is 1, metres.

    Example:
        >>> relations, confidence = ordinal_relations(torch.tensor([1.0, 2.0]))
        >>> right, wrong = (ordinal_depth_loss(torch.tensor(d), relations, confidence) for d in ([1.0, 2], [2.0, 1]))
        >>> bool(right < 1e-4), bool(wrong > 4)
        (True, True)
    """
    difference = _masked((depths[..., :, None] - depths[..., None, :]) / scale, confidence)
    relations = relations.to(difference)
    penalty = torch.where(relations == 0, difference.square(), softplus(relations * difference))
    return _mean_of(penalty, confidence)


def ordinal_relations(
    depths: Tensor, confidence: Tensor | None = None, tolerance: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Ordinal relations of known depths, as labels for :func:`ordinal_depth_loss`.

    Args:
        depths: (..., K) depths of the joints, metres.
        confidence: (..., K) of the joints.
        tolerance: The difference up to which depths count as equal, metres.

    Returns:
        Relations (..., K, K), and their confidences (..., K, K), which are the products of the two joints' confidences
        and 0 on the diagonal.

    Example:
        >>> ordinal_relations(torch.tensor([2.0, 2.05, 3.0]))[0].int().tolist()
        [[0, 0, 1], [0, 0, 1], [-1, -1, 0]]
    """
    behind = depths[..., None, :] - depths[..., :, None]
    relations = behind.sign() * (behind.abs() > tolerance)
    confidence = torch.ones_like(depths) if confidence is None else confidence
    pairs = confidence[..., :, None] * confidence[..., None, :]
    return relations, pairs * (1 - torch.eye(depths.shape[-1], dtype=pairs.dtype, device=pairs.device))


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critics' loss: least squares towards scores of 1 for real and 0 for predicted bodies (Mao et al. 2017).

    Args:
        real: (B, C) scores that C critics give to real poses and shapes.
        fake: (B', C) scores for predicted poses and shapes, which must be detached from the regressor.

    Example:
        >>> critic_loss(torch.ones(4, 25), torch.ones(6, 25))
        tensor(25.)
    """
    return (real - 1).square().sum(-1).mean() + fake.square().sum(-1).mean()


def fooling_loss(fake: Tensor, confidence: Tensor | None = None) -> Tensor:
    """The regressor's adversarial loss: least squares towards scores of 1, those of real bodies (Kanazawa et al. 2018).

    Args:
        fake: (B, C) scores that C critics give to predicted poses and shapes.
        confidence: (B,) weights of the samples.

    Example:
        >>> fooling_loss(torch.zeros(6, 25))
        tensor(25.)
    """
    return _mean_of((fake - 1).square().sum(-1), confidence)


def _mean_penalty(predicted: Tensor, target: Tensor, confidence: Tensor | None, penalty: Penalty) -> Tensor:
    """Mean of confidence times penalty of differences.

    Args:
        predicted, target: (..., D).
        confidence: (...), or broadcasting to it.
        penalty: Penalty of a difference.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"a prediction of shape {tuple(predicted.shape)} has no target {tuple(target.shape)}")
    difference = _masked(predicted - target, None if confidence is None else confidence[..., None])
    return _mean_of(penalty(difference), confidence)


def _masked(values: Tensor, confidence: Tensor | None) -> Tensor:
    """Set values without a label to zero. Multiplying by the confidence instead would turn infinities into NaN."""
    return values if confidence is None else torch.where(confidence > 0, values, 0)


def _mean_of(penalty: Tensor, confidence: Tensor | None) -> Tensor:
    """Mean of penalties (...) times their confidences (...)."""
    return (penalty if confidence is None else penalty * confidence).mean()


def _of_each(confidence: Tensor | None) -> Tensor | None:
    """Confidences of samples (B,) as (B, 1), to broadcast against the entries of the samples (B, N)."""
    return None if confidence is None else confidence[:, None]
