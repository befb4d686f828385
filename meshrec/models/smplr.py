"""Pose and shape of a body from its joints and a few points of its surface.

Source: Madadi, Bertiche and Escalera 2018, "SMPLR: Deep SMPL reverse for 3D human pose and shape recovery". A network
of pictures finds joints and landmarks on the surface in space, and a second network turns them into the parameters of
SMPL: joints alone tell nothing of how bones turn about themselves, and little of the shape. It sees each point relative
to its parent in the kinematic tree, as a direction and a length. Then the body is turned as a whole so that its points
fit the given ones (Procrustes analysis).

Departures: landmarks are chosen for how much they tell of the shape (:func:`shape_vertices`), in place of those that
the authors placed; the second network is fully connected with residual blocks and is trained with noise on its points,
in place of a denoising autoencoder before it; limbs are not drawn as volumes of their own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS, BodyModel
from meshrec.errors import InputError
from meshrec.geometry import matrix_to_rotation_6d, procrustes, rotation_6d_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.checks import check_sizes

SHORTEST = 1e-3
"""Lengths are at least this many metres where directions are divided by them; the least deviation of a feature too."""


@dataclass(frozen=True)
class SmplrConfig:
    """Settings of the network from points to a body.

    Attributes:
        landmarks: number of landmarks on the surface, beside the body's 24 joints.
        width: units in each layer.
        blocks: number of residual blocks, each of two layers.
        noise: largest standard deviation of the noise on each coordinate in training, metres; each person has one of
            its own, between zero and this.
    """

    landmarks: int = 24
    width: int = 512
    blocks: int = 2
    noise: float = 0.06

    def __post_init__(self) -> None:
        check_sizes(self, landmarks=0, width=1, blocks=0)
        if self.noise < 0:
            raise InputError(f"noise must be at least 0: {self}")


class PointsToBody(nn.Module):
    """The network from points to a body.

    Args:
        body: the body.
        config: settings of the network.

    Attributes:
        points: the positions (B, P, 3) of the points of given rotations and betas, the joints first.

    Example:
        >>> import meshrec, torch
        >>> from meshrec.models.smplr import PointsToBody, SmplrConfig
        >>> network = PointsToBody(meshrec.load_body("neutral"), SmplrConfig(landmarks=4, width=16)).eval()
        >>> rotations, betas = network(torch.rand(2, 28, 3))
        >>> rotations.shape, betas.shape
        (torch.Size([2, 24, 3, 3]), torch.Size([2, 10]))
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: BodyModel, config: SmplrConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SmplrConfig()
        vertices = shape_vertices(body, config.landmarks)
        moments = point_moments(body, vertices)
        self.points = TorchLandmarks(moments)
        self.parents = point_parents(moments)
        features, width = 4 * (len(self.parents) - 1), config.width
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.enter = _layer(features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(_layer(width, width), _layer(width, width)) for _ in range(config.blocks)
        )
        self.leave = nn.Linear(width, 6 * NUM_JOINTS + NUM_BETAS)
        # The first estimates are near the rest pose, where both columns of each rotation are far from parallel.
        nn.init.xavier_uniform_(self.leave.weight, gain=0.01)
        rest = matrix_to_rotation_6d(torch.eye(3)).repeat(NUM_JOINTS)
        with torch.no_grad():
            self.leave.bias.copy_(torch.cat([rest, torch.zeros(NUM_BETAS)]))

    @torch.no_grad()
    def standardise(self, points: Tensor) -> None:
        """Take the features' means and standard deviations from points (N, P, 3)."""
        features = tree_features(points, self.parents).flatten(1)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=SHORTEST))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate bodies.

        Args:
            points: (B, P, 3) joints and landmarks, metres, from any origin.

        Returns:
            Local rotations (B, 24, 3, 3) and betas (B, 10).
        """
        x = self.enter((tree_features(points, self.parents).flatten(1) - self.mean) / self.deviation)
        for block in self.blocks:
            x = x + block(x)
        six, betas = self.leave(x).split((6 * NUM_JOINTS, NUM_BETAS), dim=1)
        return rotation_6d_to_matrix(six.unflatten(1, (NUM_JOINTS, 6))), betas

    def turned(self, rotations: Tensor, betas: Tensor, points: Tensor) -> Tensor:
        """Turn bodies as a whole, so that their points are as near as possible to the given ones.

        Args:
            rotations: (B, 24, 3, 3) local rotations.
            betas: (B, 10) shapes.
            points: (B, P, 3) the points that were given to the network.

        Returns:
            (B, 24, 3, 3) local rotations, of which the first is another.
        """
        turn = procrustes(self.points(rotations, betas), points, with_scale=False).rotation
        return torch.cat([turn[:, None] @ rotations[:, :1], rotations[:, 1:]], dim=1)

    def count_weights(self) -> int:
        """The number of weights that training changes."""
        return sum(weight.numel() for weight in self.parameters())


def tree_features(points: Tensor, parents: np.ndarray) -> Tensor:
    """Points relative to their parents, as directions and lengths.

    Args:
        points: (..., P, 3), metres.
        parents: (P,) number of each point's parent; that of the first, the root, does not count.

    Returns:
        (..., P - 1, 4): a unit vector from the parent to the point, and the distance in metres.

    Example:
        >>> import numpy as np, torch
        >>> from meshrec.models.smplr import tree_features
        >>> tree_features(torch.tensor([[0.0, 0, 0], [0, 2, 0]]), np.array([-1, 0])).tolist()
        [[0.0, 1.0, 0.0, 2.0]]
    """
    bones = points[..., 1:, :] - points[..., parents[1:], :]
    lengths = bones.norm(dim=-1, keepdim=True)
    return torch.cat([bones / lengths.clamp(min=SHORTEST), lengths], dim=-1)


def point_moments(body: BodyModel, vertices: np.ndarray) -> LandmarkMoments:
    """The body's 24 joints, and after them single vertices, as landmarks."""
    single = np.zeros((len(vertices), len(body.data.v_template)))
    single[np.arange(len(vertices)), vertices] = 1
    weights = np.concatenate([body.joint_regressor("smpl24"), single])
    return LandmarkMoments.of_body(body, weights, num_betas=NUM_BETAS)


