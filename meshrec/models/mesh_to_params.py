"""Pose and shape of the parametric body from a regressed mesh, by a network."""

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS
from meshrec.compiled.operators import is_exporting
from meshrec.geometry import nearest_rotation
from meshrec.geometry.alignment import polar_rotation
from meshrec.models.encoders import Encoder, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.graph import FullyConnectedMesh, GraphMesh, GraphRegressor
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput


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
