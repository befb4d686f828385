"""Pose and shape of the parametric body from a regressed mesh: a network, and a closed form to compare it with."""

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS, BodyModel
from meshrec.body.kinematics import local_rotations
from meshrec.compiled.operators import is_exporting
from meshrec.geometry import nearest_rotation
from meshrec.geometry.alignment import polar_rotation
from meshrec.models.encoders import Encoder, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.graph import FullyConnectedMesh, GraphMesh, GraphRegressor
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput

POSE_ONLY = 3
"""Iterations of the closed form for the pose alone: betas have no meaning while the limbs point elsewhere."""


class MeshToParameters(nn.Module):
    """The parameter regressor of GraphCMR (Kolotouros et al. 2019, section 3.4).

    Args:
        mesh: the graph of the body.
        width: units in each layer.
        num_betas: number of shape components.
    """

    template: Tensor

    def __init__(self, mesh: GraphMesh, width: int = 1024, num_betas: int = NUM_BETAS) -> None:
        super().__init__()
        self.register_buffer("template", mesh.template[None], persistent=False)
        self.embed = nn.Sequential(nn.Linear(6 * len(mesh.template), width), nn.BatchNorm1d(width), nn.ReLU())
        self.residuals = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
                *(nn.Linear(width, width), nn.BatchNorm1d(width)),
            )
            for _ in range(2)
        )
        self.output = nn.Linear(width, 9 * NUM_JOINTS + num_betas)
        # The first estimates are near the rest pose, where every matrix has a unique nearest rotation.
        nn.init.xavier_uniform_(self.output.weight, gain=0.01)
        with torch.no_grad():
            self.output.bias.copy_(torch.cat([torch.eye(3).flatten().repeat(NUM_JOINTS), torch.zeros(num_betas)]))

    def forward(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate local rotations (B, 24, 3, 3) and betas (B, num_betas) of coarse meshes (B, N, 3), metres."""
        x = self.embed(torch.cat([coarse, self.template.expand(coarse.shape[0], -1, -1)], dim=2).flatten(1))
        for residual in self.residuals:
            x = torch.relu(x + residual(x))
        matrices, betas = self.output(x).float().tensor_split([9 * NUM_JOINTS], dim=1)
        with torch.autocast(x.device.type, enabled=False):  # there are no decompositions in half precision
            return project_to_rotations(matrices.unflatten(1, (NUM_JOINTS, 3, 3))), betas


class MeshRecovery(Network):
    """The whole of GraphCMR: a network that regresses a mesh, and one that regresses body parameters from the mesh.

    Args:
        regressor: the network that regresses the mesh.
    """

    def __init__(self, regressor: GraphRegressor | FullyConnectedMesh) -> None:
        super().__init__()
        self.regressor = regressor
        self.config = config = regressor.config
        self.mesh = regressor.mesh
        self.to_parameters = MeshToParameters(regressor.mesh, config.width, config.num_betas)

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The encoder of the mesh regressor. As a property it does not appear in the state dict a second time."""
        return self.regressor.encoder

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """Estimate the meshes of B people, and the parameters of the bodies that come closest to them."""
        mesh = self.regressor(inputs)
        # As in the paper, losses of the parameters train only the network of the parameters and not that of the mesh.
        rotations, betas = self.to_parameters(mesh.coarse.detach())
        return NetworkOutput([Estimate(rotations, betas, mesh.camera)], mesh)


def project_to_rotations(matrices: Tensor) -> Tensor:
    """The orthogonal polar factor U V^T of each matrix, negated if it is a reflection, as in GraphCMR.

    If the determinant is positive, as it is for all joints after the first steps of training, that is the nearest
    rotation. If it is negative, it is not, but its derivatives are bounded for all matrices of full rank, unlike those
    of the nearest rotation.

    Args:
        matrices: (..., 3, 3).

    Returns:
        (..., 3, 3) rotations.
    """
    a, b, c = matrices.unbind(-1)
    reflects = (a * torch.linalg.cross(b, c)).sum(-1)[..., None, None] < 0
    turn = polar_rotation if is_exporting() else nearest_rotation
    return turn(torch.where(reflects, -matrices, matrices))


def fit_parameters(
    body: BodyModel, vertices: Tensor, num_betas: int = NUM_BETAS, iterations: int = 20
) -> tuple[Tensor, Tensor, Tensor]:
    """Fit a body to vertices by two closed forms in turn.

    First each body part is rotated to align best with its vertices (Procrustes alignment, weighted by the skinning
    weights). Then shape and translation are found by least squares, since vertices are linear in them for given
    rotations.

    Args:
        body: the body to fit.
        vertices: (B, V, 3) vertices of its topology, metres.
        num_betas: number of shape components to fit.
        iterations: number of rounds of both closed forms; the first :data:`POSE_ONLY` rounds fit the pose alone.

    Returns:
        Local rotations (B, 24, 3, 3), betas (B, num_betas) and translations (B, 3), metres.

    Raises:
        ValueError: The vertices are not of this shape, or not finite.
    """
    if vertices.dim() != 3 or vertices.shape[1:] != body.v_template.shape:
        raise ValueError(f"vertices should be (B, {len(body.v_template)}, 3), not {tuple(vertices.shape)}")
    if not vertices.isfinite().all():
        raise ValueError("vertices must be finite")
    batch = len(vertices)
    world = torch.eye(3).to(vertices).repeat(batch, NUM_JOINTS, 1, 1)
    rotations, betas, transl = world, vertices.new_zeros(batch, num_betas), vertices.new_zeros(batch, 3)
    for step in range(iterations):
        posed = body(betas, rotations[:, 1:], rotations[:, :1], transl).vertices
        world = _part_turns(posed, vertices, body.weights) @ world
        rotations = local_rotations(world, body.tree)
        if step >= POSE_ONLY:
            betas, transl = _shape_and_translation(body, vertices, rotations, num_betas)
    return rotations, betas, transl


def _part_turns(source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """For each part the rotation of the rigid motion that best aligns it (Kabsch 1976).

    It is :func:`meshrec.geometry.procrustes` with the parts' weights, but all covariances are one matrix product, and
    no array has vertices and parts and bodies. Its differences of large moments need float64.

    Args:
        source, target: (B, V, 3) metres.
        weights: (V, J) how much a vertex counts in each part.

    Returns:
        (B, J, 3, 3) from source to target.
    """
    share, x, y = weights.T.double(), source.double(), target.double()
    share = share / share.sum(1, keepdim=True)
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    products = (y[..., :, None] * x[..., None, :]).flatten(2)
    moments = share @ torch.cat([products, x, y], dim=2)
    product, x_mean, y_mean = moments.split([9, 3, 3], dim=2)
    covariance = product.unflatten(2, (3, 3)) - y_mean[..., :, None] * x_mean[..., None, :]
    return nearest_rotation(covariance).to(source)


def _shape_and_translation(
    body: BodyModel, vertices: Tensor, rotations: Tensor, num_betas: int
) -> tuple[Tensor, Tensor]:
    """Betas (B, num_betas) and translations (B, 3) by least squares for given local rotations (B, 24, 3, 3)."""
    batch = len(vertices)
    units = torch.eye(num_betas + 1, num_betas).to(vertices).roll(1, 0)  # the mean shape, then each beta alone
    turned = rotations.repeat_interleave(num_betas + 1, 0)
    posed = (
        body(units.repeat(batch, 1), turned[:, 1:], turned[:, :1])
        .vertices.unflatten(0, (batch, num_betas + 1))
        .flatten(2)
    )
    mean, basis = posed[:, 0], posed[:, 1:] - posed[:, :1]
    moves = torch.eye(3).to(vertices).repeat(1, vertices.shape[1]).expand(batch, -1, -1)
    basis = torch.cat([basis, moves], dim=1)
    target = (vertices.flatten(1) - mean)[..., None]
    solution = torch.linalg.solve(basis @ basis.mT, basis @ target).squeeze(-1)
    return solution[:, :num_betas], solution[:, num_betas:]
