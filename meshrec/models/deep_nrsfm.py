"""3D joints from 2D joints alone by a hierarchy of block-sparse dictionaries.

Source: Kong and Lucey 2019, "Deep Non-Rigid Structure from Motion"; how missing joints are left out is that of Wang,
Lin and Lucey 2020, "Deep NRSfM++". A shape S (K, 3) is a sparse sum of the atoms of a dictionary, whose coefficients
are sparse sums of the atoms of a second one, and so on::

    S = D1 psi1,  psi1 = D2 psi2,  ...,  psi(N-1) = DN psiN,  all psi sparse and at least 0

An orthographic picture is W = S M' with M two rows of a rotation, so that W is a sum of the same atoms with
coefficients that are blocks psi1 M' of 3 x 2 numbers: the code is block-sparse. One step of the iterative shrinkage
algorithm for this code is one layer of a network, the product with the dictionary's transpose and a shrinkage of each
block's norm::

    Psi1 = shrink(D1' W, b1),  Psi2 = shrink(D2' Psi1, b2),  ...,  shrink(Psi, b) = max(0, 1 - b / |Psi|) Psi

From the last blocks the camera is a weighted sum, brought to the nearest two rows of a rotation, and the code psiN is
linear. The code goes back up through the same dictionaries, psi(i-1) = relu(Di psii - ci), to the shape. The only loss
is the distance |W - S M'|, without any 3D label. What keeps shapes from being flat is that the code is small, and that
the same dictionaries have to explain everybody from everywhere.

An orthographic picture is the same for a shape and for its reflection in depth, so that a training ends in either. The
one is taken in which most people bend their knees and hold their faces as people do
(:func:`meshrec.models.unscaled.handedness`); the papers measure with the better reflection.

Departures: few atoms. Pictures have a scale, which the code holds. A missing joint's rows of the first dictionary are
left out, and the sum is scaled to all joints. The paper goes over to rectified linear units; blocks are shrunk here, as
its derivation has it.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.unscaled import TINY, Unscaled, centred_at, centred_places

COUNT = len(joint_set("h36m17"))
MOST = 16  # dictionaries


@dataclass(frozen=True)
class DeepNRSfMConfig:
    """Settings of the network and its training.

    Attributes:
        steps: number of steps of the training.
        rate: largest learning rate.
        atoms: number of atoms of each dictionary, the first one's first; the last is the number of a code's entries.
        shrink: by how much the norms of blocks are shrunk at first; the training changes it.
    """

    steps: int = 3000
    rate: float = 1e-3
    atoms: tuple[int, ...] = (32, 16, 8)
    shrink: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or not 1 <= len(self.atoms) <= MOST or not all(1 <= n <= LARGEST for n in self.atoms):
            raise InputError(
                f"at least one step, and 1 to {MOST} dictionaries of 1 to {LARGEST} atoms are needed: {self}"
            )
        if self.shrink < 0 or self.rate <= 0:
            raise InputError(f"a shrink of at least 0 and a rate above 0 are needed: {self}")


class DeepNRSfM(Unscaled):
    """The network.

    Args:
        config: its settings.

    Attributes:
        side: () 1, or -1 where shapes have to be reflected in depth.

    Example:
        >>> import torch
        >>> from meshrec.models.deep_nrsfm import DeepNRSfM
        >>> DeepNRSfM()(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: DeepNRSfMConfig
    side: Tensor

    def __init__(self, config: DeepNRSfMConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DeepNRSfMConfig()
        self.register_buffer("side", torch.ones(()))
        atoms = config.atoms
        self.shapes = nn.Parameter(torch.randn(COUNT, 3, atoms[0]) / (3 * COUNT) ** 0.5)
        self.dictionaries = nn.ParameterList(
            nn.Parameter(torch.randn(above, below) * (2 / below) ** 0.5) for above, below in pairwise(atoms)
        )
        self.shrinks = nn.ParameterList(nn.Parameter(torch.full((count,), config.shrink)) for count in atoms)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(count)) for count in atoms)
        self.to_camera = nn.Linear(atoms[-1], 1, bias=False)
        self.to_code = nn.Linear(6 * atoms[-1], atoms[-1])

    def blocks(self, places: Tensor, seen: Tensor) -> Tensor:
        """The blocks (B, A, 3, 2) of the last dictionary's code.

        Args:
            places: (B, K, 2) as :func:`meshrec.models.unscaled.centred_places` gives them.
            seen: (B, K) 1 for seen joints, 0 for missing ones.
        """
        scale = seen.shape[1] / seen.sum(1).clamp(min=1)
        found = torch.einsum("kca,bkj->bacj", self.shapes, places * (seen * scale[:, None])[..., None])
        found = shrunk(found, self.shrinks[0])
        for dictionary, shrink in zip(self.dictionaries, list(self.shrinks)[1:]):
            found = shrunk(torch.einsum("ia,bicj->bacj", dictionary, found), shrink)
        return found

    def decoded(self, codes: Tensor) -> Tensor:
        """Shapes (B, K, 3) of codes (B, A), with the mean of their joints at the origin."""
        values = (codes - self.biases[-1]).relu()
        for dictionary, bias in zip(reversed(list(self.dictionaries)), reversed(list(self.biases)[:-1])):
            values = (values @ dictionary.T - bias).relu()
        points = torch.einsum("kca,ba->bkc", self.shapes, values)
        return points - points.mean(1, keepdim=True)

    def factors(self, places: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes (B, K, 3) and cameras (B, 2, 3), two rows of a rotation, of what :meth:`blocks` sees."""
        found = self.blocks(places, seen)
        camera = self.to_camera(found.permute(0, 2, 3, 1)).squeeze(-1)
        return self.decoded(self.to_code(found.flatten(1))), orthonormal_rows(camera.mT)

    def shape(self, keypoints: Tensor) -> Tensor:
        """Joints (B, K, 3) in camera space up to translation and scale, of keypoints (B, K, 3)."""
        shapes, cameras = self.factors(*centred_places(keypoints))
        third = torch.linalg.cross(cameras[:, 0], cameras[:, 1])
        return torch.cat([shapes @ cameras.mT, self.side * (shapes @ third[..., None])], dim=-1)

    @staticmethod
    def reprojection_errors(places: Tensor, seen: Tensor, shapes: Tensor, cameras: Tensor) -> Tensor:
        """The distance (B,) of the seen joints from the projected ones, over the spread of the seen joints."""
        apart = places - centred_at(shapes @ cameras.mT, seen)
        return (apart.square().sum((1, 2)) / seen.sum(1).clamp(min=1) + TINY).sqrt()


def shrunk(blocks: Tensor, by: Tensor) -> Tensor:
    """Blocks (B, A, 3, 2) whose norms are smaller by ``|by|`` (A,), and zero where they were smaller than that.

    This is the proximal map of the sum of the blocks' norms, weighted by ``|by|``.

    Example:
        >>> import torch
        >>> from meshrec.models.deep_nrsfm import shrunk
        >>> shrunk(torch.ones(1, 1, 3, 2), torch.tensor([6**0.5 / 2]))[0, 0, 0].tolist()
        [0.5, 0.5]
    """
    norms = blocks.square().sum((-2, -1)).clamp(min=TINY**2).sqrt()
    return (1 - by.abs() / norms).relu()[..., None, None] * blocks


def orthonormal_rows(cameras: Tensor) -> Tensor:
    """The two orthonormal rows (B, 2, 3) that are nearest to cameras C (B, 2, 3): ``(C C')^(-1/2) C``.

    The square root of a 2 x 2 matrix A is ``(A + d I) / t`` with d the root of its determinant and
    ``t = sqrt(trace(A) + 2 d)``, so that gradients are finite where singular values are equal.
    """
    square = cameras @ cameras.mT
    trace = square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    square = square + 1e-5 * (trace + TINY) * torch.eye(2).to(square)  # so that cameras of zeros have an answer
    d = torch.linalg.det(square).clamp(min=TINY**4).sqrt()[:, None, None]
    t = (trace + 2 * d).clamp(min=TINY**2).sqrt()
    return torch.linalg.solve((square + d * torch.eye(2).to(square)) / t, cameras)
