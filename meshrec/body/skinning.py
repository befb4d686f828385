"""The kinematic chain and linear blend skinning (Loper et al. 2015, "SMPL", equations 2 to 4)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class KinematicTree:
    """Joints by their depth, so that a chain of J matrix products becomes one batched product per level.

    Attributes:
        parents: Parent of each joint, -1 for the root, which comes first.
        levels: For each depth from 1 on, the joints there, and where their parents stand in the level above.
        order: Where each joint stands when the levels are laid one after the other.
    """

    parents: tuple[int, ...]
    levels: tuple[tuple[list[int], list[int]], ...]
    order: list[int]

    @classmethod
    def from_parents(cls, parents: list[int]) -> "KinematicTree":
        depths = [0] * len(parents)
        for joint, parent in enumerate(parents[1:], start=1):
            depths[joint] = depths[parent] + 1
        members = [[j for j, depth in enumerate(depths) if depth == level] for level in range(max(depths) + 1)]
        levels = tuple((here, [above.index(parents[j]) for j in here]) for above, here in pairwise(members))
        flat = [joint for level in members for joint in level]
        return cls(tuple(parents), levels, [flat.index(joint) for joint in range(len(parents))])


def forward_kinematics(rotations: Tensor, joints: Tensor, tree: KinematicTree) -> tuple[Tensor, Tensor]:
    """World rotations and positions of a posed kinematic tree; the root turns about its own rest position.

    Args:
        rotations: (B, J, 3, 3) rotation of each joint relative to its parent.
        joints: (B, J, 3) rest positions.

    Returns:
        World rotations (B, J, 3, 3) and posed joints (B, J, 3).
    """
    offsets = torch.cat([joints[:, :1], joints[:, 1:] - joints[:, list(tree.parents[1:])]], dim=1)
    local = torch.cat([rotations, offsets[..., None]], dim=-1)
    levels = [local[:, :1]]
    for children, parents in tree.levels:
        above = levels[-1][:, parents]
        below = above[..., :3] @ local[:, children]
        levels.append(torch.cat([below[..., :3], below[..., 3:] + above[..., 3:]], dim=-1))
    world = torch.cat(levels, dim=1)[:, tree.order]
    return world[..., :3], world[..., 3]


def linear_blend_skinning(
    vertices: Tensor, rotations: Tensor, translations: Tensor, weights: Tensor, influences: tuple[Tensor, Tensor]
) -> Tensor:
    """Each vertex moved by the weighted mean of its joints' rigid motions.

    On a CPU a compiled kernel visits only the joints that move a vertex and never stores a matrix per vertex; elsewhere
    the blend is a dense product.

    Args:
        vertices: (B, V, 3) rest vertices.
        rotations: (B, J, 3, 3), and translations: (B, J, 3): joint j takes rest point x to
            ``rotations[j] @ x + translations[j]``.
        weights: (V, J), rows sum to one.
        influences: The same weights sparsely, from :func:`sparse_influences`.

    Returns:
        (B, V, 3).
    """
    motions = torch.cat([rotations, translations[..., None]], dim=-1).flatten(2)
    if vertices.device.type == "cpu":
        return _skin(vertices, motions, *influences)
    blended = (weights @ motions).unflatten(-1, (3, 4))
    return (blended[..., :3] @ vertices[..., None]).squeeze(-1) + blended[..., 3]


def sparse_influences(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The nonzero skinning weights of each vertex, largest first.

    Args:
        weights: (V, J).

    Returns:
        Joint indices (V, K) int32 and weights (V, K), K the most joints any vertex has; unused places have weight 0.
    """
    most = int((weights != 0).sum(1).max())
    values, joints = weights.topk(most, dim=1)
    return joints.int(), values


@torch.library.custom_op("meshrec::skin", mutates_args=())
def _skin(vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> Tensor:
    from meshrec.body.skinning_kernels import skin
    from meshrec.parallel import over_batch

    out = torch.empty_like(vertices, memory_format=torch.contiguous_format)
    arrays = [t.contiguous().numpy() for t in (vertices, motions)]
    over_batch(skin, [*arrays, out.numpy()], [joints.numpy(), weights.numpy()])
    return out


@_skin.register_fake
def _(vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> Tensor:
    return vertices.new_empty(vertices.shape)


@torch.library.custom_op("meshrec::skin_backward", mutates_args=())
def _skin_backward(
    grad: Tensor, vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    from meshrec.body.skinning_kernels import skin_backward
    from meshrec.parallel import over_batch

    arrays = [t.contiguous().numpy() for t in (grad, vertices, motions)]
    grad_vertices, grad_motions = torch.empty(vertices.shape, dtype=grad.dtype), torch.zeros_like(motions)
    over_batch(skin_backward, [*arrays, grad_vertices.numpy(), grad_motions.numpy()], [joints.numpy(), weights.numpy()])
    return grad_vertices, grad_motions


@_skin_backward.register_fake
def _(grad: Tensor, vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return vertices.new_empty(vertices.shape), motions.new_empty(motions.shape)


def _save_inputs(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    return (*_skin_backward(grad, *ctx.saved_tensors), None, None)


_skin.register_autograd(_gradients, setup_context=_save_inputs)
