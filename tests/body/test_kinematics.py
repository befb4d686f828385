"""Rotations composed along the kinematic tree, and the rest joints' linear maps."""

import pytest
import torch

from meshrec.body.joints import SMPL_PARENTS
from meshrec.body.kinematics import KinematicTree, global_rotations, local_rotations
from meshrec.geometry import random_rotations

TREES = {"smpl24": SMPL_PARENTS, "chain": (-1, 0, 1, 2, 3), "depth first": (-1, 0, 1, 0, 3, 3, 1), "one joint": (-1,)}


@pytest.mark.parametrize("name", TREES)
def test_global_rotations_are_products_along_the_chain(name):
    parents = TREES[name]
    tree = KinematicTree.from_parents(list(parents))
    local = random_rotations(5 * len(parents), torch.Generator().manual_seed(0), torch.float64)
    local = local.view(5, len(parents), 3, 3)
    found = global_rotations(local, tree)
    for joint in range(len(parents)):
        expected, above = local[:, joint], parents[joint]
        while above >= 0:
            expected, above = local[:, above] @ expected, parents[above]
        assert torch.allclose(found[:, joint], expected)
    assert torch.allclose(local_rotations(found, tree), local)


def test_joint_maps_are_the_bodys_rest_joints(body):
    betas = torch.randn(3, body.num_betas, generator=torch.Generator().manual_seed(0))
    mean, shapes = (torch.from_numpy(part) for part in body.data.joint_maps)
    assert mean.dtype == shapes.dtype == torch.float64
    vertices, joints = body.rest(betas)
    expected = torch.from_numpy(body.data.joint_regressor).float() @ vertices
    found = mean + torch.einsum("jcs,bs->bjc", shapes, betas.double())
    assert torch.allclose(found.float(), expected, atol=1e-5)
    assert torch.allclose(joints, expected, atol=1e-5)