def point_parents(moments: LandmarkMoments) -> np.ndarray:
    """(P,) parents of the points: those of the joints in the kinematic tree, and for a vertex the joint that moves it.

    Args:
        moments: The joints and the vertices, as from :func:`point_moments`.
    """
    parents = [-1, *moments.tree.parents[1:]]
    for first, last in zip(moments.starts[NUM_JOINTS:-1], moments.starts[NUM_JOINTS + 1 :]):
        parents.append(int(moments.joints[first + int(moments.masses[first:last].argmax())]))
    return np.array(parents)


def shape_vertices(body: BodyModel, count: int) -> np.ndarray:
    """The vertices that tell most of the shape, when their places relative to their joint are measured.

    They are chosen one after the other, each the one that raises the determinant of the information matrix of the betas
    most (D-optimal design). One centimetre of noise and betas of unit variance are assumed.

    Args:
        body: The body.
        count: Number of vertices.

    Returns:
        (count,) indices of different vertices.
    """
    data = body.data.with_betas(NUM_BETAS)
    _, joint_shapes = data.joint_maps
    directions = data.shapedirs - joint_shapes[data.weights.argmax(1)]
    directions = directions / 0.01  # (V, 3, S)
    covariance, chosen = np.eye(NUM_BETAS), []
    free = np.ones(len(directions), bool)
    for _ in range(count):
        spread = directions @ covariance @ directions.swapaxes(1, 2)
        gains = np.where(free, np.linalg.slogdet(np.eye(3) + spread)[1], -np.inf)
        best = int(gains.argmax())
        free[best] = False
        chosen.append(best)
        covariance = np.linalg.inv(np.linalg.inv(covariance) + directions[best].T @ directions[best])
    return np.array(chosen, np.int64)


def _layer(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU())
