"""3D joints from 2D joints with a critic of poses, without pairs of the two.

Source: Wandt and Rosenhahn 2019, "RepNet: Weakly Supervised Training of an Adversarial Reprojection Network for 3D
Human Pose Estimation". One network gives a pose X (3, K), another one a weak-perspective camera P (2, 3), and they
learn from three losses (equations 5, 6 and 8):

- reprojection ``|W - P X|``, where W (2, K) are the joints that are seen,
- the camera's form ``|2 / trace(P P') P P' - I|``, so that P is two rows of a rotation but for its scale,
- a critic, which tells poses X from those of motion capture. It sees them in kinematic-chain space too: the matrix
  ``B' B`` of the inner products of the vectors along all bones, B = X C, with their squared lengths on its diagonal and
  their angles beside it.

As poses have the orientation of the body and not that of the camera, the critic needs no assumption of how cameras
look at people.

Departures: the camera sees the 2D joints alone, as the lifter does, with which of them are missing; missing joints have
no error of reprojection, and translations of picture and pose are taken off. Poses of motion capture are scaled to one
sum of their bones' lengths. The result is the pose turned by the rotation nearest to the camera. The reprojection error
is the mean square, without the paper's root. The critic has a logistic loss with a penalty of its gradients
(:mod:`meshrec.training.critics`) in place of a Wasserstein loss. Layers of the lifter have batch norm, and its camera
learns first, from people who all have the mean pose: otherwise poses are bent to fit wrong cameras.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.geometry.alignment import nearest_rotation
from meshrec.models.checks import LARGEST
from meshrec.models.locally_connected import BONES
from meshrec.models.unscaled import Residual, Unscaled, bone_vectors, centred_at, centred_places

COUNT = len(joint_set("h36m17"))
LENGTH = 10.0
"""The sum of the lengths of a pose's bones, so that its coordinates have a standard deviation of nearly one."""


@dataclass(frozen=True)
class RepNetConfig:
    """Settings of the networks and of their losses.

    Attributes:
        steps: number of steps of the training.
        width: units in each layer of the networks of pose and camera.
        blocks: number of their residual blocks, each of two layers.
        critic_width: units in each layer of the critic.
        critic: weight of the critic's loss.
        chains: whether the critic sees poses in kinematic-chain space, beside their joints.
        reprojection: weight of the reprojection loss.
        camera: weight of the loss of the camera's form.
        penalty: weight of the penalty of the critic's gradients.
        critic_steps: steps of the critic for each step of the lifter.
        critic_rate: the critic's largest learning rate.
        camera_steps: steps at the beginning in which the camera learns alone, from people who all have the mean pose.
    """

    steps: int = 2000
    width: int = 1000
    blocks: int = 2
    critic_width: int = 100
    critic: float = 1.0
    chains: bool = True
    reprojection: float = 1.0
    camera: float = 1.0
    penalty: float = 1.0
    critic_steps: int = 1
    critic_rate: float = 1e-3
    camera_steps: int = 400

    def __post_init__(self) -> None:
        least, most = min(self.steps, self.width, self.critic_width), max(self.width, self.critic_width)
        if least < 1 or most > LARGEST or not 0 <= self.blocks <= 64:
            raise InputError(f"at least one step, widths of 1 to {LARGEST} and 0 to 64 blocks are needed: {self}")
        weights = (self.critic, self.reprojection, self.camera, self.penalty, self.critic_steps, self.camera_steps)
        if min(weights) < 0 or self.critic_rate <= 0:
            raise InputError(f"weights and steps of at least 0 and a rate above 0 are needed: {self}")


def chain_matrix(joints: int = COUNT) -> Tensor:
    """The matrix C (K, E) of the bones' ends: -1 where a bone starts and 1 where it ends, so that B = X C."""
    return bone_vectors(torch.eye(joints)).T


def kinematic_chains(points: Tensor) -> Tensor:
    """The kinematic-chain space of poses (equation 4): ``B' B`` with the vectors along bones as columns of B.

    Args:
        points: (..., K, 3) joints of ``h36m17``.

    Returns:
        (..., E, E), symmetric, of rank three at most. It does not change when a pose moves, turns or is mirrored.

    Example:
        >>> import torch
        >>> from meshrec.models.repnet import kinematic_chains
        >>> kinematic_chains(torch.zeros(2, 17, 3)).shape
        torch.Size([2, 16, 16])
    """
    bones = bone_vectors(points)
    return bones @ bones.mT


