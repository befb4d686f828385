"""A pose from 2D joints as a sparse sum of known poses under an unknown rotation.

Source: Zhou, Leonardos, Hu and Daniilidis 2015, "3D Shape Estimation from 2D Landmarks: A Convex Relaxation Approach",
and Zhou, Zhu, Leonardos and Daniilidis 2016, "Sparse Representation for 3D Shape Estimation: A Convex Relaxation
Approach"; the L1 norm against outliers is that of Wang et al. 2014, "Robust Estimation of 3D Human Poses from a Single
Image". Joints W (2, K) are seen by a weak-perspective camera::

    min over c, R, T, E of |W - R sum_i c_i B_i - T 1' - E|^2 / 2 + alpha sum_i |c_i| + beta |E|_1

where R are two rows of a rotation. It is not convex, since c_i R is a product. Each c_i R is replaced by any matrix M_i
(2, 3) and |c_i| by the largest singular value of M_i, whose unit ball is the convex hull of the matrices R
(proposition 1 of the paper). That problem is solved by the alternating direction method of multipliers (Boyd et al.
2011). Then c and R are read from the M_i, and improved in the first problem by finding each in turn.

Departures: coefficients are not negative (:mod:`meshrec.fit.pose_dictionary`), so that the rotation has one sign. The
outliers E are eliminated, which turns their L1 norm into Huber's error. A joint's weight is 0 or 1, and a joint that is
missing has no error. The camera's scale is part of the coefficients, so that the result is scaled to a known length of
bones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.fit.pose_dictionary import sparse_codes

TINY = 1e-12


@dataclass(frozen=True)
class SparsePoseConfig:
    """Constants of the method.

    Attributes:
        atoms: number of poses in the dictionary.
        code_penalty: weight of the coefficients when the dictionary is learned, metres.
        alpha: weight of the coefficients of a pose, in half crop sides.
        beta: error of a coordinate from which it grows linearly, in half crop sides.
        iterations: steps of the relaxed problem.
        step: weight of the constraints in these steps.
        refinements: rounds of improving coefficients and rotation in turn.
    """

    atoms: int = 64
    code_penalty: float = 0.1
    alpha: float = 0.05
    beta: float = 0.1
    iterations: int = 200
    step: float = 1.0
    refinements: int = 30


class SparseLifter:
    """Lifts 2D joints by a dictionary of poses.

    Args:
        dictionary: (k, 3, K) poses.
        bones: (E, 2) pairs of joints, whose distances are a person's bones.
        length: sum of the bones' lengths of a usual person, metres.
        config: the constants.
    """

    def __init__(
        self, dictionary: Tensor, bones: Tensor, length: float, config: SparsePoseConfig | None = None
    ) -> None:
        self.dictionary, self.bones, self.length, self.config = dictionary, bones, length, config or SparsePoseConfig()

    def __call__(self, keypoints: Tensor) -> Tensor:
        """Lift the joints of B people.

        Args:
            keypoints: (B, K, 3) x and y in the crop, and confidence, 0 for missing joints.

        Returns:
            (B, K, 3) positions in camera space, metres, relative to the dictionary's origin.
        """
        codes, rotations = sparse_pose(self.dictionary, keypoints[..., :2].mT, keypoints[..., 2] > 0, self.config)
        points = (rotations @ torch.einsum("bk,kdj->bdj", codes, self.dictionary)).mT
        first, second = self.bones.T
        lengths = (points[:, first] - points[:, second]).norm(dim=-1).sum(1)
        return points * (self.length / lengths.clamp(min=TINY))[:, None, None]


def relaxed_pose(
    dictionary: Tensor, places: Tensor, seen: Tensor, config: SparsePoseConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Solve the relaxed problem.

    Args:
        dictionary: (k, 3, K) poses.
        places: (B, 2, K) joints in the picture.
        seen: (B, K) bool, which of them count.
        config: the constants.

    Returns:
        Matrices M (B, k, 2, 3) and translations T (B, 2).
    """
    config = config or SparsePoseConfig()
    count, people = len(dictionary), len(places)
    # Columns: the 3 k rows of all poses, and ones for the translation.
    basis = torch.cat([dictionary.flatten(0, 1), torch.ones_like(dictionary[0, :1])])
    normal = basis @ basis.T + torch.diag(torch.cat([torch.ones(3 * count), torch.zeros(1)])).to(basis)
    solve = torch.linalg.inv(normal)
    limit = torch.where(seen, config.beta, 0.0)[:, None].to(places)  # of Huber's error; with 0 nothing is one
    z = places.new_zeros(people, 2, 3 * count + 1)
    dual, dual_seen = z[..., :-1].clone(), torch.zeros_like(places)
    for _ in range(config.iterations):
        matrices = _shrunk((z[..., :-1] - dual).unflatten(2, (count, 3)).transpose(1, 2), config.alpha / config.step)
        matrices = matrices.transpose(1, 2).flatten(2)
        residual = _huber_step(places - z @ basis - dual_seen, limit, config.step)
        right = torch.cat([matrices + dual, places.new_zeros(people, 2, 1)], dim=2)
        z = (right + (places - residual - dual_seen) @ basis.T) @ solve
        dual = dual + matrices - z[..., :-1]
        dual_seen = dual_seen + residual - (places - z @ basis)
    return matrices.unflatten(2, (count, 3)).transpose(1, 2), z[..., -1]


