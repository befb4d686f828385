"""Training of the shipped pose prior on the pose bank and on written poses: everyday, floor and authored ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from meshrec.body.joints import mirror_name
from meshrec.body.kinematics import mirror_pose
from meshrec.data.streams import Streams
from meshrec.geometry import nearest_rotation
from meshrec.geometry.tangent import turns_between
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.floor_poses import floor_poses
from meshrec.poses.pose_bank import POSE_BANK, load_pose_bank
from meshrec.poses.pose_prior import PRIOR_JOINTS, PosePrior
from meshrec.synthetic.random_poses import perturbed
from meshrec.training.t_mixture import fit_t_mixture

# Standard deviations of the noise that is added to joints, radians: the error of a recording; for collars and toes,
# which the bank hardly moves, the range that they can have.
NOISE = {"collar": 0.15, "foot": 0.15}
NOISE_ELSEWHERE = 0.05
PERTURBED = 20  # number of perturbed copies of each authored pose


@dataclass(frozen=True)
class PosePriorConfig:
    """Data and size of a pose prior.

    Attributes:
        bank: File of the pose bank.
        components: Number of mixture components, before mirroring doubles them.
        freedom: Degrees of freedom of the t distributions.
        every: Stride over the frames of the bank.
    """

    bank: Path = POSE_BANK
    components: int = 12
    freedom: int = 10
    every: int = 4


def train_pose_prior(config: PosePriorConfig) -> tuple[PosePrior, dict[str, float]]:
    """Train a pose prior.

    Args:
        config: Data and size.

    Returns:
        The prior, and the mean log-densities of noisy training poses and of each kind of held-out poses.
    """
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([NOISE.get(name.split("_")[-1], NOISE_ELSEWHERE) for name in PRIOR_JOINTS])

    def motion(split: Literal["train", "held_out"], upright: bool | None = None) -> Tensor:
        return load_pose_bank(split, config.bank, upright).rotations(slice(None, None, config.every))

    authored = authored_poses("train").repeat(PERTURBED, 1, 1, 1)
    authored = perturbed(authored, Streams(0, range(len(authored)), "pose prior"))
    seen = _with_mirrored(torch.cat([motion("train"), everyday_poses("train"), floor_poses("train"), authored]))
    mean = nearest_rotation(_with_mirrored(motion("train")).double().mean(0))
    center = nearest_rotation(mean + mirror_pose(mean))[1 : len(PRIOR_JOINTS) + 1]

    def noisy(rotations: Tensor) -> Tensor:
        """Coordinates (N, 63) of poses, with noise."""
        clean = turns_between(center, rotations[:, 1 : len(PRIOR_JOINTS) + 1].double()).flatten(1)
        return clean + deviations.repeat_interleave(3) * torch.randn(
            clean.shape, generator=generator, dtype=clean.dtype
        )

    mixture = fit_t_mixture(noisy(seen), config.components, config.freedom, generator, mirror_coordinates())
    at, weights, means, scales = (
        part.float().contiguous() for part in (center, mixture.log_weights, mixture.means, mixture.scales)
    )
    prior = PosePrior(at, weights, means, scales, config.freedom)
    kinds = {
        "train": seen,
        "held-out takes of dance, martial arts and climbing": motion("held_out", upright=False),
        "held-out takes of people who stand and walk": motion("held_out", upright=True),
        "held-out everyday poses": everyday_poses("held_out"),
        "held-out floor poses": floor_poses("held_out"),
        "held-out authored poses": authored_poses("held_out"),
    }
    densities = {
        name: float(prior.log_density(prior.body_pose(noisy(rotations).float())).mean())
        for name, rotations in kinds.items()
    }
    return prior, densities


def mirror_coordinates() -> Tensor:
    """Reflection (63, 63) of the prior's coordinates: exchanges sides, and negates y and z of axis-angle vectors."""
    flip = torch.tensor([PRIOR_JOINTS.index(mirror_name(name)) for name in PRIOR_JOINTS])
    columns = torch.eye(3 * len(PRIOR_JOINTS), dtype=torch.float64).reshape(len(PRIOR_JOINTS), 3, -1)
    signs = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    return (columns[flip] * signs[:, None]).flatten(0, 1)


def _with_mirrored(rotations: Tensor) -> Tensor:
    return torch.cat([rotations, mirror_pose(rotations)])
