"""Poses of motion capture that no picture belongs to: what critics of poses learn from."""

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import root_indices
from meshrec.data.streams import BatchStream
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.repnet import LENGTH
from meshrec.models.unscaled import bone_vectors
from meshrec.synthetic.random_poses import PoseMix, PoseSources, draw_poses
from meshrec.synthetic.random_shapes import draw_shapes, heaviness
from meshrec.training.lifting import POSES


def usual_length(body: BodyModel) -> float:
    """The sum of the lengths of the mean body's bones, metres: all that methods without 3D labels know of size.

    Example:
        >>> import meshrec
        >>> from meshrec.training.unpaired_poses import usual_length
        >>> 3 < usual_length(meshrec.load_body("neutral")) < 6
        True
    """
    rest = LandmarkMoments.of_body(body, "h36m17")
    points = TorchLandmarks(rest)(torch.eye(3).expand(1, 24, 3, 3), torch.zeros(1, body.num_betas))
    return float(bone_vectors(points).norm(dim=-1).sum())


@torch.no_grad()
def unpaired_poses(body: BodyModel, count: int, seed: int, poses: PoseMix = POSES) -> Tensor:
    """Joints of people in random poses of the takes for training, all of whose bodies face the way of the rest pose.

    Args:
        body: Their body.
        count: Number of people.
        seed: Seed of the poses; another one than that of the people who are seen gives other people.
        poses: Shares of the kinds of poses.

    Returns:
        (N, K, 3) joints of ``h36m17`` relative to the root, whose bones' lengths sum to
        :data:`meshrec.models.repnet.LENGTH`.

    Example:
        >>> import meshrec
        >>> from meshrec.training.unpaired_poses import unpaired_poses
        >>> unpaired_poses(meshrec.load_body("neutral"), 3, seed=1).shape
        torch.Size([3, 17, 3])
    """
    rotations, _ = draw_poses(BatchStream(count, (seed,), "pose"), PoseSources.load("train"), poses)
    rotations[:, 0] = torch.eye(3)
    betas, _ = draw_shapes(BatchStream(count, (seed,), "shape"), heaviness(body))
    points = TorchLandmarks(LandmarkMoments.of_body(body, "h36m17"))(rotations, betas)
    points = points - points[:, root_indices("h36m17")].mean(1, keepdim=True)
    return points * (LENGTH / bone_vectors(points).norm(dim=-1).sum(1))[:, None, None]