def sparse_pose(
    dictionary: Tensor, places: Tensor, seen: Tensor, config: SparsePoseConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Coefficients and rotations of poses: the relaxed problem's solution, improved in the original problem.

    Args:
        dictionary, places, seen, config: As for :func:`relaxed_pose`.

    Returns:
        Coefficients (B, k), not negative, and rotations (B, 3, 3), so that ``sum_i c_i R B_i`` are the joints in camera
        space up to a scale and a translation.
    """
    config = config or SparsePoseConfig()
    matrices, shift = relaxed_pose(dictionary, places, seen, config)
    codes, rows = factors(matrices)
    for _ in range(config.refinements):
        turned = (rows[:, None] @ dictionary).flatten(2)
        shape = (codes[:, None] @ turned).squeeze(1).unflatten(1, (2, -1))
        # What Huber's error and missing joints leave of the picture, with the best translation for it.
        target, shift = _explained(places, shape, shift, seen, config.beta)
        codes = sparse_codes(target.flatten(1), turned, config.alpha, codes, sweeps=2)
        pose = torch.einsum("bk,kdj->bdj", codes, dictionary)
        # The best rows for a pose lie nearest to these, once the error is bounded by its curvature (majorisation).
        bound = torch.linalg.matrix_norm(pose, 2)[:, None, None].square().clamp(min=TINY)
        rows = nearest_rows(bound * rows + (target - rows @ pose) @ pose.mT)
    return codes, torch.cat([rows, torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]], dim=1)


def factors(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients and the two rows of a rotation that come closest to matrices.

    The best product ``c_i R`` in the least-squares sense has the leading singular vectors of all matrices as its
    factors; R then becomes the nearest rows of a rotation.

    Args:
        matrices: (B, k, 2, 3).

    Returns:
        Coefficients (B, k), not negative, and rows (B, 2, 3).
    """
    u, s, vh = torch.linalg.svd(matrices.flatten(2), full_matrices=False)
    sign = torch.where(u[:, :, 0].sum(1) < 0, -1.0, 1.0).to(matrices)[:, None]
    codes = (sign * s[:, :1] * u[:, :, 0] / 2**0.5).clamp(min=0)  # two orthonormal rows have a norm of the root of 2
    return codes, nearest_rows((sign * vh[:, 0]).unflatten(1, (2, 3)))


def nearest_rows(matrix: Tensor) -> Tensor:
    """The two orthonormal rows (B, 2, 3) nearest to matrices (B, 2, 3)."""
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u @ vh


def _explained(places: Tensor, shape: Tensor, shift: Tensor, seen: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The picture (B, 2, K) less outliers and translation, where missing joints lie where the shape has them; and the
    translation (B, 2), which is improved by a step from ``shift``.
    """
    counts = seen[:, None].to(places)
    residual = places - shape
    clipped = counts * (residual - shift[..., None]).clamp(-beta, beta)
    shift = shift + clipped.sum(2) / counts.sum(2).clamp(min=1)
    return shape + counts * (residual - shift[..., None]).clamp(-beta, beta), shift


def _shrunk(matrices: Tensor, amount: float) -> Tensor:
    """The proximal map of ``amount`` times the largest singular value, for matrices (..., 2, 3).

    It subtracts from the singular values their projection onto the l1 ball. The eigenvectors of M M' follow in closed
    form.
    """
    square = matrices @ matrices.mT
    a, b, c = square[..., 0, 0], square[..., 0, 1], square[..., 1, 1]
    middle, half = (a + c) / 2, ((a - c).square() / 4 + b.square()).sqrt()
    one, two = (middle + half).clamp(min=0).sqrt(), (middle - half).clamp(min=0).sqrt()
    apart = one - two >= amount
    large = torch.where(apart, one - amount, (one + two - amount).clamp(min=0) / 2)
    small = torch.where(apart, two, large)
    # The map is g2 I + (g1 - g2) P with the projector P onto the first singular vector.
    first, second = large / one.clamp(min=TINY), small / two.clamp(min=TINY)
    second = torch.where(two > TINY, second, first)
    identity = torch.eye(2).to(matrices)
    projector = (square - (middle - half)[..., None, None] * identity) / (2 * half).clamp(min=TINY)[..., None, None]
    return (second[..., None, None] * identity + (first - second)[..., None, None] * projector) @ matrices


def _huber_step(residual: Tensor, limit: Tensor, step: float) -> Tensor:
    """The proximal map of Huber's error over ``step``; nothing happens where the limit is zero."""
    inner = residual * step / (1 + step)
    outer = residual - residual.sign() * limit / step
    return torch.where(residual.abs() <= limit * (1 + 1 / step), inner, outer)
