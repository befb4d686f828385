"""The kinematic chain: from joint rotations to each joint's rigid motion (Loper et al. 2015, equations 3 and 4)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import flip_permutation
from meshrec.compiled.operators import has_kernels, needs_operator

_FLIP = torch.from_numpy(flip_permutation("smpl24"))


@dataclass(frozen=True)
class KinematicTree:
    """Joints by their depth, so that a chain of J matrix products becomes one batched product per level.

    Attributes:
        parents: Parent of each joint, -1 for the root, which comes first; a parent comes before its children.
        levels: For each depth from 1 on, the joints at that depth, and the indices of their parents in the level above.
        order: Index of each joint in the concatenation of all levels.
    """

    parents: tuple[int, ...]
    levels: tuple[tuple[list[int], list[int]], ...]
    order: list[int]

    @classmethod
    def from_parents(cls, parents: list[int]) -> "KinematicTree":
        """Make the tree.

        Args:
            parents: The parent of each joint, -1 for the root, which comes first; a parent comes before its children.
        """
        depths = [0] * len(parents)
        for joint, parent in enumerate(parents[1:], start=1):
            depths[joint] = depths[parent] + 1
        members = [[j for j, depth in enumerate(depths) if depth == level] for level in range(max(depths) + 1)]
        levels = tuple((here, [above.index(parents[j]) for j in here]) for above, here in pairwise(members))
        flat = [joint for level in members for joint in level]
        return cls(tuple(parents), levels, [flat.index(joint) for joint in range(len(parents))])


def joint_motions(rotations: Tensor, joints: Tensor, transl: Tensor, tree: KinematicTree) -> Tensor:
    """The rigid motion that each joint applies to points of the rest body. The root rotates about its rest position.

    Args:
        rotations: (B, J, 3, 3) rotation of each joint relative to its parent.
        joints: (B, J, 3) rest positions, metres.
        transl: (B, 3) translation of the whole body, metres.
        tree: The tree of these joints.

    Returns:
        (B, J, 3, 4) rows of [R | t]: joint j takes a rest point x to R x + t.
    """
    if has_kernels(rotations):
        operator = _chain if needs_operator(rotations, joints, transl) else _chain_now
        return operator(rotations, joints, transl, list(tree.parents))
    return plain_joint_motions(rotations, joints, transl, tree)


def plain_joint_motions(rotations: Tensor, joints: Tensor, transl: Tensor, tree: KinematicTree) -> Tensor:
    """:func:`joint_motions` in plain torch, on any device."""
    root = joints[:, :1] + transl[:, None]
    offsets = torch.cat([root, joints[:, 1:] - joints[:, list(tree.parents[1:])]], dim=1)
    local = torch.cat([rotations, offsets[..., None]], dim=-1)
    levels = [local[:, :1]]
    for children, parents in tree.levels:
        above = levels[-1][:, parents]
        below = above[..., :3] @ local[:, children]
        levels.append(torch.cat([below[..., :3], below[..., 3:] + above[..., 3:]], dim=-1))
    world = torch.cat(levels, dim=1)[:, tree.order]
    rotation = world[..., :3]
    return torch.cat([rotation, world[..., 3:] - rotation @ joints[..., None]], dim=-1)


def global_rotations(rotations: Tensor, tree: KinematicTree) -> Tensor:
    """Compose local rotations down the tree.

    Args:
        rotations: (B, J, 3, 3) rotation of each joint relative to its parent.
        tree: The tree of these joints.

    Returns:
        (B, J, 3, 3) rotation of each joint from its rest frame to the space in which the root turns.
    """
    at_origin = rotations.new_zeros(*rotations.shape[:2], 3)
    return joint_motions(rotations, at_origin, at_origin[:, 0], tree)[..., :3]


def local_rotations(rotations: Tensor, tree: KinematicTree) -> Tensor:
    """The inverse of :func:`global_rotations`.

    Args:
        rotations: (B, J, 3, 3) rotation of each joint from its rest frame to the space in which the root turns.
        tree: The tree of these joints.

    Returns:
        (B, J, 3, 3) rotation of each joint relative to its parent.
    """
    above = rotations[:, list(tree.parents[1:])]
    return torch.cat([rotations[:, :1], above.mT @ rotations[:, 1:]], dim=1)


def _chain_now(rotations: Tensor, joints: Tensor, transl: Tensor, parents: list[int]) -> Tensor:
    from meshrec.body.kernels import chain

    motions = rotations.new_empty(*rotations.shape[:3], 4)
    chain(*(t.detach().contiguous().numpy() for t in (rotations, joints, transl)), np.array(parents), motions.numpy())
    return motions


_chain = torch.library.custom_op("meshrec::chain", _chain_now, mutates_args=())


@_chain.register_fake
def _(rotations: Tensor, joints: Tensor, transl: Tensor, parents: list[int]) -> Tensor:
    return rotations.new_empty(*rotations.shape[:3], 4)


@torch.library.custom_op("meshrec::chain_backward", mutates_args=())
def _chain_backward(
    grad: Tensor, rotations: Tensor, joints: Tensor, motions: Tensor, parents: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    from meshrec.body.kernels import chain_backward

    arrays = [t.detach().contiguous().numpy() for t in (rotations, joints, motions)]
    outputs = rotations.new_empty(rotations.shape), joints.new_empty(joints.shape), joints.new_empty(len(joints), 3)
    # The kernel passes the gradient down the chain in place.
    gradient = grad.clone(memory_format=torch.contiguous_format).numpy()
    chain_backward(gradient, *arrays, np.array(parents), *(t.numpy() for t in outputs))
    return outputs


@_chain_backward.register_fake
def _(
    grad: Tensor, rotations: Tensor, joints: Tensor, motions: Tensor, parents: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    return rotations.new_empty(rotations.shape), joints.new_empty(joints.shape), joints.new_empty(len(joints), 3)


def _save(ctx: Any, inputs: tuple, output: Tensor) -> None:
    rotations, joints, _, ctx.parents = inputs
    ctx.save_for_backward(rotations, joints, output)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    return (*_chain_backward(grad, *ctx.saved_tensors, ctx.parents), None)


_chain.register_autograd(_gradients, setup_context=_save)


def mirror_pose(rotations: Tensor) -> Tensor:
    """Mirror a pose in the plane x = 0: the sides are exchanged, and R -> M R M with M = diag(-1, 1, 1).

    Args:
        rotations: (..., 24, 3, 3) local rotations in the order of ``smpl24``.

    Returns:
        (..., 24, 3, 3) local rotations of the mirrored pose.

    Example:
        >>> import torch
        >>> from meshrec.body.kinematics import mirror_pose
        >>> from meshrec.geometry import random_rotations
        >>> pose = random_rotations(24, torch.Generator().manual_seed(0))
        >>> bool((mirror_pose(mirror_pose(pose)) == pose).all())
        True
    """
    mirror = rotations.new_tensor([-1, 1, 1])
    return rotations[..., _FLIP, :, :] * mirror[:, None] * mirror
