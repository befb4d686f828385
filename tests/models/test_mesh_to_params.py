import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshrec.body import load_body
from meshrec.body.mesh_fit import fit_parameters
from meshrec.evaluation import evaluate
from meshrec.geometry import random_rotations, rotation_angle
from meshrec.models.graph import GraphMesh
from meshrec.models.mesh_to_params import MeshToParameters, project_to_rotations
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
    closed = fit_parameters(body, vertices)
    assert rotation_angle(found, closed.rotations).rad2deg().mean() < 5
    assert (shapes - closed.betas).abs().mean() < 0.3


def test_the_shipped_graph_gives_its_meshes_bodies():
    report = evaluate("graph", "synthetic", mirror=False, limit=40)
    assert report.mean("pa_mpjpe") < 160  # a body at rest: 250
    assert np.abs(report.stages["mesh"]["pa_mpjpe"] - report.stages["body"]["pa_mpjpe"]).mean() < 30
