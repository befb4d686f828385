"""Linear blend skinning (Loper et al. 2015, "SMPL", equation 2)."""

from typing import Any

import torch
from torch import Tensor

from meshrec.compiled.operators import has_kernels, needs_operator


def linear_blend_skinning(
    vertices: Tensor, motions: Tensor, weights: Tensor, influences: tuple[Tensor, Tensor]
) -> Tensor:
    """Move each vertex by the weighted mean of its joints' rigid motions.

    On a CPU a compiled kernel visits only the joints that move a vertex.

    Args:
        vertices: (B, V, 3) rest vertices, metres.
        motions: (B, J, 3, 4) rows of [R | t], the joints' rigid motions.
        weights: (V, J) skinning weights, whose rows sum to one.
        influences: The same weights in sparse form, from :func:`sparse_influences`.

    Returns:
        (B, V, 3) metres.
    """
    if has_kernels(vertices):
        operator = _skin if needs_operator(vertices, motions) else _skin_now
        return operator(vertices, motions, *influences)
    return plain_skinning(vertices, motions, weights)


def plain_skinning(vertices: Tensor, motions: Tensor, weights: Tensor) -> Tensor:
    """:func:`linear_blend_skinning` in plain torch, on any device: a dense product."""
    blended = (weights @ motions.flatten(2)).unflatten(-1, (3, 4))
    return (blended[..., :3] @ vertices[..., None]).squeeze(-1) + blended[..., 3]


def sparse_influences(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The nonzero skinning weights of each vertex, largest first.

    Args:
        weights: (V, J) skinning weights.

    Returns:
        Joint indices (V, K) int32 and weights (V, K), where K is the largest number of joints of any vertex; unused
        entries have a weight of 0.
    """
    most = int((weights != 0).sum(1).max())
    values, joints = weights.topk(most, dim=1)
    return joints.int(), values


def _skin_now(vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> Tensor:
    from meshrec.body.kernels import skin
    from meshrec.compiled.threads import over_batch

    out = torch.empty_like(vertices, memory_format=torch.contiguous_format)
    arrays = [t.detach().contiguous().numpy() for t in (vertices, motions)]
    over_batch(skin, [*arrays, out.numpy()], [joints.numpy(), weights.numpy()])
    return out


_skin = torch.library.custom_op("meshrec::skin", _skin_now, mutates_args=())


@_skin.register_fake
def _(vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> Tensor:
    return vertices.new_empty(vertices.shape)


@torch.library.custom_op("meshrec::skin_backward", mutates_args=())
def _skin_backward(
    grad: Tensor, vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    from meshrec.body.kernels import skin_backward
    from meshrec.compiled.threads import over_batch

    arrays = [t.detach().contiguous().numpy() for t in (grad, vertices, motions)]
    grad_vertices, grad_motions = vertices.new_empty(vertices.shape), motions.new_zeros(motions.shape)
    over_batch(skin_backward, [*arrays, grad_vertices.numpy(), grad_motions.numpy()], [joints.numpy(), weights.numpy()])
    return grad_vertices, grad_motions


@_skin_backward.register_fake
def _(grad: Tensor, vertices: Tensor, motions: Tensor, joints: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return vertices.new_empty(vertices.shape), motions.new_empty(motions.shape)


def _save(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    return (*_skin_backward(grad, *ctx.saved_tensors), None, None)


_skin.register_autograd(_gradients, setup_context=_save)
