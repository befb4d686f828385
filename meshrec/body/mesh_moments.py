"""Moments of a body's vertices and landmarks, with which a body is fitted to points without being posed in every step.

Linear blend skinning puts a vertex at sum_j w_j M_j [x; 1], where M_j, (3, 4), is the motion of joint j and x = T + S b
is linear in the betas b. With e = [T; 1; S], which lists the rest vertex, one, and its displacement by each beta, the
sum of squared distances to targets y is a polynomial of the motions and betas, whose coefficients are sums over the
vertices: of w_j w_k e e^T for pairs of joints, which belong to the body, and of w_j e y^T, which are a few matrix
products with the targets. A landmark, which is a sum of vertices, and a joint of the chain have such sums too.

A fit takes the pose displacements P f of SMPL's pose features f, the elements of R - I, from the targets. This changes
the second sums by those of w_j w_k e (R_k P f)^T.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS
from meshrec.body.model import BodyModel


def _extended(body: BodyModel, num_betas: int) -> np.ndarray:
    """(V, E) float64 vectors e of all vertices; E = 4 + 3 S."""
    data = body.data
    return _joined(data.v_template, data.shapedirs[..., :num_betas])


def _joined(places: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Places (N, 3) and their changes (N, 3, S) as rows [T; 1; S], which keep each beta's three numbers together."""
    columns = np.moveaxis(shapes, -1, 1).reshape(len(shapes), -1)
    return np.concatenate([places, np.ones((len(places), 1)), columns], axis=1).astype(np.float64)


