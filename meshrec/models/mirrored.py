"""Mirror images of a network's input and of its estimates, and the mean of both estimates of a person.

The mirror image of a person is a person too, so every body can be estimated twice. The errors of the two estimates
differ in part, and their mean has smaller ones.
"""

from dataclasses import replace

import torch

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.geometry import nearest_rotation
from meshrec.models.encoders import NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.network import Network


def mirror_averaged(network: Network, inputs: NetworkInput, joints: str) -> Estimate:
    """The mean of a network's estimates of people and of their mirror images.

    Args:
        network: any network.
        inputs: of B people.
        joints: the joint set of the keypoints.
    """
    both = network(NetworkInput.cat([inputs, mirror_input(inputs, joints)])).final
    own, other = (Estimate(*parts) for parts in zip(*(t.chunk(2) for t in vars(both).values())))
    other = mirror_estimate(other)
    rotations = nearest_rotation(own.rotations + other.rotations)
    return Estimate(rotations, (own.betas + other.betas) / 2, (own.camera + other.camera) / 2)


def mirror_input(inputs: NetworkInput, joints: str) -> NetworkInput:
    """The mirror image of an input, whose keypoints are of the joint set ``joints``."""
    maps = {name: None if (t := getattr(inputs, name)) is None else t.flip(-1) for name in ("rgb", "silhouette")}
    keypoints = inputs.keypoints
    if keypoints is not None:
        order = torch.from_numpy(flip_permutation(joints)).to(keypoints.device)
        keypoints = keypoints[:, order] * keypoints.new_tensor([-1, 1, 1])
    return replace(inputs, **maps, keypoints=keypoints)


def mirror_estimate(estimate: Estimate) -> Estimate:
    """The mirror images of bodies. Shapes are taken to be symmetric, as those of shape spaces nearly are."""
    return Estimate(
        mirror_pose(estimate.rotations), estimate.betas, estimate.camera * estimate.camera.new_tensor([1, -1, 1])
    )
