"""Test-time averaging over mirror images.

A network can estimate a person from the picture and from its mirror image. The errors of the two estimates are not
fully correlated, so that the error of their mean is smaller.
"""

from dataclasses import replace

import torch

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.compiled.operators import is_exporting
from meshrec.geometry import nearest_rotation
from meshrec.geometry.alignment import polar_rotation
from meshrec.models.encoders import NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.network import Network


def mirror_averaged(network: Network, inputs: NetworkInput, joints: str) -> Estimate:
    """Estimate people and their mirror images, and average the two.

    Args:
        network: any network.
        inputs: the input for B people.
        joints: name of the joint set of the keypoints.

    Returns:
        The mean estimates of the B people. Rotations are averaged as matrices and projected to the nearest rotation.
    """
    both = network(NetworkInput.cat([inputs, mirror_input(inputs, joints)])).final
    count = both.betas.shape[0] // 2
    own, other = (Estimate(*(t[part] for t in vars(both).values())) for part in (slice(count), slice(count, None)))
    other = mirror_estimate(other)
    # The sum of two rotations has a positive determinant, unless they differ by half a turn.
    turn = polar_rotation if is_exporting() else nearest_rotation
    rotations = turn(own.rotations + other.rotations)
    return Estimate(rotations, (own.betas + other.betas) / 2, (own.camera + other.camera) / 2)


def mirror_input(inputs: NetworkInput, joints: str) -> NetworkInput:
    """Mirror an input from left to right.

    Args:
        inputs: the input for B people.
        joints: name of the joint set of the keypoints.
    """
    maps = {name: None if (t := getattr(inputs, name)) is None else t.flip(-1) for name in ("rgb", "silhouette")}
    keypoints = inputs.keypoints
    if keypoints is not None:
        order = torch.from_numpy(flip_permutation(joints)).to(keypoints.device)
        keypoints = keypoints[:, order] * keypoints.new_tensor([-1, 1, 1])
    box = None if inputs.box is None else inputs.box * inputs.box.new_tensor([-1, 1, 1])
    return replace(inputs, **maps, keypoints=keypoints, box=box)


def mirror_estimate(estimate: Estimate) -> Estimate:
    """Mirror bodies from left to right. Betas stay as they are, since shape spaces are nearly symmetric."""
    return Estimate(
        mirror_pose(estimate.rotations), estimate.betas, estimate.camera * estimate.camera.new_tensor([1, -1, 1])
    )
