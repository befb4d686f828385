"""Edge lengths against plain torch, and the operator against torch's own rules for one."""

import pytest
import torch

from meshrec.body.edge_lengths import _lengths, edge_lengths

EDGES = torch.tensor([[0, 1], [1, 4], [0, 2], [3, 2], [2, 4]])


def random_vertices(count: int = 2, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def plain_lengths(vertices: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    return (vertices[:, edges[:, 0]] - vertices[:, edges[:, 1]]).norm(dim=-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_values_and_gradients(count, dtype):
    vertices = random_vertices(count, dtype)
    weights = torch.arange(-2, 3, dtype=dtype)  # one of them 0
    found = []
    for lengths in (edge_lengths, plain_lengths):
        leaf = vertices.clone().requires_grad_()
        values = lengths(leaf, EDGES)
        found.append((values, *torch.autograd.grad((values * weights).sum(), leaf)))
    torch.testing.assert_close(*found)
    torch.testing.assert_close(edge_lengths(vertices, EDGES), found[1][0])  # without a gradient, no operator
    assert torch.autograd.gradcheck(lambda v: edge_lengths(v, EDGES), random_vertices().requires_grad_())


def test_arrays_in_any_layout():
    vertices = random_vertices().permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not vertices.is_contiguous()
    torch.testing.assert_close(edge_lengths(vertices, EDGES.T.contiguous().T), plain_lengths(vertices, EDGES))


def test_an_edge_of_no_length_passes_no_gradient_on():
    vertices = torch.zeros(1, 5, 3)
    vertices[:, 4] = torch.tensor([3.0, 0.0, 4.0])
    vertices.requires_grad_()
    lengths = edge_lengths(vertices, EDGES)
    assert lengths.tolist() == [[0, 5, 0, 0, 5]]
    (gradient,) = torch.autograd.grad(lengths.sum(), vertices)
    pull = torch.tensor([0.6, 0.0, 0.8])
    torch.testing.assert_close(gradient[0], torch.stack([0 * pull, -pull, -pull, 0 * pull, 2 * pull]))


def test_the_operator_keeps_torchs_rules():
    torch.library.opcheck(_lengths, (random_vertices().requires_grad_(), EDGES))


@pytest.mark.parametrize("edges", [[[0, 5]], [[-1, 2]]])
def test_an_edge_of_another_mesh_is_refused(edges):
    with pytest.raises(IndexError, match="of a mesh that has 5"):
        edge_lengths(random_vertices(), torch.tensor(edges))
