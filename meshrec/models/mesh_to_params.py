"""Pose and shape of the parametric body from a regressed mesh: a network, and a closed form to check it with."""

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS, BodyModel
from meshrec.body.kinematics import local_rotations
from meshrec.geometry import nearest_rotation
from meshrec.models.encoders import Encoder, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.graph import FullyConnectedMesh, GraphMesh, GraphRegressor
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput

POSE_ONLY = 3
"""Iterations of the closed form before shape is solved for: betas make little sense while limbs point elsewhere."""


class MeshToParameters(nn.Module):
    """The parameter regressor of GraphCMR (Kolotouros et al. 2019, section 3.4).

    Args:
        mesh: of the body.
        width: units of the layers.
        num_betas: shape components.
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
        # It starts near the rest pose, far from matrices without a nearest rotation.
        nn.init.xavier_uniform_(self.output.weight, gain=0.01)
        with torch.no_grad():
            self.output.bias.copy_(torch.cat([torch.eye(3).flatten().repeat(NUM_JOINTS), torch.zeros(num_betas)]))

    def forward(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations (B, 24, 3, 3) and betas (B, num_betas) of coarse meshes (B, N, 3)."""
        x = self.embed(torch.cat([coarse, self.template.expand(len(coarse), -1, -1)], dim=2).flatten(1))
        for residual in self.residuals:
            x = torch.relu(x + residual(x))
        matrices, betas = self.output(x).float().tensor_split([9 * NUM_JOINTS], dim=1)
        with torch.autocast(x.device.type, enabled=False):  # half precision knows no decompositions
            return project_to_rotations(matrices.unflatten(1, (NUM_JOINTS, 3, 3))), betas


class MeshRecovery(Network):
    """The whole of GraphCMR: from a picture to a mesh, and from the mesh to body parameters.

    Args:
        regressor: the network that makes the mesh.
    """

    def __init__(self, regressor: GraphRegressor | FullyConnectedMesh) -> None:
        super().__init__()
        self.regressor = regressor
        self.config = config = regressor.config
        self.mesh = regressor.mesh
        self.to_parameters = MeshToParameters(regressor.mesh, config.width, config.num_betas)

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The encoder of the mesh regressor. It is no attribute, so that its weights stand in the state dict once."""
        return self.regressor.encoder

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """The mesh, and the parameters of the body that comes closest to it."""
        mesh = self.regressor(inputs)
        # Losses on the parameters train their own network alone, as the authors do: the mesh owes them nothing.
        rotations, betas = self.to_parameters(mesh.coarse.detach())
        return NetworkOutput([Estimate(rotations, betas, mesh.camera)], mesh)


def project_to_rotations(matrices: Tensor) -> Tensor:
    """The orthogonal polar factor U V^T of a matrix, negated where it is a reflection, as GraphCMR has it.

    Where the determinant is positive, as it is for all joints after the first steps of training, that is the nearest
    rotation. Unlike the nearest rotation to a reflection, it never has unbounded derivatives at matrices of full rank.

    Args:
        matrices: (..., 3, 3).

    Returns:
        (..., 3, 3) rotations.
    """
    reflects = torch.linalg.det(matrices)[..., None, None] < 0
    return nearest_rotation(torch.where(reflects, -matrices, matrices))


def fit_parameters(
    body: BodyModel, vertices: Tensor, num_betas: int = NUM_BETAS, iterations: int = 20
) -> tuple[Tensor, Tensor, Tensor]:
    """The body that comes closest to given vertices, by alternating closed forms.

    Every part is turned by the rotation that best aligns it (Procrustes, weighted by its skinning weights); then shape
    and translation follow by least squares, since vertices are linear in them once rotations are known.

    Args:
        body: whose topology the vertices have.
        vertices: (B, V, 3) metres.
        num_betas: shape components to solve for.
        iterations: of both steps.

    Returns:
        Rotations (B, 24, 3, 3), betas (B, num_betas) and translations (B, 3).

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
    """Least squares in betas and translation under given rotations."""
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
