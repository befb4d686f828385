"""People in a mirror: what a network sees of them, what it says of them, and the mean of both views.

A mirrored person is a person too, and so every estimate can be had twice; their errors differ in part, and the mean of
both has less.
"""

from dataclasses import replace

import torch
from torch import nn

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.geometry import nearest_rotation
from meshrec.models.encoders import NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.mesh_to_params import MeshRecoveryOutput


def final_estimate(output: list[Estimate] | MeshRecoveryOutput) -> Estimate:
    """What a network settles on: an iterative one's last estimate, or the body that comes closest to a mesh."""
    return output.body if isinstance(output, MeshRecoveryOutput) else output[-1]


def mirror_averaged(network: nn.Module, inputs: NetworkInput, joints: str) -> Estimate:
    """The mean of what a network says of people and of their mirror images.

    Args:
        network: as :func:`meshrec.models.build.build_network` makes them.
        inputs: of B people.
        joints: the joint set of the keypoints.
    """
    both = final_estimate(network(NetworkInput.cat([inputs, mirror_input(inputs, joints)])))
    own, other = (Estimate(*parts) for parts in zip(*(t.chunk(2) for t in vars(both).values())))
    other = mirror_estimate(other)
    rotations = nearest_rotation(own.rotations + other.rotations)
    return Estimate(rotations, (own.betas + other.betas) / 2, (own.camera + other.camera) / 2)


def mirror_input(inputs: NetworkInput, joints: str) -> NetworkInput:
    """People as a mirror shows them; ``joints`` is the set of their keypoints."""
    maps = {name: None if (t := getattr(inputs, name)) is None else t.flip(-1) for name in ("rgb", "silhouette")}
    keypoints = inputs.keypoints
    if keypoints is not None:
        order = torch.from_numpy(flip_permutation(joints)).to(keypoints.device)
        keypoints = keypoints[:, order] * keypoints.new_tensor([-1, 1, 1])
    return replace(inputs, **maps, keypoints=keypoints)


def mirror_estimate(estimate: Estimate) -> Estimate:
    """Bodies as a mirror shows them. Shapes are taken to be symmetric, as those of shape spaces nearly are."""
    return Estimate(
        mirror_pose(estimate.rotations), estimate.betas, estimate.camera * estimate.camera.new_tensor([1, -1, 1])
    )
