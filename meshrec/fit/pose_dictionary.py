"""A dictionary of poses: every pose is nearly a sum of few of its atoms with coefficients that are not negative.

Source: Mairal, Bach, Ponce and Sapiro 2010, "Online Learning for Matrix Factorization and Sparse Coding": codes by a
lasso and atoms by block coordinate descent (its algorithm 2), in turn, here with all poses in each round. Zhou et al.
2015 learn their dictionary so. Coefficients are not negative, so that the sign of a pose, which a picture does not
show, is known.
"""

import torch
from torch import Tensor


def sparse_codes(poses: Tensor, atoms: Tensor, penalty: float, start: Tensor | None = None, sweeps: int = 30) -> Tensor:
    """The codes ``c >= 0`` that minimise ``|pose - sum_i c_i atom_i|^2 / 2 + penalty sum_i c_i``.

    Coordinate descent: each coefficient in turn gets its best value, so that the objective never rises.

    Args:
        poses: (N, D).
        atoms: (k, D), or (N, k, D) if each pose has atoms of its own; none is zero.
        penalty: weight of the coefficients, in units of the poses times those of the atoms.
        start: (N, k) codes to start from. Default: zeros.
        sweeps: number of times that each coefficient is changed.

    Returns:
        (N, k).

    Example:
        >>> import torch
        >>> from meshrec.fit.pose_dictionary import sparse_codes
        >>> sparse_codes(torch.tensor([[3.0, -2.0]]), torch.eye(2), 0.5).tolist()
        [[2.5, 0.0]]
    """
    products = atoms @ atoms.mT
    shown = torch.einsum("nd,kd->nk" if atoms.dim() == 2 else "nd,nkd->nk", poses, atoms) - penalty
    codes = shown.new_zeros(shown.shape) if start is None else start.clone()
    products = products.expand(len(poses), -1, -1) if products.dim() == 3 else products
    slope = shown - (codes[:, None] @ products).squeeze(1) if products.dim() == 3 else shown - codes @ products
    squares = products.diagonal(dim1=-2, dim2=-1).expand(len(poses), -1)
    for _ in range(sweeps):
        for i in range(atoms.shape[-2]):
            new = (codes[:, i] + slope[:, i] / squares[:, i]).clamp(min=0)
            change = (new - codes[:, i])[:, None]
            slope -= change * products[..., i, :]
            codes[:, i] = new
    return codes


def learn_dictionary(
    poses: Tensor, count: int, penalty: float, generator: torch.Generator, rounds: int = 15
) -> tuple[Tensor, Tensor]:
    """Learn atoms of norm one.

    Args:
        poses: (N, D) poses relative to their roots, all facing the same way.
        count: number k of atoms, at most N.
        penalty: weight of the coefficients, as in :func:`sparse_codes`.
        generator: Chooses the poses to start with.
        rounds: number of times that codes and atoms are found in turn.

    Returns:
        Atoms (k, D), and the codes (N, k) of the poses.
    """
    atoms = poses[torch.randperm(len(poses), generator=generator)[:count]]
    atoms = atoms / atoms.norm(dim=1, keepdim=True)
    codes = None
    for _ in range(rounds):
        codes = sparse_codes(poses, atoms, penalty, codes)
        used, shown = codes.T @ codes, codes.T @ poses
        for i in range(count):
            if used[i, i] > 0:  # an atom that no pose uses stays as it is
                atom = atoms[i] + (shown[i] - used[i] @ atoms) / used[i, i]
                atoms[i] = atom / atom.norm()
    return atoms, sparse_codes(poses, atoms, penalty, codes)
