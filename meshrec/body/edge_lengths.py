"""Lengths of a mesh's edges."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.compiled.operators import has_kernels, needs_operator


def edge_lengths(vertices: Tensor, edges: Tensor) -> Tensor:
    """Lengths of a mesh's edges. The gradient of an edge of zero length is zero.

    On a CPU a compiled kernel stores only the lengths, while plain torch writes and reads the two ends of all edges.

    Args:
        vertices: (B, V, 3) metres.
        edges: (E, 2) int64 vertex indices, as from :func:`meshrec.body.topology.edges`.

    Returns:
        (B, E) metres.

    Raises:
        IndexError: An edge names a vertex that does not exist.
    """
    if has_kernels(vertices):
        operator = _lengths if needs_operator(vertices) else _lengths_now
        return operator(vertices, edges)
    return plain_edge_lengths(vertices, edges)


def plain_edge_lengths(vertices: Tensor, edges: Tensor) -> Tensor:
    """:func:`edge_lengths` in plain torch, on any device."""
    start, end = edges.unbind(-1)
    return (vertices.index_select(-2, start) - vertices.index_select(-2, end)).norm(dim=-1)


def _lengths_now(vertices: Tensor, edges: Tensor) -> Tensor:
    from meshrec.body.kernels import edge_lengths
    from meshrec.compiled.threads import over_batch

    if edges.numel() and not 0 <= edges.min() <= edges.max() < vertices.shape[1]:  # the kernel checks no index
        raise IndexError(f"edges of vertices {edges.min()} to {edges.max()}, of a mesh that has {vertices.shape[1]}")
    lengths = vertices.new_empty(len(vertices), len(edges))
    over_batch(edge_lengths, [_array(vertices), lengths.numpy()], [_array(edges)])
    return lengths


_lengths = torch.library.custom_op("meshrec::edge_lengths", _lengths_now, mutates_args=())


@_lengths.register_fake
def _(vertices: Tensor, edges: Tensor) -> Tensor:
    return vertices.new_empty(len(vertices), len(edges))


@torch.library.custom_op("meshrec::edge_lengths_backward", mutates_args=())
def _lengths_backward(grad: Tensor, vertices: Tensor, edges: Tensor) -> Tensor:
    from meshrec.body.kernels import edge_lengths_backward
    from meshrec.compiled.threads import over_batch

    gradient = vertices.new_empty(vertices.shape)
    over_batch(edge_lengths_backward, [_array(grad), _array(vertices), gradient.numpy()], [_array(edges)])
    return gradient


@_lengths_backward.register_fake
def _(grad: Tensor, vertices: Tensor, edges: Tensor) -> Tensor:
    return vertices.new_empty(vertices.shape)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    return _lengths_backward(grad, *ctx.saved_tensors), None


_lengths.register_autograd(_gradients, setup_context=_save)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
