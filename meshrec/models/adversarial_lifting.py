"""3D joints from 2D joints alone: lift, turn by a random rotation, project, let a critic judge, lift back.

Sources: Drover, Mathew, Chen et al. 2018, "Can 3D Pose be Learned from 2D Projections Alone?", where a lifter learns
from a critic that tells projections of its turned poses from 2D poses that were really seen; Chen, Tyagi, Agrawal et
al. 2019, "Unsupervised 3D Pose Estimation with Geometric Self-Supervision", where the projection is lifted, turned back
and projected again, and has to be what was seen; and Kudo, Ogaki, Matsui and Odagiri 2018, "Unsupervised Adversarial
Learning of 3D Human Pose from 2D Joint Locations", where a loss of the face's direction tells front from back. With y
what is seen, X = G(y) its pose, R a random rotation about the vertical and P the projection, y' = P(R X) and
X' = G(y')::

    w_critic log-loss(D(y')) + w_2d |P(R^-1 X') - y|^2 + w_3d |X' - R X|^2 + w_face max(0, -h(X))

The camera looks at the joints from a fixed distance; a lifted joint lies on the ray of its place in the picture, at
that distance plus an offset, which is what the network gives.

Departures: the unit of length is the spread of the seen joints, since crops have no scale in common, and the critic
sees projections brought to that unit too. Rotations are about a vertical that is tilted by the mean elevation of
cameras. Missing joints get x and y from the network, which learns them from people whose joints are hidden on
purpose, and only people all of whose joints are seen are judged. The critic's loss is that of Goodfellow et al. 2014
with a penalty of its gradients at what was seen (Mescheder, Geiger and Nowozin 2018). Knees, too, tell front from back
(:func:`meshrec.models.unscaled.handedness`), not the face alone. Chen's critic of sequences is left out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix
from meshrec.models.checks import LARGEST
from meshrec.models.unscaled import Residual, Unscaled, centred_places

COUNT = len(joint_set("h36m17"))


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of the networks and of their losses.

    Attributes:
        steps: number of steps of the training.
        width: units in each layer of the lifter.
        blocks: number of its residual blocks, each of two layers.
        critic_width: units in each layer of the critic.
        critic: weight of the critic's loss; without it there is no critic.
        picture: weight of the 2D loss of self-consistency.
        space: weight of the 3D loss of self-consistency.
        face: weight of the loss that tells front from back.
        completion: weight of the loss of joints that are hidden on purpose.
        hidden: share of joints that are hidden on purpose.
        penalty: weight of the penalty of the critic's gradients.
        critic_rate: the critic's largest learning rate.
        distance: distance of the camera, in units of the spread of the seen joints.
        elevation: mean elevation of the cameras, degrees; positive ones look down.
        tilt: standard deviation of the elevation and roll of the turned view, degrees.
    """

    steps: int = 2000
    width: int = 1024
    blocks: int = 2
    critic_width: int = 256
    critic: float = 1.0
    picture: float = 10.0
    space: float = 1.0
    face: float = 1.0
    completion: float = 1.0
    hidden: float = 0.1
    penalty: float = 1.0
    critic_rate: float = 1e-3
    distance: float = 8.0
    elevation: float = 7.0
    tilt: float = 0.0

    def __post_init__(self) -> None:
        least, most = min(self.steps, self.width, self.critic_width), max(self.width, self.critic_width)
        if least < 1 or most > LARGEST or not 0 <= self.blocks <= 64:
            raise InputError(f"at least one step, widths of 1 to {LARGEST} and 0 to 64 blocks are needed: {self}")
        weights = (self.critic, self.picture, self.space, self.face, self.completion, self.penalty, self.tilt)
        if min(weights) < 0 or not 0 <= self.hidden < 1 or min(self.critic_rate, self.distance - 2) <= 0:
            raise InputError(
                f"weights of at least 0, hidden in [0, 1), a rate above 0 and a distance above 2 are needed: {self}"
            )


