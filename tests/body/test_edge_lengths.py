"""Edge lengths against the formula, and the operator against torch's own rules for one."""

import pytest
import torch

from meshrec.body.edge_lengths import _lengths, edge_lengths, plain_edge_lengths

EDGES = torch.tensor([[0, 1], [1, 4], [0, 2], [3, 2], [2, 4]])


def random_vertices(count: int = 2, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def by_formula(vertices: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    pairs = [vertices[:, i] - vertices[:, j] for i, j in edges.tolist()]
    return torch.stack([pair.square().sum(1).sqrt() for pair in pairs], 1)


each_way = pytest.mark.parametrize("lengths_of", [edge_lengths, plain_edge_lengths], ids=["kernel", "torch"])


@each_way
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_values_and_gradients(lengths_of, count, dtype):
    vertices = random_vertices(count, dtype)
    weights = torch.arange(-2, 3, dtype=dtype)  # one of them 0
    found = []
    for lengths in (lengths_of, by_formula):
        leaf = vertices.clone().requires_grad_()
        values = lengths(leaf, EDGES)
        found.append((values, *torch.autograd.grad((values * weights).sum(), leaf)))
    torch.testing.assert_close(*found)
    torch.testing.assert_close(lengths_of(vertices, EDGES), found[1][0])  # without a gradient, no operator
    assert torch.autograd.gradcheck(lambda v: lengths_of(v, EDGES), random_vertices().requires_grad_())


def test_arrays_in_any_layout():
    vertices = random_vertices().permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not vertices.is_contiguous()
    torch.testing.assert_close(edge_lengths(vertices, EDGES.T.contiguous().T), by_formula(vertices, EDGES))


@each_way
def test_an_edge_of_no_length_passes_no_gradient_on(lengths_of):
    vertices = torch.zeros(1, 5, 3)
    vertices[:, 4] = torch.tensor([3.0, 0.0, 4.0])
    vertices.requires_grad_()
    lengths = lengths_of(vertices, EDGES)
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
