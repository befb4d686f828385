import numpy as np
import pytest
import scipy.sparse as sp
import torch
import trimesh
from helpers.sphere import sphere_body
from torch import nn

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.graph import (
    FullyConnectedMesh,
    GraphBlock,
    GraphConfig,
    GraphMesh,
    GraphRegressor,
    SparseMatrix,
    neighbour_mean,
    upsampling,
)

SMALL = GraphConfig(EncoderConfig(resnet=18, resolution=64), channels=32, blocks=2, width=64)


@pytest.fixture(scope="module")
def ball() -> GraphMesh:
    """A small mesh of its own: an icosphere and its coarser self."""
    fine, coarse = trimesh.creation.icosphere(2), trimesh.creation.icosphere(1)
    links = sp.csr_matrix(
        (np.ones(len(coarse.edges)), (coarse.edges[:, 0], coarse.edges[:, 1])), (len(coarse.vertices),) * 2
    )
    nearest = np.linalg.norm(fine.vertices[:, None] - coarse.vertices, axis=2).argsort(1)[:, :2]
    rows = np.repeat(np.arange(len(fine.vertices)), 2)
    up = sp.csr_matrix((np.full(len(rows), 0.5), (rows, nearest.ravel())), (len(fine.vertices), len(coarse.vertices)))
    down = sp.csr_matrix(np.eye(len(coarse.vertices), len(fine.vertices)))
    return GraphMesh.from_matrices(fine.vertices, links, down, up)


@pytest.mark.parametrize("source", ["open body", "sphere"])
def test_the_graph_of_any_body(source):
    body = load_body("neutral").data if source == "open body" else sphere_body()
    mesh = GraphMesh.of_body(body)
    nodes = len(mesh.template)
    assert 1650 < nodes < 1750 and mesh.vertex_count == len(body.v_template)
    assert 0.95 < mesh.template.abs().max() <= 1
    # Up-sampling the coarse template gives the full template, to the millimetre or so.
    span = np.abs(body.v_template - (body.v_template.max(0) + body.v_template.min(0)) / 2).max()
    full = upsampling(mesh)(mesh.template.T[None])[0].T
    middle = (body.v_template.max(0) + body.v_template.min(0)) / 2
    gap = np.linalg.norm(full.numpy() * span - (body.v_template - middle), axis=1)
    assert gap.mean() < 0.003
    with torch.no_grad():
        network = GraphRegressor(mesh, SMALL).eval()
        assert network(NetworkInput(torch.randn(1, 3, 64, 64))).vertices.shape == (1, mesh.vertex_count, 3)


def test_a_graph_may_have_fewer_nodes_but_no_more_than_the_mesh():
    body = sphere_body()
    mesh = GraphMesh.of_body(body, 100)
    assert 90 < len(mesh.template) < 110 and mesh.up.shape[1] == 3 * mesh.vertex_count
    with pytest.raises(InputError, match="no coarser than the body's"):
        GraphMesh.of_body(body, len(body.v_template))