class AdversarialLifter(Unscaled):
    """The lifter.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.adversarial_lifting import AdversarialConfig, AdversarialLifter
        >>> AdversarialLifter(AdversarialConfig(width=8))(torch.rand(2, 17, 3)).shape
        torch.Size([2, 17, 3])
    """

    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AdversarialConfig()
        self.network = Residual(3 * COUNT, 3 * COUNT, config.width, config.blocks, norm=True)

    def places_and_poses(self, places: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of 2D joints.

        Args:
            places: (B, K, 2) as :func:`meshrec.models.unscaled.centred_places` gives them.
            seen: (B, K) 1 for seen joints, 0 for missing ones.

        Returns:
            (B, K, 2) x and y that the network gives to all joints, and (B, K, 3) poses in units of the spread of the
            seen joints, relative to the point that the camera looks at. Missing joints have their x and y from the
            network, others their own.
        """
        inputs = torch.cat([places, seen[..., None]], dim=-1).flatten(1)
        found, offsets = self.network(inputs).unflatten(1, (-1, 3)).split((2, 1), dim=-1)
        offsets = (offsets - offsets.mean(1, keepdim=True)).squeeze(-1)
        return found, on_rays(torch.where(seen[..., None] > 0, places, found), offsets, self.config.distance)

    def shape(self, keypoints: Tensor) -> Tensor:
        """Joints (B, K, 3) in camera space up to translation and scale, of keypoints (B, K, 3)."""
        return self.places_and_poses(*centred_places(keypoints))[1]


class PictureCritic(nn.Module):
    """The critic: scores of 2D poses, higher for those that look as if they were seen.

    Args:
        config: settings of the networks.
    """

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.network = Residual(2 * COUNT, 1, config.critic_width, 2)

    def forward(self, places: Tensor) -> Tensor:
        """Score 2D poses (B, K, 2) without translation and scale: (B,)."""
        return self.network(places.flatten(1)).squeeze(1)


def on_rays(places: Tensor, offsets: Tensor, distance: float) -> Tensor:
    """Points on the rays through places in the picture.

    Args:
        places: (..., K, 2) in the picture at the distance of the camera.
        offsets: (..., K) of depth from there; those that would lie within a unit of the camera are moved away.
        distance: of the camera.

    Returns:
        (..., K, 3), of which :func:`projected` are the places.
    """
    offsets = offsets.clamp(min=1 - distance)  # as in the papers
    return torch.cat([places * (1 + offsets[..., None] / distance), offsets[..., None]], dim=-1)


def projected(points: Tensor, distance: float) -> Tensor:
    """Places (..., K, 2) of points (..., K, 3) in the picture of a camera at a distance."""
    return points[..., :2] / (1 + points[..., 2:] / distance).clamp(min=1 / distance)


def spread_to_one(places: Tensor) -> tuple[Tensor, Tensor]:
    """2D poses (B, K, 2), moved and scaled to a mean of zero and a mean square distance from it of one; and their
    former spread (B, 1, 1).
    """
    apart = places - places.mean(1, keepdim=True)
    spread = apart.square().sum((1, 2), keepdim=True).div(places.shape[1]).clamp(min=1e-9).sqrt()
    return apart / spread, spread


def turns(headings: Tensor, elevation: float) -> Tensor:
    """Rotations (B, 3, 3) of camera space by headings (B,) about the vertical, in a camera that looks down by
    ``elevation``; all in radians.
    """
    down = axis_angle_to_matrix(torch.tensor([elevation, 0.0, 0.0]).to(headings))
    zero = torch.zeros_like(headings)
    return down @ axis_angle_to_matrix(torch.stack([zero, headings, zero], dim=-1)) @ down.T


def random_turns(count: int, config: AdversarialConfig) -> Tensor:
    """Rotations (B, 3, 3) by random headings, and by small angles of elevation and roll, from torch's own generator."""
    headings = 2 * math.pi * torch.rand(count)
    tilt = math.radians(config.tilt) * torch.randn(count, 3) * torch.tensor([1.0, 0.0, 1.0])
    return axis_angle_to_matrix(tilt) @ turns(headings, math.radians(config.elevation))