def camera_form(cameras: Tensor) -> Tensor:
    """How far cameras (B, 2, 3) are from two rows of a rotation times a scale: (B,) Frobenius norms, squared."""
    square = cameras @ cameras.mT
    trace = square.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=1e-9)[:, None, None]
    return (2 / trace * square - torch.eye(2).to(cameras)).square().sum((1, 2))


def camera_rotation(cameras: Tensor) -> Tensor:
    """The rotations (B, 3, 3) whose first two rows are nearest to cameras (B, 2, 3) but for a scale."""
    first, second = cameras.unbind(1)
    return nearest_rotation(torch.stack([first, second, torch.linalg.cross(first, second)], dim=1))


class RepNet(Unscaled):
    """The lifter: the networks of pose and camera.

    Args:
        config: its settings.

    Attributes:
        mean, deviation: (K, 3) of the poses of motion capture. The network starts with the mean for everybody, so that
            the camera first learns how people are turned.

    Example:
        >>> import torch
        >>> from meshrec.models.repnet import RepNet, RepNetConfig
        >>> RepNet(RepNetConfig(width=8))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: RepNetConfig
    mean: Tensor
    deviation: Tensor

    def __init__(self, config: RepNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RepNetConfig()
        self.register_buffer("mean", torch.zeros(COUNT, 3))
        self.register_buffer("deviation", torch.ones(COUNT, 3))
        self.pose = Residual(3 * COUNT, 3 * COUNT, config.width, config.blocks, norm=True)
        self.camera = Residual(3 * COUNT, 6, config.width, config.blocks, norm=True)
        nn.init.normal_(self.pose.leave.weight, std=0.01 / config.width**0.5)
        nn.init.zeros_(self.pose.leave.bias)

    def standardise(self, poses: Tensor) -> None:
        """Take mean and standard deviation of poses (N, K, 3) of motion capture."""
        self.mean.copy_(poses.mean(0))
        self.deviation.copy_(poses.std(0))

    def factors(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Poses (B, K, 3) in the body's orientation and cameras (B, 2, 3) of keypoints (B, K, 3)."""
        places, seen = centred_places(keypoints)
        inputs = torch.cat([places, seen[..., None]], dim=-1).flatten(1)
        poses = self.mean + self.deviation * self.pose(inputs).unflatten(1, (-1, 3))
        return poses, self.camera(inputs).unflatten(1, (2, 3))

    def shape(self, keypoints: Tensor) -> Tensor:
        """Joints (B, K, 3) in camera space up to translation and scale, of keypoints (B, K, 3)."""
        poses, cameras = self.factors(keypoints)
        return poses @ camera_rotation(cameras).mT

    @staticmethod
    def reprojection_errors(keypoints: Tensor, poses: Tensor, cameras: Tensor) -> Tensor:
        """Mean square distances (B,) between seen joints and projected ones, in units of the seen joints' spread."""
        places, seen = centred_places(keypoints)
        apart = places - centred_at(poses @ cameras.mT, seen)
        return apart.square().sum((1, 2)) / seen.sum(1).clamp(min=1)


class ChainCritic(nn.Module):
    """The critic: scores of poses, higher for those that look like motion capture.

    Args:
        config: settings of the networks.
    """

    def __init__(self, config: RepNetConfig) -> None:
        super().__init__()
        width = config.critic_width
        self.places = Residual(3 * COUNT, width, width, 1)
        self.chains = Residual(len(BONES) ** 2, width, width, 1) if config.chains else None
        self.judge = nn.Sequential(
            nn.LeakyReLU(0.1), nn.Linear(width * (2 if config.chains else 1), width), nn.LeakyReLU(0.1),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, poses: Tensor) -> Tensor:
        """Score poses (B, K, 3) of the body's orientation, whose bones' lengths sum to :data:`LENGTH`: (B,)."""
        parts = [self.places(poses.flatten(1))]
        if self.chains is not None:
            parts.append(self.chains(kinematic_chains(poses).flatten(1)))
        return self.judge(torch.cat(parts, dim=1)).squeeze(1)