def test_sparse_products_equal_dense_ones():
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    dense[torch.rand(7, 5, generator=generator) < 0.6] = 0
    index = dense.nonzero().T.contiguous()
    matrix = SparseMatrix(index, dense[tuple(index)], (7, 5))
    x = torch.randn(3, 2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(matrix(x), x @ dense.T)
    assert torch.autograd.gradcheck(matrix, x)
    assert not matrix.state_dict()


def test_indices_out_of_bounds_are_refused():
    with pytest.raises(RuntimeError):
        SparseMatrix(torch.tensor([[0, 1], [0, 9]]), torch.ones(2), (2, 3))


def test_neighbours_are_averaged(ball):
    nodes = len(ball.template)
    values = torch.randn(1, 1, nodes)
    mesh = trimesh.creation.icosphere(1)
    expected = [values[0, 0, [i, *mesh.vertex_neighbors[i]]].mean() for i in range(nodes)]
    assert torch.allclose(neighbour_mean(ball)(values)[0, 0], torch.stack(expected), atol=1e-6)


def test_a_block_follows_the_paper(ball):
    """The block written out node by node: norm, linear, norm, neighbour mean, linear, norm, linear, skip."""
    block = GraphBlock(32, 16, neighbour_mean(ball)).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 32, len(ball.template), dtype=torch.float64)

    def norm(layer: nn.GroupNorm, y: torch.Tensor) -> torch.Tensor:
        groups = y.unflatten(1, (-1, 8))
        mean, var = groups.mean((2, 3), keepdim=True), groups.var((2, 3), keepdim=True, correction=0)
        y = ((groups - mean) / (var + 1e-5).sqrt()).flatten(1, 2)
        return (y * layer.weight[:, None] + layer.bias[:, None]).relu()

    def linear(layer: nn.Conv1d, y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oc,bcn->bon", layer.weight[..., 0], y) + layer.bias[:, None]

    adjacency = torch.zeros(x.shape[2], x.shape[2], dtype=torch.float64)
    adjacency[tuple(ball.neighbours)] = 1
    adjacency /= adjacency.sum(1, keepdim=True)
    y = linear(block.linear1, norm(block.norm1, x))
    y = linear(block.mix, norm(block.norm2, y)) @ adjacency.T
    expected = linear(block.linear2, norm(block.norm3, y)) + linear(block.skip, x)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_renumbering_the_nodes_renumbers_the_mesh(ball):
    order = torch.randperm(len(ball.template), generator=torch.Generator().manual_seed(0))
    place = order.argsort()  # node order[i] becomes node i, so node j becomes place[j]
    links = place[ball.neighbours]
    links = links[:, (links[0] * len(order) + links[1]).argsort()]
    up = torch.stack([ball.up[0], place[ball.up[1]]])
    by_row = (up[0] * len(order) + up[1]).argsort()
    renumbered = GraphMesh(ball.template[order], links, up[:, by_row], ball.up_weights[by_row], ball.vertex_count)
    torch.manual_seed(0)
    one, other = GraphRegressor(ball, SMALL).eval(), GraphRegressor(renumbered, SMALL).eval()
    other.load_state_dict(one.state_dict())
    features = torch.randn(2, 512)
    with torch.no_grad():
        mine, theirs = one.from_features(features), other.from_features(features)
    assert torch.allclose(mine.coarse[:, order], theirs.coarse, atol=1e-5)
    assert torch.allclose(mine.vertices, theirs.vertices, atol=1e-5)
    assert mine.coarse.std(1).min() > 1e-3


@pytest.mark.parametrize("kind", [GraphRegressor, FullyConnectedMesh])
def test_meshes_cameras_and_gradients(kind, ball):
    network = kind(ball, SMALL)
    output = network(NetworkInput(torch.randn(2, 3, 64, 64)))
    nodes = len(ball.template)
    assert output.coarse.shape == (2, nodes, 3) and output.camera.shape == (2, 3)
    dense = torch.zeros(ball.vertex_count, nodes)
    dense[tuple(ball.up)] = ball.up_weights
    assert torch.allclose(output.vertices, dense @ output.coarse, atol=1e-6)
    (output.vertices.sum() + output.camera.sum()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_it_learns_two_shapes(ball):
    """The graph turns the template into whatever mesh the feature calls for."""
    torch.manual_seed(0)
    network = GraphRegressor(ball, SMALL)
    features = torch.randn(2, 512)
    weights = [weight for name, weight in network.named_parameters() if not name.startswith("encoder.")]
    wanted = torch.stack([ball.template * torch.tensor([1.0, 0.3, 0.5]), ball.template.roll(1, 1) + 0.5])
    optimizer = torch.optim.Adam(weights, 3e-3)
    losses = []
    for _ in range(180):
        loss = (network.from_features(features).coarse - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_half_precision(ball):
    network = GraphRegressor(ball, SMALL).eval()
    features = torch.randn(2, 512)
    with torch.no_grad():
        exact = network.from_features(features).vertices
        with torch.autocast("cpu", torch.bfloat16):
            rough = network.from_features(features).vertices
    assert torch.allclose(rough.float(), exact, atol=0.05 * exact.abs().max())


def test_an_exported_program_multiplies_by_the_same_sparse_matrix(monkeypatch):
    index = torch.tensor([[0, 0, 0, 2, 2, 3], [1, 2, 4, 0, 4, 3]])  # a row without entries too
    matrix = SparseMatrix(index, torch.arange(1.0, 7.0), (5, 6))
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    expected = matrix(x)
    monkeypatch.setattr("meshrec.models.graph.is_exporting", lambda: True)
    assert torch.allclose(matrix(x), expected, atol=1e-6)
