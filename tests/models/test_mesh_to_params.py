import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshrec.body import load_body
from meshrec.evaluation import evaluate
from meshrec.geometry import procrustes, random_rotations, rotation_angle
from meshrec.models.graph import GraphMesh
from meshrec.models.mesh_to_params import MeshToParameters, _part_turns, fit_parameters, project_to_rotations
from meshrec.poses.pose_bank import load_pose_bank


def test_projection_is_the_nearest_rotation():
    generator = torch.Generator().manual_seed(0)
    near = random_rotations(50, generator, torch.float64)
    matrices = near + 0.3 * torch.randn(50, 3, 3, generator=generator, dtype=torch.float64)
    matrices = matrices[torch.linalg.det(matrices) > 0]
    assert len(matrices) > 30
    # scipy takes the nearest rotation of what it is given.
    expected = torch.from_numpy(Rotation.from_matrix(matrices.numpy()).as_matrix())
    assert torch.allclose(project_to_rotations(matrices), expected, atol=1e-9)


def test_reflections_are_negated():
    rotation = random_rotations(1, torch.Generator().manual_seed(0))
    assert torch.allclose(project_to_rotations(-2 * rotation), rotation, atol=1e-6)


@pytest.mark.parametrize("kind", ["rotation", "scaled rotation", "any", "reflection"])
def test_gradients_are_exact_and_finite(kind):
    generator = torch.Generator().manual_seed(0)
    matrix = random_rotations(2, generator, torch.float64)
    if kind == "scaled rotation":
        matrix = 3 * matrix
    elif kind == "any":
        matrix = matrix + 0.3 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    elif kind == "reflection":
        matrix = -matrix
    assert torch.autograd.gradcheck(project_to_rotations, matrix.requires_grad_())


def test_gradients_at_a_matrix_of_zeros_are_finite():
    matrix = torch.zeros(1, 3, 3, requires_grad=True)
    project_to_rotations(matrix).sum().backward()
    assert torch.isfinite(matrix.grad).all()


@pytest.fixture(scope="module")
def posed():
    """Held-out poses on random shapes, somewhere in space, and their vertices."""
    body = load_body("neutral")
    bank, generator = load_pose_bank("held_out"), torch.Generator().manual_seed(0)
    rotations = bank.rotations(torch.arange(0, len(bank), len(bank) // 4)[:4])
    betas = torch.randn(4, 10, generator=generator)
    transl = torch.randn(4, 3, generator=generator)
    return body, rotations, betas, transl, body(betas, rotations[:, 1:], rotations[:, :1], transl).vertices


def test_closed_form_recovers_pose_and_shape(posed):
    body, rotations, betas, transl, vertices = posed
    found = fit_parameters(body, vertices)
    again = body(found[1], found[0][:, 1:], found[0][:, :1], found[2]).vertices
    assert (again - vertices).norm(dim=-1).mean() < 0.5e-3
    assert rotation_angle(found[0], rotations).rad2deg().mean() < 0.5
    assert (found[1] - betas).abs().max() < 0.2
    assert (found[2] - transl).norm(dim=-1).max() < 2e-3


def test_parts_turn_as_their_weighted_alignments_do(body):
    """Covariances by moments, far from the origin and in float32, against each part's own Procrustes alignment."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(2, 69, generator=generator)
    source = body(betas=torch.randn(2, 10, generator=generator)).vertices + 20
    target = body(body_pose=pose, transl=torch.tensor([[3.0, -2, 30]])).vertices
    expected = procrustes(
        source[:, None].double(), target[:, None].double(), body.weights.T.double().expand(2, -1, -1), with_scale=False
    )
    found = _part_turns(source, target, body.weights)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected.rotation, atol=1e-6)


def test_nobody_has_no_parameters(body):
    found = fit_parameters(body, torch.zeros(0, len(body.v_template), 3))
    assert [tuple(part.shape) for part in found] == [(0, 24, 3, 3), (0, 10), (0, 3)]


def test_vertices_that_are_not_the_bodys_are_wrong_arguments(body):
    vertices = body().vertices
    for wrong in (vertices[0], vertices[:, 1:]):
        with pytest.raises(ValueError, match=r"vertices should be \(B, 7644, 3\)"):
            fit_parameters(body, wrong)
    vertices[0, 5, 1] = torch.nan
    with pytest.raises(ValueError, match="vertices must be finite"):
        fit_parameters(body, vertices)


def test_closed_form_stands_noise(posed):
    """Five millimetres of noise on each vertex hardly move the body."""
    body, rotations, _, _, vertices = posed
    noise = 5e-3 * torch.randn(vertices.shape, generator=torch.Generator().manual_seed(1))
    found = fit_parameters(body, vertices + noise)
    again = body(found[1], found[0][:, 1:], found[0][:, :1], found[2]).vertices
    assert (again - vertices).norm(dim=-1).mean() < 2.5e-3
    assert rotation_angle(found[0], rotations).rad2deg().mean() < 2


def test_the_network_learns_what_the_closed_form_knows(posed):
    """A few meshes to their parameters, as GraphCMR's own regressor: the same answer by two ways."""
    torch.manual_seed(0)
    body, rotations, betas, _, vertices = posed
    mesh = GraphMesh.of_body(body.data)
    coarse = vertices[:, :: len(body.v_template) // len(mesh.template)][:, : len(mesh.template)]
    network = MeshToParameters(mesh, width=128)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(80):
        found, shapes = network(coarse)
        loss = (found - rotations).square().mean() + 0.01 * (shapes - betas).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found, shapes = network(coarse)
    closed, closed_betas, _ = fit_parameters(body, vertices)
    assert rotation_angle(found, closed).rad2deg().mean() < 5
    assert (shapes - closed_betas).abs().mean() < 0.3


def test_the_shipped_graph_gives_its_meshes_bodies():
    report = evaluate("graph", "synthetic", mirror=False, limit=40)
    assert report.mean("pa_mpjpe") < 160  # a body at rest: 250
    assert np.abs(report.stages["mesh"]["pa_mpjpe"] - report.stages["body"]["pa_mpjpe"]).mean() < 30