class VertexMoments:
    """The moments of the vertices of one body.

    Args:
        body: The body.
        num_betas: Number S of shape components; E = 4 + 3 S.

    Attributes:
        pairs: (P, 2) int64: the joints that move a vertex together, in both orders, and each joint with itself.
    """

    def __init__(self, body: BodyModel, num_betas: int) -> None:
        self._body = body
        self._vectors, self._shares = _extended(body, num_betas), body.data.weights.astype(np.float64)
        moved = self._shares != 0
        self.pairs = np.argwhere((moved.T.astype(np.float32) @ moved > 0) | np.eye(NUM_JOINTS, dtype=bool))
        members = [np.flatnonzero(own) for own in moved.T]
        self._gathered, self._sizes = torch.from_numpy(np.concatenate(members)), [len(own) for own in members]
        factors = [self._vectors[own] * self._shares[own, j, None] for j, own in enumerate(members)]
        self._factors = [torch.tensor(factor, dtype=torch.float32) for factor in factors]

    def products(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Sums of w_j w_k e e^T for all pairs, in metres.

        Args:
            weights: (V,) weights of the vertices. Default: one each.

        Returns:
            (P, E, E) float64.
        """
        index = {tuple(pair): n for n, pair in enumerate(self.pairs.tolist())}
        products = np.zeros((len(self.pairs), self._vectors.shape[1], self._vectors.shape[1]))
        for (j, k), n in index.items():
            if j <= k:
                share = self._shares[:, j] * self._shares[:, k] * (1 if weights is None else weights)
                near = np.flatnonzero(share)
                rows = self._vectors[near]
                products[n] = products[index[k, j]] = rows.T @ (rows * share[near, None])
        return products

    def displacements(self) -> tuple[Tensor, np.ndarray]:
        """Sums of w_j w_k e P^T, for the pose displacements P of the body.

        Returns:
            (F, U E 3) float32 for the F pose features and U pairs without order; and for each of the pairs (P,) the
            number of its sum.
        """
        unordered, place = np.unique(np.sort(self.pairs, axis=1), axis=0, return_inverse=True)
        posedirs = self._body.data.posedirs
        sums = torch.empty(posedirs.shape[-1], len(unordered), self._vectors.shape[1], 3)
        for n, (j, k) in enumerate(unordered):
            share = self._shares[:, j] * self._shares[:, k]
            near = np.flatnonzero(share)
            rows = torch.tensor(self._vectors[near] * share[near, None], dtype=torch.float32)
            moves = torch.tensor(posedirs[near], dtype=torch.float32).flatten(1)
            sums[:, n] = (rows.T @ moves).unflatten(1, (3, -1)).permute(2, 0, 1)
        return sums.flatten(1), place.reshape(-1)

    def cross(self, targets: Tensor) -> np.ndarray:
        """Sums of w_j e y^T.

        Args:
            targets: (B, V, 3) float32, times the vertices' weights, and best centred at the origin.

        Returns:
            (B, J, E, 3) float64.
        """
        batch = len(targets)
        columns = targets.transpose(0, 1).reshape(-1, 3 * batch).index_select(0, self._gathered)
        sums = torch.stack([own.T @ factor for own, factor in zip(columns.split(self._sizes), self._factors)])
        return sums.unflatten(1, (batch, 3)).permute(1, 0, 3, 2).double().contiguous().numpy()


@dataclass(frozen=True, eq=False)
class PointMoments:
    """The moments of K landmarks, or of the joints.

    Attributes:
        sums: (K, J, E) float64: for each landmark and joint the sum of w_j e over the landmark's vertices.
        near: (N,) the vertices whose pose displacements move the landmarks; none for joints.
        rows: (K, N) float32, their weights in the landmarks.
    """

    sums: np.ndarray
    near: Tensor
    rows: Tensor

    @classmethod
    def of(cls, body: BodyModel, joints: str | np.ndarray, num_betas: int) -> "PointMoments":
        """Compute them.

        Args:
            body: The body.
            joints: ``"smpl24"`` for the joints of the chain, another joint set, or (K, V) weights of the vertices.
            num_betas: Number of shape components.

        Raises:
            InputError: The body lacks a landmark of the joint set.
            ValueError: There is no such set.
        """
        if isinstance(joints, str) and joints == "smpl24":
            return cls(_joint_sums(body, num_betas), torch.zeros(0, dtype=torch.int64), torch.zeros(NUM_JOINTS, 0))
        rows = body.joint_regressor(joints) if isinstance(joints, str) else np.asarray(joints)
        near = np.flatnonzero(np.abs(rows).max(0, initial=0))
        rows, vectors = rows[:, near], _extended(body, num_betas)[near]
        moved = body.data.weights[near][..., None] * vectors[:, None]  # (N, J, E)
        sums = (rows @ moved.reshape(len(near), -1)).reshape(len(rows), *moved.shape[1:])
        return cls(sums, torch.from_numpy(near), torch.tensor(rows, dtype=torch.float32))

    @property
    def pairs(self) -> np.ndarray:
        """(P, 2) the joints that move a landmark together."""
        moved = np.abs(self.sums).max(2) > 0
        return np.argwhere(moved.T.astype(int) @ moved > 0)

    def products(self, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(P, E, E) sums over the landmarks for the given pairs of joints, with weights (K,)."""
        first, second = self.sums[:, pairs[:, 0]], self.sums[:, pairs[:, 1]] * weights[:, None, None]
        return np.einsum("kpe,kpf->pef", first, second, optimize=True)

    def cross(self, targets: Tensor) -> np.ndarray:
        """(B, J, E, 3) float64 sums of the products with targets (B, K, 3), which are times their weights."""
        batch = len(targets)
        columns = targets.transpose(0, 1).reshape(-1, 3 * batch).double().numpy()
        sums = self.sums.reshape(len(self.sums), -1).T @ columns
        return np.ascontiguousarray(np.moveaxis(sums.reshape(*self.sums.shape[1:], batch, 3), 2, 0))


def _joint_sums(body: BodyModel, num_betas: int) -> np.ndarray:
    """(24, J, E): a joint is moved by itself as by its parent, and so says how both turn."""
    places, shapes = body.data.joint_maps
    own = _joined(places, shapes[..., :num_betas])
    sums = np.zeros((NUM_JOINTS, NUM_JOINTS, own.shape[1]))
    for joint, parent in enumerate(body.parents):
        movers = [joint] if parent < 0 else [joint, parent]
        sums[joint, movers] = own[joint] / len(movers)
    return sums
