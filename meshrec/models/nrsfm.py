"""3D joints from 2D joints alone: a network factorises what is seen into a shape and a viewpoint.

Source: Novotny, Ravi, Graham, Neverova and Vedaldi 2019, "C3DPO: Canonical 3D Pose Networks for Non-Rigid Structure
From Motion". People are seen as ``Y = P R S(a)`` with a shape S(a) that is linear in few coefficients a, a rotation R
and an orthographic projection P. A network gives a and R of what is seen, and the basis of S is learned with it, from
two losses (equations 5 and 6)::

    reprojection      |Y - P R S(a)| over the joints that are seen
    canonicalisation  |S(a) - S(psi(Q S(a)))| for a random rotation Q

The second network psi finds the coefficients of a shape however it is turned. That is only possible if two shapes are
never the same but for a rotation, so that what a rotation explains cannot be explained by the basis.

An orthographic picture is the same for a shape and for its reflection in depth. The paper measures each person with the
better of the two. Here the mean shape is fixed beforehand, by rigid factorisation (Tomasi and Kanade 1992, "Shape and
motion from image streams under orthography: a factorization method", with a scale for each picture). Of its two
reflections the one is taken that bends its knees and holds its face as people do
(:func:`meshrec.models.unscaled.handedness`).

Departures: without that mean shape, from which the rotations are learned first, the training ended in shapes that did
not look like people. A picture has a scale, since crops are as large as what they show; the paper leaves it to the
coefficients. The rotation is two columns that are made orthonormal, without the jumps that the paper's three numbers
have. Both errors are Huber's norms of a joint's error, as in the paper, but translations of picture and shape are taken
off over the joints that are seen. Pictures can be turned about the camera's axis at random.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.geometry.rotations import rotation_6d_to_matrix
from meshrec.models.checks import LARGEST
from meshrec.models.unscaled import Residual, Unscaled, centred_at, centred_places

TINY = 1e-12
COUNT = len(joint_set("h36m17"))


@dataclass(frozen=True)
class NRSfMConfig:
    """Settings of the networks and of their losses.

    Attributes:
        steps: number of steps of the training.
        width: units in each layer of both networks.
        blocks: number of their residual blocks, each of two layers.
        rank: number of coefficients of a shape.
        canonical: weight of the canonicalisation loss.
        limit: distance from which a joint's error grows linearly, in units of the spread of the seen joints.
        roll: standard deviation of the angle by which pictures are turned, degrees.
        rigid_steps: steps at the beginning in which rotations and scales are learned alone, from the mean shape.
    """

    steps: int = 2000
    width: int = 1024
    blocks: int = 6
    rank: int = 10
    canonical: float = 1.0
    limit: float = 0.01
    roll: float = 0.0
    rigid_steps: int = 400

    def __post_init__(self) -> None:
        sizes = self.steps >= 1 and 1 <= self.width <= LARGEST and 0 <= self.blocks <= 64
        if not (sizes and 1 <= self.rank <= 3 * COUNT):
            raise InputError(
                f"at least one step, a width of 1 to {LARGEST}, 0 to 64 blocks and a rank of 1 to {3 * COUNT} are "
                f"needed: {self}"
            )
        if min(self.canonical, self.roll, self.rigid_steps) < 0 or self.limit <= 0:
            raise InputError(f"a weight and a roll of at least 0 and a limit above 0 are needed: {self}")


class NRSfM(Unscaled):
    """The factorising network with its basis, and the canonicalising network.

    Args:
        config: its settings.

    Attributes:
        mean: (K, 3) the mean shape.

    Example:
        >>> import torch
        >>> from meshrec.models.nrsfm import NRSfM, NRSfMConfig
        >>> NRSfM(NRSfMConfig(width=8, blocks=1))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: NRSfMConfig
    mean: Tensor

    def __init__(self, config: NRSfMConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NRSfMConfig()
        self.register_buffer("mean", torch.zeros(COUNT, 3))
        self.factorise = Residual(3 * COUNT, config.rank + 7, config.width, config.blocks, norm=True)
        self.canonicalise = Residual(3 * COUNT, config.rank, config.width, config.blocks, norm=True)
        self.basis = nn.Linear(config.rank, 3 * COUNT, bias=False)

    def shapes(self, coefficients: Tensor) -> Tensor:
        """Shapes (B, K, 3) of coefficients (B, rank), with the mean of their joints at the origin."""
        points = self.mean + self.basis(coefficients).unflatten(1, (-1, 3))
        return points - points.mean(1, keepdim=True)

    def factors(self, places: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes (B, K, 3) and rotations times a scale (B, 3, 3) of what is seen.

        Args:
            places: (B, K, 2) as :func:`meshrec.models.unscaled.centred_places` gives them.
            seen: (B, K) 1 for seen joints, 0 for missing ones.
        """
        found = self.factorise(torch.cat([places, seen[..., None]], dim=-1).flatten(1))
        coefficients, columns, scales = found.split((self.config.rank, 6, 1), dim=1)
        return self.shapes(coefficients), scales.exp()[..., None] * rotation_6d_to_matrix(columns)

    def shape(self, keypoints: Tensor) -> Tensor:
        """Joints (B, K, 3) in camera space up to translation and scale, of keypoints (B, K, 3)."""
        shapes, rotations = self.factors(*centred_places(keypoints))
        return shapes @ rotations.mT

    def count_weights(self) -> int:
        """The number of weights of the factorising network and its basis; the other one is only for training."""
        return super().count_weights() - sum(weight.numel() for weight in self.canonicalise.parameters())

    def reprojection_errors(self, places: Tensor, seen: Tensor, shapes: Tensor, rotations: Tensor) -> Tensor:
        """The mean error (B,) of the seen joints, by :func:`huber_norm`."""
        apart = places - centred_at((shapes @ rotations.mT)[..., :2], seen)
        return (huber_norm(apart, self.config.limit) * seen).sum(1) / seen.sum(1).clamp(min=1)

    def canonical_errors(self, shapes: Tensor, rotations: Tensor) -> Tensor:
        """The mean error (B,) of joints when shapes are found again after they were turned, by :func:`huber_norm`."""
        again = self.shapes(self.canonicalise((shapes @ rotations.mT).flatten(1)))
        return huber_norm(again - shapes, self.config.limit).mean(1)


def huber_norm(apart: Tensor, limit: float) -> Tensor:
    """``limit (sqrt(1 + |x|^2 / limit^2) - 1)`` of vectors (..., D): half a square near zero, then nearly the norm."""
    return limit * ((1 + apart.square().sum(-1) / limit**2).sqrt() - 1)


def rigid_shape(places: Tensor) -> Tensor:
    """The one shape that explains the pictures of N people best, if nothing but rotation and scale makes them differ.

    The 2N rows of all pictures are nearly of rank three. Their three leading singular vectors are the shape but for a
    3 x 3 matrix A. It follows from the two rows m and n of each picture, which have to be rotations times scales, so
    that with Q = A A', m' Q m = n' Q n and m' Q n = 0: least squares for Q, whose scale is fixed by the mean of
    m' Q m + n' Q n.

    Args:
        places: (N, K, 2) joints, all seen, with the mean of each person's joints at the origin.

    Returns:
        (K, 3), up to a rotation and a reflection, in the unit of the places.

    Example:
        >>> import torch
        >>> from meshrec.models.nrsfm import rigid_shape
        >>> rigid_shape(torch.randn(30, 17, 2)).shape
        torch.Size([17, 3])
    """
    u, s, vh = torch.linalg.svd(places.mT.flatten(0, 1).double(), full_matrices=False)
    root = s[:3].sqrt()
    first, second = (u[:, :3] * root).unflatten(0, (-1, 2)).unbind(1)
    shape = root[:, None] * vh[:3]
    rows, columns = torch.triu_indices(3, 3)

    def products(a: Tensor, b: Tensor) -> Tensor:
        """(N, 6) such that a' Q b is its product with the entries of Q on and above the diagonal."""
        both = a[:, rows] * b[:, columns]
        return both + torch.where(rows == columns, 0, a[:, columns] * b[:, rows])

    conditions = torch.cat([products(first, first) - products(second, second), products(first, second)])
    size = (products(first, first) + products(second, second)).mean(0)
    normal = conditions.T @ conditions
    entries = torch.linalg.solve(normal + TINY * normal.trace() * torch.eye(6).to(normal), size)
    entries = 2 * entries / (size @ entries)
    form = torch.zeros(3, 3).to(entries)
    form[rows, columns] = form[columns, rows] = entries
    values, vectors = torch.linalg.eigh(form)
    # Where people are not rigid, noise can make a value negative.
    matrix = vectors * values.clamp(min=1e-3 * values.max()).sqrt()
    return torch.linalg.solve(matrix, shape).T.to(places)
